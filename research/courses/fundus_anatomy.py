"""What a course on a fundus photograph needs to know of it, and how one with few lesions is cleared of them."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ...mvg.regions.fundus import SURE_DISC, find_fundus
from ...mvg.regions.picture import WORK, blur, blur_inside, disc_kernel

FIELD_RADIUS = 7300.0
"""Micrometers of retina from the middle to the edge of a photograph of 50 degrees, at 0.29 mm a degree."""


@dataclass(frozen=True)
class Retina:
    """A fundus photograph in parts; lengths in its pixels, points as (x, y).

    field: [H, W] in [0, 1], the lit field without a thin rim. radius: of the field. disc, fovea: their middles.
    disc_radius: of the optic disc. background: [H, W, 3] its color without vessels and small things. vessels: [H, W]
    in [0, 1]. half_width: [H, W] of the vessel, 0 beside vessels. fibers: [H, W] direction of the vessels round a
    point, in radians, along which nerve fibers run.
    """

    field: np.ndarray
    radius: float
    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    background: np.ndarray
    vessels: np.ndarray
    half_width: np.ndarray
    fibers: np.ndarray

    @property
    def micrometer(self) -> float:
        """A micrometer in pixels."""
        return self.radius / FIELD_RADIUS


def _background(image: np.ndarray, field: np.ndarray, radius: float) -> np.ndarray:
    """[H, W, 3] the retina's color where vessels and lesions are, from around them."""
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    size = round(0.03 * radius) | 1
    eight = np.round(small * 255).astype(np.uint8)
    median = np.stack([cv2.medianBlur(np.ascontiguousarray(eight[..., c]), size) for c in range(3)], -1) / np.float32(
        255
    )
    inside = cv2.resize(field, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA) > 0.9
    smooth = np.stack([blur_inside(median[..., c], inside, 0.012 * radius) for c in range(3)], -1)
    return cv2.resize(smooth, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0.004, 1)


def _thin_and_dark(image: np.ndarray, background: np.ndarray, field: np.ndarray, radius: float) -> np.ndarray:
    """[H, W] how much darker in green than what is round it, as a share, by a black-hat as wide as a vessel."""
    ratio = np.clip(image[..., 1] / background[..., 1], 0, 1.3)
    ratio = np.where(field > 0.5, blur(ratio, max(0.6, 0.002 * radius)), 1).astype(np.float32)
    return cv2.morphologyEx(ratio, cv2.MORPH_BLACKHAT, disc_kernel(0.03 * radius)) * field


def _vessel_tree(dark: np.ndarray, radius: float) -> np.ndarray:
    """[H, W] bool: what is dark, thin and long."""
    strong, weak = dark > 0.13, (dark > 0.07).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(weak)
    extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = extent > 0.16 * radius
    keep[0] = False
    keep &= np.bincount(labels[strong], minlength=count) > 0
    return keep[labels]


def fit_retina(image: np.ndarray) -> Retina | None:
    """Takes a fundus photograph apart.

    Args:
        image: float32 [H, W, 3] in [0, 1].

    Returns:
        Its parts; None where there is no lit red field or no sure optic disc.
    """
    try:
        found = find_fundus(torch.from_numpy(np.ascontiguousarray(image))[None])
    except ValueError:
        return None
    if found.disc_score < SURE_DISC:
        return None
    height, width = image.shape[:2]
    scale = max(height, width) / WORK
    radius = found.radius * scale
    lit = cv2.resize(found.field.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    lit = cv2.erode(lit, disc_kernel(0.03 * radius), borderValue=1)
    field = blur(lit, 0.01 * radius)
    background = _background(image, field, radius)
    dark = _thin_and_dark(image, background, field, radius)
    tree = _vessel_tree(dark, radius)
    half_width = cv2.distanceTransform(tree.astype(np.uint8), cv2.DIST_L2, 5)
    vessels = np.clip(dark / 0.2, 0, 1) * tree
    return Retina(
        field,
        radius,
        (found.disc[0] * scale, found.disc[1] * scale),
        found.disc_radius * scale,
        (found.fovea[0] * scale, found.fovea[1] * scale),
        background,
        vessels.astype(np.float32),
        half_width,
        _directions(vessels, radius),
    )


def _directions(vessels: np.ndarray, radius: float) -> np.ndarray:
    """[H, W] the direction of vessels round a point, in radians, by the structure tensor."""
    soft = blur(vessels, 0.006 * radius)
    gx, gy = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    wide = 0.09 * radius
    return 0.5 * np.arctan2(2 * blur(gx * gy, wide), blur(gx**2 - gy**2, wide)) + np.float32(np.pi / 2)


def without_outline(image: np.ndarray) -> np.ndarray:
    """A photograph without a green outline that annotators burned into it.

    Args:
        image: float32 [H, W, 3] in [0, 1].

    Returns:
        The same shape; the outline is painted over from beside it.
    """
    marked = image[..., 1] - np.maximum(image[..., 0], image[..., 2]) > 0.02
    if not marked.any():
        return image
    hole = cv2.dilate(marked.astype(np.uint8), disc_kernel(3))
    eight = np.round(image * 255).astype(np.uint8)
    return np.where(hole[..., None] > 0, cv2.inpaint(eight, hole, 4, cv2.INPAINT_TELEA) / np.float32(255), image)


def cleared(image: np.ndarray, retina: Retina) -> tuple[np.ndarray, float]:
    """A photograph without its small lesions: dark and bright spots off vessels, disc and fovea are painted over.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        retina: of the picture.

    Returns:
        (the picture, the share of the field that was painted over).
    """
    radius, height, width = retina.radius, *image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ratio = blur(image[..., 1], max(0.8, 0.004 * radius)) / retina.background[..., 1]
    ratio = np.where(retina.field > 0.5, ratio, 1).astype(np.float32)
    bright = cv2.morphologyEx(ratio, cv2.MORPH_TOPHAT, disc_kernel(0.04 * radius))
    dark = cv2.morphologyEx(ratio, cv2.MORPH_BLACKHAT, disc_kernel(0.04 * radius))
    beside_vessels = cv2.dilate((retina.half_width > 0.006 * radius).astype(np.uint8), disc_kernel(0.015 * radius)) == 0
    near_disc = np.hypot(x - retina.disc[0], y - retina.disc[1]) < 1.35 * retina.disc_radius
    near_fovea = np.hypot(x - retina.fovea[0], y - retina.fovea[1]) < 0.05 * radius
    inner = cv2.erode((retina.field > 0.9).astype(np.uint8), disc_kernel(0.03 * radius), borderValue=1) > 0
    allowed = inner & ~near_disc & beside_vessels
    hole = np.zeros((height, width), np.uint8)
    for unusual, least, where in ((bright, 0.09, allowed), (dark, 0.075, allowed & ~near_fovea)):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(((unusual > least) & where).astype(np.uint8))
        extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        keep = (stats[:, cv2.CC_STAT_AREA] > 0.25 * extent**2) & (extent < 0.2 * radius)
        keep &= np.bincount(labels[unusual > 1.6 * least], minlength=count) > 0
        keep[0] = False
        hole |= keep[labels].astype(np.uint8)
    hole = cv2.dilate(hole, disc_kernel(max(2, 0.012 * radius)))
    eight = np.round(image * 255).astype(np.uint8)
    painted = cv2.inpaint(eight, hole, 5, cv2.INPAINT_TELEA) / np.float32(255)
    # the photograph's own noise from beside the hole
    noise = np.roll(image - blur(image, 1.5), (round(0.06 * radius), round(0.04 * radius)), (0, 1))
    noise = np.clip(noise, -0.02, 0.02)
    soft = blur(hole, 0.8)[..., None]
    out = np.clip(image + soft * (painted + noise - image), 0, 1).astype(np.float32)
    return out, float((hole * (retina.field > 0.5)).sum() / (retina.field > 0.5).sum())
