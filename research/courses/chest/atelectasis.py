"""Atelectasis: lung without air pulls: plates show and the diaphragm rises, then a lobe collapses at the spine."""

import numpy as np

from .anatomy import Chest, Lung
from .film import blur, cloud, moved, smoothstep, strokes
from .replace import filled


def _pulled(chest: Chest, values: np.ndarray, lung: Lung, rise: float, shift: float) -> np.ndarray:
    """values [H, W], the lung's floor higher by ``rise`` of its height, the mediastinum nearer by ``shift`` sides."""
    y = np.arange(chest.shape[0], dtype=np.float32)[:, None]
    floor, top = lung.floor[None], lung.top + 0.15 * lung.height
    up = rise * lung.height
    to = floor - up
    # above the floor the lung is pressed; below it the abdomen follows, less and less
    above = top + (y - top) * (floor - top) / np.maximum(to - top, 1)
    fading = y + up * np.exp(-np.clip(y - to, 0, None) / (0.35 * lung.height)) * (1 - smoothstep(y / len(y), 0.8, 0.97))
    source = np.where(y < to, np.where(y < top, y, above), fading)
    side = smoothstep(lung.half, 0.05, 0.40) * (1 - smoothstep(lung.half, 1.0, 1.15))
    dy = blur(((source - y) * side).astype(np.float32), 0.01)
    x = np.arange(chest.shape[1], dtype=np.float32)[None]
    reach = 0.34 * (chest.lungs["left"].lateral - chest.lungs["right"].lateral)[:, None]
    near = np.clip(1 - ((x - chest.middle[:, None]) / reach) ** 2, 0, 1) ** 2
    near = near * smoothstep(lung.down, 0.0, 0.35) * (1 - smoothstep(lung.down, 0.95, 1.3))
    return moved(values, -lung.sign * shift * chest.side * near, dy)


def _plates(chest: Chest, lung: Lung, severity: float, rise: float, rng: np.random.Generator) -> np.ndarray:
    """Plates of collapsed lung above the diaphragm, [H, W] in [0, 1]: each appears at its own severity and grows."""
    total = np.zeros(chest.shape, np.float32)
    tilt = rng.normal(-0.01, 0.03)
    for i, place in enumerate((3, 1, 2, 0)):
        down, start = 0.60 + 0.085 * place + rng.uniform(0, 0.015), 0.12 + 0.08 * i + rng.uniform(-0.04, 0.04)
        length, slope = rng.uniform(0.38, 0.48), tilt + rng.normal(0, 0.01)
        width, bend = rng.uniform(0.007, 0.013), rng.normal(0, 0.02)
        grown = float(smoothstep(severity, 0.16 * i - 0.05, 0.16 * i + 0.45))
        if grown == 0:
            continue
        t = np.linspace(0, 1, 9)
        y = lung.top + (down * (1 - rise) + slope * (t - 0.5) + bend * np.sin(np.pi * t)) * lung.height
        rows = np.clip(y.astype(int), 0, chest.shape[0] - 1)
        across = start + length * (0.35 + 0.65 * grown) * t
        x = lung.medial[rows] + across * (lung.lateral - lung.medial)[rows]
        lines = np.array(
            [
                [x[j], y[j], x[j + 1], y[j + 1], width * (0.4 + 0.6 * grown) * (1.15 - 0.5 * t[j]), grown]
                for j in range(8)
            ]
        )
        total = np.maximum(total, blur(strokes(chest.shape, lines), 0.002))
    return total


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with atelectasis on the given sides."""
    out = chest.attenuation
    for i, side in enumerate(("right", "left")):
        if side not in sides:
            continue
        rng = np.random.default_rng([seed, 5, i])
        lung = chest.lungs[side]
        lobar = float(smoothstep(severity, 0.3, 0.8))
        rise = (0.20 - 0.04 * lobar) * severity**1.1
        shift = (0.012 + 0.023 * lobar) * severity * (len(sides) == 1)
        texture, coarse = cloud(chest.shape, rng, 14, 4, 0.7), cloud(chest.shape, rng, 4, 3)
        out = _pulled(chest, out, lung, rise, shift)
        field = blur(lung.field, 0.006) * (1 - smoothstep(lung.down, 1.0, 1.08))
        y = np.arange(chest.shape[0], dtype=np.float32)[:, None]
        above = (lung.floor[None] - rise * lung.height - y) / lung.height  # over the raised diaphragm
        # crowded lung over the diaphragm, densest at the spine where the lower lobe collapses
        base = np.exp(-np.clip(above, 0, None) / (0.06 + 0.10 * severity)) * (1 + 0.2 * coarse + 0.1 * texture)
        medial = 1 - smoothstep(lung.across, 0.12 + 0.35 * severity, 0.55 + 0.35 * severity)
        base = base * (1 - 0.55 * lobar) + 1.1 * lobar * medial * smoothstep(lung.down, 0.95 - 0.6 * severity, 1.02)
        haze = (0.58 + 0.08 * lobar) * float(smoothstep(severity, 0, 0.7)) * field * base
        plates = _plates(chest, lung, severity * (1 - 0.45 * lobar), rise, rng) * field
        out = filled(chest, out, np.clip(haze, 0, 0.92), level=0.95, shadows=0.55)
        out = filled(chest, out, 0.5 * np.clip(plates, 0, 1), level=0.93, shadows=0.8)
    return out
