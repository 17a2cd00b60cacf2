"""A procedural colour fundus photograph: absorbance of pigment, vessels and lesions over a lit, vaulted background.

The patient comes from a seed (fundus_patient.py); diabetic retinopathy is one severity in [0, 1]. Where its lesions sit
follows from the vessels, the disc and the fovea by one rule for all patients, so that a healthy image tells most of
the future; only the microaneurysms have places of their own. Coordinates are fractions of the image, x to the right,
y down. It is a drawing that behaves like a photograph, not a simulation of optics.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from . import captions
from .common import checked_severities, region_of_change
from .fundus_patient import EVALUATION, TRAINING, Patient, sample_patient

__all__ = [
    "EVALUATION",
    "FINDINGS",
    "SIZE",
    "TRAINING",
    "Patient",
    "fundus_mask",
    "grade",
    "render",
    "roi",
    "sample_patient",
]
SIZE = 128
FINDINGS = captions.FINDINGS["fundus"]
GRADES = (0.10, 0.40, 0.70, 0.90)
"""Severities at which the grades 1 to 4 of the international clinical scale begin."""
_SUPERSAMPLE = 4
BLOOD = np.array([0.55, 1.35, 1.10])
"""Absorbance of blood in red, green and blue, per unit of density."""
EXUDATE, COTTON = np.array([0.98, 0.88, 0.45]), np.array([0.95, 0.90, 0.78])
# Along a trunk vein: place (index of 40), offset from it, half length along it and across it at severity 1, and onset.
_BLOTS = ((11, 0.010, 0.085, 0.048, 0.02), (22, -0.012, 0.080, 0.046, 0.08), (33, 0.012, 0.080, 0.046, 0.20))
_COTTON = ((16, 0.095, 0.060, 0.040, 0.20), (29, 0.075, 0.064, 0.042, 0.36))
# Clumps of the ring round the fovea: angle from the temporal side (degrees), distance (disc diameters), radius, onset.
_RING = (
    (-60, 1.38, 0.040, 0.06), (0, 1.38, 0.046, 0.02), (60, 1.38, 0.040, 0.10), (120, 1.36, 0.034, 0.22),
    (180, 1.34, 0.030, 0.34), (-120, 1.36, 0.034, 0.28),
)  # fmt: skip


def grade(severity: float) -> int:
    """Grade 0 to 4 (none, mild, moderate, severe, proliferative) of a severity in [0, 1]."""
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
    return sum(severity >= begin for begin in GRADES)


def _grown(severity: float, onset: float) -> float:
    """How far the area of a lesion that begins at ``onset`` has come, in [0, 1]."""
    return float(np.clip((severity - onset) / (1 - onset), 0, 1))


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(size) + 0.5) / size
    x, y = np.meshgrid(axis, axis)
    return x, y


def _noise(patient: Patient, kind: int, cells: int, size: int) -> np.ndarray:
    """Smooth noise [size, size] of about unit range, the same for every state of the patient."""
    rng = np.random.Generator(np.random.PCG64([0x46554E, kind, patient.stream, patient.seed]))
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.float64)


def _field(patient: Patient, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The lit circle, cut at top and bottom where the camera's frame does."""
    cx, cy = patient.field_centre
    edge = np.minimum(patient.field_radius - np.hypot(x - cx, y - cy), patient.cut - np.abs(y - cy))
    return np.clip(edge / 0.012 + 0.5, 0, 1)


def _vessel_density(patient: Patient, severity: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Arteries and veins [size, size] in [0, 1]; veins widen with severity and bead."""
    big = size * _SUPERSAMPLE
    layers = {kind: np.zeros((big, big), dtype=np.uint8) for kind in ("artery", "vein")}
    for vessel in patient.vessels:
        widths = vessel.widths
        if vessel.kind == "vein":
            beads = 0.45 * np.sin(np.arange(len(widths)) * 1.1) if vessel.arcade else 0.0
            widths = widths * (1 + 0.45 * severity + severity * beads)
        points = np.round(vessel.points * big * 16).astype(int)
        thick = np.maximum(1, np.round(widths * big)).astype(int)
        for (x0, y0), (x1, y1), w in zip(points, points[1:], thick, strict=False):
            cv2.line(layers[vessel.kind], (int(x0), int(y0)), (int(x1), int(y1)), 255, int(w), cv2.LINE_AA, shift=4)
    small = (cv2.resize(layers[k], (size, size), interpolation=cv2.INTER_AREA) / 255.0 for k in ("artery", "vein"))
    arteries, veins = small
    return arteries, veins


def _blob(x, y, centre, length: float, width: float, along=(1.0, 0.0), soft: float = 0.3) -> np.ndarray:
    """An ellipse of half axes ``length`` (along) and ``width`` with an edge of ``soft`` of them, in [0, 1]."""
    dx, dy = x - centre[0], y - centre[1]
    u, v = dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]
    return np.clip((1 - np.hypot(u / length, v / width)) / soft + 0.5, 0, 1)


def _trunk_lesion(vessel, lesion, grown: float, fovea: np.ndarray, x, y, soft: float) -> np.ndarray:
    """A lesion beside a trunk vein, lying along it; a positive offset leads away from the fovea."""
    place, offset, length, width, _ = lesion
    base, along = vessel.points[place], vessel.points[min(place + 1, 39)] - vessel.points[place - 1]
    along = along / np.hypot(*along)
    away = np.array([along[1], -along[0]])
    away = away if away @ (base - fovea) > 0 else -away
    scale = 0.36 + 0.82 * grown**0.5
    return _blob(x, y, base + offset * away, length * scale, width * scale, along, soft)


def _lesions(patient: Patient, severity: float, x: np.ndarray, y: np.ndarray):
    """Densities of blood, exudates and cotton wool, and the swelling of the macula, all [size, size] >= 0."""
    blood, yellow, white = (np.zeros_like(x) for _ in range(3))
    size, fovea = len(x), np.asarray(patient.fovea)
    # ragged outlines, the same at every severity
    x, y = x + 0.003 * _noise(patient, 3, 14, size), y + 0.003 * _noise(patient, 4, 14, size)
    for vessel in patient.vessels:
        if not vessel.arcade or vessel.kind != "vein":
            continue
        for lesion in _BLOTS:
            if g := _grown(severity, lesion[-1]):
                blot = _trunk_lesion(vessel, lesion, g, fovea, x, y, 0.9)
                blood = np.maximum(blood, min(1.0, 0.35 + 0.9 * g) * blot)
        for lesion in _COTTON:
            if g := _grown(severity, lesion[-1]):
                white = np.maximum(white, 0.9 * g**0.5 * _trunk_lesion(vessel, lesion, g, fovea, x, y, 1.2))
    for degrees, distance, radius, onset in _RING:
        if g := _grown(severity, onset):
            angle = np.deg2rad(degrees)
            step = 2 * distance * patient.disc_radius * np.array([-patient.side * np.cos(angle), np.sin(angle)])
            reach = radius * (0.36 + 0.80 * g**0.5)
            around = (-np.sin(angle) * -patient.side, np.cos(angle))
            clump = _blob(x, y, fovea + 0.75 * step, reach * 1.25, reach * 0.8, around, 0.9)
            yellow = np.maximum(yellow, min(1.0, 0.30 + 0.9 * g) * clump)
    for ax, ay, radius, onset in patient.aneurysms:
        if severity > onset:
            blood = np.maximum(blood, min(1.0, 6 * (severity - onset)) * 0.9 * _blob(x, y, (ax, ay), radius, radius))
    if g := _grown(severity, 0.80):
        dx, dy = patient.disc
        angle, r = np.arctan2(y - dy, x - dx), np.hypot(x - dx, y - dy) / patient.disc_radius
        fronds = np.clip(np.cos(9 * angle + 6 * r), 0, 1) * np.exp(-(((r - 1.25) / 0.45) ** 2))
        blood = np.maximum(blood, 0.8 * g * fronds)
    near = ((x - fovea[0]) ** 2 + (y - fovea[1]) ** 2) / patient.disc_radius**2
    return blood, yellow, white, severity * np.exp(-near / (2 * 2.0**2))


def render(patient: Patient, severities: Mapping[str, float] | None = None, size: int = SIZE) -> np.ndarray:
    """The patient's image [size, size, 3] float32 RGB in [0, 1] with the given severity of each finding.

    Raises ValueError for an unknown finding or a severity outside [0, 1].
    """
    severity = checked_severities(severities or {}, FINDINGS)[FINDINGS[0]]
    x, y = _grid(size)
    cx, cy = patient.field_centre
    lit = _field(patient, x, y)
    r = np.hypot(x - cx, y - cy) / patient.field_radius
    lx, ly, fall = patient.light
    light = patient.exposure * (1.04 - fall * r**2 + 0.35 * (lx * (x - cx) + ly * (y - cy)))

    texture = patient.tessellation * (0.6 * _noise(patient, 1, 14, size) + 0.6 * _noise(patient, 2, 6, size))
    fovea = patient.fovea
    near = ((x - fovea[0]) ** 2 + (y - fovea[1]) ** 2) / patient.disc_radius**2
    macula = patient.pigment * np.exp(-near / (2 * 1.35**2)) + 0.35 * np.exp(-near / (2 * 0.40**2))
    arteries, veins = _vessel_density(patient, severity, size)
    blood, yellow, white, swelling = _lesions(patient, severity, x, y)

    macula = macula * (1 - 0.6 * swelling)
    red_free = np.array([0.28, 0.75, 0.9])
    absorbed = (
        (macula + texture)[..., None] * red_free
        + (0.45 * arteries + 0.80 * veins)[..., None] * np.array([0.35, 0.75, 0.6])
        + 0.95 * blood[..., None] * BLOOD
    )
    dx, dy = patient.disc
    disc_r = np.hypot((x - dx) / 0.94, y - dy) / patient.disc_radius
    disc = np.clip((1 - disc_r) / 0.16 + 0.5, 0, 1)
    cup = np.clip((patient.cup - disc_r) / 0.3 + 0.5, 0, 1) * disc
    base = np.asarray(patient.colour) * (1 + 1.1 * swelling[..., None] * np.array([0.22, 1.0, 0.9]))
    pale = np.array([0.97, 0.80, 0.50]) + cup[..., None] * np.array([0.02, 0.12, 0.22])
    ground = base * (1 - disc[..., None]) + pale * disc[..., None]
    image = ground * np.exp(-absorbed)
    # what lies in or on the retina hides what is behind it
    for density, colour in ((yellow, EXUDATE), (white, COTTON)):
        cover = (0.92 * density * (1 - 0.6 * blood))[..., None]
        image = image * (1 - cover) + colour * cover
    image = image * np.clip(light, 0, None)[..., None] * lit[..., None]
    image = 0.012 + image * 0.98
    return np.clip(image + _grain(patient, size) * (0.25 + 0.75 * lit[..., None]), 0, 1).astype(np.float32)


def _grain(patient: Patient, size: int) -> np.ndarray:
    """Noise of the sensor [size, size, 3]: the same for every state of the patient, slightly correlated."""
    rng = np.random.Generator(np.random.PCG64([0x475241, patient.stream, patient.seed]))
    noise = rng.standard_normal((size, size, 3)).astype(np.float32)
    return patient.grain * cv2.GaussianBlur(noise, (0, 0), 0.6) / 0.47


def fundus_mask(patient: Patient, size: int = SIZE) -> np.ndarray:
    """The lit field, [size, size] float32 in [0, 1]."""
    return _field(patient, *_grid(size)).astype(np.float32)


def roi(patient: Patient, finding: str, size: int = SIZE, threshold: float = 0.02, feather: float = 0.02) -> np.ndarray:
    """Region of interest [size, size] float32 in [0, 1]: where the finding at severity 1 changes the image, feathered.

    threshold: least change that counts, in image units; feather: width of the soft edge as an image fraction.
    """
    change = np.abs(render(patient, {finding: 1.0}, size) - render(patient, {}, size)).mean(axis=2)
    return region_of_change(change, threshold, feather, dilations=1)
