"""Who a fundus phantom is: eye, disc, macula, vessel tree, pigment, exposure and grain, drawn from a seed.

Nothing here depends on the disease. Where its lesions will sit follows from the vessels, the disc and the fovea by one
rule for all patients (fundus.py); only the microaneurysms have places of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

EVALUATION, TRAINING = 0, 1
ANEURYSMS = 16


@dataclass(frozen=True)
class Vessel:
    """A smooth run of points [n, 2] (x, y, image fractions) with a width at each; kind "artery" or "vein"."""

    kind: str
    points: np.ndarray
    widths: np.ndarray
    arcade: bool


@dataclass(frozen=True)
class Patient:
    """Everything about a phantom eye that the disease does not change. side: +1 where the disc is on the right."""

    seed: int
    stream: int
    sides: Mapping[str, str]
    side: int
    field_radius: float
    field_centre: tuple[float, float]
    cut: float
    disc: tuple[float, float]
    disc_radius: float
    cup: float
    fovea: tuple[float, float]
    colour: tuple[float, float, float]
    pigment: float
    tessellation: float
    light: tuple[float, float, float]
    exposure: float
    grain: float
    vessels: tuple[Vessel, ...] = field(repr=False)
    aneurysms: np.ndarray = field(repr=False)


def sample_patient(seed: int, stream: int = EVALUATION) -> Patient:
    """The patient of a seed: equal seeds give equal patients on every machine.

    seed: >= 0; stream: EVALUATION or TRAINING, two worlds of patients that never meet. ValueError for another seed.
    """
    if seed < 0:
        raise ValueError(f"seed: got {seed}, want an integer >= 0")
    rng = np.random.Generator(np.random.PCG64([0x46554E, stream, seed]))
    u = rng.uniform
    side = 1 if rng.random() < 0.5 else -1
    centre = (0.5 + u(-0.01, 0.01), 0.5 + u(-0.01, 0.01))
    disc = (centre[0] + side * u(0.17, 0.21), centre[1] + u(-0.03, 0.015))
    radius = u(0.058, 0.070)
    fovea = (disc[0] - side * 5.0 * radius * u(0.95, 1.05), disc[1] + u(0.01, 0.04))
    warm = u(0, 1)
    return Patient(
        seed=seed,
        stream=stream,
        sides={},
        side=side,
        field_radius=u(0.462, 0.485),
        field_centre=centre,
        cut=u(0.40, 0.52),
        disc=disc,
        disc_radius=radius,
        cup=u(0.35, 0.6),
        fovea=fovea,
        colour=(u(0.70, 0.86), 0.30 + 0.16 * warm + u(-0.02, 0.02), 0.10 + 0.09 * warm + u(-0.02, 0.02)),
        pigment=u(0.35, 0.6),
        tessellation=u(0.02, 0.07),
        light=(u(-0.25, 0.25), u(-0.25, 0.25), u(0.12, 0.3)),
        exposure=u(0.88, 1.1),
        grain=u(0.004, 0.010),
        vessels=_vessels(rng, side, disc, radius, fovea),
        aneurysms=_aneurysms(rng, fovea),
    )


def _bezier(points: np.ndarray, n: int) -> np.ndarray:
    """[n, 2] on the Bezier curve of control points [3 or 4, 2]."""
    t = np.linspace(0, 1, n)[:, None]
    curve = list(points)
    while len(curve) > 1:
        curve = [(1 - t) * a + t * b for a, b in pairwise(curve)]
    return curve[0]


def _vessels(rng, side: int, disc, radius: float, fovea) -> tuple[Vessel, ...]:
    """Two arteries and two veins to each pole: the temporal ones arch round the macula, and all of them branch."""
    d, f = np.asarray(disc), np.asarray(fovea)
    out: list[Vessel] = []

    def add(kind: str, control: list, start: float, end: float, arcade: bool) -> np.ndarray:
        points = _bezier(np.asarray(control, dtype=float), 40)
        wave = np.sin(np.linspace(0, rng.uniform(5, 9), 40) + rng.uniform(0, 6)) * rng.uniform(0.002, 0.005)
        points[:, 1] += wave * np.linspace(0, 1, 40)
        out.append(Vessel(kind, points, np.linspace(start, end, 40), arcade))
        return points

    for up in (-1, 1):

        def from_(point, nasal: float, outward: float, up=up) -> np.ndarray:
            return point + np.array([side * nasal, up * outward])

        reach = rng.uniform(0.25, 0.31)
        far = rng.uniform(0.06, 0.14)
        for kind, gap in (("vein", 0.0), ("artery", 0.028)):
            width = 0.019 if kind == "vein" else 0.012
            lift = reach + gap
            start = from_(d, 0.006 * (kind == "artery"), 0.3 * radius)
            temporal = [
                start,
                from_(d, -0.01, lift * 0.85),
                from_(f, 0.06, lift * 1.22),
                from_(f, -(far + gap), lift * 0.80),
            ]
            trunk = add(kind, temporal, width, width * 0.45, True)
            nasal = [start, from_(d, 0.04, 0.12), from_(d, 0.16 + gap, 0.22 + gap)]
            add(kind, nasal, width * 0.75, width * 0.35, False)
            for place, inward in ((12, False), (18, True), (25, False), (30, True)):
                base = trunk[place]
                along = trunk[place + 1] - trunk[place]
                along = along / np.hypot(*along)
                away = np.array([along[1], -along[0]])
                away = away if (away @ (base - f) > 0) != inward else -away
                length = rng.uniform(0.10, 0.15) if not inward else rng.uniform(0.08, 0.12)
                tip = base + length * (0.55 * along + 0.85 * away) + rng.normal(0, 0.008, 2)
                bend = base + length * (0.55 * along + 0.20 * away)
                add(kind, [base, bend, tip], width * 0.5, width * 0.28, False)
    return tuple(out)


def _aneurysms(rng, fovea) -> np.ndarray:
    """Rows (x, y, radius, onset) of the microaneurysms, round the fovea; the onset is a severity."""
    angle, distance = rng.uniform(0, 2 * np.pi, ANEURYSMS), rng.uniform(0.05, 0.27, ANEURYSMS)
    x, y = fovea[0] + distance * np.cos(angle), fovea[1] + distance * np.sin(angle)
    return np.stack([x, y, rng.uniform(0.007, 0.010, ANEURYSMS), np.linspace(0.02, 0.75, ANEURYSMS)], axis=1)
