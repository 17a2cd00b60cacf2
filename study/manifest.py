"""What a study is: study.json in its folder, with the films beside it."""

import hashlib
import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..mvg.validation import validate

MANIFEST = "study.json"
FILMS = "films"
MAX_FILMS = 10_000
QUESTION = "Which film shows the more plausible course of the disease?"
INTRODUCTION = (
    "You will see short films of how a disease might progress. Some or all of them are synthetic. A few pairs may be "
    "there only to check attention. There is no time limit; please judge from what you see alone. You can stop at any "
    "time and go on later, also on another day, with the same link."
)
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[0-9a-z]{1,40}\.mp4$")]


T = TypeVar("T")


class StudyError(ValueError):
    """A study that cannot be made, served or evaluated: one line that says why."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Film(Strict):
    """A film of a patient by a method.

    Attributes:
        file: Its name in the folder films; it tells nothing of the method.
        finding: What progresses, where that is known.
        real: Whether it shows a real course; such films are in the questionnaire alone.
        sha256: Of the file.
    """

    file: FileName
    method: Name
    domain: Name
    patient: Name
    finding: str = Field(default="", max_length=80)
    real: bool = False
    sha256: Sha256


class Check(Strict):
    """An attention check: a film and a copy of it that is plainly broken."""

    film: FileName
    broken: FileName
    sha256: Sha256


class Study(Strict):
    """All of a study but its votes.

    Attributes:
        methods: The generated ones; the first is the one whose win rates table 3 gives.
        every_pair: Whether all methods meet each other, or each the first alone.
        pairs: How many pairs a rater is shown; None for all.
        repeats: How many of them again, with the sides swapped.
        checks: The attention checks, all shown to every rater.
        failed_checks: How many a rater may fail and still be counted.
        questionnaire: About how many single films a rater is asked.
        findings: domain -> the answers to "which finding".
        seed: Of orders and sides.
    """

    version: int = Field(default=1, ge=1, le=1)
    title: str = Field(max_length=200)
    introduction: str = Field(default=INTRODUCTION, max_length=4000)
    question: str = Field(default=QUESTION, max_length=400)
    methods: list[Name] = Field(max_length=20)
    every_pair: bool = True
    pairs: int | None = Field(default=None, ge=1)
    repeats: int = Field(default=0, ge=0)
    checks: list[Check] = []
    failed_checks: int = Field(default=0, ge=0)
    questionnaire: int = Field(default=0, ge=0)
    findings: dict[str, list[Name]] = {}
    films: list[Film] = Field(max_length=MAX_FILMS)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _balanced(self) -> "Study":
        check_films([(film.method, film.domain, film.patient, film.real) for film in self.films], self.methods)
        files = [film.file for film in self.films] + [check.broken for check in self.checks]
        if file := _twice(files):
            raise ValueError(f"films: the file {file} is there twice, want each once")
        known = {film.file for film in self.films}
        if strange := next((check.film for check in self.checks if check.film not in known), None):
            raise ValueError(f"checks: got the film {strange}, want one of films")
        count = len(self.meetings())
        if (self.pairs or 0) > count:
            raise ValueError(f"pairs: got {self.pairs}, want at most the {count} that there are")
        if self.repeats > (self.pairs or count):
            raise ValueError(f"repeats: got {self.repeats}, want at most the {self.pairs or count} pairs of a rater")
        if self.questionnaire > len(self.films):
            raise ValueError(f"questionnaire: got {self.questionnaire}, want at most the {len(self.films)} films")
        return self

    def film(self, file: str) -> Film:
        """Returns the film of a file, which may be its broken copy."""
        original = next((check.film for check in self.checks if check.broken == file), file)
        return next(film for film in self.films if film.file == original)

    def meetings(self) -> list[tuple[Film, Film]]:
        """Returns the pairs of films of a patient by two methods, in the order of the manifest."""
        by_patient: dict[tuple[str, str], dict[str, Film]] = defaultdict(dict)
        for film in self.films:
            if not film.real:
                by_patient[film.domain, film.patient][film.method] = film
        pairs = combinations(self.methods, 2) if self.every_pair else ((self.methods[0], m) for m in self.methods[1:])
        wanted = list(pairs)
        return [(films[one], films[other]) for films in by_patient.values() for one, other in wanted]

    def hash(self) -> str:
        """Returns what tells this study from a changed one; a setting that a later version brings changes nothing."""
        content = json.dumps(self.model_dump(mode="json", exclude_unset=True), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


def check_films(films: list[tuple[str, str, str, bool]], methods: list[str]) -> None:
    """Looks whether films make a study in which every patient has one film of each method.

    Args:
        films: Method, domain, patient and whether it is real, of each.
        methods: That are to be compared.

    Raises:
        ValueError: One line on the first thing that is wrong.
    """
    if named := _twice([method.casefold() for method in methods]):
        raise ValueError(f"methods: {named!r} is there twice, want each once, in one spelling")
    if len(methods) < 2:
        raise ValueError(f"methods: got {' and '.join(methods) or 'none'} alone, want at least two to compare")
    if twice := _twice([film[:3] for film in films]):
        method, domain, patient = twice
        raise ValueError(f"films: {method} of {domain}, patient {patient}, is there twice, want one film of each")
    held = defaultdict(set)
    for method, domain, patient, real in films:
        if not real:
            if method not in methods:
                raise ValueError(f"films: got the method {method!r}, want one of {', '.join(methods)}")
            held[domain, patient].add(method)
    for (domain, patient), found in held.items():
        if missing := [method for method in methods if method not in found]:
            raise ValueError(
                f"films: patient {patient} of {domain} has none of {', '.join(missing)}, want one of every method"
            )


def _twice(values: list[T]) -> T | None:
    return next((value for value, count in Counter(values).items() if count > 1), None)


def read(folder: Path) -> Study:
    """Reads a study, and that its films are there as they were made.

    Args:
        folder: Of the study.

    Returns:
        The study.

    Raises:
        StudyError: There is none, it is not valid, or a film is missing or broken.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{folder} holds no {MANIFEST}: make a study with run.py study new") from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error})") from error
    study = validate(Study, content, StudyError, str(path))
    hashes = {film.file: film.sha256 for film in study.films} | {check.broken: check.sha256 for check in study.checks}
    for file, digest in hashes.items():
        try:
            with (folder / FILMS / file).open("rb") as opened:
                same = hashlib.file_digest(opened, "sha256").hexdigest() == digest
        except FileNotFoundError:
            raise StudyError(f"{folder}: the film {FILMS}/{file} is missing, want it as the study was made") from None
        except OSError as error:
            raise StudyError(f"{folder}: the film {FILMS}/{file} cannot be read ({error.strerror})") from error
        if not same:
            raise StudyError(f"{folder}: the film {FILMS}/{file} is broken or was changed, want it as it was made")
    return study
