"""Pulmonary edema: vessels lose their edges, septa and bronchial walls thicken, haze gathers round the hila."""

from itertools import pairwise

import numpy as np

from .anatomy import Chest, Lung
from .cardiomegaly import enlarged
from .film import blur, cloud, smoothstep, strokes
from .replace import filled


def _hilum(lung: Lung) -> tuple[float, float]:
    y = lung.top + 0.46 * lung.height
    return float(lung.medial[int(y)]), y


def _septa(chest: Chest, lung: Lung, rng: np.random.Generator) -> np.ndarray:
    """Kerley B lines at the lower chest wall and A lines from the hilum, [H, W] in [0, 1]."""
    lines = []
    side, sign = chest.side, lung.sign
    for down in rng.uniform(0.62, 0.97, 14):
        y = lung.top + down * lung.height
        x = float(lung.lateral[int(np.clip(y, 0, chest.shape[0] - 1))]) - sign * rng.uniform(0.0, 0.008) * side
        length, slope = rng.uniform(0.018, 0.036) * side, rng.normal(0, 0.12)
        lines.append([x, y, x - sign * length, y + slope * length, 0.0022, rng.uniform(0.5, 1)])
    hx, hy = _hilum(lung)
    for _ in range(7):
        angle = rng.uniform(-1.1, 0.9)
        start, length = rng.uniform(0.05, 0.09) * side, rng.uniform(0.04, 0.08) * side
        c, s = sign * np.cos(angle), np.sin(angle)
        lines.append([hx + c * start, hy + s * start, hx + c * (start + length), hy + s * (start + length), 0.002,
                      rng.uniform(0.4, 0.8)])  # fmt: skip
    return strokes(chest.shape, np.array(lines))


def _cuffs(chest: Chest, lung: Lung, rng: np.random.Generator) -> np.ndarray:
    """Bronchi seen end on near the hilum with thickened walls, [H, W] in [0, 1]."""
    lines = []
    hx, hy = _hilum(lung)
    for _ in range(4):
        x = hx + lung.sign * rng.uniform(0.02, 0.09) * chest.side
        y = hy + rng.uniform(-0.09, 0.10) * chest.side
        radius = rng.uniform(0.006, 0.009) * chest.side
        turns = np.linspace(0, 2 * np.pi, 13)
        ring = np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], axis=1)
        lines += [[*a, *b, 0.004, 1.0] for a, b in pairwise(ring)]
    return strokes(chest.shape, np.array(lines))


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with edema of both lungs."""
    rng = np.random.default_rng([seed, 2])
    coarse, fine = cloud(chest.shape, rng, 5, 3), cloud(chest.shape, rng, 18, 3, 0.8)
    net = cloud(chest.shape, rng, 40, 2, 0.7)
    ridges = np.clip(1 - np.abs(net) / 0.55, 0, 1)  # septa seen flat on: the net between small lobules
    fields = blur(chest.fields, 0.006)
    out = chest.attenuation
    early = float(smoothstep(severity, 0.0, 0.45))
    late = float(smoothstep(severity, 0.25, 1.0))
    smeared = blur(out, 0.011)
    around = np.clip(1.8 * blur(chest.fields, 0.014), 0, 1)  # the borders of heart and diaphragm blur too
    bat, low, upper = (np.zeros(chest.shape, np.float32) for _ in range(3))
    marks = np.zeros(chest.shape, np.float32)
    y, x = np.mgrid[: chest.shape[0], : chest.shape[1]].astype(np.float32)
    for lung in chest.lungs.values():
        hx, hy = _hilum(lung)
        width = float(np.abs(lung.lateral - lung.medial).max())
        near = np.hypot((x - hx) / (0.62 * width), (y - hy - 0.06 * lung.height) / (0.36 * lung.height))
        reach = np.clip(2.4 * blur(lung.field, 0.012), 0, 1)  # over the lung's border too, or its fringe stays dark
        bat = np.maximum(bat, np.exp(-(near**2)) * reach)
        low = np.maximum(low, smoothstep(lung.down, 0.2, 0.95) * reach)
        upper = np.maximum(upper, (1 - smoothstep(lung.down, 0.25, 0.5)) * lung.field)
        marks = np.maximum(marks, np.maximum(_septa(chest, lung, rng), 0.9 * _cuffs(chest, lung, rng)) * lung.field)
    # vessels: those of the upper zones fill, all lose their edges
    vessels = np.clip(out - blur(out, 0.02), 0, None) * fields
    out = out + early * (0.55 * upper + 0.2) * blur(vessels, 0.003)
    out = out + around * 0.75 * early * (0.35 + 0.65 * np.clip(bat + low, 0, 1)) * (smeared - chest.attenuation)
    # interstitium
    span = float(np.median(chest.tissue[chest.fields > 0.5] - chest.attenuation[chest.fields > 0.5]))
    out = out + fields * early * span * (0.10 * ridges * (0.5 + 0.5 * low) + 0.22 * marks)
    # haze, then fluid in the air spaces that runs together round the hila and below
    haze = around * (0.14 * early + 0.27 * late) * (0.3 + 0.5 * bat + 0.45 * low) * np.clip(1 + 0.18 * coarse, 0.4, 2)
    out = filled(chest, out, np.clip(haze, 0, 1), level=0.95, shadows=0.85)
    level = 1.1 * bat + 0.55 * low + 0.14 * coarse + 0.05 * fine - 1.35 + 1.25 * late
    patches = 0.80 * late * around * smoothstep(level, -0.8, 1.0) * np.clip(1 + 0.07 * fine, 0.5, 1.3)
    out = filled(chest, out, np.clip(patches, 0, 0.88), level=0.91, shadows=0.6)
    return enlarged(chest, out, 0.055 * severity, rng)
