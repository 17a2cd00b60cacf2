"""The anatomy of one real frontal film: lungs, midline, heart, diaphragm, and how bright its soft tissue is.

The patient's right lung is on the image's left. A film whose lungs are not found whole, alike and dark has no anatomy:
nothing is drawn on it.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .film import blur, blur_inside, smoothstep, to_attenuation
from .lungs import segment

SIDES = ("right", "left")
SIGNS = {"right": -1, "left": 1}
LEAST = 128


@dataclass(frozen=True)
class Lung:
    """One lung of a film [H, W].

    field: [H, W] in [0, 1]. top, foot, base: rows of the apex and of the cardio- and the costophrenic angle. medial,
    lateral: [H] x of its borders, continued above and below. floor: [W] row of the diaphragm. across: [H, W] 0 at the
    medial border, 1 at the chest wall. half: [H, W] 0 at the midline, 1 at the chest wall. down: [H, W] 0 at the apex,
    1 at the base.
    """

    side: str
    field: np.ndarray
    top: float
    foot: float
    base: float
    medial: np.ndarray
    lateral: np.ndarray
    floor: np.ndarray
    across: np.ndarray
    half: np.ndarray
    down: np.ndarray

    @property
    def sign(self) -> int:
        return SIGNS[self.side]

    @property
    def height(self) -> float:
        return self.base - self.top


@dataclass(frozen=True)
class Chest:
    """A film's anatomy and what its drawings share.

    attenuation: [H, W]. tissue: [H, W] attenuation of soft tissue in place of lung, smooth. detail: [H, W] ribs and
    vessels, without the steps at the lungs' borders. grain: [H, W] the film's noise, as strong as over soft tissue.
    lungs: by the patient's side. middle: [H] x of the midline. ratio: cardiothoracic ratio.
    """

    attenuation: np.ndarray
    tissue: np.ndarray
    detail: np.ndarray
    grain: np.ndarray
    lungs: dict[str, Lung]
    middle: np.ndarray
    ratio: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.attenuation.shape  # type: ignore[return-value]

    @property
    def side(self) -> int:
        return min(self.shape)

    @property
    def fields(self) -> np.ndarray:
        """Both lung fields, [H, W]."""
        return np.maximum(self.lungs["right"].field, self.lungs["left"].field)


def _largest(mask: np.ndarray) -> np.ndarray:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return np.zeros_like(mask, dtype=bool)
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _smooth(values: np.ndarray, pixels: float) -> np.ndarray:
    return cv2.GaussianBlur(values.astype(np.float32)[None], (0, 0), max(pixels, 0.5), borderType=cv2.BORDER_REPLICATE)[
        0
    ]


def _borders(mask: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """(medial [H], lateral [H], top, foot, base) of a lung's mask; the borders go on above and below it."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask.argmax(axis=1)[rows]
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)[rows]
    medial, lateral = (last, first) if side == "right" else (first, last)
    sign, y = SIGNS[side], np.arange(len(mask))
    # the medial border ends at the cardiophrenic angle, the lowest point that is not far out; the dome begins there
    inward = sign * (medial - medial[: max(len(rows) // 2, 1)].mean())
    reach = np.abs(lateral - medial).max()
    lower = np.arange(len(rows)) > 0.5 * len(rows)
    angle = int(np.argmax(np.where(lower & (inward < 0.7 * reach), rows - 0.5 * np.maximum(inward, 0), -np.inf)))
    start = int(0.05 * len(rows))
    kept = slice(start, max(angle, start + 2))
    inner = _smooth(np.interp(y, rows[kept], medial[kept]), 0.01 * len(mask))
    outer = _smooth(np.interp(y, rows, sign * np.maximum.accumulate(sign * lateral)), 0.01 * len(mask))
    return inner, outer, float(rows[0]), float(rows[kept][-1]), float(rows[-1])


def _between(x: np.ndarray, start: np.ndarray, end: np.ndarray, least: int) -> np.ndarray:
    """x [H, W] on the scale of each row on which start [H] is 0 and end [H] is 1; at least as far as ``least``."""
    reach = end - start
    reach = np.where(reach * np.sign(least) < abs(least), least, reach)
    return ((x - start[:, None]) / reach[:, None]).astype(np.float32)


def _floor(mask: np.ndarray) -> np.ndarray:
    """[W] row of the lung's lower border, continued beside it."""
    columns = np.flatnonzero(mask.any(axis=0))
    lowest = len(mask) - 1 - mask[::-1].argmax(axis=0)[columns]
    inner = slice(int(0.06 * len(columns)), max(int(0.94 * len(columns)), 2))
    return _smooth(np.interp(np.arange(mask.shape[1]), columns[inner], lowest[inner]), 0.01 * mask.shape[1])


def _plausible(masks: list[np.ndarray], chances: np.ndarray, film: np.ndarray) -> bool:
    """Two whole lungs of like size and height, found with confidence, darker than what lies between them."""
    height, width = film.shape
    boxes = []
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) < 0.2 * height or len(columns) < 0.1 * width:
            return False
        boxes.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    (rx0, ry0, rx1, ry1), (lx0, ly0, lx1, ly1) = boxes
    areas = [mask.sum() / min(film.shape) ** 2 for mask in masks]
    sure = [chance[mask].mean() for chance, mask in zip(chances, masks, strict=True)]
    margin = 0.01 * width
    apart = 0.5 * (lx0 + lx1) - 0.5 * (rx0 + rx1)
    between = film[int(0.3 * ry0 + 0.7 * ry1) - 4 : int(0.3 * ry0 + 0.7 * ry1) + 4, max(rx1 - 4, 0) : max(lx0 + 4, rx1)]
    inside = np.mean([np.median(film[mask]) for mask in masks])
    return bool(
        min(areas) > 0.045
        and 0.5 < areas[0] / areas[1] < 2.0
        and min(sure) > 0.93
        and apart > 0.2 * width
        and abs(ry0 - ly0) < 0.09 * height
        and abs(ry1 - ly1) < 0.2 * height
        and rx0 > margin
        and lx1 < width - margin
        and max(ry1, ly1) < 0.985 * height
        and between.size > 0
        and between.mean() - inside > 0.04
    )


def _midline(lungs: dict[str, tuple[np.ndarray, np.ndarray, float, float, float]], height: int) -> np.ndarray:
    """[H] x of the spine: a straight line through the middle between the walls and between the upper lungs."""
    (medial_r, lateral_r, top_r, _, base_r), (medial_l, lateral_l, top_l, _, base_l) = lungs["right"], lungs["left"]
    top, base = max(top_r, top_l), min(base_r, base_l)
    rows = np.arange(int(top + 0.25 * (base - top)), int(top + 0.85 * (base - top)))
    tilt = np.polyfit(rows, 0.5 * (lateral_r + lateral_l)[rows], 1)[0]
    upper = np.arange(int(top + 0.12 * (base - top)), int(top + 0.4 * (base - top)))
    centre = float((0.5 * (medial_r + medial_l)[upper]).mean())
    walls = float((0.5 * (lateral_r + lateral_l)[upper]).mean())
    return (0.7 * centre + 0.3 * walls + tilt * (np.arange(height) - upper.mean())).astype(np.float32)


def fit(film: np.ndarray) -> Chest | None:
    """The anatomy of a frontal film [H, W] float32 in [0, 1], or None where it is not found.

    Raises:
        ValueError: another shape, sides below 128 pixels or values outside [0, 1].
    """
    if film.ndim != 2 or min(film.shape) < LEAST:
        raise ValueError(f"image: got shape {film.shape}, want [H, W] of at least {LEAST} x {LEAST}")
    if not (np.isfinite(film).all() and film.min() >= 0 and film.max() <= 1):
        raise ValueError(f"image: got values from {film.min()} to {film.max()}, want values in [0, 1]")
    height, width = film.shape
    chances = np.stack([cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) for c in segment(film)])
    masks = [_largest(chance > 0.5) for chance in chances]
    if not _plausible(masks, chances, film):
        return None
    borders = {side: _borders(mask, side) for side, mask in zip(SIDES, masks, strict=True)}
    middle = _midline(borders, height)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    lungs = {}
    for side, mask, chance in zip(SIDES, masks, chances, strict=True):
        medial, lateral, top, foot, base = borders[side]
        near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        soft = np.where(near, smoothstep(blur(chance, 0.004), 0.2, 0.8), 0).astype(np.float32)
        lungs[side] = Lung(
            side, soft, top, foot, base, medial, lateral, _floor(mask),
            across=_between(x, medial, lateral, 4 * SIGNS[side]),
            half=_between(x, middle, lateral, 8 * SIGNS[side]),
            down=((y - top) / (base - top)).astype(np.float32),
        )  # fmt: skip
    attenuation = to_attenuation(film)
    return Chest(attenuation, *_tissue(attenuation, lungs, middle), lungs, middle, _ratio(lungs))


def _ratio(lungs: dict[str, Lung]) -> float:
    """Cardiothoracic ratio: the widest heart over the widest chest."""
    right, left = lungs["right"], lungs["left"]
    top, foot = max(right.top, left.top), max(right.foot, left.foot)
    rows = slice(int(top + 0.5 * (foot - top)), int(foot) + 1)
    return float((left.medial - right.medial)[rows].max() / (left.lateral - right.lateral)[rows].max())


def _tissue(
    attenuation: np.ndarray, lungs: dict[str, Lung], middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tissue, detail, grain) of `Chest`."""
    height, width = attenuation.shape
    side = min(height, width)
    fields = np.maximum(lungs["right"].field, lungs["left"].field)
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None]
    solid = np.zeros_like(attenuation)
    for lung in lungs.values():
        inner, outer = sorted((float(middle.mean()), float(np.median(lung.lateral))))
        below = (y > lung.floor[None] + 0.02 * side) & (y < lung.floor[None] + 0.14 * side) & (x > inner) & (x < outer)
        solid[below] = 1
    right, left = lungs["right"], lungs["left"]
    between = (x > right.medial[:, None] + 0.02 * side) & (x < left.medial[:, None] - 0.02 * side)
    solid[between & (y > min(right.top, left.top)) & (y < max(right.base, left.base))] = 1
    for lung in lungs.values():
        out = lung.sign * (x - lung.lateral[:, None])
        wall = (out > 0.012 * side) & (out < 0.035 * side) & (lung.down > 0.2) & (lung.down < 1)
        solid[wall] = 0.5
    solid *= fields < 0.05
    # what is darker than the tissue round it is gas: of the stomach, of the trachea
    solid *= smoothstep(attenuation / np.maximum(blur_inside(attenuation, solid, 0.08), 1e-3), 0.8, 0.97)
    tissue = blur_inside(attenuation, solid, 0.055)
    lung = (fields > 0.5).astype(np.float32)
    detail = np.where(
        lung > 0,
        attenuation - blur_inside(attenuation, lung, 0.035),
        attenuation - blur_inside(attenuation, 1 - lung, 0.035),
    )
    # the fit of a border is a pixel or two off: the step there is no detail
    limit = 2.0 * np.percentile(np.abs(detail[lung > 0]), 75)
    detail = np.clip(detail, -limit, limit) * smoothstep(np.abs(blur(lung, 0.014) - 0.5), 0.25, 0.49)
    # higher up the chest is thinner
    down = np.clip(0.5 * (right.down + left.down), 0, 1)
    tissue = tissue * (0.90 + 0.09 * down)
    fine = attenuation - blur(attenuation, 0.004)
    there = fine[solid > 0.5]
    noise = 1.48 * float(np.median(np.abs(there))) if len(there) else 0.0
    grain = np.clip(fine, -2.5 * noise, 2.5 * noise)
    return tissue.astype(np.float32), (detail - grain).astype(np.float32), grain.astype(np.float32)
