"""What changed from stage to stage: |x_n - x_(n-1)| and its heat map (figure 2)."""

import matplotlib
import torch
from torch import Tensor

from ..finite import check_finite

PEAK = 0.25
"""The change, as a share of the full range, that pages show in the last color: one scale for all pictures, so that
what hardly changed does not glow."""


def difference_map(x_n: Tensor, x_prev: Tensor) -> Tensor:
    """|x_n - x_(n-1)|, the mean over the channels (figure 2).

    Args:
        x_n: images [B, H, W, C].
        x_prev: others of the same shape.

    Returns:
        [B, H, W].

    Raises:
        ValueError: the shapes differ, or a value is not finite.
    """
    if x_n.ndim != 4 or x_n.shape != x_prev.shape:
        raise ValueError(f"images: got {tuple(x_n.shape)} and {tuple(x_prev.shape)}, want [B, H, W, C] of one shape")
    for images in (x_n, x_prev):
        check_finite("images", images)
    return (x_n - x_prev).abs().mean(-1)


def heat_map(difference: Tensor, peak: float | None = None, colormap: str = "inferno") -> Tensor:
    """A difference in color (figure 2).

    Args:
        difference: [B, H, W], >= 0.
        peak: the value, above 0, of the map's last color; by default the largest of the batch, so that its images
            compare.
        colormap: any name that matplotlib has; its first color stands for 0.

    Returns:
        [B, H, W, 3] in [0, 1].

    Raises:
        ValueError: peak is not above 0.
    """
    if peak is not None and not peak > 0:
        raise ValueError(f"peak: got {peak}, want a number > 0")
    if peak is None:
        peak = float(difference.max()) if difference.numel() else 0.0
    scaled = (difference.detach().cpu().double() / (peak or 1.0)).clamp(0, 1)
    return torch.from_numpy(matplotlib.colormaps[colormap](scaled.numpy())[..., :3]).float()
