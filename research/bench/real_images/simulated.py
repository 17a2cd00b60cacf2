"""Simulated courses of real pictures, kept on disk once they are made, so that every measurement looks at the same."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ....mvg.domains import BUILT_IN
from ....mvg.plan import NO_FINDING, Plan
from ....training.data import TRAIN, Table
from ...courses.dataset import JUDGES as JUDGES_SHARES
from .. import methods
from ..bars import CONTROL, PIE
from ..evaluation import GUIDANCE, PAPER
from ..evaluation_setup import digest_of
from ..networks import Networks
from ..patients import TARGET
from .pictures import JUDGES, Healthy, courses_of, healthy_pictures

KINDS = (PIE, CONTROL, methods.WALK, methods.EXTRAPOLATION)
REFERENCES = 24
"""Patients of whom the extrapolation learns its direction: their pictures without and with the finding."""


class Case(Protocol):
    """What can be simulated: a picture of a patient and what is to progress in it."""

    @property
    def finding(self) -> str: ...

    def image(self) -> Tensor: ...

    def plan(self, stages: int, mode: str, known: Sequence[str], control: bool = False) -> Plan: ...

    def region(self, known: Sequence[str]) -> Tensor: ...


class Simulator:
    """Simulates courses with the networks of a domain.

    Args:
        domain: of the pictures.
        size: of the pictures, in pixels.
        settings: inputs of PIE Loop, as of `workflow.workflow_settings`.
        folder: where courses are kept.
        batch: courses that advance together.
        checkpoint: of a user, in place of the embedded networks; then ``known`` is what the domain draws.
    """

    def __init__(
        self, domain: str, size: int, settings: dict, folder: Path, batch: int = 4, checkpoint: Path | None = None
    ):
        from ....models.embedded import loader

        self.domain, self.size, self.settings, self.folder, self.batch = domain, size, settings, folder, batch
        if checkpoint is None:
            self.known = loader.drawn_findings(domain)
            files = [loader.find_weights(part, domain) for part in ("unet", "vae", "clip_text", "classifier")]
        else:
            self.known, files = tuple(BUILT_IN[domain].known), [checkpoint]
        self.checkpoint = checkpoint
        self.about = {"domain": domain, "size": size, "settings": settings, "networks": digest_of(files)}
        self._networks: Networks | None = None
        self._directions: dict[str, Tensor] = {}

    @property
    def networks(self) -> Networks:
        """Loaded once they are needed: what is on disk needs none."""
        if self._networks is None:
            one = self.checkpoint
            self._networks = Networks.embedded(self.domain) if one is None else Networks.checkpoint(one)
        return self._networks

    def path(self, case: Case, kind: str, stages: int) -> Path:
        """Where the states of a case are kept."""
        pixels = hashlib.blake2b(case.image().numpy().tobytes(), digest_size=8).hexdigest()
        plan = case.plan(stages, self.settings["plan"], self.known, kind == CONTROL)
        told = [self.about, kind, stages, pixels, plan.to_json(), case.finding]
        digest = hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=12).hexdigest()
        return self.folder / f"{digest}.npy"

    def states(self, cases: Sequence[Case], kind: str, stages: int, table: Table | None = None) -> list[Tensor]:
        """The states of every case, from the picture itself on.

        Args:
            cases: of this domain and size.
            kind: one of KINDS.
            stages: N.
            table: where the extrapolation's patients are, the judges'; needed for that kind alone.

        Returns:
            One [N + 1, H, W, 3] float32 in [0, 1] a case.
        """
        paths = [self.path(case, kind, stages) for case in cases]
        for finding in dict.fromkeys(case.finding for case in cases):
            missing = [i for i, path in enumerate(paths) if cases[i].finding == finding and not path.is_file()]
            for begin in range(0, len(missing), self.batch):
                part = missing[begin : begin + self.batch]
                made = self._made([cases[i] for i in part], kind, stages, table)
                for place, i in enumerate(part):
                    self._keep(paths[i], made[:, place])
                print(f"  {kind}, {finding}: {begin + len(part)} of {len(missing)} made", flush=True)
        return [self._read(path) for path in paths]

    def _keep(self, path: Path, states: Tensor) -> None:
        pixels = states.cpu().clamp(0, 1)
        if BUILT_IN[self.domain].gray:
            pixels = pixels.mean(dim=-1, keepdim=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, pixels.numpy().astype(np.float16))
        part.replace(path)

    @staticmethod
    def _read(path: Path) -> Tensor:
        states = torch.from_numpy(np.load(path).astype(np.float32))
        return states.expand(*states.shape[:-1], 3)

    def _made(self, cases: Sequence[Case], kind: str, stages: int, table: Table | None) -> Tensor:
        images = torch.stack([case.image() for case in cases])
        masks = torch.stack([case.region(self.known) for case in cases])
        plans = [case.plan(stages, self.settings["plan"], self.known, kind == CONTROL) for case in cases]
        if kind in (PIE, CONTROL):
            return methods.pie_states(self.networks, images, masks, plans, self.settings)
        settings = PAPER | {"guidance": GUIDANCE}
        if kind == methods.WALK:
            ladder = [case.plan(stages, "ladder", self.known) for case in cases]
            return methods.walk_states(self.networks, images, masks, ladder, settings)
        if cases[0].finding == NO_FINDING:
            direction = torch.zeros_like(self.networks.encode(images[:1])[0])
        else:
            direction = self.direction(cases[0].finding, table)
        return methods.extrapolation_states(self.networks, images, masks, direction, stages, settings)

    def direction(self, finding: str, table: Table | None) -> Tensor:
        """From pictures without a finding to the same ones with it, in latents.

        Args:
            finding: of the domain.
            table: the data; pictures are the judges', or those of train where there are no judges.

        Raises:
            ValueError: there is no table.
        """
        if table is None:
            raise ValueError("--data: got none, want the pictures that the extrapolation's direction is of")
        if finding not in self._directions:
            starts = reference_pictures(table, REFERENCES, self.size)
            ill = torch.stack([course.truth([TARGET])[0] for course in courses_of(starts, finding)])
            healthy = torch.stack([start.image() for start in starts])
            self._directions[finding] = methods.latent_direction(self.networks, healthy, ill, "mean")
        return self._directions[finding]


def reference_pictures(table: Table, count: int, size: int) -> list[Healthy]:
    """Pictures without finding of the judges' patients, or of train where a domain has none of them."""
    part = JUDGES if JUDGES_SHARES.get(table.domain) else TRAIN
    return healthy_pictures(table, part, count, size, seed=7)


def severities(stages: int) -> list[float]:
    """Those of the stages of a plan that begins at no finding, 0 for the picture itself first."""
    return [TARGET * n / stages for n in range(stages + 1)]
