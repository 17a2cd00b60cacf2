"""Pixel distances between images in [0, 1]."""

import torch
from torch import Tensor

from ..roi import pixel_mask


def _mean(values: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.flatten(1).mean(1)
    weight = pixel_mask(mask, values).expand_as(values)
    total = weight.flatten(1).sum(1)
    if (total == 0).any():
        raise ValueError("mask: got an empty one, want some pixel above 0 in each image")
    return (values * weight).flatten(1).sum(1) / total


def _difference(a: Tensor, b: Tensor) -> Tensor:
    if a.ndim != 4 or a.shape != b.shape:
        raise ValueError(f"images: got {tuple(a.shape)} and {tuple(b.shape)}, want two [B, H, W, C] of one shape")
    return a.double() - b.double()


def mae(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error an image (section 5): [B] from two [B, H, W, C]; a mask [1 or B, H, W] weighs the pixels."""
    return _mean(_difference(a, b).abs(), mask)


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio an image in dB for a peak of 1: [B], infinite for equal images; mask as in `mae`."""
    return -10 * torch.log10(_mean(_difference(a, b).square(), mask))
