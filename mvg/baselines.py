"""The paper's two baselines (section 5.1): Stable Diffusion Walk and linear extrapolation in latent space.

In neither does a stage build on the one before. Both are blended by eq. 6 against x_0, as PIE is.
"""

import math

import torch
from torch import Tensor

from .ddim import VP, NonFiniteError, Process, ddim_denoise
from .interpolation import slerp
from .pie import Run
from .roi import BETA_1, BETA_2, roi_blend

METHODS = ("mean", "linear")
SAME = 1e-6  # a difference of means below this part of the latents' length is rounding
SMALLEST_SHRINKAGE = 1e-6  # keeps the covariance invertible


def walk_text(healthy: Tensor, disease: Tensor, n: int, N: int) -> Tensor:
    """The text embedding of a stage of the walk: n / N of the straight way, both ends bit for bit.

    Args:
        healthy: embedding [B, tokens, width], or pooled [B, width].
        disease: another of the same shape.
        n: the stage, 0 to N.
        N: the number of stages.

    Returns:
        The embedding, of the same shape.

    Raises:
        ValueError: the shapes differ, or n is out of range.
    """
    if healthy.shape != disease.shape:
        raise ValueError(f"disease: got {tuple(disease.shape)}, want the shape of healthy, {tuple(healthy.shape)}")
    return torch.lerp(healthy, disease.to(healthy), _share(n, N))


def walk_stage(
    x_0: Tensor,
    sigmas: Tensor,
    n: int,
    N: int,
    *,
    denoise: Run,
    noise: tuple[Tensor, Tensor],
    mask: Tensor | None = None,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    process: Process = VP,
) -> Tensor:
    """One stage of Stable Diffusion Walk (section 5.1): x_0 noised, denoised and blended against x_0 (eq. 6).

    Args:
        x_0: latent of the original [B, C, h, w].
        sigmas: descending levels [k + 1] from `pie.sigmas_for`; one level (k = 0) leaves x_0.
        n: the stage, 0 to N.
        N: the number of stages.
        denoise: the run downwards, with the text of `walk_text`.
        noise: two draws of x_0's shape, the same for all stages (`pie.stage_noise` with stage 0); the start noise is n
            / N of the way from one to the other on the sphere.
        mask: as for `pie.pie_stage`.
        beta_1: how much of the edit to keep outside the mask, in [0, 1].
        beta_2: the same inside.
        process: how the model's family mixes image and noise.

    Returns:
        The latent of stage n [B, C, h, w].

    Raises:
        ValueError: n is out of range.
        NonFiniteError: the model returned NaN or infinity; the message names stage and step.
    """
    share = _share(n, N)
    x = x_0
    if len(sigmas) > 1:
        try:
            x = denoise(ddim_denoise, process.to_network(x_0), slerp(*noise, share), sigmas)
            x = process.from_network(x)
        except NonFiniteError as error:
            raise NonFiniteError(f"stage {n}, {error}") from error
    return roi_blend(x, x_0, mask, beta_1, beta_2)


def direction(healthy: Tensor, diseased: Tensor, method: str = "mean") -> Tensor:
    """The direction of a disease in latent space, computed in float64.

    After Han et al. 2022, who extrapolate in a GAN's latent space. A step of 1 leads from mean to mean by either
    method.

    Args:
        healthy: latents [n, ...] without it, n >= 2.
        diseased: latents [m, ...] with it, m >= 2.
        method: "mean" is the difference of the means. "linear" is the normal of the linear classifier of the two sets
            (Fisher's discriminant with the covariance of Ledoit and Wolf 2004, whose ridge follows from the data),
            scaled so that its projection on the difference of the means is that difference.

    Returns:
        [...] in the type of healthy.

    Raises:
        ValueError: a set has fewer than two latents, shapes differ, values are not finite, the means are equal or the
            method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method: got {method!r}, want one of {', '.join(METHODS)}")
    for name, latents in (("healthy", healthy), ("diseased", diseased)):
        if len(latents) < 2:
            raise ValueError(f"{name}: got {len(latents)}, want two or more")
        if not torch.isfinite(latents).all():
            raise ValueError(f"{name}: got values that are not finite (NaN)")
    if healthy.shape[1:] != diseased.shape[1:]:
        raise ValueError(
            f"diseased: got latents of {tuple(diseased.shape[1:])}, want those of healthy, {tuple(healthy.shape[1:])}"
        )
    rows_h, rows_d = healthy.double().flatten(1), diseased.double().flatten(1).to(healthy.device)
    difference = rows_d.mean(0) - rows_h.mean(0)
    if difference.norm() <= SAME * torch.maximum(rows_h.norm(dim=1).mean(), rows_d.norm(dim=1).mean()):
        raise ValueError("diseased: got the mean of healthy, want sets that differ; there is no direction between them")
    if method == "linear":
        normal = _discriminant(torch.cat([rows_h - rows_h.mean(0), rows_d - rows_d.mean(0)]), difference)
        difference = normal * (difference.square().sum() / (normal @ difference))
    return difference.reshape(healthy.shape[1:]).to(healthy.dtype)


def extrapolate(
    z_0: Tensor,
    d: Tensor,
    n: int,
    step: float,
    mask: Tensor | None = None,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
) -> Tensor:
    """One stage of linear extrapolation, z_0 + n * step * d, blended against z_0 (section 5.1, eq. 6).

    Args:
        z_0: latent of the original [B, C, h, w].
        d: the direction [C, h, w], from `direction`.
        n: the stage.
        step: in lengths of d; 1 / N takes stage N a whole d away.
        mask: as for `pie.pie_stage`.
        beta_1: how much of the edit to keep outside the mask, in [0, 1].
        beta_2: the same inside.

    Returns:
        The latent of stage n [B, C, h, w].

    Raises:
        ValueError: d has not the shape of a row of z_0, or step is not finite.
    """
    if d.shape != z_0.shape[1:]:
        raise ValueError(f"d: got {tuple(d.shape)}, want the shape of a row of z_0, {tuple(z_0.shape[1:])}")
    if not math.isfinite(step):
        raise ValueError(f"step: got {step}, want a finite number")
    return roi_blend(z_0 + n * step * d.to(z_0), z_0, mask, beta_1, beta_2)


def _share(n: int, N: int) -> float:
    if N < 1 or not 0 <= n <= N:
        raise ValueError(f"n: got stage {n} of {N}, want 0 to N of N >= 1")
    return n / N


def _discriminant(centered: Tensor, difference: Tensor) -> Tensor:
    """Along S^-1 difference, S = (1 - s) C + s mu I being the shrunk covariance of the rows [n, D] (Ledoit and Wolf).

    By the n x n matrix of inner products, as D, the size of a latent, is far above n.
    """
    count, size = centered.shape
    inner = centered @ centered.T
    mu = inner.trace() / (count * size)
    if mu == 0:  # all pictures of a set are one
        return difference
    squared = inner.square().sum() / count**2  # |C|^2
    spread = squared - size * mu**2  # |C - mu I|^2
    error = (inner.diagonal().square().sum() / count - squared) / count  # of C, in the same norm
    if error >= spread:  # the covariance says nothing that mu I does not
        return difference
    s = (error / spread).clamp(min=SMALLEST_SHRINKAGE)
    ridge = s * mu * count / (1 - s)
    eye = torch.eye(count, dtype=inner.dtype, device=inner.device)
    return difference - centered.T @ torch.linalg.solve(inner + ridge * eye, centered @ difference)
