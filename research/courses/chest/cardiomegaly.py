"""Cardiomegaly: the heart's borders move outward by a warp, the left one most, and the lungs make room."""

import numpy as np

from .anatomy import Chest
from .film import blur, moved, smoothstep

LARGEST = 0.68
"""Cardiothoracic ratio at severity 1."""


def ratio(chest: Chest, severity: float) -> float:
    """Cardiothoracic ratio at a severity: even steps from the film's own to LARGEST, and by 0.1 at least."""
    return chest.ratio + severity * max(LARGEST - chest.ratio, 0.1)


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with a larger heart."""
    rng = np.random.default_rng([seed, 4])
    return enlarged(chest, chest.attenuation, ratio(chest, severity) - chest.ratio, rng)


def enlarged(chest: Chest, values: np.ndarray, by: float, rng: np.random.Generator) -> np.ndarray:
    """values [H, W] with a heart whose cardiothoracic ratio is greater by ``by``."""
    right, left = chest.lungs["right"], chest.lungs["left"]
    leftward = rng.uniform(0.62, 0.78)
    peak = rng.uniform(0.82, 0.92)  # of the way from the apex to the cardiophrenic angle
    x = np.arange(chest.shape[1], dtype=np.float32)[None]
    wide = float((left.lateral - right.lateral).max())
    dx = np.zeros(chest.shape, np.float32)
    for lung, part in ((right, 1 - leftward), (left, leftward)):
        # widest at the ventricles; the great vessels above hardly move
        rows = (lung.down * lung.height) / max(lung.foot - lung.top, 1)
        bulge = smoothstep(rows, 0.33, peak) * (1 - 0.35 * smoothstep(rows, 1.0, 1.4))
        far = by * wide * part * bulge
        border = np.abs(lung.medial - chest.middle)[:, None]
        room = np.abs(lung.lateral - chest.middle)[:, None]
        to = np.maximum(np.minimum(border + far, 0.88 * room), border)
        d = lung.sign * (x - chest.middle[:, None])
        # source distance of each pixel: stretched inside the heart, pressed between it and the wall
        inside = d * border / np.maximum(to, 1)
        outside = room - (room - d) * (room - border) / np.maximum(room - to, 1)
        source = np.where(d < to, inside, outside)
        shift = np.where((d > 0) & (d < room), source - d, 0)
        dx += lung.sign * shift
    dx = blur(dx, 0.008)
    return moved(values, dx, np.zeros_like(dx))
