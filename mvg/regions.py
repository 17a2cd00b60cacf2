"""Where a disease shows in a colour fundus photograph and in a dermoscopic image: soft regions by classical means.

Fundus: the lit field is what is not dark, the optic disc is the bright compact spot that vessels run to (brightness
and vessel convergence, after Hoover and Goldbaum, IEEE TMI 22(8), 2003), the fovea the dark spot beside it, and
diabetic retinopathy shows in the posterior pole between and around the arcades.
Skin: hairs go by a morphological black-hat (Lee et al., DullRazor, 1997), skin is a plane in CIELAB fitted to the
surroundings, the lesion is what lies far from it by Otsu's threshold, and a melanoma reaches out along the long axis
to the darker end.
Both work at one small size, so that a region depends little on how many pixels the image has.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

MIN_SIZE = 32
_WORK = 256  # pixels of the longer side
# Fundus; lengths in radii of the lit field
MIN_FIELD = 0.15  # of the image
DISC_RADII = (0.11, 0.135, 0.16, 0.185)
FOVEA_DISTANCE, FOVEA_DROP = (0.55, 0.95), 0.08
# How far the pole reaches from the fovea past the disc, to the temporal side, up and down: in distances from fovea to
# disc, and the least in radii of the field, as that distance is foreshortened where the disc is at the field's edge.
POLE_NASAL, POLE_TEMPORAL, POLE_TALL = 1.42, 0.82, 1.36
LEAST_TEMPORAL, LEAST_TALL = 0.70, 0.95
SURE_DISC = 2.3  # phantoms and photographs have 3 or more, pictures of skin 1.6 or less
# Skin
# CIELAB distance of lesion and skin: the least, the least of a small spot (skin is mottled), what is no longer faint
MIN_CONTRAST, MIN_SPOT_CONTRAST, SURE_CONTRAST = 4.0, 6.0, 8.0
SPOT = 0.05  # of the image
MIN_LESION = 0.0015  # of the image
GAP = 0.05  # between pieces of one lesion, of the image's longer side
GROWTH = 1.6  # of a small lesion, in its own radii
REACH = 0.185  # of any other, of the image's shorter side
TOWARDS = 0.7  # how much further the region goes at the darker end, of that growth


def _picture(image: Tensor) -> np.ndarray:
    """The first picture of [B, H, W, 3] as [H, W, 3] float32. ValueError for what is no colour image in [0, 1]."""
    if image.ndim != 4:
        raise ValueError(f"image: got {image.ndim} axes, want [B, H, W, 3]")
    batch, height, width, channels = image.shape
    if channels != 3:
        raise ValueError(f"image: got {channels} channels, want 3 (red, green, blue)")
    if batch < 1:
        raise ValueError("image: got an empty batch, want at least one picture")
    if min(height, width) < MIN_SIZE:
        raise ValueError(f"image: got {width} x {height} pixels, want at least {MIN_SIZE} x {MIN_SIZE}")
    picture = image[0].detach().to("cpu", torch.float32).numpy()
    if not np.isfinite(picture).all():
        raise ValueError("image: got values that are not finite (NaN)")
    low, high = float(picture.min()), float(picture.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(f"image: got values from {low:g} to {high:g}, want them in [0, 1]")
    if high - low < 0.02 or float(picture.std(axis=(0, 1)).max()) < 0.004:
        raise ValueError(f"image: got a constant picture ({low:.3f} to {high:.3f}), want a photograph")
    if float(np.percentile(np.ptp(picture, axis=2), 99)) < 0.02:
        raise ValueError("image: got a grey picture (all channels equal), want a colour photograph")
    return picture


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = _WORK / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _full(mask: np.ndarray, height: int, width: int) -> Tensor:
    """A soft mask at the working size -> [height, width] float32 in [0, 1]."""
    large = np.clip(cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    return torch.from_numpy(np.where(large < 1 / 255, 0, large).astype(np.float32))  # 0 is what 8 bits show as 0


def _round(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(values.astype(np.float32), (0, 0), max(sigma, 0.3))


def _blur_in(values: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Blur that takes nothing from outside of the mask."""
    return _blur(values * inside, sigma) / (_blur(inside, sigma) + 1e-3)


def _filled(mask: np.ndarray) -> np.ndarray:
    """A bool mask without holes."""
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0


# ---------------------------------------------------------------------------------------------------------- fundus


@dataclass(frozen=True)
class Fundus:
    """What was found in a fundus photograph; lengths in pixels of the working size, points as (x, y).

    field: the lit field, [h, w] bool. radius: of that field. side: +1 where the disc lies on the right of the fovea.
    disc_score: brightness and vessels at the disc, below `SURE_DISC` for a guess.
    """

    field: np.ndarray
    radius: float
    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    side: int
    disc_score: float


def _field_of_view(small: np.ndarray) -> tuple[np.ndarray, tuple[float, float], float]:
    """The lit field [h, w] bool, its centre and its radius. ValueError where there is none."""
    bright = _blur(small.max(axis=2), 1.0)
    lit = (bright > max(0.07, 0.22 * float(np.percentile(bright, 95)))).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(lit, cv2.MORPH_OPEN, _round(3)))
    share = 0.0
    if count > 1:
        lit = _filled(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
        share = float(lit.mean())
    if share < MIN_FIELD:
        raise ValueError(
            f"image: got no field of view (lit part {share:.2f} of the picture, want {MIN_FIELD} or more), "
            "want a colour fundus photograph"
        )
    red, green, blue = small[lit].mean(axis=0)
    if red < 1.1 * max(green, blue):
        raise ValueError(
            f"image: got no field of view (the lit part is R {red:.2f}, G {green:.2f}, B {blue:.2f}; a retina is red), "
            "want a colour fundus photograph"
        )
    ys, xs = np.nonzero(lit)
    # the frame often cuts the circle at top and bottom, seldom at the sides; percentiles leave the notch's tab out
    (x0, x1), (y0, y1) = np.percentile(xs, (0.2, 99.8)), np.percentile(ys, (0.2, 99.8))
    return lit, (0.5 * (x0 + x1), 0.5 * (y0 + y1)), 0.5 * max(x1 - x0, y1 - y0)


def _vessels(green: np.ndarray, field: np.ndarray, radius: float) -> np.ndarray:
    """Dark thin lines of the green channel, [h, w] >= 0 of about unit spread, nothing near the field's border."""
    filled = np.where(field, green, np.median(green[field])).astype(np.float32)
    dark = cv2.morphologyEx(filled, cv2.MORPH_BLACKHAT, _round(0.05 * radius))
    inner = cv2.erode(field.astype(np.uint8), _round(0.06 * radius), borderValue=0)
    return dark * inner / (dark[inner > 0].std() + 1e-6)


def _find_disc(small: np.ndarray, field: np.ndarray, centre, radius: float) -> tuple[float, float, float, float]:
    """(x, y, radius, score) of the optic disc."""
    # green tells the disc from the retina, red tells it from exudates, which are yellow and no brighter in red
    light = _blur_in(0.6 * small[..., 1] + 0.4 * small[..., 0], field, 1.0)
    flat = np.where(field, light - _blur_in(light, field, 0.35 * radius), 0)
    flat /= flat[field].std() + 1e-6
    vessels = np.minimum(_vessels(small[..., 1], field, radius), 3.0)
    height, width = field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = (x - centre[0]) / radius, (y - centre[1]) / radius
    # vessels leave the disc upwards and downwards
    tall = (round(0.2 * radius) | 1, round(0.6 * radius) | 1)
    busy = cv2.GaussianBlur(vessels.astype(np.float32), tall, 0.09 * radius, sigmaY=0.18 * radius)
    busy = (busy - busy[field].mean()) / (busy[field].std() + 1e-6)
    prior = -((v / 0.35) ** 2) - 2.0 * np.clip(np.hypot(u, v) - 0.9, 0, None) / 0.1
    best = (-np.inf, 0, 0, 0.0)
    for part in DISC_RADII:
        r = part * radius
        inner = _mean_disc(np.clip(flat, -2, 4), field, r)
        outer = _mean_disc(np.clip(flat, -2, 4), field, 1.9 * r)
        score = np.where(
            field, 1.3 * (inner - outer) + 0.45 * inner + 0.45 * np.clip(busy, -1, 2.5) + 0.35 * prior, -99
        )
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        if score[row, column] > best[0]:
            best = (float(score[row, column]), int(column), int(row), r)
    return float(best[1]), float(best[2]), best[3], best[0]


def _mean_disc(values: np.ndarray, inside: np.ndarray, radius: float) -> np.ndarray:
    kernel = _round(radius).astype(np.float32)
    border = cv2.BORDER_CONSTANT
    total = cv2.filter2D((values * inside).astype(np.float32), -1, kernel, borderType=border)
    return total / (cv2.filter2D(inside.astype(np.float32), -1, kernel, borderType=border) + 0.15 * kernel.sum())


def _find_fovea(small: np.ndarray, field: np.ndarray, centre, radius: float, disc) -> tuple[tuple[float, float], int]:
    """The fovea (x, y) and the side of the disc, +1 for right."""
    green = cv2.morphologyEx(small[..., 1], cv2.MORPH_CLOSE, _round(0.05 * radius))  # without vessels
    dark = -_blur_in(green, field, 0.05 * radius)
    dark = np.where(field, dark - _blur_in(dark, field, 0.35 * radius), -9)
    dark = dark / (dark[field].std() + 1e-6)
    height, width = field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    near, far = FOVEA_DISTANCE
    away = (disc[0] - centre[0]) / radius
    off_centre = 0.35 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (0.3 * radius) ** 2
    best: tuple[float, tuple[float, float], int] = (-np.inf, (0.0, 0.0), 1)
    for side in (1, -1):
        run, drop = -side * (x - disc[0]) / radius, (y - disc[1]) / radius
        unusual = ((run - 0.5 * (near + far)) / 0.15) ** 2 + ((drop - FOVEA_DROP) / 0.12) ** 2
        # pictures are centred near the macula
        score = dark - 0.35 * unusual + 3.0 * side * np.clip(away, -0.5, 0.5) - off_centre
        score[(run < near) | (run > far) | (np.abs(drop - FOVEA_DROP) > 0.3)] = -99
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        if score[row, column] > best[0]:
            best = (float(score[row, column]), (float(column), float(row)), side)
    return best[1], best[2]


def find_fundus(image: Tensor) -> Fundus:
    """Lit field, optic disc and fovea of the first picture of [B, H, W, 3] in [0, 1], a colour fundus photograph.

    ValueError as `fundus_roi`.
    """
    small = _small(_picture(image))
    field, centre, radius = _field_of_view(small)
    x, y, disc_radius, score = _find_disc(small, field, centre, radius)
    fovea, side = _find_fovea(small, field, centre, radius, (x, y))
    return Fundus(field, radius, (x, y), disc_radius, fovea, side, score)


def fundus_roi(image: Tensor) -> tuple[Tensor, str]:
    """-> (mask [H, W] float32 in [0, 1] of where diabetic retinopathy shows, a sentence about it).

    image: [B, H, W, 3] in [0, 1], of which the first is looked at: the posterior pole around arcades and macula within
    the lit field, without the optic disc, with soft edges.
    ValueError for another shape, sides below 32 pixels, values that are not finite or not in [0, 1], a constant or a
    grey picture, and where there is no lit red field.
    """
    found = find_fundus(image)
    disc, fovea = np.array(found.disc), np.array(found.fovea)
    apart = float(np.hypot(*(disc - fovea)))
    along = (disc - fovea) / apart
    height, width = found.field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    nasal, temporal = POLE_NASAL * apart, max(POLE_TEMPORAL * apart, LEAST_TEMPORAL * found.radius)
    tall = max(POLE_TALL * apart, LEAST_TALL * found.radius)
    middle = fovea + 0.5 * (nasal - temporal) * along
    u = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / (0.5 * (nasal + temporal))
    v = ((y - middle[1]) * along[0] - (x - middle[0]) * along[1]) / tall
    pole = (np.abs(u) ** 2.5 + np.abs(v) ** 2.5) < 1
    spot = np.hypot(x - disc[0], y - disc[1]) < found.disc_radius
    mask = _blur(pole & found.field & ~spot, 0.02 * found.radius)
    where = "right" if found.side > 0 else "left"
    words = f"lit field, optic disc ({where} of the fovea) and fovea found"
    if found.disc_score < SURE_DISC:
        words += f"; the disc is a guess (score {found.disc_score:.1f}, want {SURE_DISC}), so check the mask"
    return _full(mask, *image.shape[1:3]), words


# ------------------------------------------------------------------------------------------------------------ skin


@dataclass(frozen=True)
class Lesion:
    """The pigmented lesion of a dermoscopic image at the working size.

    inside: [h, w] bool. centre: (x, y). axis: unit vector (x, y) along the long axis to the darker end. radius: of the
    circle of equal area, in pixels. contrast: CIELAB distance (CIE76) of lesion and skin.
    """

    inside: np.ndarray
    centre: tuple[float, float]
    axis: tuple[float, float]
    radius: float
    contrast: float


def _without_hairs(small: np.ndarray) -> np.ndarray:
    """The picture with thin dark lines (hairs, ticks of a ruler) painted over from beside them."""
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    lines = np.zeros_like(grey)
    length = 15
    # a line is darker than what a closing along or across leaves of it in at least one direction
    for kernel in (
        np.ones((1, length), np.uint8),
        np.ones((length, 1), np.uint8),
        np.eye(length - 4, dtype=np.uint8),
        np.eye(length - 4, dtype=np.uint8)[::-1].copy(),
    ):
        lines = np.maximum(lines, cv2.morphologyEx(grey, cv2.MORPH_CLOSE, kernel) - grey)
    hair = (lines > 0.10).astype(np.uint8)
    # lines are long: what a small opening leaves is no hair, and short bits are the lesion's own texture
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hair)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    thin = stats[:, cv2.CC_STAT_AREA] < 0.35 * extent**2
    keep = [i for i in range(1, count) if extent[i] > 0.06 * _WORK and thin[i]]
    hair = cv2.dilate(np.isin(labels, keep).astype(np.uint8), np.ones((3, 3), np.uint8))
    if hair.mean() > 0.3:  # that is no hair but the texture of the picture
        return small
    eight = np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.where(hair[..., None] > 0, cv2.inpaint(eight, hair, 3, cv2.INPAINT_TELEA) / np.float32(255), small)


def _lit(small: np.ndarray) -> np.ndarray:
    """[h, w] bool without the black corners round a dermoscope's circle."""
    bright = _blur(small.max(axis=2), 1.5)
    dark = (bright < 0.45 * np.percentile(bright, 80)).astype(np.uint8)
    height, width = dark.shape
    _, labels = cv2.connectedComponents(dark)
    corners = {int(labels[r, c]) for r in (0, height - 1) for c in (0, width - 1)} - {0}
    # a lesion that reaches a corner also covers the middle
    middle = set(np.unique(labels[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]).tolist())
    outside = np.isin(labels, sorted(corners - middle)).astype(np.uint8)
    return cv2.dilate(outside, _round(0.03 * _WORK)) == 0 if outside.any() else np.ones(dark.shape, bool)


def _skin_plane(lab: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """CIELAB of the bare skin at every pixel [h, w, 3]: planes fitted to the surroundings without outliers."""
    height, width = lit.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = 2 * x / width - 1, 2 * y / height - 1
    terms = np.stack([np.ones_like(u), u, v], axis=-1)
    around = lit & (np.hypot(u, v) > 0.75)
    # much of the surroundings may be lesion, which is darker: the skin is the brighter half of it
    grey = lab[..., 0]
    skin = around & (grey >= np.percentile(grey[around], 40))
    colour = np.median(lab[skin], axis=0)
    plane = np.broadcast_to(colour, lab.shape)
    for _ in range(6):
        off = np.linalg.norm(lab - plane, axis=-1)
        limit = 2.5 * max(float(np.median(off[skin])), 1.5)
        skin = lit & (off < limit)
        if skin.sum() < 50:
            break
        weights = np.linalg.lstsq(terms[skin], lab[skin], rcond=None)[0]
        weights[1:] = np.clip(weights[1:], -12, 12)  # light falls off; a steeper plane has caught the lesion
        plane = terms @ weights
    return plane


def _difference(lab: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """CIELAB distance [h, w] from the skin; what is brighter than skin (glints, bubbles) counts by its colour only."""
    off = lab - plane
    off[..., 0] = np.minimum(off[..., 0], 0)
    return np.linalg.norm(off, axis=-1).astype(np.float32)


def _central_part(mask: np.ndarray, difference: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """The component [h, w] bool that is large, strong and in the middle, with its like beside it; all False if none."""
    count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    height, width = mask.shape
    best, best_score = 0, 0.0
    for i in range(1, count):
        area = stats[i, cv2.CC_STAT_AREA]
        if area < MIN_LESION * mask.size:
            continue
        u, v = 2 * centres[i][0] / width - 1, 2 * centres[i][1] / height - 1
        score = area**0.5 * float(difference[labels == i].mean()) * np.exp(-(u**2 + v**2) / (2 * 0.40**2))
        if score > best_score:
            best, best_score = i, score
    part = labels == best if best else np.zeros(mask.shape, bool)
    near = cv2.dilate(part.astype(np.uint8), _round(GAP * _WORK)) > 0
    colour, area = lab[part].mean(axis=0) if best else np.zeros(3), stats[best, cv2.CC_STAT_AREA]
    for i in np.unique(labels[near]):
        # regressing lesions fall to pieces; ink beside a lesion has another colour
        alike = np.linalg.norm(lab[labels == i].mean(axis=0) - colour) < 15
        if i and stats[i, cv2.CC_STAT_AREA] > 0.1 * area and alike:
            part |= labels == i
    return part


def find_lesion(image: Tensor) -> Lesion:
    """The pigmented lesion of the first picture of [B, H, W, 3] in [0, 1], a dermoscopic image.

    ValueError as `skin_roi`.
    """
    small = _without_hairs(_small(_picture(image)))
    lit = _lit(small)
    lab = cv2.cvtColor(_blur(np.clip(small, 0, 1), 1.5), cv2.COLOR_RGB2Lab).astype(np.float64)
    difference = np.where(lit, _difference(lab, _skin_plane(lab, lit)), 0).astype(np.float32)
    high = max(float(np.percentile(difference[lit], 99.5)), 1e-3)
    eight = np.clip(difference * (255 / high), 0, 255).astype(np.uint8)
    threshold = cv2.threshold(eight[lit][None], 0, 255, cv2.THRESH_OTSU)[0] * high / 255
    mask = (difference > threshold).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _round(2))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _round(0.02 * _WORK))
    inside = _filled(_central_part(mask, difference, lab))
    contrast = 0.0
    if inside.any():
        near = cv2.dilate(inside.astype(np.uint8), _round(0.08 * _WORK)) > 0
        skin = lit & near & ~(cv2.dilate(inside.astype(np.uint8), _round(3)) > 0)
        contrast = float(np.median(difference[inside])) - (float(np.median(difference[skin])) if skin.any() else 0.0)
    wanted = MIN_CONTRAST if inside.mean() > SPOT else MIN_SPOT_CONTRAST
    if contrast < wanted:
        raise ValueError(
            f"image: got no lesion that stands out from the skin (CIELAB distance {contrast:.1f}, "
            f"want {wanted:.0f} or more), want a dermoscopic image of a pigmented lesion"
        )
    ys, xs = np.nonzero(inside)
    points = np.stack([xs, ys], axis=1).astype(np.float64)
    centre = points.mean(axis=0)
    axis = np.linalg.eigh(np.cov((points - centre).T))[1][:, -1]
    darkness = difference[inside].astype(np.float64) ** 2
    towards = (points * darkness[:, None]).sum(axis=0) / darkness.sum() - centre
    axis = axis if axis @ towards >= 0 else -axis
    radius = float(np.sqrt(len(points) / np.pi))
    return Lesion(inside, (centre[0], centre[1]), (axis[0], axis[1]), radius, contrast)


def skin_roi(image: Tensor) -> tuple[Tensor, str]:
    """-> (mask [H, W] float32 in [0, 1] of where a melanoma would show, a sentence about it).

    image: [B, H, W, 3] in [0, 1], of which the first is looked at: the pigmented lesion and a margin round it, wider
    along the long axis towards the darker end, with soft edges.
    ValueError for another shape, sides below 32 pixels, values that are not finite or not in [0, 1], a constant or a
    grey picture, and where nothing stands out from the skin.
    """
    found = find_lesion(image)
    height, width = found.inside.shape
    margin = min(GROWTH * found.radius, REACH * min(height, width))
    grown = cv2.dilate(found.inside.astype(np.uint8), _round(margin))
    step = TOWARDS * margin * np.array(found.axis)
    moved = cv2.warpAffine(grown, np.array([[1, 0, step[0]], [0, 1, step[1]]], np.float32), (width, height))
    reach = np.maximum(grown, moved)
    mask = _blur(reach, 0.012 * _WORK)
    share = float(found.inside.mean())
    words = f"lesion found ({share:.0%} of the picture, CIELAB distance {found.contrast:.0f} from the skin)"
    if found.contrast < SURE_CONTRAST:
        words += f"; it is faint (want {SURE_CONTRAST:.0f} or more), so check the mask"
    return _full(mask, *image.shape[1:3]), words
