"""Severity in command of a model: where a severity lies between the words of a plan, and stages of even steps."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SPACINGS = ("as planned", "equal change", "equal severity")
PROBES = 8
"""How many severities above none are looked at before the stages are placed."""
TRIES = 4
"""How often a stage is looked at again at most where a classifier does not read the planned severity."""
TOO_LITTLE = 0.002
"""A mean change of the picture inside the mask, in [0, 1], below which the model does not answer to the prompt."""


def probe_steps(spacing: str, steps: int) -> int:
    """T of the probes that place stages.

    Args:
        spacing: one of SPACINGS.
        steps: T of the stages.

    Returns:
        Half of T, which tells how much a picture changes; all of T where its severity is read: a model that jumps
        between two words does so at another severity where it takes other steps.
    """
    return steps if spacing == SPACINGS[2] else max(1, math.ceil(steps / 2))


class Between(NamedTuple):
    """A severity between two neighbors of a scale.

    Attributes:
        lower: index of the neighbor below (or at) it.
        upper: index of the neighbor above it; that of ``lower`` where it needs no other.
        share: how far on the way from lower to upper it lies; in [0, 1), or above 1 beyond the scale's last.
    """

    lower: int
    upper: int
    share: float


def between(scale: Sequence[float], severity: float) -> Between:
    """Where a severity lies on a scale.

    Args:
        scale: the severities that a model has words for, rising strictly.
        severity: in [0, 1]. Beyond the scale's last the way from the one before is prolonged.

    Returns:
        The two neighbors and the share between them.

    Raises:
        ValueError: an empty scale, one that does not rise, or a severity outside [0, 1] or without words: below the
            scale's first, or above the only one.
    """
    if not scale or any(b <= a for a, b in pairwise(scale)):
        raise ValueError(f"scale: got severities {', '.join(f'{s:g}' for s in scale) or 'none'}, want them to rise")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a number in [0, 1]")
    if severity < scale[0] or (len(scale) == 1 and severity > scale[0]):
        want = f"{scale[0]:g}" if len(scale) == 1 else f"{scale[0]:g} or more"
        raise ValueError(f"severity: got {severity:g}, for which the scale has no words, want {want}")
    if severity in scale:
        place = scale.index(severity)
        return Between(place, place, 0.0)
    place = min(bisect_right(scale, severity), len(scale) - 1) - 1
    return Between(place, place + 1, (severity - scale[place]) / (scale[place + 1] - scale[place]))


def changes(pictures: Sequence[Tensor], mask: Tensor | None = None) -> list[float]:
    """How much each picture differs from the one before.

    Args:
        pictures: [H, W, C] each.
        mask: [H, W] in [0, 1], where it counts; None counts everywhere.

    Returns:
        The mean absolute difference over the mask, one a step.
    """
    weight = torch.ones(pictures[0].shape[:2]) if mask is None else mask.float().cpu()
    total = weight.sum().clamp(min=1e-8)
    return [float(((b.cpu() - a.cpu()).abs().mean(-1) * weight).sum() / total) for a, b in pairwise(pictures)]


def equal_change(probed: Sequence[float], steps: Sequence[float], stages: int) -> list[float]:
    """Severities at which the picture changes by the same amount from stage to stage (arc length).

    Args:
        probed: P + 1 severities, rising, the first that of the input image.
        steps: P changes of the picture between them, see `changes`.
        stages: N, the last of which lies at the last probed severity.

    Returns:
        N severities, rising.

    Raises:
        ValueError: numbers that do not belong together, or a picture that does not change at all.
    """
    if len(steps) != len(probed) - 1 or any(b <= a for a, b in pairwise(probed)):
        raise ValueError(f"probed: got {len(probed)} severities for {len(steps)} steps, want one more, rising")
    length = np.concatenate([[0.0], np.cumsum(np.asarray(steps, np.float64))])
    if not length[-1] > 0:
        raise ValueError("steps: got no change at all between the probes, want a model that answers to the prompt")
    # a step without change would make the inverse ambiguous
    length = length + np.linspace(0, 1e-6 * length[-1], len(length))
    wanted = length[-1] * np.arange(1, stages + 1) / stages
    return [float(s) for s in np.interp(wanted, length, probed)]


def equal_reading(
    wanted: Sequence[float],
    probed: Sequence[float],
    read: Sequence[float],
    look: Callable[[float], float],
    *,
    tries: int = TRIES,
    tolerance: float = 0.04,
) -> list[float]:
    """Severities to ask for, so that a graded classifier reads the planned ones.

    Args:
        wanted: the planned severities, in [0, 1], rising.
        probed: severities that were asked for, rising.
        read: what the classifier read of them.
        look: a further severity -> what is read of it.
        tries: looks a stage at most.
        tolerance: a reading so near to the wanted one is taken.

    Returns:
        One severity a stage, never falling. Where the model cannot reach what is wanted it is the nearest end.
    """
    asked: list[float] = []
    low_ends = list(zip(map(float, probed), np.maximum.accumulate(read).tolist(), strict=True))
    for want in wanted:
        below = [point for point in low_ends if point[1] <= want]
        above = [point for point in low_ends if point[1] > want]
        if not below or not above:
            asked.append((below[-1] if below else above[0])[0])
            continue
        (low, low_read), (high, high_read) = below[-1], above[0]
        severity = low + (high - low) * (want - low_read) / max(high_read - low_read, 1e-9)
        for _ in range(tries):
            seen = look(severity)
            if abs(seen - want) <= tolerance:
                break
            if seen > want:
                high = severity
            else:
                low = severity
            severity = (low + high) / 2
        asked.append(severity)
    return [float(s) for s in np.maximum.accumulate(asked)]
