"""Who a skin phantom is: skin, light, hairs and a benign nevus, drawn from a seed.

Nothing here is hidden at severity 0: what the melanoma will be follows from the nevus that the picture shows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

EVALUATION, TRAINING = 0, 1
HARMONICS = (3, 4, 5)
"""Orders of the Fourier terms of the nevus's outline, beside its ellipticity (order 2)."""

_TONES = np.array(
    [[0.95, 0.76, 0.73], [0.88, 0.76, 0.82], [0.91, 0.77, 0.66], [0.80, 0.62, 0.48], [0.64, 0.46, 0.36]],
)  # pink, pale under bluish light, fair, tan, brown


@dataclass(frozen=True)
class Nevus:
    """The benign lesion. Lengths are image fractions, angles radians.

    ``axis`` points along the long axis, from the nevus's centre to its darker end; ``outline`` has a row (cosine, sine)
    for each of HARMONICS, of the logarithm of the radius; ``pigment`` is the absorbance of its brown.
    """

    centre: tuple[float, float]
    radius: float
    axis: float
    ellipticity: float
    outline: np.ndarray = field(repr=False)
    pigment: float
    redness: float
    spot: float
    network: float
    network_period: float


@dataclass(frozen=True)
class Patient:
    """Everything about a phantom patient that a disease does not change."""

    seed: int
    stream: int
    sides: Mapping[str, str]
    nevus: Nevus
    tone: np.ndarray = field(repr=False)
    light: tuple[float, float]
    vignette: float
    furrows: float
    grain: float
    mottle: np.ndarray = field(repr=False)
    fine: np.ndarray = field(repr=False)
    freckles: np.ndarray = field(repr=False)
    hairs: np.ndarray = field(repr=False)
    bubbles: np.ndarray = field(repr=False)


def sample_patient(seed: int, stream: int = EVALUATION) -> Patient:
    """The patient of a seed: equal seeds give equal patients on every machine.

    stream: EVALUATION or TRAINING; the two never share a patient, whatever the seeds.
    """
    if seed < 0:
        raise ValueError(f"seed: got {seed}, want an integer >= 0")
    rng = np.random.Generator(np.random.PCG64([0x534B494E, stream, seed]))
    u = rng.uniform
    return Patient(
        seed=seed,
        stream=stream,
        sides={},
        nevus=_nevus(rng),
        tone=_tone(rng),
        light=(u(-0.10, 0.10), u(-0.10, 0.10)),
        vignette=u(0.05, 0.30),
        furrows=u(0.010, 0.022),
        grain=u(0.004, 0.008),
        mottle=rng.standard_normal((14, 14, 2)),
        fine=rng.standard_normal((56, 56)),
        freckles=_freckles(rng),
        hairs=_hairs(rng),
        bubbles=_bubbles(rng),
    )


def _tone(rng) -> np.ndarray:
    """RGB of the skin: between two neighbours of the tones, and a little off."""
    at = rng.uniform(0, len(_TONES) - 1)
    low = int(at)
    tone = _TONES[low] + (at - low) * (_TONES[low + 1] - _TONES[low])
    return tone + rng.normal(0, 0.012, 3)


def _nevus(rng) -> Nevus:
    u = rng.uniform
    axis = u(-np.pi, np.pi)
    size = u(0.025, 0.05, len(HARMONICS)) * np.sqrt(3.0 / np.asarray(HARMONICS))
    phase = u(-np.pi, np.pi, len(HARMONICS))
    back = u(0.01, 0.05)  # the photographer leaves room where the lesion reaches out
    return Nevus(
        centre=(
            0.5 - back * math.cos(axis) + u(-0.025, 0.025),
            0.5 - back * math.sin(axis) + u(-0.025, 0.025),
        ),
        radius=u(0.12, 0.155),
        axis=axis,
        ellipticity=u(0.05, 0.09),
        outline=np.stack([size * np.cos(phase), size * np.sin(phase)], axis=1),
        pigment=u(0.45, 0.70),
        redness=u(0.0, 1.0),
        spot=u(0.60, 0.85),
        network=u(0.10, 0.20),
        network_period=u(0.042, 0.054),
    )


def _freckles(rng) -> np.ndarray:
    """Tan spots (x, y, radius, absorbance)."""
    n = int(rng.integers(0, 9))
    return np.stack(
        [rng.uniform(0, 1, n), rng.uniform(0, 1, n), rng.uniform(0.010, 0.028, n), rng.uniform(0.04, 0.14, n)], axis=1
    )


def _hairs(rng) -> np.ndarray:
    """Three control points and a width (x0, y0, x1, y1, x2, y2, width) of each hair; four patients of ten have some."""
    n = int(rng.choice((0, 1, 2, 3, 5), p=(0.6, 0.1, 0.1, 0.1, 0.1)))
    hairs = np.empty((n, 7))
    lie = rng.uniform(-np.pi, np.pi)
    for hair in hairs:
        middle = rng.uniform(0.1, 0.9, 2)
        angle = lie + rng.normal(0, 0.5)
        reach = rng.uniform(0.25, 0.6) * np.array([np.cos(angle), np.sin(angle)])
        bend = rng.normal(0, 0.12) * np.array([-np.sin(angle), np.cos(angle)])
        hair[:] = *(middle - reach), *(middle + bend), *(middle + reach), rng.uniform(0.008, 0.014)
    return hairs


def _bubbles(rng) -> np.ndarray:
    """Bubbles of the gel (x, y, radius), away from the middle; three patients of ten have some."""
    n = int(rng.choice((0, 1, 2, 4), p=(0.7, 0.1, 0.1, 0.1)))
    angle, distance = rng.uniform(-np.pi, np.pi, n), rng.uniform(0.40, 0.58, n)
    return np.stack(
        [0.5 + distance * np.cos(angle), 0.5 + distance * np.sin(angle), rng.uniform(0.018, 0.045, n)], axis=1
    )
