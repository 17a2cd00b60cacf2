"""The actions of ``run.py study``."""

import argparse
from pathlib import Path
from urllib.parse import urlparse

from ..launch.errors import LaunchError, UsageError
from ..launch.server import LOOPBACK
from ..launch.study_arguments import check_study
from .manifest import Study, StudyError, read
from .session import items
from .store import Store

PUBLIC = (
    "It listens on all network interfaces. Public is: for who holds a link, the films and questions of that rater; for "
    "everyone else nothing but that a server is here. The connection is not encrypted: put a proxy with TLS before it "
    "where the network is not trusted."
)


def run(options: argparse.Namespace) -> int:
    """Exit code 0; LaunchError and UsageError as one line."""
    check_study(options)
    actions = {"new": new, "links": links, "serve": serve, "results": results, "power": power}
    try:
        actions[options.action](options)
    except StudyError as error:
        raise UsageError(str(error)) from error
    return 0


def new(options: argparse.Namespace) -> None:
    from . import create, sources  # they bring torch, which would make the server start late

    chosen = {
        "domain": options.domain,
        "first": options.first,
        "every_pair": not options.first_only,
        "pairs": options.pairs,
        "repeats": options.repeats,
        "questionnaire": options.questionnaire,
        "skip_incomplete": options.skip_incomplete,
    }
    given = ("title", "checks", "seconds", "side")  # those with a default of their own
    chosen |= {name: getattr(options, name) for name in given if getattr(options, name) is not None}
    clips = [clip for source in options.sources for clip in sources.find(source, options.seed)]
    study = create.new(options.folder.absolute(), clips, create.Wish(**chosen), lambda line: print(line, flush=True))
    tell(study)
    print(f"result: {options.folder}   next: run.py study links {options.folder} N")


def tell(study: Study) -> None:
    """What a rater will be asked."""
    shown = items(study, 1)
    counts = {kind: sum(item.kind == kind for item in shown) for kind in ("pair", "repeat", "check", "film")}
    print(
        f"{len(study.films)} films of {', '.join(study.methods)}; a rater answers {len(shown)} questions: "
        f"{counts['pair']} of {len(study.meetings())} pairs, {counts['repeat']} of them again, {counts['check']} "
        f"attention checks, {counts['film']} single films"
    )


def links(options: argparse.Namespace) -> None:
    address = urlparse(options.address)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise UsageError(f"--address is {options.address!r}: give one such as http://study.example:8188.")
    store = opened(options.folder)
    for number, token in store.add_raters(options.count):
        print(f"rater {number}\t{options.address.rstrip('/')}/mvg/study/{token}")


def opened(folder: Path) -> Store:
    """The votes of the study in a folder; StudyError where there is none."""
    return Store(folder.absolute(), read(folder.absolute()))


def serve(options: argparse.Namespace) -> None:
    from . import server

    stores = [opened(folder) for folder in options.folders]
    if options.listen:
        print(PUBLIC, flush=True)
    try:
        server.serve(stores, "0.0.0.0" if options.listen else LOOPBACK, options.port)
    except OSError as error:
        raise LaunchError(f"port {options.port} is in use ({error.strerror}). Choose another with --port.") from error


def results(options: argparse.Namespace) -> None:
    from . import report
    from . import results as evaluation

    store = opened(options.folder)
    folder = options.out or options.folder / "results"
    votes = evaluation.read(store)
    report.export(folder, votes)
    try:
        found = evaluation.evaluate(store.study, votes)
    except StudyError as error:
        raise StudyError(f"{options.folder}: {error}; the votes so far are in {folder}") from error
    print(report.write(folder, store.study, found))
    print(f"result: {folder}")


def power(options: argparse.Namespace) -> None:
    from . import statistics

    print(f"share of studies that show a win rate of {options.win_rate:g} (95 % interval above 0.5)")
    print(f"raters and cases bring {options.spread:.0%} of the variance; in brackets: at 0.5, where 0.025 is right")
    width = max(len(str(count)) for count in options.raters)
    print("raters " + "".join(f"{f'{pairs} pairs':>16}" for pairs in options.pairs))
    enough = []
    for raters in options.raters:
        cells = []
        for pairs in options.pairs:
            found, false = (
                statistics.power(rate, raters, pairs, spread=options.spread) for rate in (options.win_rate, 0.5)
            )
            cells.append(f"{found:.2f} ({false:.2f})")
            if found >= 0.8:
                enough.append((raters * pairs, raters, pairs))
        print(f"{raters:>{max(6, width)}} " + "".join(f"{cell:>16}" for cell in cells))
    if enough:
        _, raters, pairs = min(enough)
        print(f"fewest votes that show it in 80 % of studies, of those tried: {raters} raters with {pairs} pairs each")
    else:
        print("none of those tried shows it in 80 % of studies: try more with --raters and --pairs")
