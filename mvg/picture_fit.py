"""From a picture of any shape to the square that a model wants."""

import torch
from torch import Tensor

FITS = ("crop", "pad", "stretch")


def fit_square(image: Tensor, size: int, fit: str) -> tuple[Tensor, str]:
    """Brings a picture to a square, bilinear with antialiasing.

    Args:
        image: [1, H, W, C].
        size: side of the result in pixels; 0, or the size that it has already, leaves the picture untouched.
        fit: "crop" (its center), "pad" (with black) or "stretch".

    Returns:
        [1, size, size, C], and what was done in words.

    Raises:
        ValueError: ``fit`` is none of these.
    """
    height, width = image.shape[1:3]
    if size == 0 or (height, width) == (size, size):
        return image, "size kept"
    note = "stretched"
    if fit == "crop" and height != width:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[:, top : top + side, left : left + side]
        note = f"centre {side} x {side} cut out"
    elif fit == "pad" and height != width:
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        image = torch.nn.functional.pad(image, (0, 0, left, side - width - left, top, side - height - top))
        note = f"padded with black to {side} x {side}"
    elif fit not in FITS:
        raise ValueError(f"fit: got {fit!r}, want crop, pad or stretch")
    elif height == width:
        note = "square already"
    x = torch.nn.functional.interpolate(
        image.movedim(-1, 1), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    return x.movedim(1, -1).contiguous().clamp(0, 1), f"{note}, resized to {size} x {size}"


def fit_spacing(spacing: tuple[float, float], height: int, width: int, size: int, fit: str) -> tuple[float, float]:
    """The pixel spacing of what `fit_square` makes of a picture.

    Args:
        spacing: from row to row and from column to column, in mm.
        height, width: of the picture, in pixels.
        size, fit: as in `fit_square`.

    Returns:
        The same two, in mm.
    """
    if size == 0:
        return spacing
    side = max(height, width) if fit == "pad" else min(height, width)
    rows, columns = (height, width) if fit == "stretch" else (side, side)
    return spacing[0] * rows / size, spacing[1] * columns / size
