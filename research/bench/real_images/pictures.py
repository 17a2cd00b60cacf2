"""Real pictures without a finding, with the anatomy that courses are drawn by, and what is planned for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ....mvg.domains import BUILT_IN
from ....mvg.plan import Plan
from ....mvg.recaption.offline import recaption
from ....mvg.regions import roi_mask
from ....training.data import TRAIN, VAL, Pictures, Record, Table
from ....training.data.labels import finding_of
from ...courses import courses
from ...courses.dataset import DRAWN_AT, DRAWN_ON, is_judges
from ..patients import NO_FINDING

JUDGES = "judges"
PARTS = (VAL, JUDGES, TRAIN)
"""Whose pictures: those of val, for figures; those of the judges' patients, for choosing settings; all of train."""
SIDES = ("left", "right", "bilateral")


def part_of(table: Table, part: str) -> list[Record]:
    """The records of val, of the train patients that only the judges see, or of train.

    Args:
        table: of a domain.
        part: one of PARTS.

    Raises:
        ValueError: there are none.
    """
    if part != JUDGES:
        return list(table.part(part))
    found = [r for r in table.records if r.split == TRAIN and is_judges(table.domain, r.patient)]
    if not found:
        raise ValueError(f"--of: {table.name} has no patients of the judges in {table.domain}, want {VAL}")
    return found


def findings_of(record: Record, domain: str) -> set[str]:
    """What a record is labeled with, by the domain's names."""
    return {finding_of(label, BUILT_IN[domain]) for label, value in record.labels.items() if value == 1} - {""}


def read_picture(record: Record, domain: str, size: int) -> np.ndarray:
    """float32 [size, size], in color [size, size, 3], in [0, 1]."""
    gray = BUILT_IN[domain].gray
    picture = Pictures([record], size, gray=gray, cache_bytes=0)[0][0].numpy()
    return np.ascontiguousarray(picture[0] if gray else np.moveaxis(picture, 0, -1))


def as_image(picture: np.ndarray) -> Tensor:
    """[H, W] or [H, W, 3] as nodes have it, [H, W, 3]."""
    pixels = np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture
    return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))


@dataclass(frozen=True)
class Healthy:
    """A real picture without finding.

    Attributes:
        domain: of it.
        record: where it is from.
        picture: as courses are drawn on it, which may be larger than ``size``.
        anatomy: what `research.courses` found in it.
        size: side of what `image` and `at` give, in pixels.
    """

    domain: str
    record: Record
    picture: np.ndarray
    anatomy: Any
    size: int

    @property
    def patient(self) -> str:
        return self.record.patient

    def image(self) -> Tensor:
        """[size, size, 3] in [0, 1]."""
        return as_image(self._sized(self.picture))

    def at(self, finding: str, severity: float, side: str, seed: int) -> Tensor:
        """The same with the finding, [size, size, 3]."""
        drawn = courses(self.domain).draw(self.picture, finding, float(severity), side, seed, self.anatomy)
        return as_image(self._sized(drawn))

    def course(self, finding: str, severities: Sequence[float], side: str, seed: int) -> Tensor:
        """[len(severities), size, size, 3]."""
        return torch.stack([self.at(finding, severity, side, seed) for severity in severities])

    def _sized(self, picture: np.ndarray) -> np.ndarray:
        if picture.shape[0] == self.size:
            return picture
        return cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_AREA)


def healthy_pictures(
    table: Table, part: str, count: int, size: int, *, first: int = 0, seed: int = 0, each: bool = False
) -> list[Healthy]:
    """Pictures that courses can be drawn on, in an order of the seed; those in which no anatomy is found are left out.

    Args:
        table: of a domain.
        part: one of PARTS.
        count: how many at most.
        size: in pixels.
        first: how many to leave out first.
        seed: of the order.
        each: every picture; else one a patient.

    Raises:
        ValueError: there is none.
    """
    domain = table.domain
    records = [r for r in part_of(table, part) if DRAWN_ON[domain](r)]
    order = np.random.default_rng([seed, 41]).permutation(len(records))
    found: list[Healthy] = []
    patients: set[str] = set()
    for i in order:
        record = records[i]
        if len(found) == first + count:
            break
        if record.patient in patients and not each:
            continue
        picture = read_picture(record, domain, max(size, DRAWN_AT.get(domain, 0)))
        anatomy = courses(domain).fit(picture)
        if anatomy is not None:
            found.append(Healthy(domain, record, picture, anatomy, size))
            patients.add(record.patient)
    if len(found) <= first:
        raise ValueError(f"data: got {len(found)} pictures of {part} to draw on in {table.name}, want over {first}")
    return found[first:]


@dataclass(frozen=True)
class Course:
    """What is to progress in a picture: a finding on a side, drawn by a seed where its truth is known."""

    start: Healthy
    finding: str
    side: str
    seed: int

    @property
    def report(self) -> str:
        """As a clinician would say it."""
        return f"Developing {f'{self.side} ' if self.side else ''}{self.finding}."

    def plan(self, stages: int, mode: str, known: Sequence[str], control: bool = False) -> Plan:
        """What the report becomes; of a control that of a report of no finding."""
        text = NO_FINDING if control else self.report
        return recaption(text, self.start.domain, stages, mode=mode, known=known)

    def image(self) -> Tensor:
        """[H, W, 3] in [0, 1]."""
        return self.start.image()

    def region(self, known: Sequence[str]) -> Tensor:
        """[H, W]: where a user's region lies, fitted to the picture."""
        return roi_mask(self.start.image()[None], self.plan(1, "terminal", known))[0][0]

    def truth(self, severities: Sequence[float]) -> Tensor:
        """[N, H, W, 3]"""
        return self.start.course(self.finding, severities, self.side, self.seed)


def courses_of(starts: Sequence[Healthy], finding: str, turn: int = 0) -> list[Course]:
    """One a picture; where the finding has a side, sides take turns, beginning with that of number ``turn``."""
    sided = bool(starts) and finding in BUILT_IN[starts[0].domain].sided
    return [Course(start, finding, SIDES[(i + turn) % 3] if sided else "", i) for i, start in enumerate(starts)]
