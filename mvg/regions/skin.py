"""Where a lesion shows in a dermoscopic image, and where it can grow to: a soft region by classical means.

Hairs go by a morphological black-hat (Lee et al., DullRazor, 1997), skin is a plane in CIELAB fitted to the
surroundings, the lesion is what lies far from it by Otsu's threshold, and it can grow by as much on every side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from .picture import WORK, blur, checked_picture, disc_kernel, filled, full_size, working_size

# CIELAB distance of lesion and skin: the least, the least of a small spot (skin is mottled), what is no longer faint
MIN_CONTRAST, MIN_SPOT_CONTRAST, SURE_CONTRAST = 4.0, 6.0, 8.0
SPOT = 0.05  # of the image
MIN_LESION = 0.0015  # of the image
GAP = 0.05  # between pieces of one lesion, of the image's longer side
GROWTH = 1.6  # of a small lesion, in its own radii
REACH = 0.235  # of any other, of the image's shorter side


@dataclass(frozen=True)
class Lesion:
    """The pigmented lesion of a dermoscopic image at the working size.

    inside: [h, w] bool. radius: of the circle of equal area, in pixels. contrast: CIELAB distance (CIE76) of lesion and
    skin.
    """

    inside: np.ndarray
    radius: float
    contrast: float


def _without_hairs(small: np.ndarray) -> np.ndarray:
    """The picture with thin dark lines (hairs, ticks of a ruler) painted over from beside them."""
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    lines = np.zeros_like(gray)
    length = 15
    # a line is darker than what a closing along or across leaves of it in at least one direction
    for kernel in (
        np.ones((1, length), np.uint8),
        np.ones((length, 1), np.uint8),
        np.eye(length - 4, dtype=np.uint8),
        np.eye(length - 4, dtype=np.uint8)[::-1].copy(),
    ):
        lines = np.maximum(lines, cv2.morphologyEx(gray, cv2.MORPH_CLOSE, kernel) - gray)
    hair = (lines > 0.10).astype(np.uint8)
    # lines are long: what a small opening leaves is no hair, and short bits are the lesion's own texture
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hair)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    thin = stats[:, cv2.CC_STAT_AREA] < 0.35 * extent**2
    keep = [i for i in range(1, count) if extent[i] > 0.06 * WORK and thin[i]]
    hair = cv2.dilate(np.isin(labels, keep).astype(np.uint8), np.ones((3, 3), np.uint8))
    if hair.mean() > 0.3:  # that is no hair but the texture of the picture
        return small
    eight = np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.where(hair[..., None] > 0, cv2.inpaint(eight, hair, 3, cv2.INPAINT_TELEA) / np.float32(255), small)


def _lit(small: np.ndarray) -> np.ndarray:
    """[h, w] bool without the black corners round a dermoscope's circle."""
    bright = blur(small.max(axis=2), 1.5)
    dark = (bright < 0.45 * np.percentile(bright, 80)).astype(np.uint8)
    height, width = dark.shape
    _, labels = cv2.connectedComponents(dark)
    corners = {int(labels[r, c]) for r in (0, height - 1) for c in (0, width - 1)} - {0}
    # a lesion that reaches a corner also covers the middle
    middle = set(np.unique(labels[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]).tolist())
    outside = np.isin(labels, sorted(corners - middle)).astype(np.uint8)
    return cv2.dilate(outside, disc_kernel(0.03 * WORK)) == 0 if outside.any() else np.ones(dark.shape, bool)


def _skin_plane(lab: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """CIELAB of the bare skin at every pixel [h, w, 3]: planes fitted to the surroundings without outliers."""
    height, width = lit.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = 2 * x / width - 1, 2 * y / height - 1
    terms = np.stack([np.ones_like(u), u, v], axis=-1)
    around = lit & (np.hypot(u, v) > 0.75)
    around = around if around.any() else lit  # a circle that is small in its frame
    # much of the surroundings may be lesion, which is darker: the skin is the brighter half of it
    gray = lab[..., 0]
    skin = around & (gray >= np.percentile(gray[around], 40))
    color = np.median(lab[skin], axis=0)
    plane = np.broadcast_to(color, lab.shape)
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
    """CIELAB distance [h, w] from the skin; what is brighter than skin (glints, bubbles) counts by its color only."""
    off = lab - plane
    off[..., 0] = np.minimum(off[..., 0], 0)
    return np.linalg.norm(off, axis=-1).astype(np.float32)


def _central_part(mask: np.ndarray, difference: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """The component [h, w] bool that is large, strong and in the middle, with its like beside it; all False if none."""
    count, labels, stats, centers = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    height, width = mask.shape
    best, best_score = 0, 0.0
    for i in range(1, count):
        area = stats[i, cv2.CC_STAT_AREA]
        if area < MIN_LESION * mask.size:
            continue
        u, v = 2 * centers[i][0] / width - 1, 2 * centers[i][1] / height - 1
        score = area**0.5 * float(difference[labels == i].mean()) * np.exp(-(u**2 + v**2) / (2 * 0.40**2))
        if score > best_score:
            best, best_score = i, score
    part = labels == best if best else np.zeros(mask.shape, bool)
    near = cv2.dilate(part.astype(np.uint8), disc_kernel(GAP * WORK)) > 0
    color, area = lab[part].mean(axis=0) if best else np.zeros(3), stats[best, cv2.CC_STAT_AREA]
    for i in np.unique(labels[near]):
        # regressing lesions fall to pieces; ink beside a lesion has another color
        alike = np.linalg.norm(lab[labels == i].mean(axis=0) - color) < 15
        if i and stats[i, cv2.CC_STAT_AREA] > 0.1 * area and alike:
            part |= labels == i
    return part


def find_lesion(image: Tensor) -> Lesion:
    """The pigmented lesion of a dermoscopic image.

    Args:
        image: [B, H, W, 3] in [0, 1], of which the first is looked at.

    Returns:
        The lesion, at the working size.

    Raises:
        ValueError: as `skin_roi`.
    """
    small = _without_hairs(working_size(checked_picture(image)))
    lit = _lit(small)
    lab = cv2.cvtColor(blur(np.clip(small, 0, 1), 1.5), cv2.COLOR_RGB2Lab).astype(np.float64)
    difference = np.where(lit, _difference(lab, _skin_plane(lab, lit)), 0).astype(np.float32)
    high = max(float(np.percentile(difference[lit], 99.5)), 1e-3)
    eight = np.clip(difference * (255 / high), 0, 255).astype(np.uint8)
    threshold = cv2.threshold(eight[lit][None], 0, 255, cv2.THRESH_OTSU)[0] * high / 255
    mask = (difference > threshold).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc_kernel(2))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc_kernel(0.02 * WORK))
    inside = filled(_central_part(mask, difference, lab))
    contrast = 0.0
    if inside.any():
        near = cv2.dilate(inside.astype(np.uint8), disc_kernel(0.08 * WORK)) > 0
        skin = lit & near & ~(cv2.dilate(inside.astype(np.uint8), disc_kernel(3)) > 0)
        contrast = float(np.median(difference[inside])) - (float(np.median(difference[skin])) if skin.any() else 0.0)
    wanted = MIN_CONTRAST if inside.mean() > SPOT else MIN_SPOT_CONTRAST
    if contrast < wanted:
        raise ValueError(
            f"image: got no lesion that stands out from the skin (CIELAB distance {contrast:.1f}, "
            f"want {wanted:.0f} or more), want a dermoscopic image of a pigmented lesion"
        )
    return Lesion(inside, float(np.sqrt(inside.sum() / np.pi)), contrast)


def skin_roi(image: Tensor) -> tuple[Tensor, str]:
    """The pigmented lesion of a dermoscopic image and a margin round it, where it can grow to.

    Args:
        image: [B, H, W, 3] in [0, 1], of which the first is looked at.

    Returns:
        (mask [H, W] float32 in [0, 1] with soft edges, a sentence about it).

    Raises:
        ValueError: for another shape, sides below 32 pixels, values that are not finite or not in [0, 1], a constant or
            a gray picture, and where nothing stands out from the skin.
    """
    found = find_lesion(image)
    margin = min(GROWTH * found.radius, REACH * min(found.inside.shape))
    mask = blur(cv2.dilate(found.inside.astype(np.uint8), disc_kernel(margin)), 0.012 * WORK)
    share = float(found.inside.mean())
    words = f"lesion found ({share:.0%} of the picture, CIELAB distance {found.contrast:.0f} from the skin)"
    if found.contrast < SURE_CONTRAST:
        words += f"; it is faint (want {SURE_CONTRAST:.0f} or more), so check the mask"
    return full_size(mask, *image.shape[1:3]), words
