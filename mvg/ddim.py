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
    """The levels of a schedule as numbers, checked.

    Args:
        sigmas: [steps + 1].
        ascending: the order that they must have.

    Returns:
        The levels in their order.

    Raises:
        ValueError: they are not monotone, not finite, or zero anywhere but at the clean end.
    """
    levels = [float(s) for s in sigmas.tolist()]
    order = levels if ascending else levels[::-1]
    if not order or not all(math.isfinite(s) for s in order) or order[0] < 0:
        raise ValueError(f"sigmas: got {levels}, want at least one finite level >= 0")
    if any(b < a or b == 0 for a, b in pairwise(order)):
        want = "ascending" if ascending else "descending"
        raise ValueError(f"sigmas: got {levels}, want them {want}, zero at the clean end only")
    return levels


def slope(model: Model, x: Tensor, sigma: float, extra_args: dict[str, Any], where: str) -> tuple[Tensor, Tensor]:
    """The slope d = (x - D) / sigma of one model call.

    Args:
        model: gives the denoised estimate D.
        x: state [B, ...].
        sigma: its level, above 0.
        extra_args: the model's own.
        where: the step in words, for the error.

    Returns:
        d and D, each [B, ...].

    Raises:
        NonFiniteError: D is not finite; the message begins with ``where``.
    """
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
    """Carries a state up to a higher noise level (eq. 3, the inverse of eq. 5), as a k-diffusion sampler.

    Args:
        model: see the module.
        x: state [B, ...] at sigmas[0].
        sigmas: ascending levels [steps + 1].
        extra_args: the model's own.
        callback: called after every model call, with the step as "i".
        disable: k-diffusion's, without effect.
        refine: fixed-point iterations a step towards the exact inverse of `ddim_denoise`, one model call each; 0 is
            plain DDIM. They converge where the step is a contraction.
        pairing: "upper" shows the network the current state with the level that the step moves to (diffusers), "lower"
            with the level of the state itself. At sigma 0 the slope is undefined, so a step from there is always
            "upper".
        process: how the model's family mixes image and noise.

    Returns:
        The state [B, ...] at sigmas[-1].

    Raises:
        ValueError: sigmas are not ascending, pairing is unknown or refine below 0.
        NonFiniteError: the model returned NaN or infinity.
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
    """Carries a state down to a lower noise level by DDIM with eta = 0 (eq. 5), as a k-diffusion sampler.

    Args:
        model: see the module.
        x: state [B, ...] at sigmas[0].
        sigmas: descending levels [steps + 1], 0 allowed at the end.
        extra_args: the model's own.
        callback: called after every model call, with the step as "i".
        disable: k-diffusion's, without effect.
        before_step: (i, x, sigma) -> the state that step i starts from.

    Returns:
        The state [B, ...] at sigmas[-1].

    Raises:
        ValueError: sigmas are not descending.
        NonFiniteError: the model returned NaN or infinity.
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
    """The error of an inversion that was denoised again.

    Args:
        x: the latents that were inverted [B, ...].
        back: what came back, of the same shape.

    Returns:
        RMS error and PSNR of every row.

    Raises:
        ValueError: the shapes differ.
    """
    if back.shape != x.shape:
        raise ValueError(f"back: got {tuple(back.shape)}, want the shape of x, {tuple(x.shape)}")
    rows = x.double().flatten(1)
    rms = (back.double().flatten(1).to(rows.device) - rows).square().mean(1).sqrt()
    return RoundTrip(rms, 20 * torch.log10((rows.amax(1) - rows.amin(1)) / rms))
