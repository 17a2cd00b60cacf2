"""Makes a study: finds the films, makes them alike, writes the manifest. The folder appears whole or not at all."""

import hashlib
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..mvg.domains import BUILT_IN
from ..mvg.validation import validate
from . import films
from .manifest import FILMS, MANIFEST, Check, Film, Study, StudyError, check_films, read
from .sources import Clip

OTHER_FINDINGS = ["another finding", "no finding"]


@dataclass(frozen=True)
class Wish:
    """What the maker of a study may choose; None where it follows from the films.

    Attributes:
        domain: Of films that do not say theirs.
        first: The method whose win rates are told, None for that of the first film.
        seed: Of orders and sides; None for a random one, which nobody can guess who knows the films.
        skip_incomplete: Leave out patients that lack a film of some method.
        others as ``Study`` and ``films.Shape``.
    """

    title: str = "Which course is more plausible?"
    domain: str | None = None
    first: str | None = None
    every_pair: bool = True
    pairs: int | None = None
    repeats: int | None = None
    checks: int = 2
    questionnaire: int | None = None
    skip_incomplete: bool = False
    seed: int | None = None
    side: int = 512
    seconds: float = 6.0


def new(folder: Path, clips: Sequence[Clip], wish: Wish, told: Callable[[str], None] = lambda line: None) -> Study:
    """Makes a study.

    Args:
        folder: That is made; it must not exist yet.
        clips: The films as they were found.
        wish: What was chosen.
        told: Given a line on what is left out or changed, and on progress.

    Returns:
        The study.

    Raises:
        StudyError: The films make no study, or one of them is broken; nothing is left behind.
        OSError: The folder cannot be written to; nothing is left behind.
    """
    if folder.exists():
        raise StudyError(f"{folder} is there already: give the name of a new folder")
    clips = [_with_domain(clip, wish.domain) for clip in clips]
    methods = list(dict.fromkeys(clip.method for clip in clips if not clip.real))
    if wish.first is not None:
        if wish.first not in methods:
            raise StudyError(f"--first: got {wish.first!r}, want one of {', '.join(methods)}")
        methods.sort(key=lambda method: method != wish.first)
    if wish.skip_incomplete:
        clips = _complete(clips, methods, told)
    try:
        check_films([(clip.method, clip.domain, clip.patient, clip.real) for clip in clips], methods)
    except ValueError as error:
        raise StudyError(str(error)) from error
    labelled = sorted({clip.method for clip in clips if clip.labelled})
    shape = films.Shape(wish.side, wish.seconds, cover=bool(labelled))
    if labelled:
        told(
            f"note: films of {', '.join(labelled)} carry the visible label, which would tell them from others: its "
            "corner is covered in every film. Save Trajectory makes films without it where its input label is off."
        )
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        (partial / FILMS).mkdir(parents=True, mode=0o700)
        partial.chmod(0o700)
        study = _build(partial, clips, methods, wish, shape, told)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return study


def _with_domain(clip: Clip, domain: str | None) -> Clip:
    if not clip.domain and not domain:
        raise StudyError(f"{clip.file} does not say its domain: give it with --domain")
    return replace(clip, domain=clip.domain or domain or "")


def _complete(clips: list[Clip], methods: list[str], told: Callable[[str], None]) -> list[Clip]:
    held = defaultdict(set)
    for clip in clips:
        held[clip.domain, clip.patient].add(clip.method)
    wanted = set(methods)
    left_out = [key for key, found in held.items() if found & wanted and not wanted <= found]
    if left_out:
        named = ", ".join(f"{patient} of {domain}" for domain, patient in left_out)
        told(f"note: left out, as they lack a film of some method: {named}")
    return [clip for clip in clips if (clip.domain, clip.patient) not in left_out]


def _build(
    folder: Path,
    clips: list[Clip],
    methods: list[str],
    wish: Wish,
    shape: films.Shape,
    told: Callable[[str], None],
) -> Study:
    names: list[str] = []

    def write(frames: list[Any]) -> str:
        names.append(f"{secrets.token_hex(8)}.mp4")  # drawn at random, as a number would tell of the order of methods
        films.write(folder / FILMS / names[-1], frames, shape.fps)
        return names[-1]

    entries, checks = [], []
    generated = [n for n, clip in enumerate(clips) if not clip.real]
    checked = {generated[k * len(generated) // max(1, wish.checks)] for k in range(min(wish.checks, len(generated)))}
    for n, clip in enumerate(clips):
        told(f"film {n + 1} of {len(clips)}: {clip.file}")
        label = f"{clip.method}, patient {clip.patient} of {clip.domain}"
        frames = films.alike(films.read_frames(clip.file, label), shape)
        entries.append((clip, write(frames)))
        if n in checked:
            checks.append((entries[-1][1], write(films.broken(frames, n))))
    paths = [folder / FILMS / name for name in names]
    size = max(path.stat().st_size for path in paths) + 8
    hashes = {}
    for path in paths:
        films.pad(path, size)
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    study = _manifest(
        wish,
        methods,
        [
            Film(
                file=name,
                method=clip.method,
                domain=clip.domain,
                patient=clip.patient,
                finding=clip.finding,
                real=clip.real,
                sha256=hashes[name],
            )
            for clip, name in entries
        ],
        [Check(film=film, broken=bad, sha256=hashes[bad]) for film, bad in checks],
    )
    text = study.model_dump_json(indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    return read(folder)


def _manifest(wish: Wish, methods: list[str], entries: list[Film], checks: list[Check]) -> Study:
    """The study, with what follows from the films where nothing was chosen."""
    patients = len({(film.domain, film.patient) for film in entries if not film.real})
    meetings = patients * (len(methods) * (len(methods) - 1) // 2 if wish.every_pair else len(methods) - 1)
    shown = wish.pairs or meetings
    findings = {
        domain: list(
            dict.fromkeys(
                [
                    *(BUILT_IN[domain].known if domain in BUILT_IN else ()),
                    *(film.finding for film in entries if film.domain == domain and film.finding),
                    *OTHER_FINDINGS,
                ]
            )
        )
        for domain in dict.fromkeys(film.domain for film in entries)
    }
    content = {
        "title": wish.title,
        "methods": methods,
        "every_pair": wish.every_pair,
        "pairs": wish.pairs,
        "repeats": max(1, shown // 10) if wish.repeats is None else wish.repeats,
        "checks": checks,
        "questionnaire": min(6, len(entries)) if wish.questionnaire is None else wish.questionnaire,
        "findings": findings,
        "films": entries,
        "seed": secrets.randbelow(2**32) if wish.seed is None else wish.seed,
    }
    return validate(Study, content, StudyError)
