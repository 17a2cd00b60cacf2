"""What a course on a dermoscopic image needs to know of it: the lesion, the bare skin, and what lies on top."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ...mvg.regions.picture import blur, disc_kernel
from ...mvg.regions.skin import find_lesion
from .texture import smooth_step

UNIT = 256
"""Pixels of the shorter side that lengths in this package's skin modules are told for."""


@dataclass(frozen=True)
class Skin:
    """A dermoscopic image in parts; lengths in its pixels.

    distance: [H, W] from the lesion's border, positive outside. center: (x, y). radius: of the circle of equal area.
    bare: [H, W, 3] the skin without the lesion, in [0, 1]. density: [H, W, 3] of what lies on the bare skin, -log of
    image over bare, without hairs and noise. on_top: [H, W] in [0, 1], hairs, rulers, glints and stickers, which lie
    over any lesion. lit: [H, W] in [0, 1], 0 in the dermoscope's black corners.
    """

    distance: np.ndarray
    center: tuple[float, float]
    radius: float
    bare: np.ndarray
    density: np.ndarray
    on_top: np.ndarray
    lit: np.ndarray


def _hairs(image: np.ndarray, distance: np.ndarray, unit: float) -> np.ndarray:
    """[H, W] in [0, 1]: dark lines that are thin, long and not of the lesion alone."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    length = round(13 * unit) | 1
    lines = np.zeros_like(gray)
    for angle in range(0, 180, 30):
        kernel = np.zeros((length, length), np.uint8)
        direction = (length / 2) * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        ends = np.round(length // 2 + np.stack([direction, -direction])).astype(int)
        cv2.line(kernel, tuple(ends[0].tolist()), tuple(ends[1].tolist()), 1)
        lines = np.maximum(lines, cv2.morphologyEx(gray, cv2.MORPH_CLOSE, kernel) - gray)
    dark = (lines > 0.09).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(dark)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    long = (extent > 16 * unit) & (stats[:, cv2.CC_STAT_AREA] < 0.3 * extent**2)
    long &= np.bincount(labels[distance > 0], minlength=len(long)) > 0.3 * stats[:, cv2.CC_STAT_AREA]
    long[0] = False
    hair = cv2.dilate(long[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    if hair.mean() > 0.4:  # that is the texture of the picture
        return np.zeros_like(gray)
    return (hair * np.clip(lines / 0.25, 0, 1)).astype(np.float32)


def _lit(image: np.ndarray, unit: float) -> np.ndarray:
    """[H, W] in [0, 1]: 0 in black corners."""
    bright = blur(image.max(axis=2), 2 * unit)
    dark = (bright < 0.42 * np.percentile(bright, 80)).astype(np.uint8)
    _, labels = cv2.connectedComponents(dark)
    height, width = dark.shape
    corners = {int(labels[r, c]) for r in (0, height - 1) for c in (0, width - 1)} - {0}
    middle = labels[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]
    outside = np.isin(labels, sorted(corners - set(np.unique(middle).tolist()))).astype(np.uint8)
    return 1 - blur(cv2.dilate(outside, disc_kernel(4 * unit)), 3 * unit)


def _bare_skin(image: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """[H, W, 3] the skin's color everywhere, by planes through the logarithm of what is skin."""
    height, width = skin.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), 2 * x / width - 1, 2 * y / height - 1], axis=-1)
    logs = np.log(np.clip(image, 0.02, 1))
    keep = skin.copy()
    for _ in range(4):
        weights = np.linalg.lstsq(terms[keep], logs[keep], rcond=None)[0]
        off = np.abs(logs - terms @ weights).max(axis=-1)
        keep = skin & (off < 2.5 * max(float(np.median(off[keep])), 0.02))
    return np.exp(terms @ np.clip(weights, -3, 0.25)).astype(np.float32)


def _plausible(image: np.ndarray, inside: np.ndarray) -> bool:
    """Whether what was found [H, W] lies in the picture rather than at its edge, and is no colored sticker."""
    ys, xs = np.nonzero(inside)
    height, width = inside.shape
    off = max(abs(xs.mean() / width - 0.5), abs(ys.mean() / height - 0.5))
    frame = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    red, green, blue = np.median(image[inside], axis=0)
    sticker = red - max(green, blue) > 0.5 or min(green, blue) > red + 0.05
    return bool(off < 0.25 and frame.mean() < 0.12 and not sticker)


def fit_skin(image: np.ndarray) -> Skin | None:
    """Takes a dermoscopic image apart.

    Args:
        image: float32 [H, W, 3] in [0, 1].

    Returns:
        Its parts; None where no lesion stands out or no skin is left round it.
    """
    try:
        found = find_lesion(torch.from_numpy(np.ascontiguousarray(image))[None])
    except ValueError:
        return None
    height, width = image.shape[:2]
    unit = min(height, width) / UNIT
    soft = blur(cv2.resize(found.inside.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), unit)
    inside = (soft > 0.5).astype(np.uint8)
    if not inside.any() or not _plausible(image, inside > 0):
        return None
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    distance = blur(outer - cv2.distanceTransform(inside, cv2.DIST_L2, 5), 1.5 * unit)
    lit, hairs = _lit(image, unit), _hairs(image, distance, unit)
    skin = (distance > 5 * unit) & (lit > 0.9) & (hairs < 0.1)
    if skin.mean() < 0.06:
        return None
    bare = _bare_skin(image, skin)
    glints = smooth_step((image - bare).min(axis=-1), 0.10, 0.22)
    # what is bluer than red and no lesion is a sticker or ink
    foreign = smooth_step(image[..., 2] - image[..., 0] - (bare[..., 2] - bare[..., 0]).max(), 0.10, 0.2)
    foreign = np.where(distance > 2 * unit, foreign, 0).astype(np.float32)
    on_top = np.maximum(0.6 * hairs, np.maximum(blur(glints, 0.7 * unit), blur(foreign, 1.5 * unit)))
    hole = (np.maximum(on_top, hairs) > 0.15).astype(np.uint8)
    eight = np.round(image * 255).astype(np.uint8)
    clean = cv2.inpaint(eight, hole, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
    density = -np.log(np.clip(blur(clean, 1.3 * unit), 0.02, 1) / np.clip(bare, 0.02, 1))
    within = np.median(density[inside > 0], axis=0)
    if within[1] > within[2] + 0.12 or float(hairs[inside > 0].mean()) > 0.35:  # ink is purple; hairs hide a lesion
        return None
    ys, xs = np.nonzero(inside)
    return Skin(
        distance.astype(np.float32),
        (float(xs.mean()), float(ys.mean())),
        float(np.sqrt(inside.sum() / np.pi)),
        bare,
        density.astype(np.float32),
        np.clip(on_top, 0, 1).astype(np.float32),
        lit.astype(np.float32),
    )


def around(skin: Skin) -> tuple[np.ndarray, np.ndarray]:
    """The angle about the lesion's center and the distance from it in its radii, [H, W] each."""
    height, width = skin.distance.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = y - skin.center[1], x - skin.center[0]
    return np.arctan2(y, x), np.hypot(x, y) / skin.radius


@dataclass(frozen=True)
class Lean:
    """What a lesion shows already of where it will change, by which courses on it are led.

    darker: [H, W] how much darker its part is than the rest, in spreads of its pigment; beyond its border that of the
    border beside. bulges: [H, W] how far its border lies out at a pixel's angle, in spreads of its outline. aside:
    [H, W] in [-1, 1], toward its darker side. depth: its absorbance, mean over lesion and colors.
    """

    darker: np.ndarray
    bulges: np.ndarray
    aside: np.ndarray
    depth: float


def lean(skin: Skin) -> Lean:
    """How a lesion leans; every picture leans somewhere, so that a model can tell from it what comes."""
    angle, far = around(skin)
    inside, pigment = (skin.distance < 0).astype(np.float32), skin.density.mean(axis=-1)
    known, wide = blur(inside, 0.2 * skin.radius), 0.05 * blur(inside, 0.8 * skin.radius)
    soft = blur(pigment * inside, 0.2 * skin.radius) + 0.05 * blur(pigment * inside, 0.8 * skin.radius)
    soft = soft / (known + wide + 1e-6)
    own = soft[inside > 0]
    darker = np.clip((soft - own.mean()) / max(float(own.std()), 0.04), -2.5, 2.5)
    pull = np.clip(darker, 0, None) * inside * far
    toward_dark = np.arctan2(float((pull * np.sin(angle)).sum()), float((pull * np.cos(angle)).sum()))
    rim = np.abs(skin.distance) < 2.0
    bins = np.linspace(-np.pi, np.pi, 73)
    place = np.clip(np.digitize(angle[rim], bins) - 1, 0, 71)
    count = np.bincount(place, minlength=72)
    seen = np.flatnonzero(count)
    reach = np.bincount(place, far[rim], minlength=72)[seen] / count[seen]
    reach = np.interp(np.arange(72), seen, reach, period=72)
    reach = np.mean([np.roll(reach, turn) for turn in range(-3, 4)], axis=0)
    reach = np.clip((reach - reach.mean()) / max(float(reach.std()), 0.03), -2, 2)
    bulges = np.interp(angle, 0.5 * (bins[1:] + bins[:-1]), reach, period=2 * np.pi)
    aside = np.cos(angle - toward_dark) * np.clip(far, 0, 1)
    return Lean(
        darker.astype(np.float32),
        bulges.astype(np.float32),
        aside.astype(np.float32),
        max(float(pigment[inside > 0].mean()), 0),
    )


def toward(density: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    """density [H, W, 3] moved to a color by a share [H, W] in [0, 1]."""
    return density + share[..., None] * (color - density)
