"""A procedural dermoscopic image of a pigmented lesion: skin, what its pigments let through, hairs and uneven light.

The patient comes from a seed (skin_patient.py); the disease is the severity of a melanoma in [0, 1], 0 a benign nevus.
Its growth, outline and colours are one rule for every patient, told in the coordinates of the nevus: it reaches out
along the long axis to the darker end, amplifies the outline's own waves, and has each colour at a fixed place.
Coordinates are fractions of the image, x to the right, y down. It is a drawing after the ABCD rule of dermoscopy
(Nachbar et al. 1994), not a model of how a tumour grows.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from . import captions
from .common import checked_severities, region_of_change
from .skin_patient import EVALUATION, HARMONICS, TRAINING, Patient, sample_patient

__all__ = [
    "EVALUATION",
    "FINDINGS",
    "SIZE",
    "TRAINING",
    "Abcd",
    "Patient",
    "abcd",
    "lesion_mask",
    "render",
    "roi",
    "sample_patient",
]
SIZE = 128
FINDINGS = captions.FINDINGS["skin"]
_SUPERSAMPLE = 4

_BROWN = np.array([0.62, 1.05, 1.40], np.float32)  # absorbance of melanin in R, G, B
_RUDDY = np.array([0.40, 1.15, 1.15], np.float32)
_HAIR = np.array([0.16, 0.11, 0.09], np.float32)
_BLACK = np.array([0.10, 0.07, 0.08], np.float32)
_VEIL = np.array([0.36, 0.42, 0.54], np.float32)
_SCAR = np.array([0.15, 0.12, 0.13], np.float32)
_RED = np.array([0.70, 0.30, 0.28], np.float32)
# The melanoma's outline in the lesion's own frame: radians from its axis, and changes of the logarithm of its radius.
_WAVES = ((6, 0.025, 0.4), (7, 0.020, 2.1), (9, 0.012, -1.0))  # order, size, phase
_NOTCHES = ((1.40, 0.34, 0.09), (-1.80, 0.38, 0.08), (2.75, 0.38, 0.06))  # angle, width, depth
_PSEUDOPODS = ((-0.85, 0.14, 0.04), (-0.42, 0.13, 0.05), (0.00, 0.14, 0.04), (0.40, 0.13, 0.05), (0.88, 0.14, 0.04))


class Abcd(NamedTuple):
    """What the ABCD rule of dermoscopy looks at, in numbers.

    area: fraction of the image. asymmetry: the part of the lesion in [0, 1] that its mirror images in the two main axes
    miss, their mean. colour_variety: mean CIELAB distance (CIE76) of the lesion's colours from their mean. diameter:
    the longest, as a fraction of the image's side.
    """

    area: float
    asymmetry: float
    colour_variety: float
    diameter: float


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return x, y


@lru_cache(maxsize=1)
def _clouds() -> np.ndarray:
    """Four smooth noises [128, 128, 4] over the lesion's frame from -2 to 2, the same for every patient."""
    rng = np.random.Generator(np.random.PCG64([0x434C44]))
    noise = rng.standard_normal((128, 128, 4))
    smooth = np.stack([cv2.GaussianBlur(noise[..., i], (0, 0), sigma) for i, sigma in enumerate((3, 5, 7, 7))], axis=-1)
    return (smooth / smooth.std(axis=(0, 1))).astype(np.float32)


class _Frame(NamedTuple):
    """The lesion's own frame at a severity, maps [size, size].

    alpha: soft inside. u, v: along and across the axis, the outline being at distance 1. along, across: the same in
    nevus radii, growing with the lesion. clouds: _clouds at (u, v).
    """

    alpha: np.ndarray
    u: np.ndarray
    v: np.ndarray
    along: np.ndarray
    across: np.ndarray
    clouds: np.ndarray


def _lesion(patient: Patient, severity: float, size: int) -> _Frame:
    nevus, s = patient.nevus, severity
    x, y = _grid(size)
    dx, dy = x - nevus.centre[0], y - nevus.centre[1]
    cos, sin = math.cos(nevus.axis), math.sin(nevus.axis)
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    r, angle = np.hypot(along, across), np.arctan2(across, along)

    log_r = nevus.ellipticity * np.cos(2 * angle) + 0.04 * s * np.cos(angle)
    for order, (a, b) in zip(HARMONICS, nevus.outline.tolist(), strict=True):
        log_r += (1 + 0.5 * s) * (a * np.cos(order * angle) + b * np.sin(order * angle))
    for order, wave, phase in _WAVES:
        log_r += s * wave * np.cos(order * angle + phase)
    for at, width, depth in _NOTCHES:
        log_r -= s * depth * np.exp(-((_turn(angle - at) / width) ** 2))
    for at, width, length in _PSEUDOPODS:
        log_r += s**2 * length * np.exp(-((_turn(angle - at) / width) ** 2))

    edge = nevus.radius * math.sqrt(1 + 3.1 * s - 0.8 * s**2) * np.exp(log_r)
    q = r / edge
    u, v = q * np.cos(angle), q * np.sin(angle)
    map_u, map_v = ((m + 2) * 32 - 0.5 for m in (u, v))
    clouds = cv2.remap(_clouds(), map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    softness = 0.017 - 0.003 * s
    alpha = _sigmoid((edge * (1 + 0.04 * s * clouds[..., 0]) - r) / softness)
    return _Frame(alpha, u, v, along / (1 + 0.6 * s), across / (1 + 0.6 * s), clouds)


def _turn(angle: np.ndarray) -> np.ndarray:
    """An angle wrapped to [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _patch(f: _Frame, u: float, v: float, length: float, width: float, cloud: int, soft: float = 0.22) -> np.ndarray:
    """A blotch with a frayed border: 1 inside, 0 outside; its centre and half axes are in the lesion's frame."""
    r = np.hypot((f.u - u) / length, (f.v - v) / width)
    return _sigmoid((1 - r + 0.20 * f.clouds[..., cloud]) / soft)


def _mesh(f: _Frame, period: float) -> np.ndarray:
    """The pigment network: the dark lines of a honeycomb, warped and here and there faded, mean about 0."""
    k = 4 * math.pi / (math.sqrt(3) * period)
    x, y = f.along + 0.011 * f.clouds[..., 2], f.across + 0.011 * f.clouds[..., 3]
    turns = (0.3, 0.3 + math.pi / 3, 0.3 + 2 * math.pi / 3)
    total = np.sum([np.cos(k * (math.cos(a) * x + math.sin(a) * y)) for a in turns], axis=0)
    return -total / 1.5 * _sigmoid(f.clouds[..., 3] + 0.5)


def _blend(image: np.ndarray, colour: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return image + weight[..., None] * (colour - image)


def _pigmented(patient: Patient, skin: np.ndarray, severity: float) -> np.ndarray:
    """The skin [size, size, 3] with the lesion in it."""
    nevus, s = patient.nevus, severity
    f = _lesion(patient, s, skin.shape[0])
    spot = np.exp(-(((f.u - 0.46) / 0.42) ** 2 + (f.v / 0.42) ** 2))
    pigment = nevus.pigment * (1 + 0.55 * s) + nevus.spot * (1 - 0.1 * s) * spot
    pigment = pigment * (1 + (nevus.network + 0.12 * s) * _mesh(f, nevus.network_period))
    pigment = pigment * np.exp((0.08 + 0.08 * s) * f.clouds[..., 1])
    spectrum = _BROWN + nevus.redness * (_RUDDY - _BROWN)
    image = skin * np.exp(-(f.alpha * pigment)[..., None] * spectrum)

    q = np.hypot(f.u, f.v)
    rim = np.exp(-(((q - 0.90) / 0.20) ** 2))
    dark = np.maximum.reduce(
        [
            _patch(f, 0.06, 0.0, 0.64, 0.62, 1, 0.5),
            0.5 * _patch(f, 0.02, 0.62, 0.30, 0.20, 2, 0.5),
            0.5 * _patch(f, 0.10, -0.62, 0.30, 0.20, 3, 0.5),
        ]
    )
    streaks = np.exp(-(((q - 0.95) / 0.16) ** 2)) * _sigmoid((f.u - 0.45) / 0.1)
    pale = skin * 0.80 + _SCAR
    c = s * (1.4 - 0.4 * s)  # the colours come early, as the grown area makes the late change
    image = _blend(image, _RED * (0.6 + 0.4 * float(patient.tone[0])), 0.70 * c * f.alpha * rim)
    image = _blend(image, _BLACK, 0.85 * c * f.alpha * dark)
    image = _blend(image, _BLACK + 0.06, 0.45 * s**2 * f.alpha * streaks)
    image = _blend(image, _VEIL, 0.75 * c * f.alpha * _patch(f, -0.10, -0.05, 0.36, 0.30, 2, 0.5))
    return _blend(image, pale, 0.15 * c * f.alpha * _patch(f, -0.55, 0.0, 0.20, 0.28, 3, 0.4))


def _upsampled(noise: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(noise.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)


def _skin(patient: Patient, size: int) -> np.ndarray:
    """Bare skin [size, size, 3]: tone, red and tan mottle, fine relief, freckles."""
    x, y = _grid(size)
    red, tan = np.moveaxis(_upsampled(patient.mottle, size), -1, 0)
    relief = patient.furrows * _upsampled(patient.fine, size)
    absorbance = 0.030 * red[..., None] * _RUDDY + 0.022 * tan[..., None] * _BROWN + relief[..., None]
    spots = np.zeros_like(x)
    for fx, fy, radius, depth in patient.freckles.tolist():
        spots += depth * np.exp(-((x - fx) ** 2 + (y - fy) ** 2) / radius**2)
    return patient.tone.astype(np.float32) * np.exp(-absorbance - spots[..., None] * _BROWN)


def _hair(patient: Patient, size: int) -> np.ndarray:
    """Where hairs cover the picture, [size, size] in [0, 1]."""
    if not len(patient.hairs):
        return np.zeros((size, size), dtype=np.float32)
    big = size * _SUPERSAMPLE
    canvas = np.zeros((big, big), dtype=np.uint8)
    t = np.linspace(0, 1, 25)[:, None]
    for hair in patient.hairs:
        start, middle, end = hair[:6].reshape(3, 2)
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        width = max(1, round(hair[6] * big))
        cv2.polylines(canvas, [np.round(curve * big * 16).astype(np.int32)], False, 255, width, cv2.LINE_AA, shift=4)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _light(patient: Patient, size: int) -> np.ndarray:
    """Brightness [size, size] of the dermoscope's lamp: uneven, falling off to the corners."""
    x, y = _grid(size)
    x, y = x - 0.5, y - 0.5
    return 1 + patient.light[0] * x + patient.light[1] * y - patient.vignette * (x**2 + y**2) ** 1.5 / 0.35


def _gel(patient: Patient, size: int) -> np.ndarray:
    """What the bubbles of the gel add, [size, size]: a bright ring in a dark one, and a glint."""
    x, y = _grid(size)
    total = np.zeros_like(x)
    for bx, by, radius in patient.bubbles.tolist():
        r = np.hypot(x - bx, y - by)
        ring = np.exp(-(((r - radius) / 0.008) ** 2)) - np.exp(-(((r - radius - 0.011) / 0.008) ** 2))
        total += 0.13 * ring + 0.3 * np.exp(-((x - bx + radius / 2) ** 2 + (y - by + radius / 2) ** 2) / 0.007**2)
    return total


def _grain(patient: Patient, size: int) -> np.ndarray:
    """Noise of the exposure [size, size, 3]: the same for every state of the patient, slightly correlated."""
    rng = np.random.Generator(np.random.PCG64([0x534B47, patient.stream, patient.seed]))
    return patient.grain * cv2.GaussianBlur(rng.standard_normal((size, size, 3), dtype=np.float32), (0, 0), 0.6) / 0.47


def render(patient: Patient, severities: Mapping[str, float] | None = None, size: int = SIZE) -> np.ndarray:
    """The patient's image, RGB [size, size, 3] float32 in [0, 1], with the given severity of each finding.

    Raises ValueError for an unknown finding or a severity outside [0, 1].
    """
    severity = checked_severities(severities or {}, FINDINGS)[FINDINGS[0]]
    image = _pigmented(patient, _skin(patient, size), severity)
    image = _blend(image, _HAIR, 0.8 * _hair(patient, size))
    image = image * _light(patient, size)[..., None] + _gel(patient, size)[..., None] + _grain(patient, size)
    return np.clip(image, 0, 1).astype(np.float32)


def lesion_mask(patient: Patient, severity: float = 0.0, size: int = SIZE) -> np.ndarray:
    """The lesion's soft inside at a severity in [0, 1], [size, size] float32 in [0, 1]."""
    severity = checked_severities({FINDINGS[0]: severity}, FINDINGS)[FINDINGS[0]]
    return _lesion(patient, severity, size).alpha.astype(np.float32)


def abcd(patient: Patient, severity: float) -> Abcd:
    """Area, asymmetry, colours and diameter of the lesion at a severity in [0, 1], without hairs and grain."""
    inside = lesion_mask(patient, severity) > 0.5
    points = np.argwhere(inside)[:, ::-1].astype(np.float64)
    centroid = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov((points - centroid).T))[1].T
    missed = []
    for normal in axes:
        mirrored = np.rint(points - 2 * np.outer((points - centroid) @ normal, normal)).astype(int)
        on_image = ((mirrored >= 0) & (mirrored < SIZE)).all(axis=1)
        hit = inside[mirrored[on_image, 1], mirrored[on_image, 0]].sum()
        missed.append(1 - hit / len(points))
    image = _pigmented(patient, _skin(patient, SIZE), severity).astype(np.float32)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)[inside]
    hull = cv2.convexHull(points.astype(np.int32))[:, 0].astype(np.float64)
    return Abcd(
        area=float(inside.mean()),
        asymmetry=float(np.mean(missed)),
        colour_variety=float(np.linalg.norm(lab - lab.mean(axis=0), axis=1).mean()),
        diameter=float(np.linalg.norm(hull[:, None] - hull[None], axis=-1).max() / SIZE),
    )


def roi(patient: Patient, finding: str, size: int = SIZE, threshold: float = 0.02, feather: float = 0.02) -> np.ndarray:
    """Region of interest [size, size] float32 in [0, 1]: where the finding at severity 1 changes the image, feathered.

    threshold: least change that counts, in image units; feather: width of the soft edge as an image fraction.
    """
    change = np.abs(render(patient, {finding: 1.0}, size) - render(patient, {}, size)).max(axis=-1)
    return region_of_change(change, threshold, feather)
