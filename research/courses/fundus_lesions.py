"""The lesions of diabetic retinopathy on one photograph: where each lies, when it begins, and its drawing.

Sizes are those of the retina in micrometers (Early Treatment Diabetic Retinopathy Study report 10, Ophthalmology 98(5),
1991: microaneurysms up to 125), how much they darken or brighten was measured in boxes round lesions of IDRiD.

Places, sizes and births are the same for every eye (`fundus_places`); the seed moves them a little, and draws outlines
and how many show.
"""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from ...mvg.regions.picture import blur
from .canvas import Canvas, rough_outline
from .fundus_anatomy import Retina
from .fundus_places import LEAKS, STRAY, Places
from .texture import fractal, smooth_step


def grown(severity: float, birth: float, span: float = 0.3) -> float:
    """How far the radius of what begins at birth has come, in [0, 1]."""
    return float(smooth_step(severity, birth, birth + span)) ** 0.5


def _births(rng: np.random.Generator, count: int, first: float, last: float, power: float) -> np.ndarray:
    """[count] severities at which lesions begin: more and more of them where power is above 1."""
    return first + (last - first) * rng.uniform(0, 1, count) ** (1 / power)


def red_lesions(retina: Retina, severity: float, seed: int) -> np.ndarray:
    """[H, W] absorbance in green of microaneurysms and hemorrhages within the retina."""
    rng = np.random.default_rng([seed, 0x726564])
    places, um, shape = Places(retina, 1, rng), retina.micrometer, retina.field.shape
    rule = places.rule
    # what lies deep is seen through the retina and has soft edges
    canvas, deep = Canvas(shape), Canvas(shape)
    pole = np.exp(-((places.out / 0.62) ** 4))
    wide = np.exp(-((places.out / 0.98) ** 6))
    clustered = places.near(LEAKS, 0.14) + 0.35 * pole
    spots = places.some(clustered, 100)
    shown = places.load(85)
    for i, (place, birth) in enumerate(zip(spots, _births(rule, 100, 0.0, 0.97, 1.25), strict=True)):
        radius, depth, outline = um * rule.uniform(26, 66), rule.uniform(0.25, 0.6), rough_outline(rng, 0.12)
        canvas.blob(place, radius * grown(severity, birth, 0.15), depth * (i < shown), outline)
    patchy = wide * smooth_step(places.out, 0.1, 0.4) + 0.8 * places.near(LEAKS, 0.2)
    spots = places.some(patchy, 70, pull=0.6)
    shown = places.load(58)
    for i, (place, birth) in enumerate(zip(spots, _births(rule, 70, 0.32, 0.95, 0.75), strict=True)):
        radius, depth = um * min(math.exp(rule.normal(math.log(105), 0.6)), 420), rule.uniform(0.25, 0.65)
        size, layer = radius * grown(severity, birth, 0.18), deep if rule.uniform() < 0.6 else canvas
        for part in range(int(rule.integers(1, 7))):
            off = rule.normal(0, 0.75, 2) * size * (part > 0)
            layer.blob(
                place + off,
                size * rule.uniform(0.3, 1.0),
                depth * (i < shown),
                rough_outline(rng, 0.22),
                rule.uniform(1, 1.9),
                rule.uniform(0, np.pi),
            )
    spots = places.some(wide * smooth_step(places.out, 0.1, 0.4), 24, pull=0.8)
    shown = places.load(20)
    for i, (place, birth) in enumerate(zip(spots, _births(rule, 24, 0.40, 0.97, 1.0), strict=True)):
        _flame(canvas, retina, place, grown(severity, birth) * (i < shown), rule)
    uneven = np.clip(1 + 0.22 * fractal(shape, 260 * um, rng, 3, 0.7), 0.3, 1.6)
    sharp = blur(_frayed(canvas.values, 14 * um, 120 * um, rule), max(0.55, 26 * um))
    soft = blur(_frayed(deep.values, 45 * um, 220 * um, rule), max(0.7, 62 * um))
    return np.maximum(sharp, soft) * uneven


def _frayed(values: np.ndarray, far: float, wavelength: float, rng) -> np.ndarray:
    """A layer [H, W] whose outlines are bent by noise: far is how far in pixels, of that wavelength."""
    height, width = values.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wavelength = max(wavelength, 3.0)
    x = x + np.float32(far) * fractal(values.shape, wavelength, rng, 2)
    y = y + np.float32(far) * fractal(values.shape, wavelength, rng, 2)
    return cv2.remap(values, x, y, cv2.INTER_LINEAR)


def _flame(canvas: Canvas, retina: Retina, place: np.ndarray, size: float, rng) -> None:
    """A hemorrhage among nerve fibers: slivers side by side along them."""
    um, depth = retina.micrometer, rng.uniform(0.2, 0.6)
    turn = _direction(retina, place) + rng.normal(0, 0.15)
    along, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    length, wide = rng.uniform(120, 340) * um, rng.uniform(35, 110) * um
    for _ in range(int(rng.integers(4, 9))):
        off = along * rng.normal(0, 0.35) * length + across * rng.normal(0, 0.6) * wide
        radius = size * math.sqrt(length * wide) * rng.uniform(0.3, 0.6)
        canvas.blob(
            place + size * off,
            radius,
            depth * rng.uniform(0.7, 1),
            rough_outline(rng, 0.2),
            rng.uniform(3, 6),
            turn + rng.normal(0, 0.08),
        )


def _direction(retina: Retina, place) -> float:
    height, width = retina.fibers.shape
    return float(retina.fibers[int(np.clip(place[1], 0, height - 1)), int(np.clip(place[0], 0, width - 1))])


def exudates(retina: Retina, severity: float, seed: int) -> np.ndarray:
    """[H, W] cover in [0, 1] of hard exudates: flecks in rings, strings and clumps round leaks."""
    rng = np.random.default_rng([seed, 0x657875])
    places, um, canvas = Places(retina, 2, rng), retina.micrometer, Canvas(retina.field.shape)
    rule, rich = places.rule, math.exp(rng.normal(0, 0.15))
    for center in places.there(LEAKS):
        ring = rule.uniform(300, 1100) * um
        started, squash, turn = rule.uniform(0.34, 0.42), rule.uniform(0.6, 1.0), rule.uniform(0, np.pi)
        gaps, phase = rule.uniform(0.5, 1.0), rule.uniform(0, 2 * np.pi)
        for clump in range(16):
            # a clump on the ring, of which flecks trail off
            angle = phase + 2 * np.pi * gaps * rule.uniform(0, 1)
            far = ring * math.exp(rule.normal(0, 0.18))
            on_ring = far * np.array([math.cos(angle), squash * math.sin(angle)])
            middle = center + _turned(on_ring, turn) @ places.axes + rng.normal(0, STRAY * um, 2)
            birth, spread = started + 0.32 * rule.uniform(), rule.uniform(30, 170) * um
            for _ in range(int(rule.integers(2, 14))):
                place = middle + rule.normal(0, 1, 2) * spread
                radius = um * math.exp(rule.normal(math.log(38), 0.6))
                late, outline = rule.uniform(0, 0.2), rough_outline(rng, 0.28, 12)
                long, lies, strength = rule.uniform(1, 2.2), rule.uniform(0, np.pi), rule.uniform(0.45, 1.0)
                size = radius * grown(severity, birth + late, 0.2)
                if clump < 13 * rich and _free(retina, place, radius):
                    canvas.blob(place, size, strength, outline, long, lies)
    return blur(canvas.values, max(0.5, 14 * um)) * (1 - 0.85 * retina.vessels)


def _turned(vector: np.ndarray, angle: float) -> np.ndarray:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([cosine * vector[0] - sine * vector[1], sine * vector[0] + cosine * vector[1]])


def _free(retina: Retina, place: np.ndarray, size: float) -> bool:
    """Whether a thing lies within the field and off the optic disc."""
    height, width = retina.field.shape
    x, y = int(place[0]), int(place[1])
    off = math.hypot(place[0] - retina.disc[0], place[1] - retina.disc[1]) > 1.15 * retina.disc_radius + size
    return 0 <= x < width and 0 <= y < height and bool(retina.field[y, x] > 0.9) and off


def cotton_wool(retina: Retina, severity: float, seed: int) -> np.ndarray:
    """[H, W] cover in [0, 1] of cotton wool spots: pale, feathered along nerve fibers, near the arcades."""
    rng = np.random.default_rng([seed, 0x636F74])
    places, um = Places(retina, 3, rng), retina.micrometer
    rule, cover = places.rule, np.zeros(retina.field.shape, np.float32)
    weight = np.exp(-(((places.out - 0.55) / 0.2) ** 2))
    spots, shown = places.some(weight, 6, pull=0.5), int(rng.integers(3, 7))
    ragged = fractal(retina.field.shape, 160 * um, rng, 3, 0.65)
    height, width = retina.field.shape
    for i, (place, birth) in enumerate(zip(spots, _births(rule, 6, 0.48, 0.9, 1.0), strict=True)):
        long, wide, strength = rule.uniform(240, 560) * um, rule.uniform(170, 330) * um, rule.uniform(0.5, 0.9)
        size, turn = grown(severity, birth), _direction(retina, place) + rule.normal(0, 0.5)
        if size < 0.05 or i >= shown:
            continue
        r = int(3 * long) + 2
        left, top = max(0, int(place[0]) - r), max(0, int(place[1]) - r)
        y, x = np.mgrid[top : min(height, top + 2 * r), left : min(width, left + 2 * r)].astype(np.float32)
        u = ((x - place[0]) * math.cos(turn) + (y - place[1]) * math.sin(turn)) / (size * long)
        v = ((y - place[1]) * math.cos(turn) - (x - place[0]) * math.sin(turn)) / (size * wide)
        part = (slice(top, top + y.shape[0]), slice(left, left + x.shape[1]))
        spot = strength * smooth_step(1.0 - np.hypot(u, v) + 0.3 * ragged[part], 0.0, 1.15)
        cover[part] = np.maximum(cover[part], spot)
    return cover


def late_signs(retina: Retina, severity: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Signs of the severe and the proliferative grade.

    Args:
        retina: of the picture.
        severity: in [0, 1].
        seed: which course.

    Returns:
        (absorbance in green [H, W] of venous beading, IRMA and new vessels; cover [H, W] in [0, 1] of blood before the
        retina).
    """
    rng = np.random.default_rng([seed, 0x6C6174])
    beads, canvas = Canvas(retina.field.shape), Canvas(retina.field.shape)
    places = Places(retina, 4, rng)
    for place, half_width in _beads(places):
        size, depth = grown(severity, rng.uniform(0.68, 0.76), 0.3), rng.uniform(0.28, 0.4)
        beads.blob(place, 1.3 * half_width * size, depth, rough_outline(rng, 0.06), 1.25, _direction(retina, place))
    for place, reach, birth, branches in _tangles(places):
        _tangle(canvas, place, reach, grown(severity, birth, 0.15), branches, retina.micrometer, places.rule)
    # a bead widens a vessel and makes it no darker
    values = np.maximum(canvas.values, beads.values * (1 - 0.85 * retina.vessels))
    return blur(values, max(0.5, 12 * retina.micrometer)), _blood_before(retina, severity, rng)


def _beads(places: Places) -> Iterator[tuple[np.ndarray, float]]:
    """Places along stretches of the widest vessels over and under the macula, and their half widths."""
    retina = places.retina
    half = retina.half_width
    crest = (half >= cv2.dilate(half, np.ones((3, 3), np.uint8))) & (half > 0.0135 * retina.radius)
    ys, xs = np.nonzero(crest & (retina.field > 0.9))
    off = np.hypot(xs - retina.disc[0], ys - retina.disc[1])
    keep = (off > 1.6 * retina.disc_radius) & (off < 1.1 * retina.radius)
    points, wide = np.stack([xs, ys], -1)[keep].astype(np.float64), half[ys, xs][keep]
    starts = places.there(np.array([(0.2, 0.45), (0.2, -0.45)]))
    taken: list[np.ndarray] = []
    for i in np.argsort(-wide, kind="stable"):
        point, width = points[i], float(wide[i])
        near = min(float(np.hypot(*(point - s))) for s in starts) < 0.28 * retina.radius
        if near and all(np.hypot(*(point - other)) > 5 * width for other in taken):
            taken.append(point)
            yield point, width


def _tangles(places: Places) -> list[tuple[np.ndarray, float, float, int]]:
    """(place, reach in pixels, birth, branches) of IRMA and of new vessels."""
    um, rule = places.retina.micrometer, places.rule
    at_arcade = np.exp(-(((places.out - 0.6) / 0.2) ** 2))
    out = [
        (place, rule.uniform(200, 420) * um, rule.uniform(0.68, 0.82), int(rule.integers(2, 5)))
        for place in places.some(at_arcade, 3)
    ]
    for place in places.some(at_arcade, 2, pull=1.0):
        out.append((place, rule.uniform(450, 900) * um, rule.uniform(0.86, 0.93), int(rule.integers(7, 14))))
    angle = rule.uniform(0, 2 * np.pi)
    at = np.array(places.retina.disc) + 0.75 * places.retina.disc_radius * np.array([math.cos(angle), math.sin(angle)])
    return [*out, (at, rule.uniform(700, 1100) * um, 0.88, int(rule.integers(8, 15)))]


def _tangle(canvas: Canvas, place: np.ndarray, reach: float, size: float, branches: int, um: float, rng) -> None:
    """Fine winding vessels that fan out from a place and loop back."""
    facing = rng.uniform(0, 2 * np.pi)
    for _ in range(branches):
        steps = 26
        heading = (
            facing + rng.normal(0, 0.9) + np.cumsum(rng.normal(0, 0.42, steps)) + rng.normal(0, 0.05) * np.arange(steps)
        )
        stride = reach * rng.uniform(0.5, 1.2) / steps
        start = place + rng.normal(0, 0.1, 2) * reach
        path = start + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1) * stride, axis=0)
        shown = 1 + int(size * (steps - 1))
        depth, width = rng.uniform(0.2, 0.45), rng.uniform(20, 38) * um
        if shown > 2:
            canvas.polygon(path[:shown], depth * size, closed=False, thickness=width)


def _blood_before(retina: Retina, severity: float, rng) -> np.ndarray:
    """[H, W] cover of a boat of blood with a level top, which hides what lies behind it."""
    um, shape = retina.micrometer, retina.field.shape
    has, birth, tilt = rng.uniform() < 0.4, rng.uniform(0.88, 0.93), rng.normal(0, 0.08)
    wide = rng.uniform(2000, 5000) * um
    deep = wide * rng.uniform(0.18, 0.34)
    down = np.array([rng.uniform(-0.35, 0.35), rng.uniform(0.3, 0.6) * (1 if rng.uniform() < 0.75 else -1)])
    middle = 0.6 * np.array(retina.fovea) + 0.4 * np.array(retina.disc) + down * retina.radius
    ragged = fractal(shape, 900 * um, rng, 4, 0.4)
    size = grown(severity, birth, 0.12)
    if not has or size < 0.02:
        return np.zeros(shape, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = x - middle[0], y - middle[1]
    u, v = u * math.cos(tilt) + v * math.sin(tilt), v * math.cos(tilt) - u * math.sin(tilt)
    bowl = 1 - np.hypot(u / (0.5 * wide * size), np.maximum(v, 0) / (deep * size)) + 0.10 * ragged
    level = (v + 22 * um * ragged) / (50 * um)
    return (
        (0.85 + 0.05 * np.clip(ragged, -2, 2))
        * smooth_step(bowl, 0.0, 0.25)
        * smooth_step(level, -1, 1)
        * smooth_step(size, 0.02, 0.3)
    )
