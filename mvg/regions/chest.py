"""Where a finding shows in a frontal chest X-ray: a soft prior region fitted to the image by classical means.

The lung fields are found by fitting two outlines (ten numbers: centre, tilt, and where each lung begins and ends) to
the image by the cross-entropy method: an outline is good where the image is darker just inside than just outside of it,
where the inside is dark, and where the numbers are those of a usual chest. The fit is refined point by point along
the outline's normals. Sides are the patient's: the patient's left is on the image's right.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

ZONES = {"upper lung zone": (0.0, 0.40), "middle lung zone": (0.30, 0.70), "lower lung zone": (0.60, 1.0)}
"""Rule -> where the zone begins and ends, as a share of the lungs' height."""
RULES = ("heart", "mediastinum", "lungs", "lung", *ZONES, "lung base", "chest")
SIDES = ("left", "right", "bilateral")
MIN_SIZE = 32
_WORK = 128
MIN_QUALITY = 0.2
BACKGROUND = 0.2  # of the image's range
RIM = 4 / 128  # of the image's side: what lies at the body's edge is thin, and dark as a lung is
# weights of the fit: bounds of the contrast of a point, the inside's darkness, the prior, what a point at the rim costs
K1, K2, KI, TAU, KP, KR = 0.4, 0.7, 0.5, 0.4, 0.06, 0.3

# Outline of a lung as (u, v): u from the mediastinum (0) to the chest wall (1), v from the apex (0) to the costophrenic
# angle (1). The third column is how much the heart pushes the point towards the wall.
_OUTLINE = np.array(
    [
        (0.46, 0.00, 0.0), (0.28, 0.03, 0.0), (0.13, 0.10, 0.0), (0.05, 0.20, 0.0), (0.03, 0.30, 0.05),
        (0.03, 0.40, 0.12), (0.03, 0.50, 0.30), (0.03, 0.58, 0.52), (0.03, 0.66, 0.75), (0.03, 0.74, 0.93),
        (0.04, 0.82, 1.0), (0.14, 0.83, 0.85), (0.26, 0.82, 0.65), (0.40, 0.82, 0.45), (0.54, 0.835, 0.25),
        (0.68, 0.87, 0.10), (0.80, 0.92, 0.0), (0.92, 0.99, 0.0), (0.985, 0.96, 0.0), (1.00, 0.86, 0.0),
        (1.00, 0.75, 0.0), (0.99, 0.64, 0.0), (0.97, 0.53, 0.0), (0.945, 0.42, 0.0), (0.90, 0.31, 0.0),
        (0.84, 0.21, 0.0), (0.76, 0.12, 0.0), (0.64, 0.04, 0.0),
    ]
)  # fmt: skip

# centre, tilt, inner right, inner left, outer right, outer left, apex, base right, base left, heart
_USUAL = np.array([0.50, 0.0, 0.055, 0.055, 0.375, 0.375, 0.10, 0.82, 0.84, 0.40])
_SPREAD = np.array([0.045, 0.03, 0.020, 0.020, 0.055, 0.055, 0.060, 0.100, 0.100, 0.12])
_LOW = np.array([0.36, -0.12, 0.01, 0.01, 0.20, 0.20, -0.04, 0.50, 0.50, 0.10])
_HIGH = np.array([0.64, 0.12, 0.14, 0.14, 0.52, 0.52, 0.32, 1.04, 1.04, 0.75])


@dataclass(frozen=True)
class Anatomy:
    """What was found in one image, arrays [H, W] float32 in [0, 1], boxes (x0, y0, x1, y1) in pixels.

    right, left: the lung fields (the patient's sides). heart: the heart between and below them.
    fitted: False where the image does not look like a chest X-ray and the usual chest stands in. quality: mean contrast
    across the outline, 0 for none.
    """

    right: np.ndarray
    left: np.ndarray
    heart: np.ndarray
    right_box: tuple[int, int, int, int]
    left_box: tuple[int, int, int, int]
    fitted: bool
    quality: float

    @property
    def lungs(self) -> np.ndarray:
        """Both lung fields, [H, W] in [0, 1]."""
        return np.maximum(self.right, self.left)


def _prepare(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Darkness at the working size, zero mean and unit spread inside the body, and the body without its rim, 0 or 1.

    What is not of the body is bright, as a chest wall is: no lung lies there.
    """
    small = cv2.resize(gray, (_WORK, _WORK), interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (1, 99))
    small = np.clip((small - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    body = _body(small)
    weight = cv2.GaussianBlur(body.astype(np.float32), (0, 0), 0.22 * _WORK) + 1e-3
    mean = cv2.GaussianBlur(small * body, (0, 0), 0.22 * _WORK) / weight
    filled = np.where(body, small, np.maximum(mean, np.percentile(small[body], 90)))
    flat = mean - cv2.GaussianBlur(filled, (0, 0), 1.2)
    flat /= max(float(flat[body].std()), 1e-6)
    return np.clip(flat, -2.0, 2.0), body.astype(np.float32)


def _body(small: np.ndarray) -> np.ndarray:
    """The body: what is not dark background connected to the image's left, right or upper border, nor beside it."""
    dark = cv2.morphologyEx((small < BACKGROUND).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels = cv2.connectedComponents(dark, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[:, 0], labels[:, -1]]))
    size = 2 * round(RIM * _WORK) + 1
    beside = cv2.dilate(np.isin(labels, border[border > 0]).astype(np.uint8), np.ones((size, size), np.uint8))
    body = beside == 0
    return body if body.mean() > 0.3 else np.ones_like(small, dtype=bool)


def _outlines(numbers: np.ndarray) -> np.ndarray:
    """Outlines [n, 2, P, 2] (right lung first; x, y as image fractions) of the parameter rows [n, 10]."""
    n = np.atleast_2d(numbers)[:, :, None]
    u, v, push = _OUTLINE.T
    centre, tilt, apex = n[:, 0], n[:, 1], n[:, 6]
    out = np.empty((len(n), 2, len(u), 2))
    for i, (inner, outer, base, sign) in enumerate(((n[:, 2], n[:, 4], n[:, 7], -1), (n[:, 3], n[:, 5], n[:, 8], 1))):
        shift = push * (n[:, 9] if sign > 0 else 0.22 * n[:, 9])
        y = apex + v * (base - apex)
        x = inner + (u + shift * (1 - u)) * (outer - inner)
        out[:, i, :, 0] = centre + sign * x + tilt * (y - 0.5)
        out[:, i, :, 1] = y
    return out


def _normals(outline: np.ndarray) -> np.ndarray:
    """Outward unit normals of outlines [..., 2, P, 2]."""
    tangent = np.roll(outline, -1, axis=-2) - np.roll(outline, 1, axis=-2)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    inward = (normal * (outline - outline.mean(axis=-2, keepdims=True))).sum(-1).mean(-1) < 0
    return np.where(inward[..., None, None], -normal, normal)


def _look(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of an image [S, S] at points (x, y) as fractions; the border goes on for ever."""
    index = np.clip((points * _WORK).astype(int), 0, _WORK - 1)
    return image[index[..., 1], index[..., 0]]


def _scores(numbers: np.ndarray, flat: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(score, mean contrast) of parameter rows [n, 10]; the body's own edge is no contrast."""
    outline = _outlines(numbers)
    normal = _normals(outline)
    contrast = np.zeros(outline.shape[:3])
    for reach in (0.02, 0.045):
        outside = outline + reach * normal
        step, there = _look(flat, outline - reach * normal) - _look(flat, outside), _look(body, outside)
        contrast += 0.5 * step * there - KR * (1 - there)
    middle = outline.mean(axis=2, keepdims=True)
    inside = np.concatenate([_look(flat, middle + f * (outline - middle)) for f in (0.3, 0.6, 0.85)], axis=2).mean(
        axis=2
    )
    width, height = numbers[:, 4:6] - numbers[:, 2:4], numbers[:, 7:9] - numbers[:, 6:7]
    area = width * height / 0.23
    edge = np.clip(contrast, -K1, K2).mean(axis=(1, 2))
    z = (numbers - _USUAL) / _SPREAD
    prior = (z**2).mean(axis=1)
    pairs = (
        (numbers[:, 4] - numbers[:, 5]) / 0.05,
        (numbers[:, 7] - numbers[:, 8]) / 0.06,
        (numbers[:, 2] - numbers[:, 3]) / 0.03,
    )
    prior = prior + sum(p**2 for p in pairs) / 10
    total = ((inside + TAU) * np.minimum(area, 1.5)).mean(axis=1)
    return edge + KI * total - KP * prior, edge


def _fit(flat: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, float]:
    """The best parameters [10] by the cross-entropy method (seeded: equal images, equal fits) and their contrast."""
    rng = np.random.Generator(np.random.PCG64(7))
    best, best_score, best_edge = _USUAL, -np.inf, 0.0
    for _ in range(2):
        mean, spread = _USUAL.copy(), _SPREAD * 1.3
        for _ in range(14):
            rows = np.clip(mean + spread * rng.standard_normal((300, len(mean))), _LOW, _HIGH)
            score, edge = _scores(rows, flat, body)
            order = np.argsort(-score)[:30]
            mean, spread = rows[order].mean(axis=0), rows[order].std(axis=0) + 0.02 * _SPREAD
            if score[order[0]] > best_score:
                best, best_score, best_edge = rows[order[0]], float(score[order[0]]), float(edge[order[0]])
    return best, best_edge


def _refine(
    outline: np.ndarray, flat: np.ndarray, body: np.ndarray, rounds: int = 4, reach: float = 0.05
) -> np.ndarray:
    """Moves the points of outlines [2, P, 2] along their normals to the strongest step to brighter, smoothly."""

    def step_at(points: np.ndarray, far: np.ndarray) -> np.ndarray:
        return (_look(flat, points - far) - _look(flat, points + far)) * _look(body, points + far)

    start = outline
    offsets = np.linspace(-reach, reach, 21)
    for _ in range(rounds):
        normal = _normals(outline)
        gain = np.stack(
            [
                step_at(outline + o * normal, 0.015 * normal)
                + 0.5 * step_at(outline + o * normal, 0.03 * normal)
                - 12 * abs(o)
                for o in offsets
            ]
        )
        step = offsets[gain.argmax(axis=0)]
        for _ in range(2):
            step = 0.25 * np.roll(step, 1, axis=-1) + 0.5 * step + 0.25 * np.roll(step, -1, axis=-1)
        moved = outline + step[..., None] * normal
        drift = moved - start
        length = np.linalg.norm(drift, axis=-1, keepdims=True)
        outline = start + drift * np.minimum(1, 0.08 / (length + 1e-9))
    return outline


def locate(image: Tensor) -> Anatomy:
    """Lung fields and heart of a frontal chest X-ray. Equal images give equal results.

    Args:
        image: [B, H, W, C] in [0, 1], of which the first is looked at.

    Returns:
        What was found; ``fitted`` is False where the usual chest stands in.

    Raises:
        ValueError: another shape, an empty batch, sides below 32 pixels or values that are not finite.
    """
    if image.ndim != 4:
        raise ValueError(f"image: got {image.ndim} axes, want [B, H, W, C]")
    if len(image) < 1:
        raise ValueError("image: got an empty batch, want at least one picture")
    height, width = image.shape[1:3]
    if min(height, width) < MIN_SIZE:
        raise ValueError(f"image: got {width} x {height} pixels, want at least {MIN_SIZE} x {MIN_SIZE}")
    gray = image[0].detach().to("cpu", torch.float32).mean(dim=-1).numpy()
    if not np.isfinite(gray).all():
        raise ValueError("image: got values that are not finite (NaN)")
    flat, body = _prepare(gray)
    numbers, quality = _fit(flat, body)
    fitted = quality >= MIN_QUALITY
    outline = _refine(_outlines(numbers)[0], flat, body) if fitted else _outlines(_USUAL)[0]
    right, left = (_whole(_fill(points, height, width)) for points in outline)
    return Anatomy(
        right, left, _heart(outline, height, width), _box(outline[0], height, width), _box(outline[1], height, width),
        fitted, quality,
    )  # fmt: skip


def _fill(points: np.ndarray, height: int, width: int, soft: float = 0.006) -> np.ndarray:
    """The inside of a polygon [P, 2] in image fractions as [height, width] with an edge ``soft`` image sides wide."""
    canvas = np.zeros((height, width), np.uint8)
    pixels = np.round((points * (width, height) - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [pixels], 255, cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), max(soft * min(height, width), 0.5))


def _whole(lung: np.ndarray) -> np.ndarray:
    """A lung field without the slivers that a crossing outline leaves."""
    radius = max(1, round(0.03 * min(lung.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(lung, cv2.MORPH_OPEN, kernel)


def _box(points: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    (x0, y0), (x1, y1) = (points * (width, height)).min(axis=0), (points * (width, height)).max(axis=0)
    return max(0, int(x0)), max(0, int(y0)), min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))


def _heart(outline: np.ndarray, height: int, width: int) -> np.ndarray:
    """The heart as the ellipse that fits between the lungs' medial outlines over the lower half of the chest."""
    right, left = outline
    top, base = (min(r, q) for r, q in ((right[:, 1].min(), left[:, 1].min()), (right[:, 1].max(), left[:, 1].max())))
    level = top + 0.72 * (base - top)
    inner_right, inner_left = (_medial(points, level, side) for points, side in ((right, -1), (left, 1)))
    middle, half = 0.5 * (inner_right + inner_left), 0.5 * (inner_left - inner_right)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    reach = 0.26 * (base - top)
    ellipse = np.stack([middle + half * np.cos(angle), level + reach * np.sin(angle)], axis=1)
    return _fill(ellipse, height, width)


def _medial(points: np.ndarray, level: float, side: int) -> float:
    """x of the outline's medial border at a height; side -1 is the lung on the image's left."""
    near = points[np.abs(points[:, 1] - level) < 0.08]
    near = points if len(near) == 0 else near
    return float(near[:, 0].max() if side < 0 else near[:, 0].min())


def roi(anatomy: Anatomy, rule: str, side: str = "") -> np.ndarray:
    """A region of a chest.

    Args:
        anatomy: of `locate`.
        rule: one of RULES. heart: it and where it grows to. lungs: both with the hila between them. lung: the side's.
            lung base: its lower part with the costophrenic angle. mediastinum: what lies between the lungs. chest: the
            lungs, what lies between them and the chest wall.
        side: "left", "right" (the patient's), "bilateral" or "" for both; of one lung and its parts only.

    Returns:
        [H, W] float32 in [0, 1] with soft edges.

    Raises:
        ValueError: for another rule or side.
    """
    if rule not in RULES:
        raise ValueError(f"rule: got {rule!r}, want one of {', '.join(RULES)}")
    if side not in (*SIDES, ""):
        raise ValueError(f"side: got {side!r}, want one of {', '.join(SIDES)} or none")
    height, width = anatomy.right.shape
    lungs = {"right": anatomy.right, "left": anatomy.left}
    sides = [side] if side in lungs else ["right", "left"]
    top = min(anatomy.right_box[1], anatomy.left_box[1])
    base = max(anatomy.right_box[3], anatomy.left_box[3])
    region = np.zeros((height, width), np.float32)
    if rule == "heart":
        # the heart grows to the patient's left and down most of all
        near, far = _grow(anatomy.heart, 0.08), _shifted(_grow(anatomy.heart, 0.10), 0.12)
        region = np.maximum(near, far)
        region[: int(top + 0.40 * (base - top))] = 0
    elif rule == "lung base":
        for name in sides:
            region = np.maximum(region, _grow(_lower_part(anatomy, name, 0.32), 0.035))
    elif rule == "lung" or rule in ZONES:
        for name in sides:
            region = np.maximum(region, _grow(lungs[name], 0.01))
        begin, end = ZONES.get(rule, (0.0, 1.0))
        if begin > 0:
            region[: int(top + begin * (base - top))] = 0
        if end < 1:
            region[int(top + end * (base - top)) :] = 0
    elif rule == "mediastinum":
        apart = np.maximum(anatomy.right, anatomy.left) > 0.5
        region = _grow((_hull(apart) & ~apart).astype(np.float32), 0.03)
    elif rule == "chest":
        region = _grow(_hull(np.maximum(anatomy.right, anatomy.left) > 0.5).astype(np.float32), 0.08)
    else:
        region = _grow(anatomy.lungs, 0.025)
    soft = np.clip(cv2.GaussianBlur(region, (0, 0), 0.014 * min(height, width)), 0, 1)
    return np.where(soft < 1 / 255, 0, soft).astype(np.float32)  # what an 8-bit mask shows as 0 is 0


def _hull(mask: np.ndarray) -> np.ndarray:
    """The convex hull of a bool mask."""
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull = np.zeros(mask.shape, np.uint8)
    return (cv2.fillPoly(hull, [cv2.convexHull(points)], 1) if len(points) else hull) > 0


def _lower_part(anatomy: Anatomy, name: str, start: float) -> np.ndarray:
    """Hull of a lung below ``start`` of its height.

    Fluid hides the lung's true base, so the other lung, mirrored at the midline, says how far down it went.
    """
    own, other = (anatomy.right, anatomy.left) if name == "right" else (anatomy.left, anatomy.right)
    own_box, other_box = anatomy.right_box, anatomy.left_box
    middle = 0.25 * (own_box[0] + own_box[2] + other_box[0] + other_box[2])
    columns = np.round(2 * middle - 1 - np.arange(own.shape[1])).astype(int)
    there = (columns >= 0) & (columns < own.shape[1])
    mirrored = np.where(there, other[:, np.clip(columns, 0, own.shape[1] - 1)], 0)
    part = np.maximum(own, mirrored)
    top, base = min(own_box[1], other_box[1]), max(own_box[3], other_box[3])
    part[: int(top + start * (base - top))] = 0
    points = np.argwhere(part > 0.5)[:, ::-1].astype(np.int32)
    if len(points):
        cv2.fillPoly(part, [cv2.convexHull(points)], 1.0)
    return part.astype(np.float32)


def _grow(mask: np.ndarray, by: float) -> np.ndarray:
    radius = max(1, round(by * min(mask.shape)))
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def _shifted(mask: np.ndarray, by: float) -> np.ndarray:
    """The mask moved towards the patient's left (the image's right) by a fraction of the width."""
    step = round(by * mask.shape[1])
    return np.pad(mask, ((0, 0), (step, 0)))[:, : mask.shape[1]]


def chest_roi(image: Tensor, rule: str, side: str = "", strict: bool = False) -> tuple[Tensor, str]:
    """A region of a frontal chest X-ray.

    Args:
        image: [B, H, W, C] in [0, 1], of which the first is looked at.
        rule: one of RULES.
        side: as for `roi`.
        strict: where no chest is found, an error in place of the region of a usual chest.

    Returns:
        (mask [H, W] float32 in [0, 1], a sentence about it).

    Raises:
        ValueError: as `locate` and `roi`, and with ``strict`` where no chest is found.
    """
    anatomy = locate(image)
    mask = torch.from_numpy(roi(anatomy, rule, side))
    if anatomy.fitted:
        return mask, f"lung fields found (contrast {anatomy.quality:.2f})"
    unlike = f"this does not look like a frontal chest X-ray (contrast {anatomy.quality:.2f}, want {MIN_QUALITY:.2f})"
    if strict:
        raise ValueError(f"image: {unlike}; draw a mask of your own")
    return mask, f"{unlike}: the region is that of a usual chest; draw a mask of your own instead"
