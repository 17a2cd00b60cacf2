"""The denoiser of the fixtures pie and ddim, and their noise levels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def scaled_linear(dtype: torch.dtype, start: float = 0.00085, end: float = 0.012, total: int = 1000) -> Tensor:
    """[total] cumulative alphas of Stable Diffusion's schedule."""
    betas = torch.linspace(start**0.5, end**0.5, total, dtype=dtype) ** 2
    return torch.cumprod(1 - betas, 0)


def level(alpha: Tensor | float) -> float:
    """sigma = sqrt((1 - a) / a)."""
    return float((1 - float(alpha)) / float(alpha)) ** 0.5


def epsilon(x: Tensor, t: Tensor, c: Tensor) -> Tensor:
    """eps(x, t, c) = 0.3 sin(x (1 + t / 1000)) + 0.1 mean(c) + 0.05 roll(x, 1)."""
    return 0.3 * torch.sin(x * (1 + t / 1000)) + 0.1 * c.mean((-2, -1)).reshape(-1, 1, 1, 1) + 0.05 * x.roll(1, -1)


def betas(scheduler: dict[str, Any]) -> dict[str, Any]:
    """`scaled_linear`'s arguments from a recorded scheduler's configuration."""
    return {
        "start": scheduler["beta_start"],
        "end": scheduler["beta_end"],
        "total": scheduler["num_train_timesteps"],
    }


def schedule(scheduler: dict[str, Any], timesteps: Sequence[int], final: bool, dtype: torch.dtype) -> Tensor:
    """The levels of descending time steps and of the end: time step 0 where `final`, no noise at all otherwise."""
    alphas = scaled_linear(dtype, **betas(scheduler))
    return torch.tensor([*(level(alphas[t]) for t in timesteps), level(alphas[0]) if final else 0.0], dtype=dtype)


def denoiser(
    scheduler: dict[str, Any], c: Tensor, uncond: Tensor | None = None, guidance: float = 1.0, seen: list | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """The eps model as model(x, sigma) -> D, guided where `uncond` is given; `seen` collects what the network sees."""
    alphas = scaled_linear(torch.float64, **betas(scheduler))
    log_levels = ((1 - alphas) / alphas).log() / 2

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        t = (sigma.double().log()[:, None] - log_levels).abs().argmin(1).to(x.dtype).reshape(-1, 1, 1, 1)
        s = sigma.reshape(-1, 1, 1, 1)
        state = x / (1 + s * s).sqrt()
        if seen is not None:
            seen.append(state)
        eps = epsilon(state, t, c.to(x))
        if uncond is not None:
            eps_uncond = epsilon(state, t, uncond.to(x))
            eps = eps_uncond + guidance * (eps - eps_uncond)
        return x - s * eps

    return model
