"""What a table is made of: runs of one method on one group of patients, each kept on disk once it is done.

A run is known by its content (method, settings, stages, domain, finding, patients, seed, networks), so that tables
share runs, and a bench that was stopped goes on where it was.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ...mvg.metrics.clip_i import clip_i_per_stage
from ...mvg.metrics.conf import find_label
from ...mvg.plan import Plan
from ...mvg.severity import PROBES, TRIES
from . import methods
from .networks import Networks
from .patients import TARGET, Patients

PAPER: dict[str, Any] = {
    "steps": 50,
    "gamma": 0.6,
    "guidance": 7.5,
    "beta_1": 0.01,
    "beta_2": 0.75,
    "mode": "ddim",
    "refine": 0,
    "scheduler": "ddim_uniform",
    "composite": True,
    "seed": 0,
    "plan": "terminal",
    "spacing": "as planned",
    "region": "fitted",
    "reach": 1.0,
    "direction": "mean",
}
"""The paper's hyperparameters; reach and direction are those of the extrapolation.

region: "fitted" to the image as a user's, "true" as no user knows it, or "none".
"""
GUIDANCE = 3.0
"""The embedded networks' own under the paper's settings: at its 7.5 they are past what a severe finding looks like."""
BY_SEVERITY = {"plan": "severity", "spacing": "equal change"}
"""What mode severity changes of the paper's settings."""
USED = {
    methods.EXTRAPOLATION: ("beta_1", "beta_2", "composite", "region", "reach", "direction"),
    methods.WALK: ("steps", "gamma", "guidance", "beta_1", "beta_2", "scheduler", "composite", "seed", "region"),
    methods.PIE: tuple(name for name in PAPER if name not in ("reach", "direction")),
    methods.TRUTH: (),
}
BATCH = 16


def drawn(method: str, settings: dict[str, Any]) -> bool:
    """Whether a method draws anything at random, so that its seeds are different runs."""
    return method == methods.WALK or (method == methods.PIE and settings["mode"] == "noise")


class Group(Protocol):
    """Patients of one finding: `patients.Patients`, or `user_images.UserPatients` for files of a user."""

    @property
    def domain(self) -> str: ...

    @property
    def finding(self) -> str: ...

    @property
    def images(self) -> torch.Tensor: ...

    @property
    def masks(self) -> torch.Tensor | None: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def plans(self, stages: int, mode: str) -> list[Plan]: ...

    def region(self, name: str) -> torch.Tensor | None: ...

    def part(self, start: int, stop: int) -> "Group": ...


@dataclass(frozen=True)
class Run:
    """One method with its settings (those it uses) on patients of one finding."""

    method: str
    domain: str
    finding: str
    stages: int
    settings: dict[str, Any]

    @classmethod
    def of(cls, method: str, group: Group, stages: int, settings: dict[str, Any]) -> "Run":
        used = {name: settings[name] for name in USED[method]}
        if not drawn(method, settings):
            used.pop("seed", None)
        if method == methods.PIE and settings["plan"] == "severity":
            used["probes"] = [PROBES, TRIES]
        elif method == methods.PIE:
            del used["spacing"]
        return cls(method, group.domain, group.finding, stages, used)

    def key(self, names: Sequence[str], networks: str) -> str:
        text = json.dumps([asdict(self), list(names), networks], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True)
class Scores:
    """Arrays by stage: conf and severity [B, 0..N], clip_i [B, 1..N], embeddings [B, 0..N, D] of the CLIP tower.

    severity: as the reader reads it, a network that no node uses; None without one.
    """

    run: Run
    names: tuple[str, ...]
    conf: np.ndarray
    clip_i: np.ndarray
    embeddings: np.ndarray
    severity: np.ndarray | None = None

    def first(self, stages: int) -> "Scores":
        """What the run would have given with fewer stages: in a chain a stage depends on those before it alone."""
        if self.run.method != methods.PIE or self.run.settings["plan"] != "terminal":
            raise ValueError(f"method: got {self.run.method}, want PIE of mode terminal; others' stages depend on N")
        return Scores(
            replace(self.run, stages=stages),
            self.names,
            self.conf[:, : stages + 1],
            self.clip_i[:, :stages],
            self.embeddings[:, : stages + 1],
            None if self.severity is None else self.severity[:, : stages + 1],
        )


class Evaluation:
    """Runs methods on groups of patients; scores of finished runs are taken from ``folder``."""

    def __init__(self, folder: Path, identity: str):
        """identity: names the networks of a domain; other networks are other runs."""
        self.folder, self.identity = folder, identity
        self.made = self.found = 0

    def scores(self, networks: Networks, group: Group, run: Run, direction: torch.Tensor | None = None) -> Scores:
        """Of every patient of the group. FloatingPointError where a stage is not finite; nothing of it is kept."""
        parts = []
        for start in range(0, len(group.images), BATCH):
            part = group.part(start, start + BATCH)
            parts.append(self._part(networks, part, run, direction))
        joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        return Scores(run, group.names, **joined)

    def _part(self, networks: Networks, group: Group, run: Run, direction: torch.Tensor | None) -> dict:
        path = self.folder / f"{run.key(group.names, self.identity)}.npz"
        if path.exists():
            self.found += 1
            with np.load(path) as file:
                return {name: file[name] for name in file.files}
        states = make(networks, group, run, direction)
        scored = score(networks, states, group.finding)
        self.made += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **scored)  # type: ignore[arg-type]
        temporary.replace(path)
        return scored


def make(networks: Networks, group: Group, run: Run, direction: torch.Tensor | None = None) -> torch.Tensor:
    """The states [N + 1, B, H, W, 3] of one run."""
    settings = {**PAPER, **run.settings}
    masks = group.region(settings["region"])
    if run.method == methods.TRUTH:
        return true_course(group, run.stages)
    if run.method == methods.EXTRAPOLATION:
        if direction is None:
            raise ValueError("direction: got nothing, want one for the extrapolation")
        return methods.extrapolation_states(networks, group.images, masks, direction, run.stages, settings)
    if run.method == methods.WALK:  # its words go from healthy to diseased, which a ladder has at its ends
        return methods.walk_states(networks, group.images, masks, group.plans(run.stages, "ladder"), settings)
    return methods.pie_states(networks, group.images, masks, group.plans(run.stages, settings["plan"]), settings)


def true_course(group: Group, stages: int) -> torch.Tensor:
    """[N + 1, B, H, W, 3], of severity that rises evenly to the one that is asked for."""
    if not isinstance(group, Patients):
        raise ValueError(f"group: got {type(group).__name__}, want phantoms, whose true course is known")
    return group.course([TARGET * n / stages for n in range(stages + 1)])


@torch.inference_mode()
def score(networks: Networks, states: torch.Tensor, finding: str) -> dict[str, np.ndarray]:
    """The arrays of `Scores` by name, of states [N + 1, B, H, W, 3]."""
    stages, batch = states.shape[:2]
    flat = states.flatten(0, 1)

    def read(classifier) -> np.ndarray:
        values = classifier.conf(flat)[:, find_label(finding, classifier.outputs)]
        return values.reshape(stages, batch).T.double().numpy()

    embeddings = networks.embed(flat).reshape(stages, batch, -1)
    near = torch.stack([clip_i_per_stage(embeddings[1:, b], embeddings[0, b]) for b in range(batch)])
    scored = {} if networks.reader is None else {"severity": read(networks.reader)}
    return scored | {
        "conf": read(networks.classifier),
        "clip_i": near.double().numpy(),
        "embeddings": embeddings.transpose(0, 1).float().numpy(),
    }
