"""The mark that an eye sees: a small label on every simulated picture that is saved."""

import functools

import cv2
import numpy as np
import torch
from torch import Tensor

TEXT = "SYNTHETIC"
SHARE = 0.25
"""Of the picture's width, so that a picture which is shown smaller than it is keeps a label that can be read."""
LEAST = 56
"""Pixels of width below which the nine letters run into each other."""
_FONT, _SCALE, _THICKNESS = cv2.FONT_HERSHEY_SIMPLEX, 4.0, 12


def labelled(images: Tensor) -> Tensor:
    """Pictures with the word SYNTHETIC in the top left corner, white on black.

    The label is a quarter of the width and at least 56 pixels wide, in a picture smaller than that as large as fits;
    what lies under it is gone. The lower corners are left alone: in a chest film that is where an effusion begins.

    Args:
        images: [N, H, W, 3] in [0, 1]; N may be 0.

    Returns:
        Copies [N, H, W, 3].

    Raises:
        ValueError: another shape.
    """
    if images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(f"images: got shape {tuple(images.shape)}, want [N, H, W, 3]")
    height, width = label_size(images.shape[1], images.shape[2])
    label = torch.from_numpy(_draw(height, width)).to(images)
    images = images.clone()
    images[:, :height, :width] = label[..., None]
    return images


def label_size(height: int, width: int) -> tuple[int, int]:
    """The size of the label, which begins at the top left corner.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        Height and width of the label in pixels.
    """
    across, down = _master().shape[1], _master().shape[0]
    wanted = min(width, max(LEAST, round(SHARE * width)), int(height * across / down))
    return max(1, round(wanted * down / across)), max(1, wanted)


@functools.cache
def _master() -> np.ndarray:
    """The label once, large: made smaller by area it has even letters at any size, drawn small it has not."""
    (across, down), _ = cv2.getTextSize(TEXT, _FONT, _SCALE, _THICKNESS)
    side, above = down // 3, down // 4
    canvas = np.zeros((down + 2 * above, across + 2 * side), np.uint8)
    return cv2.putText(canvas, TEXT, (side, above + down), _FONT, _SCALE, 255, _THICKNESS, cv2.LINE_AA)


@functools.lru_cache(maxsize=32)
def _draw(height: int, width: int) -> np.ndarray:
    method = cv2.INTER_AREA if width < _master().shape[1] else cv2.INTER_LINEAR
    return cv2.resize(_master(), (width, height), interpolation=method).astype(np.float32) / 255
