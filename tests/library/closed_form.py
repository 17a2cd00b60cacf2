"""The closed-form denoiser of the parity fixtures, models whose exact solution is known, and the fixtures' place."""

from pathlib import Path

import torch
from mvgen.mvg.pie import sigmas_for
from safetensors.torch import load_file

PARITY = Path(__file__).parent.parent / "parity"
K = 25


def load(name: str) -> dict[str, torch.Tensor]:
    return load_file(PARITY / name)


def alphas(dtype: torch.dtype) -> torch.Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=dtype) ** 2
    return torch.cumprod(1 - betas, 0)


def level(a) -> float:
    return float((1 - a) / a) ** 0.5


def schedule(dtype: torch.dtype, final: bool = True, k: int = K) -> torch.Tensor:
    """T = 50 as the host's ddim_uniform has it, cut to its k lowest steps and ending at abar[0] or 0."""
    a = alphas(dtype).double()
    steps = [level(a[t]) for t in range(981, 0, -20)]
    return sigmas_for(torch.tensor([*steps, 0.0], dtype=dtype), k, level(a[0]) if final else None)


def epsilon(x: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return 0.3 * torch.sin(x * (1 + t / 1000)) + 0.1 * c.mean((-2, -1)).reshape(-1, 1, 1, 1) + 0.05 * x.roll(1, -1)


def denoiser(c: torch.Tensor, uncond: torch.Tensor | None = None, guidance: float = 1.0, seen: list | None = None):
    """The fixtures' eps model as model(x, sigma) -> D, guided where `uncond` is given."""
    log_levels = ((1 - alphas(torch.float64)) / alphas(torch.float64)).log() / 2

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        t = (sigma.double().log()[:, None] - log_levels).abs().argmin(1).to(x.dtype)
        s, t = sigma.reshape(-1, 1, 1, 1), t.reshape(-1, 1, 1, 1)
        state = x / (1 + s * s).sqrt()
        if seen is not None:
            seen.append(state)
        eps = epsilon(state, t, c.to(x))
        if uncond is not None:
            eps_uncond = epsilon(state, t, uncond.to(x))
            eps = eps_uncond + guidance * (eps - eps_uncond)
        return x - s * eps

    return model


def gaussian_flow(mean: float, std: float):
    """The exact rectified-flow model of data N(mean, std^2), and its exact state at a level."""

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        variance = (1 - s) ** 2 * std**2 + s**2
        return mean + (1 - s) * std**2 / variance * (x - (1 - s) * mean)

    def exact(x0: torch.Tensor, sigma: float) -> torch.Tensor:
        return (1 - sigma) * mean + ((1 - sigma) ** 2 * std**2 + sigma**2) ** 0.5 / std * (x0 - mean)

    return model, exact
