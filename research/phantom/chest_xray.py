"""A procedural frontal chest X-ray: additive attenuation of sigmoid-edged shapes, then 1 - exp(-k * attenuation).

The patient comes from a seed (chest_patient.py); the disease is a severity in [0, 1] per finding. Coordinates are
fractions of the image, x to the image's right, y down; the patient's left is on the image's right. It is a drawing that
behaves like a radiograph, not a simulation of X-ray physics.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from . import captions
from .chest_patient import EVALUATION, TRAINING, Lung, Patient, sample_patient
from .common import checked_severities, region_of_change

__all__ = ["EVALUATION", "SIZE", "TRAINING", "Patient", "lung_mask", "render", "roi", "sample_patient"]
SIZE = 128
FINDINGS = captions.FINDINGS["chest_xray"]
_SUPERSAMPLE = 4


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))


def _grid(patient: Patient, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Anatomical coordinates of every pixel, through the patient's tilt, zoom and shift."""
    axis = (np.arange(size, dtype=np.float64) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    angle = np.deg2rad(patient.tilt)
    cos, sin = np.cos(angle) / patient.zoom, np.sin(angle) / patient.zoom
    return (
        0.5 + cos * x - sin * y - patient.shift[0],
        0.5 + sin * x + cos * y - patient.shift[1],
    )


def _lung_edges(lung: Lung, patient: Patient, x: np.ndarray, y: np.ndarray):
    """Lateral position u (0 medial, 1 at the chest wall) and the soft lung field."""
    d = lung.sign * (x - patient.centre)
    height = np.clip((y - lung.apex) / (lung.base - lung.apex), 0.0, 1.3)
    wall = lung.inner + (lung.outer - lung.inner) * np.sqrt(
        np.clip(1 - (1 - np.clip(height * 1.18, 0, 1)) ** 2.6, 0, 1)
    )
    u = (d - lung.inner) / np.maximum(wall - lung.inner, 1e-3)
    apex = lung.apex + 0.05 * (np.clip(u, 0, 1) - 0.45) ** 2
    diaphragm = (
        lung.base - lung.dome * np.sin(np.pi * np.clip(0.15 + 0.75 * u, 0, 1)) + lung.costal * np.clip(u - 0.55, 0, 0.6)
    )
    soft = 0.007
    field_ = (
        _sigmoid((d - lung.inner) / soft)
        * _sigmoid((wall - d) / soft)
        * _sigmoid((y - apex) / soft)
        * _sigmoid((diaphragm - y) / soft)
    )
    return u, field_, diaphragm


def _heart(patient: Patient, x: np.ndarray, y: np.ndarray, severity: float) -> np.ndarray:
    """Soft heart silhouette: a tilted ellipse that cardiomegaly widens, mostly towards the patient's left."""
    width = patient.heart_width * (1 + 0.48 * severity)
    height = patient.heart_height * (1 + 0.30 * severity)
    cx = patient.centre + patient.heart_shift + 0.030 * severity
    cy = min(lung.base for lung in patient.lungs) - 0.125 + patient.heart_drop - 0.004 * severity
    dx, dy = x - cx, y - cy
    tilt = patient.heart_tilt * 0.5
    along, across = dx * np.cos(tilt) + dy * np.sin(tilt), dy * np.cos(tilt) - dx * np.sin(tilt)
    r = np.sqrt((along / width) ** 2 + (across / height) ** 2 + 1e-9)
    return _sigmoid((1 - r) * 17)


def _effusion_level(lung: Lung, u: np.ndarray, severity: float) -> np.ndarray:
    """Upper border of the fluid: higher at the chest wall (meniscus), rising with severity; far below at 0."""
    height = (lung.base - lung.apex) * 0.50 * severity
    meniscus = 0.03 + 0.09 * severity
    return lung.base + 0.10 - 0.10 * min(severity * 3, 1.0) - height - meniscus * np.clip(u, 0, 1.1) ** 3


def _strokes(segments: np.ndarray, patient: Patient, size: int, scale: float) -> np.ndarray:
    """Segments drawn in image space, widths times ``scale``, thin ones fainter; density in [0, 1]."""
    big = size * _SUPERSAMPLE
    canvas = np.zeros((big, big), dtype=np.uint8)
    angle = np.deg2rad(patient.tilt)
    cos, sin = np.cos(angle) * patient.zoom, np.sin(angle) * patient.zoom
    shift = np.asarray(patient.shift)

    def place(points):
        p = points - 0.5 + shift
        return np.stack([p[:, 0] * cos + p[:, 1] * sin, -p[:, 0] * sin + p[:, 1] * cos], axis=1) + 0.5

    starts, ends = place(segments[:, 0:2]) * big * 16, place(segments[:, 2:4]) * big * 16
    order = np.argsort(segments[:, 4], kind="stable")
    widths = np.maximum(1, np.round(segments[:, 4] * scale * big)).astype(int)
    shades = np.round(255 * np.clip(segments[:, 4] / segments[:, 4].max(), 0.2, 1.0) ** 0.9).astype(int)
    for i in order:
        start, end = (int(starts[i, 0]), int(starts[i, 1])), (int(ends[i, 0]), int(ends[i, 1]))
        cv2.line(canvas, start, end, int(shades[i]), int(widths[i]), cv2.LINE_AA, shift=4)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float64) / 255


def _ribs(patient: Patient, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Posterior ribs (with brighter borders) and the clavicles, before the body's soft mask."""
    total = np.zeros_like(x)
    d = np.abs(x - patient.centre)
    top, spacing = 0.085, 0.70 / patient.rib_count
    reach = max(lung.outer for lung in patient.lungs) + 0.03
    v = np.clip(d / reach, 0, 1)
    for i in range(patient.rib_count):
        half = 0.0125 + 0.003 * i / patient.rib_count
        line = top + i * spacing - 0.05 * np.sin(np.pi * v * 0.8) + patient.rib_slope * 0.30 * v**2.2
        e = (y - line) / half
        profile = np.exp(-(e**4)) * (0.7 + 0.5 * e**2)
        total += profile * _sigmoid((d - 0.045) / 0.012) * _sigmoid((reach - d) / 0.012)
    line = patient.clavicle_y - patient.clavicle_tilt * (d - 0.05) + 0.9 * np.clip(d - 0.2, 0, 1) ** 2
    e = (y - line) / 0.0145
    clavicle = np.exp(-(e**4)) * (0.8 + 0.4 * e**2) * _sigmoid((d - 0.035) / 0.01) * _sigmoid((0.40 - d) / 0.02)
    return patient.rib_gain * (total + 1.25 * clavicle)


def _affected(side: str, sign: int) -> bool:
    return side == "bilateral" or (side == "left") == (sign > 0)


def render(patient: Patient, severities: Mapping[str, float] | None = None, size: int = SIZE) -> np.ndarray:
    """The patient's image [size, size] float32 in [0, 1] with the given severity of each finding.

    Raises ValueError for an unknown finding or a severity outside [0, 1].
    """
    s = checked_severities(severities or {}, FINDINGS)
    x, y = _grid(patient, size)
    d = np.abs(x - patient.centre)

    slope = 0.11 + patient.shoulder * np.clip(y + 0.01, 0, 1)
    wall = patient.body_width + 0.10 * np.clip((0.34 - y) / 0.34, 0, 1)
    half = -0.03 * np.logaddexp(-slope / 0.03, -wall / 0.03)
    body = _sigmoid((half - d) / 0.012)
    depth = np.sqrt(np.clip(1 - (d / (half + 0.03)) ** 2, 0, 1))
    tissue = patient.body_thickness * body * (0.55 + 0.45 * depth) * (0.92 + 0.16 * y)

    heart = _heart(patient, x, y, s["cardiomegaly"])
    hila = np.zeros_like(x)
    air = np.zeros_like(x)
    haze = np.zeros_like(x)
    fluid_total = np.zeros_like(x)
    lung_field = np.zeros_like(x)
    for lung in patient.lungs:
        u, inside, _ = _lung_edges(lung, patient, x, y)
        hx = patient.centre + lung.sign * (lung.inner + 0.030)
        hila += np.exp(-((x - hx) ** 2 / 0.0011 + (y - patient.hilum_y) ** 2 / 0.0030))
        wings = np.exp(-((x - hx - lung.sign * 0.055) ** 2 / 0.012 + (y - patient.hilum_y - 0.05) ** 2 / 0.034))
        haze += inside * (0.16 + 0.84 * wings) * s["edema"]
        lung_field += inside
        filled = np.zeros_like(x)
        if _affected(patient.sides["pleural effusion"], lung.sign) and s["pleural effusion"] > 0:
            level = _effusion_level(lung, u, s["pleural effusion"])
            filled = _sigmoid((y - level) / 0.011)
            fluid_total += filled * inside
        if _affected(patient.sides["consolidation"], lung.sign) and s["consolidation"] > 0:
            blobs = patient.patches[lung.sign]
            grow = 0.75 + 0.65 * s["consolidation"]
            density = sum(
                w * np.exp(-(((x - bx) / (sx * grow)) ** 2 + ((y - by) / (sy * grow)) ** 2))
                for bx, by, sx, sy, w in blobs
            )
            haze += inside * s["consolidation"] * 1.05 * (1 - np.exp(-1.1 * density))
        air += inside * (1 - filled)
    air = air * (1 - 0.80 * heart) * patient.air

    thin = _strokes(patient.vessels[0], patient, size, 1.0)
    vessels = thin
    if s["edema"] > 0:
        thick = _strokes(patient.vessels[0], patient, size, 1.75)
        vessels = thin + s["edema"] * (1.25 * thick - thin)
    vessels = vessels * np.clip(lung_field - fluid_total, 0, 1) * (1 - 0.7 * heart)

    vascular = 0.050 + 0.075 * np.clip((y - patient.hilum_y + 0.16) / 0.34, 0, 1) ** 1.5
    mediastinum = np.exp(-((d / vascular) ** 4)) * _sigmoid((y - 0.05) / 0.03)
    column = np.exp(-((d / 0.055) ** 4)) * _sigmoid((y - 0.04) / 0.03)
    knob_x, knob_y = patient.centre + 0.052, patient.hilum_y - 0.135
    knob = _sigmoid((1 - np.hypot(x - knob_x, (y - knob_y) * 0.85) / patient.knob) * 5)
    trachea = np.exp(-((d / 0.017) ** 4)) * _sigmoid((patient.hilum_y - 0.06 - y) / 0.012)
    spine = np.exp(-((d / 0.036) ** 4)) * (1 + 0.35 * np.cos(2 * np.pi * y / 0.058))

    shoulder_blade = np.exp(-(((d - 0.43 + 0.22 * (y - 0.25)) / 0.035) ** 4)) * _sigmoid((0.44 - y) / 0.03)
    left = patient.lungs[1]
    bubble_y = left.base + 0.055
    bubble = np.exp(-(((x - patient.centre - 0.20) / 0.075) ** 4 + ((y - bubble_y) / 0.035) ** 4))

    attenuation = (
        tissue * (1.05 - 0.80 * air)
        + body * (0.15 * mediastinum + 0.07 * column + 0.14 * knob + 0.07 * spine - 0.12 * trachea)
        + body * heart * 0.30
        + body * _ribs(patient, x, y) * (0.45 + 0.55 * lung_field)
        + body * patient.scapula * shoulder_blade
        - patient.bubble * bubble * (1 - np.clip(lung_field + fluid_total, 0, 1))
        + 0.13 * body * hila * (1 + 0.6 * s["edema"])
        + 0.20 * vessels
        + 0.55 * haze * (1 - 0.5 * heart)
        + 0.42 * fluid_total
        + patient.breast * body * np.exp(-(((d - 0.21) / 0.11) ** 2 + ((y - 0.70) / 0.13) ** 2))
    )
    if s["edema"] > 0:
        attenuation += 0.14 * s["edema"] * _kerley(patient, size) * np.clip(lung_field - fluid_total, 0, 1)
    image = 1 - np.exp(-patient.exposure * np.clip(attenuation, 0, None))
    image = np.clip(image, 0, 1) ** patient.gamma * 0.94 + 0.02
    image += _grain(patient, size)
    return np.clip(image, 0, 1).astype(np.float32)


def _kerley(patient: Patient, size: int) -> np.ndarray:
    """Kerley B lines: short horizontal strokes at the lateral lung bases."""
    segments = []
    for lung, draws in zip(patient.lungs, patient.kerley, strict=True):
        for i, (a, b) in enumerate(draws):
            y = 0.60 + 0.024 * i + 0.006 * a
            x = patient.centre + lung.sign * (lung.outer - 0.018)
            segments.append((x, y, x - lung.sign * (0.05 + 0.03 * b), y - 0.004, 0.0065))
    return _strokes(np.asarray(segments), patient, size, 1.0)


def _grain(patient: Patient, size: int) -> np.ndarray:
    """Film grain of the exposure: the same for every state of the patient, slightly correlated."""
    rng = np.random.Generator(np.random.PCG64([0x475241, patient.stream, patient.seed]))
    return patient.grain * cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), 0.6) / 0.47


def lung_mask(patient: Patient, size: int = SIZE) -> np.ndarray:
    """Both lung fields as if healthy, [size, size] float32 in [0, 1], without the heart's shadow."""
    x, y = _grid(patient, size)
    total = sum(_lung_edges(lung, patient, x, y)[1] for lung in patient.lungs)
    return np.clip(total * (1 - _heart(patient, x, y, 0.0)), 0, 1).astype(np.float32)


def roi(patient: Patient, finding: str, size: int = SIZE, threshold: float = 0.02, feather: float = 0.02) -> np.ndarray:
    """Region of interest [size, size] float32 in [0, 1]: where the finding at severity 1 changes the image, feathered.

    threshold: least change that counts, in image units; feather: width of the soft edge as an image fraction.
    """
    change = np.abs(render(patient, {finding: 1.0}, size) - render(patient, {}, size))
    return region_of_change(change, threshold, feather)
