"""Progressive image editing (PIE): one stage of the progression, and when the stages have converged."""

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .ddim import VP, Callback, Model, NonFiniteError, Process, ddim_denoise, ddim_invert
from .roi import BETA_1, BETA_2, roi_blend
from .seeds import generator

MODES = ("ddim", "noise")
STAGES, GAMMA, GUIDANCE = 10, 0.6, 7.5
"""N, the noise strength and the guidance scale of the paper's main experiment (section 5.4)."""
S = TypeVar("S")


def n_inverted(steps: int, gamma: float) -> int:
    """k = gamma * steps to the nearest integer, halves up: 0.29 of 50 gives 15, where Python's round() gives 14.

    The released PIE code cuts the fraction off instead.

    Args:
        steps: T >= 1.
        gamma: noise strength in [0, 1].

    Returns:
        k, from 0 to T.

    Raises:
        ValueError: an argument is out of range.
    """
    if steps != int(steps) or steps < 1:
        raise ValueError(f"steps: got {steps}, want an integer >= 1")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: got {gamma}, want a number in [0, 1]")
    return int((Decimal(str(float(gamma))) * int(steps)).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def sigmas_for(sigmas: Tensor, k: int, final: float | None = None) -> Tensor:
    """The k + 1 lowest levels of a schedule: those that k steps of it run through.

    Inversion runs over their ``flip(0)``.

    Args:
        sigmas: descending levels [T + 1].
        k: steps, from 0 to T.
        final: another last level in place of the schedule's own. The host's schedules end at 0; diffusers' DDIM
            (set_alpha_to_one = False) ends at sqrt((1 - a_0) / a_0), the model's lowest level.

    Returns:
        Descending levels [k + 1].

    Raises:
        ValueError: k is out of range, or final is negative or not below the last step.
    """
    if not 0 <= k <= len(sigmas) - 1:
        raise ValueError(f"k: got {k}, want 0 to {len(sigmas) - 1}, the steps of the schedule")
    cut = sigmas[len(sigmas) - 1 - k :].clone()
    if final is not None:
        if final < 0 or (k > 0 and final >= float(cut[-2])):
            raise ValueError(f"final: got {final}, want a level >= 0 below the schedule's last step")
        cut[-1] = final
    return cut


def stage_noise(shape: Sequence[int], seed: int, stage: int) -> tuple[Tensor, Tensor]:
    """The two draws of a stage in mode "noise", on the CPU.

    Args:
        shape: [B, ...] of each draw.
        seed: of row 0. Row b depends on seed + b and the stage alone, so a row of a batch equals the run of it alone.
        stage: n >= 0.

    Returns:
        The noise that the stage starts from, and that of the region outside the mask.
    """
    rows = []
    for b in range(shape[0]):
        rows.append(torch.randn((2, *shape[1:]), generator=generator(seed + b, stage)))
    both = torch.stack(rows, dim=1)
    return both[0], both[1]


def pie_noise_denoise(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    *,
    original: Tensor,
    noise_outside: Tensor,
    mask: Tensor | None,
    process: Process = VP,
) -> Tensor:
    """The k-diffusion sampler of the released PIE code: DDIM with the kept region pasted in.

    Before every step but the first, x <- y * (1 - mask) + x * mask, y being ``original`` noised to the level of the
    step.

    Args:
        model: see `ddim`.
        x: state [B, C, h, w] at sigmas[0].
        sigmas: descending levels [k + 1].
        extra_args: the model's own.
        callback: called after every model call.
        disable: without effect.
        original: the clean latent x_0, of x's shape.
        noise_outside: the one draw that it is noised with, of x's shape.
        mask: in [0, 1], broadcasting to x; None for no pasting.
        process: how the model's family mixes image and noise.

    Returns:
        The state [B, C, h, w] at sigmas[-1].

    Raises:
        ValueError: sigmas are not descending.
        NonFiniteError: the model returned NaN or infinity.
    """
    if mask is None:
        return ddim_denoise(model, x, sigmas, extra_args, callback, disable)
    inside, kept, noise = mask.to(x), original.to(x), noise_outside.to(x)

    def paste(i: int, state: Tensor, sigma: float) -> Tensor:
        return state if i == 0 else process.add_noise(kept, noise, sigma) * (1 - inside) + state * inside

    return ddim_denoise(model, x, sigmas, extra_args, callback, disable, before_step=paste)


class Run(Protocol):
    """Runs a k-diffusion sampler over `sigmas` with one model and one guidance, `options` being the sampler's own.

    noise: added to the clean `latent` up to sigmas[0]; None where `latent` is already at that level. At the clean end
    it takes and returns clean latents; at a noisy end what the two runs of a stage agree on (`direct_run`: the state
    as the network sees it). Nodes run the samplers through the host's.
    """

    def __call__(
        self, sampler: Any, latent: Tensor, noise: Tensor | None, sigmas: Tensor, **options: Any
    ) -> Tensor: ...


def direct_run(
    model: Model, process: Process = VP, extra_args: dict[str, Any] | None = None, callback: Callback | None = None
) -> Run:
    """A `Run` over a bare model, without a host.

    Args:
        model: see `ddim`.
        process: how the model's family mixes image and noise.
        extra_args: the model's own.
        callback: the sampler's.

    Returns:
        The run; at a noisy end it takes and returns the state as the network sees it.
    """

    def run(sampler: Any, latent: Tensor, noise: Tensor | None, sigmas: Tensor, **options: Any) -> Tensor:
        first, last = float(sigmas[0]), float(sigmas[-1])
        x = latent / process.scale(first) if noise is None else process.add_noise(latent, noise.to(latent), first)
        return sampler(model, x, sigmas, extra_args, callback, **options) * process.scale(last)

    return run


def pie_stage(
    x_prev: Tensor,
    x_0: Tensor,
    sigmas: Tensor,
    *,
    denoise: Run,
    invert: Run | None = None,
    mode: str = "ddim",
    mask: Tensor | None = None,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    refine: int = 0,
    pairing: str = "upper",
    noise: tuple[Tensor, Tensor] | None = None,
    process: Process = VP,
    stage: int | None = None,
) -> Tensor:
    """One stage of PIE: x_n from x_(n-1), blended against the original (eq. 3, 5, 6).

    Args:
        x_prev: latent x_(n-1) [B, C, h, w].
        x_0: latent of the original, of the same shape.
        sigmas: descending levels [k + 1] from `sigmas_for`; one level (k = 0) leaves x_(n-1) for the blend alone.
        denoise: the run downwards.
        invert: the run upwards, needed in mode "ddim".
        mode: "ddim" (the paper) inverts and denoises; "noise" (the released code) adds noise and pastes the noised
            original outside the mask in the loop.
        mask: in [0, 1], as many axes as x, broadcasting to it (`roi.latent_mask`); None blends nothing.
        beta_1: how much of the edit to keep outside the mask, in [0, 1].
        beta_2: the same inside.
        refine: see `ddim_invert`.
        pairing: see `ddim_invert`.
        noise: the draws of `stage_noise`, needed in mode "noise".
        process: how the model's family mixes image and noise.
        stage: n, for errors.

    Returns:
        The latent x_n [B, C, h, w].

    Raises:
        ValueError: mode is unknown, the shapes differ, or the mode's own argument is missing.
        NonFiniteError: the model returned NaN or infinity; the message names stage and step.
    """
    if mode not in MODES:
        raise ValueError(f"mode: got {mode!r}, want one of {', '.join(MODES)}")
    if x_prev.shape != x_0.shape:
        raise ValueError(f"x_prev: got {tuple(x_prev.shape)}, want the shape of x_0, {tuple(x_0.shape)}")
    x = x_prev
    try:
        if len(sigmas) > 1 and mode == "ddim":
            if invert is None:
                raise ValueError('invert: got nothing, want the run of the inversion in mode "ddim"')
            start = process.to_network(x)
            up = invert(ddim_invert, start, None, sigmas.flip(0), refine=refine, pairing=pairing, process=process)
            x = process.from_network(denoise(ddim_denoise, up, None, sigmas))
        elif len(sigmas) > 1:
            if noise is None:
                raise ValueError('noise: got nothing, want the two draws of mode "noise"')
            drawn, outside = noise
            original = process.to_network(x_0)
            options = {"original": original, "noise_outside": outside, "mask": mask, "process": process}
            x = process.from_network(denoise(pie_noise_denoise, process.to_network(x), drawn, sigmas, **options))
    except NonFiniteError as error:
        raise error if stage is None else NonFiniteError(f"stage {stage}, {error}") from error
    return roi_blend(x, x_0, mask, beta_1, beta_2)


def severity_stage(
    noise_map: Tensor,
    x_0: Tensor,
    sigmas: Tensor,
    *,
    denoise: Run,
    mask: Tensor | None = None,
    beta_1: float = BETA_1,
    beta_2: float = BETA_2,
    process: Process = VP,
    stage: int | None = None,
) -> Tensor:
    """A stage by severity: the input image's own noise map, denoised towards the severity of the stage.

    No stage builds on the one before, so that no error is carried on and x_0 is inverted once for all of them.

    Args:
        noise_map: [B, C, h, w], x_0 inverted up to sigmas[0], as `ddim_invert` leaves it, scaled back to where no
            noise is added any more (what a LATENT socket carries).
        x_0: the original latent of the same shape.
        sigmas: descending, from `sigmas_for`; a single level (k = 0) leaves x_0.
        denoise: carries the predictions of the severity.
        mask: as for `pie_stage`.
        beta_1: how much of the change eq. 6 keeps outside the mask, in [0, 1].
        beta_2: how much of it inside.
        process: of the model's family.
        stage: number of the stage, for errors.

    Returns:
        x_n, [B, C, h, w].

    Raises:
        ValueError: shapes that differ.
        NonFiniteError: NaN from the model, naming stage and step.
    """
    if noise_map.shape != x_0.shape:
        raise ValueError(f"noise_map: got {tuple(noise_map.shape)}, want the shape of x_0, {tuple(x_0.shape)}")
    x = x_0
    if len(sigmas) > 1:
        start = process.to_network(noise_map)
        try:
            x = process.from_network(denoise(ddim_denoise, start, torch.zeros_like(start), sigmas))
        except NonFiniteError as error:
            raise error if stage is None else NonFiniteError(f"stage {stage}, {error}") from error
    return roi_blend(x, x_0, mask, beta_1, beta_2)


def pick_stages(stages: Sequence[S], count: int = 0) -> list[S]:
    """What each of N stages is drawn towards, of a plan's own stages.

    Args:
        stages: the plan's; one of a single stage serves all N.
        count: N, of which the first are taken; 0 takes all of the plan's.

    Returns:
        N stages.

    Raises:
        ValueError: count is negative, or the plan has fewer stages and more than one.
    """
    if count < 0:
        raise ValueError(f"stages: got {count}, want an integer >= 0")
    if count == 0 or len(stages) >= count:
        return list(stages[: count or None])
    if len(stages) != 1:
        raise ValueError(f"plan: got {len(stages)} stages, want 1 (for all) or at least {count}, one a stage")
    return [stages[0]] * count


def convergence_curve(states: Sequence[Tensor], norm: str = "rms") -> Tensor:
    """The change from stage to stage, |x_n - x_(n-1)| over all elements (proposition 2).

    Args:
        states: x_0 .. x_N, tensors of one shape, or stacked along the first axis.
        norm: "rms" or "mean".

    Returns:
        [N] float64, that of stage n at n - 1.

    Raises:
        ValueError: norm is unknown, or there is no state.
    """
    if norm not in ("rms", "mean"):
        raise ValueError(f'norm: got {norm!r}, want "rms" or "mean"')
    if len(states) < 1:
        raise ValueError("states: got none, want x_0 at least")
    changes = [(states[n + 1].double() - states[n].double()).abs() for n in range(len(states) - 1)]
    values = [float(c.square().mean().sqrt() if norm == "rms" else c.mean()) for c in changes]
    return torch.tensor(values, dtype=torch.float64)


def row_curves(states: Sequence[Tensor]) -> Tensor:
    """The RMS change |x_n - x_(n-1)| of every row of a batch (proposition 2).

    Args:
        states: x_0 .. x_N, each [B, ...].

    Returns:
        [B, N] float64.
    """
    curves = torch.zeros(len(states[0]), len(states) - 1, dtype=torch.float64)
    for n, (before, after) in enumerate(pairwise(states)):
        curves[:, n] = (after.double() - before.double()).flatten(1).square().mean(1).sqrt()
    return curves


def change_bound(c_1: float, a_0: float, a_1: float, stages: int, c_2: float = 1.0) -> list[float]:
    """What eq. 7 allows each stage to change, exp(C) * a_0^((n - 1) / 2) (proposition 2 solved for its threshold).

    C = log((1 / sqrt(a_0) - 1) * C_1 + lambda * C_2), lambda = (sqrt(a_0 - a_0 a_1) - sqrt(a_1 - a_0 a_1)) / sqrt(a_1).
    The proposition takes a stage for one unguided step of DDIM towards one prompt; a stage of k guided steps may lie
    above it. How fast it falls is what it tells.

    Args:
        c_1: |x_0|, of the latent as the network sees it, in the norm of the curve.
        a_0: cumulative alpha of the lowest step of the schedule, in (0, 1].
        a_1: that of the step above, in (0, a_0].
        stages: N.
        c_2: the norm of the predicted noise; 1 is the RMS of the noise that a model was trained on.

    Returns:
        N numbers, that of stage n at n - 1, never rising.

    Raises:
        ValueError: alphas that are not in that order.
    """
    if not 0 < a_1 <= a_0 <= 1:
        raise ValueError(f"a_0, a_1: got {a_0:g} and {a_1:g}, want 0 < a_1 <= a_0 <= 1")
    factor = (math.sqrt(a_0 * (1 - a_1)) - math.sqrt(a_1 * (1 - a_0))) / math.sqrt(a_1)
    first = (1 / math.sqrt(a_0) - 1) * c_1 + factor * c_2
    return [first * a_0 ** ((n - 1) / 2) for n in range(1, stages + 1)]


def stop_stage(curve: Tensor | Sequence[float], delta: float) -> int | None:
    """The first stage whose change is below a threshold (proposition 2).

    Args:
        curve: [N], of `convergence_curve`.
        delta: the threshold, finite and >= 0.

    Returns:
        n >= 1, or None where there is none.

    Raises:
        ValueError: delta is negative or not finite.
    """
    if not delta >= 0 or math.isinf(delta):
        raise ValueError(f"delta: got {delta}, want a finite number >= 0")
    return next((n for n, change in enumerate(curve, start=1) if float(change) < delta), None)


def stop_stages(curves: Tensor, delta: float) -> list[int | None]:
    """`stop_stage` of every row of a batch.

    Args:
        curves: [B, N], of `row_curves`.
        delta: the threshold, finite and >= 0.

    Returns:
        For each row n >= 1, or None where there is none.
    """
    return [stop_stage(curve, delta) for curve in curves]
