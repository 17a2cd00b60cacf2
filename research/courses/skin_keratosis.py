"""A seborrheic keratosis grows over a flat spot: a stuck-on plaque with cysts, plugs and furrows.

Colors are absorbances (-log of image over bare skin, red, green, blue), near the centers of clusters of pixels in
keratoses of the ISIC 2017 training images; features are those of Braun et al., Arch Dermatol 138(12), 2002. As dark as
the spot was, and lobed as it was, so that the picture tells what comes; cysts, plugs and furrows lie by lot.
"""

import numpy as np

from ...mvg.regions.picture import blur
from .canvas import Canvas, rough_outline
from .skin_anatomy import UNIT, Lean, Skin, around, lean, toward
from .texture import cell_walls, fractal, ring_noise, smooth_step

TAN = np.array([0.10, 0.29, 0.43], np.float32)
BROWN = np.array([0.34, 0.62, 0.80], np.float32)
DARK = np.array([0.75, 1.16, 1.34], np.float32)
GRAY = np.array([0.30, 0.36, 0.38], np.float32)
PLUG = np.array([0.95, 1.45, 1.65], np.float32)
WAX = np.array([0.10, 0.22, 0.55], np.float32)
SCALE = np.array([-0.12, -0.05, 0.05], np.float32)
CYST = np.array([0.0, 0.08, 0.20], np.float32)
GROWN = (66.0, 76.0)
LEAST_GROWTH = 0.15


def keratosis(skin: Skin, severity: float, seed: int) -> np.ndarray:
    """The absorbance of lesion and bare skin after a keratosis has grown there.

    Args:
        skin: of the picture.
        severity: in (0, 1].
        seed: which keratosis.

    Returns:
        float32 [H, W, 3], without hairs and noise; equal to skin.density away from the lesion.
    """
    shape = skin.distance.shape
    unit = min(shape) / UNIT
    rng = np.random.default_rng([seed, 0x6B6572])
    leaning = lean(skin)
    body, edge, reach = _plaque(skin, leaning, severity, rng, unit)
    density = _surface(skin, leaning, body, severity, rng, unit)
    density = _furrows(density, body, severity, rng, unit)
    for color, count, sizes, cover in (
        (CYST, int(rng.integers(8, 20)), (0.9, 2.0), 0.75),
        (PLUG, int(rng.integers(6, 16)), (1.0, 2.6), 0.85),
    ):
        dots = _dots(edge, severity, count, sizes, rng, unit)
        density = toward(density, np.broadcast_to(color, density.shape), cover * dots * body)
    near = smooth_step(reach + 8 * unit - skin.distance, 0, 4 * unit)[..., None] * skin.lit[..., None]
    return skin.density + near * (density - skin.density)


def _plaque(skin: Skin, leaning: Lean, severity: float, rng, unit: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The plaque [H, W] in [0, 1], pixels from its border inwards [H, W], and the farthest that it reaches."""
    angle, _ = around(skin)
    shape = skin.distance.shape
    grown = max(rng.uniform(*GROWN) * unit, (1 + LEAST_GROWTH) * skin.radius)
    far = grown - skin.radius
    lobes = 0.9 + 0.16 * leaning.bulges + 0.07 * fractal(shape, 40 * unit, rng, 2)
    # the border is notched as if eaten by moths, and sharp
    bites = np.clip(ring_noise(angle, (6, 16), rng) - 0.7, 0, 1.5) * rng.uniform(0.0, 3.0)
    border = far * severity * np.clip(lobes, 0.2, 1.5) + severity * unit * (fractal(shape, 9 * unit, rng, 2) - bites)
    edge = border - skin.distance
    softness = unit * (rng.uniform(1.6, 3.0) + 5 * (1 - severity) ** 2)
    return smooth_step(edge / softness, -0.7, 1.3), edge, 1.5 * far * severity + 5 * unit * severity


def _surface(skin: Skin, leaning: Lean, body, severity: float, rng, unit: float) -> np.ndarray:
    """Dull tan, gray or brown keratin that thickens and hides what was below."""
    shape = skin.distance.shape
    darkness = float(np.clip((leaning.depth - 0.25) / 0.7 + rng.normal(0, 0.05), 0, 1))
    base = toward(np.broadcast_to(TAN, (*shape, 3)), BROWN, np.full(shape, min(1.0, 1.6 * darkness), np.float32))
    clods = smooth_step(0.9 * leaning.darker + 0.2 * fractal(shape, 20 * unit, rng, 3, 0.65) + 1.4 * darkness, 0.9, 2.6)
    base = toward(base, DARK, clods * (0.25 + 0.75 * darkness))
    base = toward(base, GRAY, smooth_step(-leaning.darker, 0.0, 1.6) * 0.5)
    base = toward(base, WAX, np.full(shape, 0.5 * (1 - darkness), np.float32))
    waxy = np.exp(
        0.14 * leaning.darker + 0.06 * fractal(shape, 28 * unit, rng, 2) + 0.16 * fractal(shape, 5 * unit, rng, 3, 0.75)
    )
    come = float(smooth_step(severity, 0.0, 0.7))
    density = toward(skin.density, base * waxy[..., None] * (0.75 + 0.35 * severity), body * come)
    scaly = rng.uniform(0, 0.3) * float(smooth_step(severity, 0.4, 1.0))
    flakes = fractal(shape, 30 * unit, rng, 2) + 0.8 * fractal(shape, 5 * unit, rng, 2, 0.8)
    return toward(density, SCALE, scaly * smooth_step(flakes, 0.4, 1.6) * body)


def _furrows(density, body, severity: float, rng, unit: float) -> np.ndarray:
    """Winding furrows between ridges, as on a brain."""
    walls = blur(cell_walls(body.shape, rng.uniform(9, 15) * unit, rng, 1.1), 0.8 * unit)
    depth = rng.uniform(0.15, 0.25) * float(smooth_step(severity, 0.2, 1.0))
    return density * (1 + (depth * walls * body)[..., None])


def _dots(edge, severity: float, count: int, sizes: tuple[float, float], rng, unit: float) -> np.ndarray:
    """[H, W] in [0, 1]: round things that come one by one within the plaque; count: on a quarter of the picture."""
    height, width = edge.shape
    canvas = Canvas(edge.shape)
    for _ in range(4 * count):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        size, birth, outline = rng.uniform(*sizes) * unit, rng.uniform(0.25, 0.9), rough_outline(rng, 0.1)
        deep = float(edge[int(y), int(x)]) / unit
        shown = float(smooth_step(deep, 1, 6) * smooth_step(severity, birth, birth + 0.25))
        canvas.blob((x, y), size * max(shown, 0.05) ** 0.5, shown, outline)
    return blur(canvas.values, 0.6 * unit)
