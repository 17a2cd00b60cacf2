"""KID: how far a set of generated images lies from a set of real ones (section 5; Binkowski et al. 2018)."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.image.kid import KernelInceptionDistance

from ..finite import check_finite


class KID(NamedTuple):
    """mean, std: over the subsets, as they are; the mean of two like sets may be below 0. n, m: real, generated images.

    note: what keeps the std from meaning what it should, or "".
    """

    mean: float
    std: float
    n: int
    m: int
    subsets: int
    subset_size: int
    seed: int
    note: str


def _check(real: Tensor, fake: Tensor) -> None:
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2:
            raise ValueError(f"{name}: got {tuple(features.shape)}, want features [images, D]")
        if len(features) < 2:
            raise ValueError(f"{name}: got {len(features)} image, want a set: KID is of sets, never of one image")
        check_finite(f"{name} (features)", features)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"fake: got {fake.shape[1]} features an image, want {real.shape[1]}, as many as of real")


def _note(n: int, m: int, subset_size: int) -> str:
    whole = [
        f"all {subset_size} {name} images" for name, count in (("real", n), ("generated", m)) if count == subset_size
    ]
    if len(whole) == 2:
        return f"every subset holds {whole[0]} and {whole[1]}: the std is 0 and says nothing about chance"
    return f"every subset holds {whole[0]}: the std is too small" if whole else ""


def kid(real: Tensor, fake: Tensor, subsets: int = 100, subset_size: int = 50, seed: int = 0) -> KID:
    """KID: the unbiased MMD^2 with the kernel (x.y / D + 1)^3 over random subsets (section 5).

    By torchmetrics, in float64. The same seed gives the same result, and torch's global random numbers stay where they
    are.

    Args:
        real: Inception features of real images [n, D].
        fake: those of generated images [m, D].
        subsets: how many are drawn, >= 1.
        subset_size: images of each set in a subset, >= 2.
        seed: of the draws.

    Returns:
        Mean and std over the subsets, with what they were made of.

    Raises:
        ValueError: a set has fewer images than a subset or than 2, a feature is not finite, or a number is out of
            range.
    """
    _check(real, fake)
    if subset_size < 2:
        raise ValueError(f"subset_size: got {subset_size}, want at least 2")
    if subsets < 1:
        raise ValueError(f"subsets: got {subsets}, want at least 1")
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < subset_size:
            raise ValueError(f"{name}: got {len(features)} images, want at least subset_size, {subset_size}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save")
        metric = KernelInceptionDistance(torch.nn.Identity(), subsets=subsets, subset_size=subset_size)
    metric.update(real.detach().cpu().double(), real=True)
    metric.update(fake.detach().cpu().double(), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        mean, std = metric.compute()
    n, m = len(real), len(fake)
    return KID(float(mean), float(std), n, m, subsets, subset_size, seed, _note(n, m, subset_size))


def kid_exact(real: Tensor, fake: Tensor) -> float:
    """The unbiased MMD^2 of `kid` over all images at once, in float64: what the mean over many subsets tends to.

    Args:
        real: features of real images [n, D], n >= 2.
        fake: those of generated images [m, D], m >= 2.

    Returns:
        The distance; of like sets it may be below 0.

    Raises:
        ValueError: a set has fewer than 2 images, or a feature is not finite.
    """
    _check(real, fake)
    x, y = real.detach().cpu().double(), fake.detach().cpu().double()
    n, m = len(x), len(y)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    k_xx, k_yy = kernel(x, x), kernel(y, y)
    within_x = (k_xx.sum() - k_xx.trace()) / (n * (n - 1))
    within_y = (k_yy.sum() - k_yy.trace()) / (m * (m - 1))
    return float(within_x + within_y - 2 * kernel(x, y).mean())
