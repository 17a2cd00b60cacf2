"""What the fits of fundus and skin share: a checked picture, one small working size, masks at both sizes."""

import cv2
import numpy as np
import torch
from torch import Tensor

MIN_SIZE = 32
WORK = 256
"""Pixels of the longer side at which a region is looked for, so that it depends little on the image's own."""


def checked_picture(image: Tensor) -> np.ndarray:
    """The first picture of a batch, once it is known to be a color photograph.

    Args:
        image: [B, H, W, 3] in [0, 1].

    Returns:
        [H, W, 3] float32.

    Raises:
        ValueError: another shape, sides below 32 pixels, values that are not finite or not in [0, 1], a constant or a
            gray picture.
    """
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
        raise ValueError("image: got a gray picture (all channels equal), want a colour photograph")
    return picture


def working_size(picture: np.ndarray) -> np.ndarray:
    """Resizes a picture so that its longer side has WORK pixels.

    Args:
        picture: [H, W, C] float32.

    Returns:
        [h, w, C].
    """
    height, width = picture.shape[:2]
    scale = WORK / max(height, width)
    size = max(8, round(width * scale)), max(8, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def full_size(mask: np.ndarray, height: int, width: int) -> Tensor:
    """A mask at the size of the picture again; what 8 bits would show as 0 is 0.

    Args:
        mask: soft, [h, w] in [0, 1].
        height: of the result.
        width: of the result.

    Returns:
        [height, width] float32 in [0, 1].
    """
    large = np.clip(cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
    return torch.from_numpy(np.where(large < 1 / 255, 0, large).astype(np.float32))  # 0 is what 8 bits show as 0


def disc_kernel(radius: float) -> np.ndarray:
    """A disc for OpenCV's morphology.

    Args:
        radius: in pixels, rounded, 1 at least.

    Returns:
        [2 r + 1, 2 r + 1] uint8 of 0 and 1.
    """
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur.

    Args:
        values: [h, w] or [h, w, C].
        sigma: in pixels, 0.3 at least.

    Returns:
        The same shape, float32.
    """
    return cv2.GaussianBlur(values.astype(np.float32), (0, 0), max(sigma, 0.3))


def blur_inside(values: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian blur that takes nothing from outside of a mask.

    Args:
        values: [h, w].
        inside: the mask, [h, w].
        sigma: in pixels.

    Returns:
        [h, w] float32.
    """
    return blur(values * inside, sigma) / (blur(inside, sigma) + 1e-3)


def filled(mask: np.ndarray) -> np.ndarray:
    """A mask without its holes.

    Args:
        mask: [h, w] bool.

    Returns:
        [h, w] bool.
    """
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
