"""What changed from stage to stage: |x_n - x_(n-1)| and its heat map (figure 2)."""

import matplotlib
import torch
from torch import Tensor

from ..finite import check_finite


def difference_map(x_n: Tensor, x_prev: Tensor) -> Tensor:
    """|x_n - x_prev| of images [B, H, W, C], the mean over the channels: [B, H, W]."""
    if x_n.ndim != 4 or x_n.shape != x_prev.shape:
        raise ValueError(f"images: got {tuple(x_n.shape)} and {tuple(x_prev.shape)}, want [B, H, W, C] of one shape")
    for images in (x_n, x_prev):
        check_finite("images", images)
    return (x_n - x_prev).abs().mean(-1)


def heat_map(difference: Tensor, peak: float | None = None, colormap: str = "inferno") -> Tensor:
    """[B, H, W] >= 0 in colour: [B, H, W, 3] in [0, 1], 0 at the map's first colour and `peak` at its last.

    peak > 0: the default is the largest value of the whole batch, so that its images compare.
    colormap: any name that matplotlib has.
    """
    if peak is not None and not peak > 0:
        raise ValueError(f"peak: got {peak}, want a number > 0")
    if peak is None:
        peak = float(difference.max()) if difference.numel() else 0.0
    scaled = (difference.detach().cpu().double() / (peak or 1.0)).clamp(0, 1)
    return torch.from_numpy(matplotlib.colormaps[colormap](scaled.numpy())[..., :3]).float()
