"""What a simulated course of phantom patients is measured by, the same for every method, control and the truth."""

from itertools import pairwise

import numpy as np
import torch

from ...mvg.metrics.clip_i import clip_i_per_stage
from ...mvg.metrics.conf import find_label
from .detail import CHANGED, high_pass
from .networks import Networks

FALL = 0.001
"""What the severity read may fall by and still not be said to fall."""
LEAST_COVERED = 20
"""Pixels that have to have changed for the detail among them to be told."""
FIGURES = {
    "severity_mae": "mean over the stages of |severity read - severity planned|",
    "largest_step": "of the severity read from stage to stage",
    "smallest_step": "of the same",
    "monotone": "whether it never falls",
    "mae_ratio_stages": "MAE to the true course over all stages, over that of the unchanged image",
    "mae_ratio_last": "the same of the last stage",
    "mae_ratio_each": "the same of every stage by itself, mean of these ratios: early ones weigh as much as late ones",
    "high_pass": "energy of fine detail where the last stage changed the image, over that of the image there",
    "crossed": "whether Conf is below 0.5 in the image and above in the last stage",
    "outside": "mean change of the last stage outside the region",
    "clip_i": "mean over the stages",
    "conf": "of the last stage",
    "severity": "of the last stage, as the reader reads it",
}
"""Figure -> what it is. All MAE are over the whole picture, so that no choice of a region flatters."""


@torch.inference_mode()
def measure(
    networks: Networks, states: torch.Tensor, truth: torch.Tensor, masks: torch.Tensor, planned: list, finding: str
) -> list[dict]:
    """A row a patient: FIGURES, and Conf, severity and MAE ratio by stage.

    Args:
        networks: their reader, which no node uses, reads the severity.
        states: [N + 1, B, H, W, 3] of B patients.
        truth: of the like, the true course.
        masks: [B, H, W], where the image might change.
        planned: for each patient N severities.
        finding: what progresses.
    """
    if networks.reader is None:
        raise ValueError("networks: got none that reads severity, want the embedded ones")
    stages, batch = states.shape[:2]
    flat = states.flatten(0, 1)

    def read(classifier) -> np.ndarray:
        values = classifier.conf(flat)[:, find_label(finding, classifier.outputs)]
        return values.reshape(stages, batch).T.double().numpy()

    conf, severity = read(networks.classifier), read(networks.reader)
    embeddings = networks.embed(flat).reshape(stages, batch, -1)
    rows = []
    for b in range(batch):
        errors, unchanged = maes(states[1:, b], truth[1:, b]), maes(states[:1, b], truth[1:, b])
        ratios = [error / before for error, before in zip(errors, unchanged, strict=True)]
        outside = masks[b] == 0
        changed = (states[-1, b] - states[0, b]).abs()
        rows.append(
            {
                **steps_of(severity[b], planned[b]),
                "mae_ratio_stages": sum(errors) / sum(unchanged),
                "mae_ratio_last": ratios[-1],
                "mae_ratio_each": float(np.mean(ratios)),
                "high_pass": covered_detail(states[-1, b], states[0, b]),
                "crossed": bool(conf[b, 0] < 0.5 < conf[b, -1]),
                "outside": float(changed[outside].mean()) if outside.any() else 0.0,
                "clip_i": float(clip_i_per_stage(embeddings[1:, b], embeddings[0, b]).mean()),
                "conf": float(conf[b, -1]),
                "severity": float(severity[b, -1]),
                "conf_by_stage": [round(float(v), 5) for v in conf[b]],
                "severity_by_stage": [round(float(v), 5) for v in severity[b]],
                "mae_ratio_by_stage": [round(v, 5) for v in ratios],
                "mae_unchanged_by_stage": [round(v, 7) for v in unchanged],
            }
        )
    return rows


def steps_of(severity: np.ndarray, planned: list[float]) -> dict:
    """How N + 1 severities that were read follow a plan's N."""
    steps = [float(after - before) for before, after in pairwise(severity)]
    return {
        "severity_mae": float(np.mean(np.abs(severity[1:] - np.asarray(planned)))),
        "largest_step": max(steps),
        "smallest_step": min(steps),
        "monotone": min(steps) >= -FALL,
    }


def maes(states: torch.Tensor, truth: torch.Tensor) -> list[float]:
    """MAE of stages [N or 1, H, W, 3] to N true ones."""
    return [float(error) for error in (states - truth).abs().mean(dim=(1, 2, 3))]


def covered_detail(picture: torch.Tensor, original: torch.Tensor) -> float | None:
    """High-pass energy where a picture [H, W, 3] differs by more than CHANGED, over the original's; None: nowhere."""
    covered = (picture - original).abs().mean(-1) > CHANGED
    if int(covered.sum()) < LEAST_COVERED:
        return None
    mine, before = (high_pass(one[None])[0][covered].square().sum() for one in (picture, original))
    return float(mine / before)
