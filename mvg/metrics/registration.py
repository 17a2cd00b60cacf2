"""A real later image brought onto the earlier one, so that pixels compare (ECC: Evangelidis and Psarakis 2008)."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ..finite import check_finite

MOTIONS = {"rigid": cv2.MOTION_EUCLIDEAN, "affine": cv2.MOTION_AFFINE}
COARSEST = 32
"""Side in pixels below which no level of the pyramid goes."""
LEAST_OVERLAP = 0.5
DETAIL = 2.5
"""Sigma in pixels of a level below which structure is detail: ribs and borders, which disease moves least."""
TRIMMED, TRIMS = 0.3, 2
"""Part of the pixels that do not count, and how often it is chosen anew."""
IDENTITY = np.eye(2, 3)


class Registration(NamedTuple):
    """image: the later image on the earlier one's pixels, [H, W, C]; what it does not show repeats its border.

    matrix: float64 [2, 3], takes pixel (x, y, 1) of the earlier image to its place in the later one.
    valid: bool [H, W], the pixels that come from inside the later image.
    before, after: correlation of the two images over the valid pixels, in [-1, 1]. note: what was done, in words.
    """

    image: Tensor
    matrix: Tensor
    valid: Tensor
    before: float
    after: float
    note: str


def register(later: Tensor, earlier: Tensor, motion: str = "rigid") -> Registration:
    """Finds the motion between two images and undoes it. Brightness and contrast may differ.

    Args:
        later: image [H, W, C] in [0, 1].
        earlier: another of the same shape.
        motion: "rigid" (rotation and shift) or "affine".

    Returns:
        The later image on the earlier. Where nothing correlates better than it as it is, the identity is kept and the
        note says so.

    Raises:
        ValueError: motion is unknown, the shapes differ, a value is not finite or an image is constant.
    """
    if motion not in MOTIONS:
        raise ValueError(f"motion: got {motion!r}, want one of {', '.join(MOTIONS)}")
    if later.ndim != 3 or later.shape != earlier.shape:
        raise ValueError(
            f"later: got {tuple(later.shape)}, want [H, W, C] and the shape of earlier, {tuple(earlier.shape)}"
        )
    for name, image in (("later", later), ("earlier", earlier)):
        check_finite(name, image[None])
        if float(image.max() - image.min()) < 1e-6:
            raise ValueError(f"{name}: got a constant image, which cannot be registered")
    fixed, moving = _gray(earlier), _gray(later)
    matrix = _find(fixed, moving, MOTIONS[motion])
    if matrix is None:
        return _apply(later, fixed, moving, IDENTITY, "kept as it is: no motion was found")
    found = _apply(later, fixed, moving, matrix, f"registered ({motion})")
    if found.after <= found.before:
        return _apply(later, fixed, moving, IDENTITY, "kept as it is: no motion correlates better")
    return found


def red_cyan(earlier: Tensor, later: Tensor) -> Tensor:
    """Two images in one: gray where they agree, red where the earlier is brighter, else cyan.

    Args:
        earlier: [H, W, C] in [0, 1].
        later: another of the same shape.

    Returns:
        [H, W, 3] in [0, 1].
    """
    red, cyan = earlier.mean(-1), later.mean(-1)
    return torch.stack([red, cyan, cyan], dim=-1)


def _gray(image: Tensor) -> np.ndarray:
    return image.detach().cpu().double().mean(-1).numpy().astype(np.float32)


def _find(fixed: np.ndarray, moving: np.ndarray, motion: int) -> np.ndarray | None:
    """The motion that correlates best of those that several starts lead to; None where none leads anywhere."""
    pyramid = [(fixed, moving)]
    while min(pyramid[-1][0].shape) >= 2 * COARSEST:
        a, b = pyramid[-1]
        pyramid.append((_half(a), _half(b)))
    a, b = pyramid[-1]
    found = []
    for start in (IDENTITY, _shift(a, b), _shift(_local_contrast(a), _local_contrast(b))):
        found += [_refine(pyramid, m, motion) for m in (start, _ecc(a, b, start, cv2.MOTION_EUCLIDEAN))]
    plausible = [m for m in found if _plausible(fixed.shape, m)]
    return max(plausible, key=lambda m: _correlations(fixed, moving, m)[1], default=None)


def _refine(pyramid: list[tuple[np.ndarray, np.ndarray]], matrix: np.ndarray, motion: int) -> np.ndarray:
    """From the coarsest level to the finest by ECC: the rigid motion, and at the end ``motion``.

    Local contrast is what is compared, and where the two differ most, as disease does, they do not count.
    """
    for level in reversed(range(len(pyramid))):
        a, b = (_local_contrast(image) for image in pyramid[level])
        for kind in dict.fromkeys([cv2.MOTION_EUCLIDEAN, *([motion] if level == 0 else [])]):
            matrix = _ecc(a, b, matrix, kind)
            for _ in range(TRIMS):
                matrix = _ecc(a, b, matrix, kind, _alike(a, b, matrix))
        if level > 0:
            # pixel x of this level is pixel 2 x + 1/2 of the finer one
            matrix = np.hstack([matrix[:, :2], 2 * matrix[:, 2:] + 0.5 - matrix[:, :2].sum(1, keepdims=True) / 2])
    return matrix


def _plausible(shape: tuple[int, ...], matrix: np.ndarray) -> bool:
    return _valid(shape, matrix).mean() >= LEAST_OVERLAP and 0.5 < np.linalg.det(matrix[:, :2]) < 2


def _shift(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """A shift alone, by phase correlation."""
    shift, _ = cv2.phaseCorrelate(fixed, moving, cv2.createHanningWindow(fixed.shape[::-1], cv2.CV_32F))
    return np.hstack([np.eye(2), np.reshape(shift, (2, 1))])


def _ecc(
    fixed: np.ndarray, moving: np.ndarray, matrix: np.ndarray, motion: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """The matrix that ECC makes of this one, or this one where ECC does not converge."""
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-7)
    start = matrix.astype(np.float32)
    try:
        return cv2.findTransformECC(fixed, moving, start, motion, criteria, mask, 5)[1].astype(np.float64)
    except cv2.error:
        return matrix


def _half(image: np.ndarray) -> np.ndarray:
    """Means of whole 2 x 2 blocks, so that the pixels of the levels stay in step."""
    height, width = (side // 2 for side in image.shape)
    return image[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))


def _local_contrast(image: np.ndarray) -> np.ndarray:
    detail = image - cv2.GaussianBlur(image, (0, 0), DETAIL)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * DETAIL)) + 0.01)


def _alike(fixed: np.ndarray, moving: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """uint8 mask on the moving image: not the TRIMMED part of the common pixels where the two differ most."""
    valid, warped = _valid(fixed.shape, matrix), _warp(moving, matrix)
    if not valid.any():
        return np.ones(fixed.shape, np.uint8)
    gain, offset = np.polyfit(warped[valid], fixed[valid], 1)
    distance = cv2.GaussianBlur(np.abs(fixed - gain * warped - offset).astype(np.float32), (0, 0), 3)
    keep = (distance <= np.quantile(distance[valid], 1 - TRIMMED)).astype(np.uint8)
    size = fixed.shape[::-1]
    return cv2.warpAffine(keep, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=1)


def _warp(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(warped, image.min(), image.max())  # cubic overshoots


def _valid(shape: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    height, width = shape[:2]
    y, x = np.mgrid[:height, :width]
    there_x, there_y = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return (abs(there_x - (width - 1) / 2) <= width / 2) & (abs(there_y - (height - 1) / 2) <= height / 2)


def _correlations(fixed: np.ndarray, moving: np.ndarray, matrix: np.ndarray) -> tuple[float, float]:
    """Of the images as they are and with the motion undone, over the pixels that are valid then."""
    valid = _valid(fixed.shape, matrix)

    def correlation(image: np.ndarray) -> float:
        a, b = (v[valid].astype(np.float64) - v[valid].mean(dtype=np.float64) for v in (fixed, image))
        scale = np.sqrt((a * a).sum() * (b * b).sum())
        return float((a * b).sum() / scale) if scale > 0 else 0.0

    return correlation(moving), correlation(_warp(moving, matrix))


def _apply(later: Tensor, fixed: np.ndarray, moving: np.ndarray, matrix: np.ndarray, note: str) -> Registration:
    before, after = _correlations(fixed, moving, matrix)
    if matrix is IDENTITY:
        image = later
    else:
        pixels = later.detach().cpu().float().numpy()
        channels = [_warp(np.ascontiguousarray(pixels[..., c]), matrix) for c in range(pixels.shape[-1])]
        image = torch.from_numpy(np.stack(channels, axis=-1)).to(later)
    valid = torch.from_numpy(_valid(fixed.shape, matrix))
    return Registration(image, torch.from_numpy(matrix.copy()), valid, before, after, note)
