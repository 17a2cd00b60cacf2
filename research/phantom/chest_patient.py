"""Who a chest phantom is: body, lungs, heart, ribs, vessels, exposure, grain and tilt, drawn from a seed.

Nothing here depends on a disease but where it would show: the side, and the outline of a consolidation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .captions import SIDES

EVALUATION, TRAINING = 0, 1


@dataclass(frozen=True)
class Lung:
    """One lung field. ``sign`` is -1 for the image's left (the patient's right), +1 for the image's right."""

    sign: int
    inner: float
    outer: float
    apex: float
    base: float
    dome: float
    costal: float


@dataclass(frozen=True)
class Patient:
    """Everything about a phantom patient that a disease does not change."""

    seed: int
    stream: int
    sides: Mapping[str, str]
    centre: float
    body_width: float
    shoulder: float
    body_thickness: float
    lungs: tuple[Lung, Lung]
    heart_width: float
    heart_height: float
    heart_drop: float
    heart_shift: float
    heart_tilt: float
    knob: float
    hilum_y: float
    rib_count: int
    rib_gain: float
    rib_slope: float
    clavicle_y: float
    clavicle_tilt: float
    breast: float
    air: float
    bubble: float
    scapula: float
    exposure: float
    gamma: float
    grain: float
    tilt: float
    zoom: float
    shift: tuple[float, float]
    vessels: tuple[np.ndarray, ...] = field(repr=False)
    kerley: np.ndarray = field(repr=False)
    patches: Mapping[int, np.ndarray] = field(repr=False)


def sample_patient(seed: int, stream: int = EVALUATION) -> Patient:
    """The patient of a seed: equal seeds give equal patients on every machine.

    stream: EVALUATION or TRAINING; the two never share a patient, whatever the seeds.
    """
    if seed < 0:
        raise ValueError(f"seed: got {seed}, want an integer >= 0")
    rng = np.random.Generator(np.random.PCG64([0x4D5647, stream, seed]))
    u = rng.uniform
    centre = 0.5 + u(-0.012, 0.012)
    width = u(0.245, 0.28)
    apex, base = u(0.07, 0.11), u(0.80, 0.86)
    inner = u(0.050, 0.066)
    lungs = tuple(
        Lung(
            sign=sign,
            inner=inner + u(-0.004, 0.004),
            outer=inner + width * u(1.28, 1.40),
            apex=apex + u(-0.008, 0.008),
            base=base + (-0.022 if sign < 0 else 0.0) + u(-0.008, 0.008),
            dome=u(0.045, 0.075),
            costal=u(0.09, 0.13),
        )
        for sign in (-1, 1)
    )
    hilum_y = u(0.42, 0.46)
    return Patient(
        seed=seed,
        stream=stream,
        sides={
            "pleural effusion": str(rng.choice(SIDES, p=(0.4, 0.4, 0.2))),
            "consolidation": str(rng.choice(SIDES, p=(0.4, 0.4, 0.2))),
        },
        centre=centre,
        body_width=max(lung.outer for lung in lungs) + u(0.05, 0.12),
        shoulder=u(2.0, 3.6),
        body_thickness=u(0.9, 1.1),
        lungs=lungs,  # type: ignore[arg-type]
        heart_width=u(0.155, 0.178),
        heart_height=u(0.120, 0.138),
        heart_drop=u(-0.01, 0.015),
        heart_shift=u(0.034, 0.052),
        heart_tilt=u(0.35, 0.75),
        knob=u(0.026, 0.036),
        hilum_y=hilum_y,
        rib_count=int(rng.integers(8, 11)),
        rib_gain=u(0.11, 0.18),
        rib_slope=u(0.30, 0.50),
        clavicle_y=u(0.135, 0.175),
        clavicle_tilt=u(0.04, 0.12),
        breast=max(0.0, u(-0.08, 0.12)),
        air=u(0.80, 0.93),
        exposure=u(0.85, 1.15),
        gamma=u(0.95, 1.2),
        bubble=u(0.0, 0.35),
        scapula=u(0.05, 0.11),
        grain=u(0.003, 0.006),
        tilt=u(-2.5, 2.5),
        zoom=u(0.97, 1.05),
        shift=(u(-0.015, 0.015), u(-0.015, 0.015)),
        vessels=_vessel_tree(rng, lungs, centre, hilum_y),
        kerley=u(0, 1, (2, 7, 2)),
        patches={lung.sign: _patch_blobs(rng, lung, centre) for lung in lungs},
    )


def _vessel_tree(rng, lungs, centre: float, hilum_y: float) -> tuple[np.ndarray, ...]:
    """Segments (x0, y0, x1, y1, width) of the pulmonary vessels of both lungs, widths as image fractions."""
    segments: list[tuple[float, ...]] = []

    def grow(x, y, angle, length, width, depth):
        steps = 3
        for _ in range(steps):
            angle += rng.normal(0, 0.13)
            nx, ny = x + np.cos(angle) * length / steps, y + np.sin(angle) * length / steps
            segments.append((x, y, nx, ny, width))
            x, y = nx, ny
            width *= 0.92
        if depth:
            spread = rng.uniform(0.3, 0.6)
            for turn in (-spread, spread):
                grow(x, y, angle + turn, length * rng.uniform(0.66, 0.84), width * 0.78, depth - 1)

    for lung in lungs:
        x = centre + lung.sign * (lung.inner + 0.022)
        for angle in (-1.15, -0.5, 0.1, 0.65, 1.2):
            direction = angle if lung.sign > 0 else np.pi - angle
            grow(x, hilum_y, direction + rng.normal(0, 0.1), rng.uniform(0.095, 0.13), rng.uniform(0.019, 0.023), 3)
    return (np.asarray(segments, dtype=np.float64),)


def _patch_blobs(rng, lung: Lung, centre: float) -> np.ndarray:
    """Gaussian blobs (x, y, sx, sy, weight) that make up a consolidation in the lower or middle zone of a lung."""
    middle = lung.inner + (lung.outer - lung.inner) * rng.uniform(0.45, 0.65)
    cx, cy = centre + lung.sign * middle, rng.uniform(0.50, 0.66)
    n = 7
    return np.stack(
        [
            cx + rng.normal(0, 0.035, n),
            cy + rng.normal(0, 0.045, n),
            rng.uniform(0.035, 0.07, n),
            rng.uniform(0.035, 0.07, n),
            rng.uniform(0.5, 1.0, n),
        ],
        axis=1,
    )
