"""The command line of ``study``, and what can be checked with nothing installed."""

import argparse
import math
from pathlib import Path

from .arguments import Parser
from .errors import UsageError

VARIABLE = "MVG_STUDIES"
"""Of the environment: the folders whose studies ComfyUI serves, separated as in PATH."""
MANIFEST = "study.json"


def add_study_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=Parser, help="ACTION --help tells its options"
    )
    new = actions.add_parser("new", help="make a study from films")
    _add_folder(new, "that is made")
    new.add_argument(
        "--from",
        dest="sources",
        nargs="+",
        required=True,
        metavar="RESULTS",
        help="METHOD=FOLDER of run.py batch (METHOD=FOLDER:NODE where several nodes saved a film), or a CSV of clips: "
        "method, domain, patient, file; where wanted finding, real, labelled",
    )
    new.add_argument("--title", metavar="TEXT", help="that raters see")
    new.add_argument("--domain", metavar="D", help="of films that do not say theirs")
    new.add_argument("--first", metavar="METHOD", help="whose win rates are told first (default: of the first film)")
    new.add_argument("--first-only", action="store_true", help="pairs of that method with each other alone")
    new.add_argument("--pairs", type=int, metavar="N", help="pairs a rater is shown (default: all)")
    new.add_argument("--repeats", type=int, metavar="N", help="pairs shown again (default: a tenth)")
    new.add_argument("--checks", type=int, metavar="N", help="attention checks (default: 2)")
    new.add_argument("--questionnaire", type=int, metavar="N", help="single films asked about (default: 6)")
    new.add_argument("--seed", type=int, metavar="S", help="which seed of batch results, where there are several")
    new.add_argument("--skip-incomplete", action="store_true", help="leave out patients that lack a method's film")
    new.add_argument("--seconds", type=float, metavar="T", help="length that all films are brought to (default: 6)")
    new.add_argument("--side", type=int, metavar="N", help="pixels of the square they all become (default: 512)")
    links = actions.add_parser("links", help="make links for raters; they are shown this once")
    _add_folder(links)
    links.add_argument("count", type=int, metavar="N", help="how many raters")
    links.add_argument("--address", default="http://127.0.0.1:8188", metavar="URL", help="where raters reach it")
    serving = actions.add_parser("serve", help="serve studies alone, without ComfyUI")
    serving.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="folders of studies")
    serving.add_argument("--port", type=int, default=8190, metavar="P", help="port (default: 8190)")
    serving.add_argument("--listen", action="store_true", help="answer the whole network, not this machine alone")
    results = actions.add_parser("results", help="win rates, scores, agreement; CSV, JSON and plots")
    _add_folder(results)
    results.add_argument("--out", type=Path, metavar="FOLDER", help="where to (default: DIR/results)")
    power = actions.add_parser("power", help="how many raters and pairs show a given win rate, by simulation")
    power.add_argument("--win-rate", type=float, default=0.65, metavar="W", help="the true one (default: 0.65)")
    power.add_argument("--raters", type=int, nargs="+", default=[3, 5, 10, 20], metavar="N", help="numbers to try")
    power.add_argument("--pairs", type=int, nargs="+", default=[10, 20, 30, 60], metavar="N", help="pairs a rater")
    power.add_argument(
        "--spread",
        type=float,
        default=0.3,
        metavar="S",
        help="share of raters and cases in the variance (default: 0.3)",
    )
    for action in (new, links, serving, results, power):
        action.add_argument("--debug", action="store_true", help="show tracebacks")


def _add_folder(parser: argparse.ArgumentParser, what: str = "of the study") -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help=f"the folder {what}")


def check_study(options: argparse.Namespace) -> None:
    """UsageError for what cannot be."""
    within = {
        "count": (1, 1000),
        "port": (1, 65535),
        "pairs": (1, 100_000),
        "repeats": (0, 1000),
        "checks": (0, 20),
        "questionnaire": (0, 1000),
        "seconds": (0.5, 60),
        "side": (64, 1024),
        "raters": (2, 1000),
        "spread": (0, 0.9),
        "win_rate": (0.01, 0.99),
    }
    for name, (low, high) in within.items():
        values = getattr(options, name, None)
        for value in values if isinstance(values, list) else [values]:
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                option = "N" if name == "count" else f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} is {value}: give {low} to {high}.")
    if getattr(options, "side", None) is not None and options.side % 2:
        raise UsageError(f"--side is {options.side}: give an even number.")
    if options.action == "serve":
        check_studies(options.folders)
    if options.action == "power" and min(options.pairs) < 2:
        raise UsageError(f"--pairs is {min(options.pairs)}: give 2 or more.")


def check_studies(folders: list[Path]) -> None:
    """UsageError for a folder without a study."""
    for folder in folders:
        if not (folder / MANIFEST).is_file():
            raise UsageError(f"{folder} holds no {MANIFEST}: make a study with run.py study new.")
