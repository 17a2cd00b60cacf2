"""Distances between images in [0, 1], over the whole of them or inside and outside a region."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d
from torchmetrics.functional.image import structural_similarity_index_measure

from ..finite import check_finite
from ..roi import check_mask

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
"""The Gaussian window ends at 3.5 sigma: 11 x 11 pixels."""
_EMPTY = {
    "inside": "mask: got an empty one, want some pixel above 0 in each image",
    "outside": "mask: got one that leaves nothing outside, want some pixel below 1 in each image",
    "whole": "valid: got no pixel, want some in each image",
}


def _pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.ndim != 4 or a.shape != b.shape:
        raise ValueError(f"images: got {tuple(a.shape)} and {tuple(b.shape)}, want two [B, H, W, C] of one shape")
    for images in (a, b):
        check_finite("images", images)
    return a.double(), b.double()


def _mean(values: Tensor, weight: Tensor | None, region: str = "inside") -> Tensor:
    """[B] from values [B, H, W], weighed by [1 or B, H, W]."""
    if weight is None:
        return values.flatten(1).mean(1)
    weight = weight.to(values).expand_as(values).flatten(1)
    total = weight.sum(1)
    if (total == 0).any():
        raise ValueError(_EMPTY[region])
    return (values.flatten(1) * weight).sum(1) / total


def _windows(weight: Tensor) -> Tensor:
    """The weight [B, H, W] of the pixels that a whole SSIM window surrounds: [B, H - 10, W - 10]."""
    return weight[:, SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]


def _mask(mask: Tensor | None, images: Tensor) -> Tensor | None:
    return None if mask is None else check_mask(mask, images)


def mae(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean absolute error of each image (section 5).

    Args:
        a: images [B, H, W, C] in [0, 1].
        b: others of the same shape.
        mask: weights of the pixels [1 or B, H, W] in [0, 1].

    Returns:
        [B] float64.

    Raises:
        ValueError: shapes differ, a value is not finite or a mask is empty.
    """
    a, b = _pair(a, b)
    return _mean((a - b).abs().mean(-1), _mask(mask, a))


def psnr(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each image for a peak of 1.

    Args:
        a: images [B, H, W, C] in [0, 1].
        b: others of the same shape.
        mask: weights of the pixels [1 or B, H, W] in [0, 1].

    Returns:
        [B] float64 in dB, infinite for equal images.

    Raises:
        ValueError: as `mae`.
    """
    a, b = _pair(a, b)
    return -10 * torch.log10(_mean((a - b).square().mean(-1), _mask(mask, a)))


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity round each pixel (Wang et al. 2004), the mean over the channels.

    A Gaussian window of sigma 1.5 and 11 x 11 pixels, K1 0.01, K2 0.03, a range of 1, population covariances. The 5
    pixels at each border, which no whole window surrounds, are left out, as in scikit-image.

    Args:
        a: images [B, H, W, C] in [0, 1], at least 11 x 11 pixels.
        b: others of the same shape.

    Returns:
        [B, H - 10, W - 10] float64 in [-1, 1].

    Raises:
        ValueError: shapes differ, a value is not finite or the images are too small.
    """
    a, b = _pair(a, b)
    least = 2 * SSIM_RADIUS + 1
    if min(a.shape[1:3]) < least:
        raise ValueError(f"images: got {a.shape[2]} x {a.shape[1]} pixels, want at least {least} x {least} for SSIM")
    _, full = structural_similarity_index_measure(
        a.movedim(-1, 1),
        b.movedim(-1, 1),
        sigma=SSIM_SIGMA,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    return _windows(full.mean(1))


def ssim(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Structural similarity of each image: the mean of `ssim_map`.

    Args:
        a: images [B, H, W, C] in [0, 1], at least 11 x 11 pixels.
        b: others of the same shape.
        mask: weights of the pixels [1 or B, H, W] in [0, 1].

    Returns:
        [B] float64 in [-1, 1]. Of two constant images it compares the brightness alone: 1 where they are equal.

    Raises:
        ValueError: as `ssim_map`, or a mask is empty.
    """
    similarity = ssim_map(a, b)
    mask = _mask(mask, a)
    return _mean(similarity, None if mask is None else _windows(mask))


def compare(
    a: Tensor, b: Tensor, mask: Tensor | None = None, valid: Tensor | None = None
) -> dict[str, dict[str, Tensor]]:
    """All distances of two batches, by region.

    Args:
        a: images [B, H, W, C] in [0, 1], at least 11 x 11 pixels.
        b: others of the same shape.
        mask: M, [1 or B, H, W] in [0, 1].
        valid: [1 or B, H, W], 0 where a pixel counts nowhere (what a registered image does not show); SSIM leaves out
            every window that touches such a pixel.

    Returns:
        Metric ("mae", "ssim", "psnr") -> region -> [B] float64. Regions: "whole"; with a mask also "inside" and
        "outside", weighed by M and 1 - M.

    Raises:
        ValueError: shapes differ, a value is not finite or a region is empty.
    """
    a, b = _pair(a, b)
    known = torch.ones_like(a[:1, ..., 0]) if valid is None else check_mask(valid.to(a), a)
    regions = {"whole": torch.ones_like(known)}
    if mask is not None:
        inside = check_mask(mask, a).to(a)
        regions |= {"inside": inside, "outside": 1 - inside}
    difference, similarity = a - b, ssim_map(a, b)
    surrounded = -max_pool2d(-known, 2 * SSIM_RADIUS + 1, stride=1)
    scores: dict[str, dict[str, Tensor]] = {"mae": {}, "ssim": {}, "psnr": {}}
    for region, weight in regions.items():
        scores["mae"][region] = _mean(difference.abs().mean(-1), weight * known, region)
        scores["ssim"][region] = _mean(similarity, _windows(weight) * surrounded, region)
        scores["psnr"][region] = -10 * torch.log10(_mean(difference.square().mean(-1), weight * known, region))
    return scores
