"""Phantom patients as an evaluation takes them: pictures, regions, plans and the true future, in every domain."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ...mvg.domains.severity import band_center
from ...mvg.plan import Plan
from ...mvg.recaption.offline import recaption
from ...mvg.regions import roi_mask
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
    """images [B, H, W, 3] of healthy patients, and where the finding may show.

    masks [B, H, W]: fitted to the image as a user's are. true_masks: where it will show, which no user knows.
    """

    domain: str
    finding: str
    seeds: tuple[int, ...]
    people: list[Any]
    images: torch.Tensor
    masks: torch.Tensor
    true_masks: torch.Tensor

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"phantom {seed}" for seed in self.seeds)

    def part(self, start: int, stop: int) -> "Patients":
        cut = slice(start, stop)
        parts = (self.seeds[cut], self.people[cut], self.images[cut], self.masks[cut], self.true_masks[cut])
        return Patients(self.domain, self.finding, *parts)

    def region(self, name: str) -> torch.Tensor | None:
        """ "fitted" to the image as a user's, "true" as no user knows it, or "none"."""
        return {"fitted": self.masks, "true": self.true_masks, "none": None}[name]

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

    def course(self, severities: Sequence[float]) -> torch.Tensor:
        """The true course, [N, B, H, W, 3]."""
        return torch.stack([self.at(severity) for severity in severities])

    def plans(self, stages: int, mode: str, control: bool = False) -> list[Plan]:
        """What their reports become; for a control that of a report of no finding."""
        if control:
            return [plan_of(NO_FINDING, self.domain, stages, mode)] * len(self.people)
        return [plan_of(report_of(self.domain, self.finding, p), self.domain, stages, mode) for p in self.people]


def report_of(domain: str, finding: str, person: Any) -> str:
    side = f"{person.sides[finding]} " if finding in captions.sided(domain) else ""
    return f"Developing {side}{finding}."


def plan_of(report: str, domain: str, stages: int, mode: str) -> Plan:
    return recaption(report, domain, stages, mode=mode, known=FINDINGS[domain])


def pictures(domain: str, people: Sequence[Any], severities: dict[str, float] | None = None) -> torch.Tensor:
    return torch.from_numpy(np.stack([picture(domain, person, severities) for person in people]))


def patients(domain: str, finding: str, seeds: Sequence[int]) -> Patients:
    """Of the evaluation stream: no training has seen them."""
    module = phantom(domain)
    people = [module.sample_patient(seed) for seed in seeds]
    images = pictures(domain, people)
    plans = [plan_of(report_of(domain, finding, person), domain, 1, "terminal") for person in people]
    fitted = torch.cat([roi_mask(image[None], plan)[0] for image, plan in zip(images, plans, strict=True)])
    true = torch.from_numpy(np.stack([module.roi(person, finding) for person in people]))
    return Patients(domain, finding, tuple(seeds), people, images, fitted, true)
