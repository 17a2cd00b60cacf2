"""What an evaluation compares methods on: the phantoms of a domain, or a user's own images and networks."""

import argparse
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom
from . import methods
from .evaluation import Evaluation, Group, Run, Scores, drawn
from .networks import Networks
from .patients import TARGET, Patients, patients, pictures
from .user_images import image_files, read_images, user_patients

REFERENCE_SEED = 90_000
"""First of the patients that stand for real diseased and healthy images, in the KID and in the extrapolation."""


@dataclass
class EvaluationSetup:
    """A domain's networks, its patients by finding, and sets of images that stand for real ones.

    healthy [n, H, W, 3]; diseased: finding -> the like. settings: of every run that does not say otherwise.
    """

    domain: str
    networks: Networks
    groups: list[Group]
    healthy: torch.Tensor
    diseased: dict[str, torch.Tensor]
    evaluation: Evaluation
    settings: dict

    def direction(self, finding: str) -> torch.Tensor:
        method = self.settings["direction"]
        return methods.latent_direction(self.networks, self.healthy, self.diseased[finding], method)

    def scores(self, method: str, stages: int, limit: int = 0, **changed) -> list[Scores]:
        """Of every group, or of its first ``limit`` patients."""
        out = []
        for group in self.groups:
            part = group.part(0, limit) if limit else group
            run = Run.of(method, part, stages, self.settings | changed)
            direction = self.direction(group.finding) if method == methods.EXTRAPOLATION else None
            out.append(self.evaluation.scores(self.networks, part, run, direction))
        return out

    @property
    def phantoms(self) -> bool:
        """Whether the true course of its patients is known."""
        return all(isinstance(group, Patients) for group in self.groups)

    def seeds(self, method: str, count: int) -> range:
        """Of the runs of a method: one where nothing in it is drawn at random."""
        return range(count if drawn(method, self.settings) else 1)

    def true_clip_i(self, scores: list[Scores]) -> list[np.ndarray] | None:
        """CLIP-I [B, N] of the same patients' true pictures at the severities that the stages are read to have.

        What a method's CLIP-I falls short of it is identity lost; the rest is the disease. None where unknown.
        """
        out = []
        for run in scores:
            group = next(g for g in self.groups if g.finding == run.run.finding)
            if not isinstance(group, Patients) or run.severity is None:
                return None
            part = group.part(0, len(run.names))
            start = self.networks.embed(part.images)
            stages = [self.networks.embed(part.at_each(column)) for column in run.severity.T[1:]]
            near = [torch.nn.functional.cosine_similarity(s.double(), start.double(), dim=1) for s in stages]
            out.append(torch.stack(near, dim=1).numpy())
        return out

    def reference(self) -> torch.Tensor:
        """[n, D]: features of the images with the findings, as many of each."""
        return torch.cat([self.networks.embed(self.diseased[group.finding]) for group in self.groups])


def phantom_setup(domain: str, seeds: range, references: int, out: Path, settings: dict) -> EvaluationSetup:
    """Patients that take turns at the domain's findings, ``references`` of other seeds beside them."""
    from ...models.embedded import loader

    findings = FINDINGS[domain]
    groups: list[Group] = [
        patients(domain, finding, seeds[place :: len(findings)])
        for place, finding in enumerate(findings)
        if place < len(seeds)
    ]
    healthy, diseased = reference_sets(domain, references)
    evaluation = Evaluation(out / "runs", f"{digest_of(loader.weight_files(domain).values())} {references}")
    return EvaluationSetup(domain, Networks.embedded(domain), groups, healthy, diseased, evaluation, settings)


def reference_sets(domain: str, count: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Healthy pictures [count, H, W, 3], and finding -> the like of as many other patients who have it."""
    module = phantom(domain)
    people = [module.sample_patient(REFERENCE_SEED + i) for i in range(2 * count)]
    diseased = {f: pictures(domain, people[count:], {f: TARGET}) for f in FINDINGS[domain]}
    return pictures(domain, people[:count]), diseased


def user_setup(options: argparse.Namespace, settings: dict) -> EvaluationSetup:
    """From the options of `tables`; ValueError naming the option where something does not fit."""
    import comfy.clip_vision

    from ...models.densenet import load_densenet

    if options.size % 8:
        raise ValueError(f"--size: got {options.size}, want a multiple of 8")
    for name in ("checkpoint", "classifier", "clip_vision"):
        if not getattr(options, name).is_file():
            raise ValueError(f"--{name.replace('_', '-')}: there is no file {getattr(options, name)}")
    group = user_patients(options, options.size)
    healthy, diseased = (image_files(getattr(options, n), f"--{n}") for n in ("healthy", "diseased"))
    classifier = load_densenet(options.classifier, labels=options.labels or "")
    vision = comfy.clip_vision.load(str(options.clip_vision))
    if vision is None:
        raise ValueError(f"--clip-vision: {options.clip_vision.name} is no image encoder that ComfyUI knows")
    networks = Networks.checkpoint(options.checkpoint, vision, classifier)
    identity = digest_of([options.checkpoint, options.classifier, options.clip_vision, *healthy, *diseased])
    return EvaluationSetup(
        group.domain,
        networks,
        [group],
        read_images(healthy, options.size),
        {group.finding: read_images(diseased, options.size)},
        Evaluation(options.out / "runs", identity),
        settings,
    )


def digest_of(files: Iterable[Path]) -> str:
    """Of the contents of files."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
