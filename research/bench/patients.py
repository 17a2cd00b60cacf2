"""Phantom patients as an evaluation takes them: pictures, regions, plans and the true future, in every domain."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ...mvg.domains.severity import band_center
from ...mvg.plan import Plan
from ...mvg.recaption.offline import recaption
from ..phantom import captions
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom, picture

TARGET = band_center("severe")
NO_FINDING = "No finding."
SCORED = {"chest_xray": ("cardiomegaly", "edema", "pleural effusion")}
"""Findings whose future shows in the image: a consolidation grows anywhere in a lung. Other domains: all they have."""


def scored_findings(domain: str) -> tuple[str, ...]:
    return SCORED.get(domain, FINDINGS[domain])


class Patients(NamedTuple):
    """images [B, H, W, 3] of healthy patients, masks [B, H, W] of where the finding will show."""

    domain: str
    finding: str
    seeds: tuple[int, ...]
    people: list[Any]
    images: torch.Tensor
    masks: torch.Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"phantom {seed}" for seed in self.seeds)

    def part(self, start: int, stop: int) -> "Patients":
        cut = slice(start, stop)
        parts = (self.seeds[cut], self.people[cut], self.images[cut], self.masks[cut])
        return Patients(self.domain, self.finding, *parts)

    def at(self, severity: float) -> torch.Tensor:
        """The same patients with the finding, [B, H, W, 3]."""
        return pictures(self.domain, self.people, {self.finding: severity})

    def at_each(self, severities: Sequence[float]) -> torch.Tensor:
        """The same, every patient at a severity of their own."""
        drawn = [
            pictures(self.domain, [person], {self.finding: min(max(float(s), 0.0), 1.0)})
            for person, s in zip(self.people, severities, strict=True)
        ]
        return torch.cat(drawn)

    def plans(self, stages: int, mode: str, control: bool = False) -> list[Plan]:
        """What their reports become; for a control that of a report of no finding."""
        reports = [NO_FINDING if control else self._report(person) for person in self.people]
        return [recaption(report, self.domain, stages, mode=mode, known=FINDINGS[self.domain]) for report in reports]

    def _report(self, person: Any) -> str:
        side = f"{person.sides[self.finding]} " if self.finding in captions.sided(self.domain) else ""
        return f"Developing {side}{self.finding}."


def pictures(domain: str, people: Sequence[Any], severities: dict[str, float] | None = None) -> torch.Tensor:
    return torch.from_numpy(np.stack([picture(domain, person, severities) for person in people]))


def patients(domain: str, finding: str, seeds: Sequence[int]) -> Patients:
    """Of the evaluation stream: no training has seen them."""
    module = phantom(domain)
    people = [module.sample_patient(seed) for seed in seeds]
    masks = torch.from_numpy(np.stack([module.roi(person, finding) for person in people]))
    return Patients(domain, finding, tuple(seeds), people, pictures(domain, people), masks)
