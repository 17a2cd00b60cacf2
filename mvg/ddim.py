"""Deterministic DDIM (eta = 0) in both directions, as k-diffusion samplers.

A model is a function ``model(x, sigma[B], **extra_args) -> D``, the denoised estimate. With the slope
d = (x - D) / sigma a step of eq. 5 is x <- x + (sigma_next - sigma) * d, whatever the network predicts
(eps, v or flow): D hides it. A latent state of the usual textbook is x * scale(sigma), see `Process`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

Model = Callable[..., Tensor]
Callback = Callable[[dict[str, Any]], None]

PAIRINGS = ("upper", "lower")


class NonFiniteError(FloatingPointError):
    """The model returned NaN or infinity; the message names the step."""


def _unchanged(latent: Tensor) -> Tensor:
    return latent


@dataclass(frozen=True)
class Process:
    """How a family of models mixes image and noise at a level sigma.

    Attributes:
        scale: of a level sigma, what a state is multiplied with before the network sees it; 1 at sigma = 0.
        add_noise: (x0, noise, sigma) -> the state of the clean latent x0 at that level.
        to_network: a clean latent as it travels between nodes -> as the network sees it.
        from_network: and back.
    """

    scale: Callable[[float], float]
    add_noise: Callable[[Tensor, Tensor, float], Tensor]
    to_network: Callable[[Tensor], Tensor] = _unchanged
    from_network: Callable[[Tensor], Tensor] = _unchanged


VP = Process(scale=lambda sigma: 1.0 / math.hypot(1.0, sigma), add_noise=lambda x0, noise, sigma: x0 + sigma * noise)
"""Variance preserving (SD 1.x, SD 2.x, SDXL): sigma = sqrt((1 - a) / a), the network sees sqrt(a) * x."""

FLOW = Process(scale=lambda sigma: 1.0, add_noise=lambda x0, noise, sigma: (1.0 - sigma) * x0 + sigma * noise)
"""Rectified flow (SD 3, Flux): sigma in [0, 1], the network sees the state itself."""


def noise_levels(sigmas: Tensor, *, ascending: bool) -> list[float]:
    """The levels as numbers. ValueError unless monotone, finite and zero at the clean end at most."""
    levels = [float(s) for s in sigmas.tolist()]
    order = levels if ascending else levels[::-1]
    if not order or not all(math.isfinite(s) for s in order) or order[0] < 0:
        raise ValueError(f"sigmas: got {levels}, want at least one finite level >= 0")
    if any(b < a or b == 0 for a, b in pairwise(order)):
        want = "ascending" if ascending else "descending"
        raise ValueError(f"sigmas: got {levels}, want them {want}, zero at the clean end only")
    return levels


def slope(model: Model, x: Tensor, sigma: float, extra_args: dict[str, Any], where: str) -> tuple[Tensor, Tensor]:
    """(x - D) / sigma and D of one model call. NonFiniteError naming `where` if D is not finite."""
    denoised = model(x, x.new_full((x.shape[0],), sigma), **extra_args)
    if not torch.isfinite(denoised).all():
        raise NonFiniteError(f"{where} (sigma {sigma:.4g}): the model returned NaN or infinity")
    return (x - denoised) / sigma, denoised


@torch.no_grad()
def ddim_invert(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    *,
    refine: int = 0,
    pairing: str = "upper",
    process: Process = VP,
) -> Tensor:
    """The state x [B, ...] at sigmas[0] carried up to sigmas[-1] (ascending; eq. 3, inverse of eq. 5).

    pairing "upper": the network is shown the current state with the level that the step moves to (diffusers);
    "lower": with the level of the state itself. At sigma 0 the slope is undefined, so a first step from there is
    always "upper". refine: fixed-point iterations a step towards the exact inverse of `ddim_denoise`, one model
    call each (0 = plain DDIM); they converge where the step is a contraction.
    The callback comes after every model call, with the step as 'i'. `disable` is k-diffusion's and has no effect.
    ValueError: sigmas not ascending, unknown pairing, refine < 0. NonFiniteError: NaN from the model.
    """
    if pairing not in PAIRINGS:
        raise ValueError(f"pairing: got {pairing!r}, want one of {', '.join(PAIRINGS)}")
    if refine < 0:
        raise ValueError(f"refine: got {refine}, want an integer >= 0")
    levels = noise_levels(sigmas, ascending=True)
    extra_args = extra_args or {}
    for i, (low, high) in enumerate(pairwise(levels)):
        where = f"inversion step {i + 1} of {len(levels) - 1}"
        start, at = x, low if pairing == "lower" and low > 0 else high
        x = start * (process.scale(low) / process.scale(at))
        for _ in range(refine + 1):
            d, denoised = slope(model, x, at, extra_args, where)
            if callback is not None:
                callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas.new_tensor(at), "denoised": denoised})
            x, at = start + (high - low) * d, high
    return x


@torch.no_grad()
def ddim_denoise(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    *,
    before_step: Callable[[int, Tensor, float], Tensor] | None = None,
) -> Tensor:
    """The state x [B, ...] at sigmas[0] carried down to sigmas[-1] (descending, 0 allowed at the end; eq. 5).

    before_step(i, x, sigma) may replace the state before step i. `disable` is k-diffusion's and has no effect.
    ValueError: sigmas not descending. NonFiniteError: NaN from the model.
    """
    levels = noise_levels(sigmas, ascending=False)
    extra_args = extra_args or {}
    for i, (high, low) in enumerate(pairwise(levels)):
        if before_step is not None:
            x = before_step(i, x, high)
        d, denoised = slope(model, x, high, extra_args, f"denoising step {i + 1} of {len(levels) - 1}")
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + (low - high) * d
    return x


class RoundTrip(NamedTuple):
    """How near inversion and denoising under one condition come back to where they began.

    rms [B]: root mean square error of every row. psnr [B]: in dB, the peak being the range of the row's values.
    """

    rms: Tensor
    psnr: Tensor

    def __str__(self) -> str:
        worst = int(self.rms.argmax())
        rows = "" if len(self.rms) == 1 else f", the worst of {len(self.rms)}"
        return f"RMS error {float(self.rms[worst]):.3g}, PSNR {float(self.psnr[worst]):.1f} dB{rows}"


def round_trip(x: Tensor, back: Tensor) -> RoundTrip:
    """The error of `back` against the latents x [B, ...] that were inverted. ValueError where the shapes differ."""
    if back.shape != x.shape:
        raise ValueError(f"back: got {tuple(back.shape)}, want the shape of x, {tuple(x.shape)}")
    rows = x.double().flatten(1)
    rms = (back.double().flatten(1).to(rows.device) - rows).square().mean(1).sqrt()
    return RoundTrip(rms, 20 * torch.log10((rows.amax(1) - rows.amin(1)) / rms))
