"""A nevus becomes a melanoma: what grows, what it is made of, and how much of it a severity shows.

Colors are absorbances (-log of image over bare skin, red, green, blue), near the centers of clusters of pixels in
melanomas of the ISIC 2017 training images; features are those of the pattern analysis of dermoscopy (Argenziano et
al., JAAD 48(5), 2003). Where it grows and darkens follows from the nevus: toward its darker side, out of its bulges,
darkest where it was darkest. What is drawn by lot, no model could foretell from the picture; it is fine texture alone.
"""

import numpy as np

from ...mvg.regions.picture import blur
from .skin_anatomy import UNIT, Lean, Skin, around, lean, toward
from .texture import cell_walls, fractal, ring_noise, smooth_step

BROWN = np.array([0.27, 0.66, 0.92], np.float32)
DARK = np.array([0.85, 1.55, 1.85], np.float32)
BLACK = np.array([1.75, 2.55, 2.70], np.float32)
BLUE_WHITE = np.array([0.76, 0.85, 0.76], np.float32)
RED = np.array([0.05, 0.50, 0.46], np.float32)
SCAR = np.array([-0.02, 0.06, 0.08], np.float32)
PEPPER = np.array([0.60, 0.70, 0.62], np.float32)
# radii of the grown lesion at the picture's shorter side of UNIT pixels, and the least growth
GROWN = (78.0, 88.0)
LEAST_GROWTH = 0.22


def melanoma(skin: Skin, severity: float, seed: int) -> np.ndarray:
    """The absorbance of lesion and bare skin after a nevus has become a melanoma.

    Args:
        skin: of the picture.
        severity: in (0, 1].
        seed: which melanoma.

    Returns:
        float32 [H, W, 3], without hairs and noise; equal to skin.density away from the lesion.
    """
    shape = skin.distance.shape
    unit = min(shape) / UNIT
    rng = np.random.default_rng([seed, 0x6D656C])
    leaning = lean(skin)
    body, edge, reach = _outline(skin, leaning, severity, rng, unit)
    grain = np.exp(rng.uniform(0.12, 0.28) * fractal(shape, 6 * unit, rng, 3, 0.75))
    density = _pigment(skin, leaning, body, severity, rng, unit, grain)
    density = _dark_areas(leaning, density, body, severity, rng, grain)
    density = _globules(leaning, density, edge, severity, rng, unit)
    density = _light_areas(skin, leaning, density, body, severity, rng, unit)
    near = smooth_step(reach + 10 * unit - skin.distance, 0, 6 * unit)[..., None] * skin.lit[..., None]
    return skin.density + near * (density - skin.density)


def _outline(skin: Skin, leaning: Lean, severity: float, rng, unit: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The grown lesion [H, W] in [0, 1], pixels from its border inwards [H, W], and the farthest that it reaches."""
    angle, _ = around(skin)
    shape = skin.distance.shape
    grown = max(rng.uniform(*GROWN) * unit, (1 + LEAST_GROWTH) * skin.radius)
    far = grown - skin.radius
    uneven = 0.45 * leaning.aside + 0.30 * leaning.bulges + 0.10 * fractal(shape, 30 * unit, rng, 2, 0.5)
    # what grows from a small spot would become a star
    lobes = 0.8 + float(np.clip(1.15 - 0.25 * far / skin.radius, 0.45, 1.0)) * uneven
    ragged = fractal(shape, 13 * unit, rng, 3, 0.6)
    sector = smooth_step(leaning.aside + 0.3 * ring_noise(angle, (1, 4), rng), 0.1, 1.0)
    streaks = np.clip(ring_noise(angle, (18, 46), rng), -0.6, 2.0) * sector * rng.uniform(0.3, 1.0)
    border = far * severity * np.clip(lobes, 0.04, 1.7) + severity * unit * (2.2 * ragged + 4.0 * streaks)
    edge = border - skin.distance
    # here it ends abruptly, there it fades; at first it fades as the nevus did
    softness = np.exp(
        np.log(4.5)
        - 0.5 * leaning.aside
        + 0.3 * ring_noise(angle, (1, 3), rng)
        + 0.3 * fractal(shape, 40 * unit, rng, 1)
    )
    softness = unit * (np.clip(softness, 2.0, 14.0) + 6 * (1 - severity) ** 2)
    return smooth_step(edge / softness, -0.7, 1.3), edge, 1.7 * far * severity + 20 * unit * severity


def _pigment(skin: Skin, leaning: Lean, body, severity: float, rng, unit: float, grain) -> np.ndarray:
    """Brown of uneven depth and a network up to the new border, never lighter than the nevus was."""
    shape = skin.distance.shape
    inside = skin.distance < -0.15 * skin.radius
    own = skin.density[inside if inside.any() else skin.distance < 0]
    hue = np.median(own, axis=0)
    depth = float(np.clip(hue.mean() / BROWN.mean(), 0.45, 1.3))
    hue = 0.5 * hue / max(float(hue.mean()), 0.1) * BROWN.mean() + 0.5 * BROWN
    uneven = np.exp(0.26 * leaning.darker + 0.14 * fractal(shape, 40 * unit, rng, 3, 0.65) - 0.12) * grain
    walls = blur(cell_walls(shape, rng.uniform(4.5, 7.5) * unit, rng, 0.8), 0.7 * unit)
    patches = smooth_step(fractal(shape, 45 * unit, rng, 2), -0.6, 0.9) * rng.uniform(0.4, 1.1)
    uneven = uneven * (1 + patches * (walls - 0.3))
    come = float(smooth_step(severity, 0.0, 0.5))
    fill = (body * uneven)[..., None] * depth * np.clip(hue, 0.05, None)
    # a soft maximum: the old lesion goes over into the new rim without a seam
    more = fill - skin.density
    return skin.density + (come * body)[..., None] * 0.5 * (more + np.sqrt(more**2 + 0.01))


def _dark_areas(leaning: Lean, density, body, severity: float, rng, grain) -> np.ndarray:
    """Blotches of dark brown and black where the nevus was darkest, off the middle."""
    shape = body.shape
    unit = min(shape) / UNIT
    field = leaning.darker + 0.9 * leaning.aside + 0.32 * fractal(shape, 6 * unit, rng, 2, 0.7)
    share = rng.uniform(0.85, 0.95) * severity**0.8
    inner = body**1.5
    dark = smooth_step(field, 1.3 - 1.9 * share, 3.0 - 1.9 * share) * inner * float(smooth_step(severity, 0, 0.5))
    black = smooth_step(field, 2.2 - 1.9 * share, 3.9 - 1.9 * share) * inner * rng.uniform(0.7, 0.85) * severity
    density = toward(density, np.maximum(density, DARK * grain[..., None]), 0.85 * dark)
    return toward(density, np.maximum(density, BLACK * np.sqrt(grain)[..., None]), 0.85 * black)


def _globules(leaning: Lean, density, edge, severity: float, rng, unit: float) -> np.ndarray:
    """Dots and globules of uneven size, crowded at parts of the border, a few beyond it."""
    height, width = edge.shape
    count = int(rng.integers(60, 220))
    places = rng.uniform(0, 1, (count, 2)) * [width, height]
    sizes = unit * rng.uniform(0.8, 2.3, count)
    depth = rng.uniform(0.3, 1.0, count) * rng.uniform(0.2, 1.0)
    crowded = 1.2 * leaning.aside + 0.4 * fractal(edge.shape, 50 * unit, rng, 2)
    drawn = np.zeros(edge.shape, np.float32)
    for (x, y), size, amount in zip(places, sizes, depth, strict=True):
        column, row = int(x), int(y)
        deep = float(edge[row, column]) / unit
        shown = float(
            smooth_step(deep, -5, 0) * smooth_step(-deep, -24, -12) * smooth_step(crowded[row, column], -0.4, 0.6)
        )
        if shown > 0.02:
            r = max(2, int(3 * size) + 1)
            top, left = max(0, row - r), max(0, column - r)
            v, u = np.mgrid[top : min(height, row + r + 1), left : min(width, column + r + 1)].astype(np.float32)
            spot = 1 - smooth_step(np.hypot(u - x, v - y), size - 0.7 * unit, size + 0.7 * unit)
            part = drawn[top : top + spot.shape[0], left : left + spot.shape[1]]
            np.maximum(part, amount * shown * spot, out=part)
    return toward(density, np.maximum(density, DARK), severity * drawn)


def _light_areas(skin: Skin, leaning: Lean, density, body, severity: float, rng, unit: float) -> np.ndarray:
    """Late: blue-white veil over dark parts, milky red on the lighter side, in some white scars with gray pepper."""
    shape = body.shape
    inner = smooth_step(body, 0.7, 1.0)
    size = np.clip(skin.radius, 22 * unit, 60 * unit)
    for color, chance, start, most, lies in (
        (RED, 1.0, 0.25, 0.5, -1.2 * leaning.aside - 0.5 * leaning.darker),
        (BLUE_WHITE, 1.0, 0.35, 0.7, 0.8 * leaning.darker - 0.6 * leaning.aside),
        (SCAR, 0.25, 0.5, 0.75, -leaning.darker),
    ):
        lot = fractal(shape, 1.1 * size, rng, 3, 0.5) + 0.8 * fractal(shape, 7 * unit, rng, 2, 0.7)
        field = lies + 0.35 * lot
        area, shown = rng.uniform(0.7, 0.8), float(rng.uniform() < chance)
        late = float(smooth_step(severity, start, 1.2)) * area * shown
        where = smooth_step(field, 1.9 - 2.0 * late, 3.6 - 2.0 * late) * inner * shown
        uneven = 1 + 0.12 * fractal(shape, 9 * unit, rng, 3, 0.7)
        density = toward(
            density, color * uneven[..., None], most * where * float(smooth_step(severity, start, start + 0.35))
        )
        if color is SCAR:
            pepper = smooth_step(fractal(shape, 4 * unit, rng, 2), 0.9, 1.9)
            density = density + (0.6 * pepper * where)[..., None] * PEPPER
    return density
