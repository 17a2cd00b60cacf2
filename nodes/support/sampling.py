"""Running a sampler of mvg/ through the host: its offloading, progress, preview, cancel and model patches apply."""

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import io

from ...mvg import pie, roi
from ...mvg.ddim import Process
from ...mvg.schedule import RELEASED, UNIFORM, ddim_levels
from . import trajectory

SCHEDULERS = [UNIFORM, RELEASED, *(name for name in comfy.samplers.SCHEDULER_NAMES if name != UNIFORM)]


def schedule(model: io.Model.Type, scheduler: str, steps: int, k: int) -> torch.Tensor:
    """The k + 1 lowest noise levels of a schedule for a model, descending.

    Args:
        model: the host's MODEL.
        scheduler: one of SCHEDULERS.
        steps: T of the whole schedule.
        k: how many of its steps are taken.

    Returns:
        [k + 1] levels; the last one is 0, or the model's lowest level for the released scheduler.

    Raises:
        ValueError: a schedule of fewer than k steps.
    """
    family = model.get_model_object("model_sampling")
    if scheduler in (UNIFORM, RELEASED):
        final = float(family.sigmas[0]) if scheduler == RELEASED and k > 0 else None
        return pie.sigmas_for(ddim_levels(family.sigmas, steps), k, final)
    levels = comfy.samplers.calculate_sigmas(family, scheduler, steps)
    if k > len(levels) - 1:
        raise ValueError(f"scheduler: {scheduler} has {len(levels) - 1} steps for steps = {steps}, want {k} or more")
    return pie.sigmas_for(levels, k)


def process_of(model: io.Model.Type) -> Process:
    """How the model's family mixes image and noise, by the host's own definitions."""
    family = model.get_model_object("model_sampling")

    def seen(sigma: float) -> float:
        return float(family.calculate_input(torch.tensor([sigma]), torch.ones(1)))

    def add_noise(x0: torch.Tensor, noise: torch.Tensor, sigma: float) -> torch.Tensor:
        return family.noise_scaling(torch.tensor([sigma]).to(x0), noise, x0)

    def from_network(inner: torch.Tensor) -> torch.Tensor:
        return model.model.process_latent_out(inner.to(comfy.model_management.intermediate_device(), torch.float32))

    return Process(
        scale=lambda sigma: seen(sigma) / seen(0.0),
        add_noise=add_noise,
        to_network=model.model.process_latent_in,
        from_network=from_network,
    )


def for_host_sampler(model: io.Model.Type, state: torch.Tensor, sigma: float) -> torch.Tensor:
    """A sampler's state at a level as the host's samplers take one with no noise to add; infinite where they cannot."""
    return model.get_model_object("model_sampling").inverse_noise_scaling(torch.tensor([sigma]).to(state), state)


def latent_mask(model: io.Model.Type, mask: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
    """[B or 1, H, W] in pixels, or at latent size already -> [B or 1, 1, h, w]; ValueError as `roi.check_mask`."""
    ratio = getattr(model.get_model_object("latent_format"), "spacial_downscale_ratio", 8)
    height, width = samples.shape[-2:]
    if tuple(mask.shape[-2:]) != (height, width):
        height, width = height * ratio, width * ratio
    mask = roi.check_mask(mask, torch.empty(len(samples), height, width, 3, device="meta"))
    return roi.latent_mask(mask, samples)


class Progress:
    """One bar (and preview) over several sampler runs of known lengths; over a whole trajectory where they are in one.

    A cancel counts after every model call: the host's bar looks for one only as often as it is drawn.
    """

    def __init__(self, model: io.Model.Type, total: int):
        self.total = total
        self.done = 0
        self.whole = trajectory.current()
        if self.whole is not None:  # the host shows the least of a node's bars, so that all say the same
            whole, node = self.whole
            comfy.utils.ProgressBar(whole.total).update_absolute(whole.at(node, 0 if total else 1))
        shown = total if self.whole is None else self.whole[0].total
        self.callback = latent_preview.prepare_callback(model, shown) if total else None

    def part(self, steps: int) -> Callable[..., None] | None:
        """The callback of the next run, of ``steps`` steps."""
        start, self.done = self.done, self.done + steps
        show = self.callback
        if show is None:
            return None

        def callback(step: int, denoised: torch.Tensor, x: torch.Tensor, _: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            done, total = start + step + 1, self.total
            if self.whole is not None:
                whole, node = self.whole
                done, total = whole.at(node, done / total), whole.total
            show(done - 1, denoised, x, total)

        return callback


class HostRun:
    """A `mvg.pie.Run` by the host's sampling: latents go in and come out as the network sees them.

    The host scales and noises a start for each family in its own way, which is undefined at the top of a flow
    model's schedule; so the state is handed to the sampler as it is and taken from it as it is.
    """

    def __init__(self, guider: comfy.samplers.CFGGuider, callback: Callable[..., None] | None):
        self.guider = guider
        self.callback = callback
        self.process = process_of(guider.model_patcher)

    def __call__(
        self, sampler: Any, latent: torch.Tensor, noise: torch.Tensor | None, sigmas: torch.Tensor, **options: Any
    ) -> torch.Tensor:
        held: list[torch.Tensor] = []

        def through(model, x, sigmas, extra_args=None, callback=None, disable=None):
            first, last = float(sigmas[0]), float(sigmas[-1])
            start = latent.to(x)
            if noise is None:
                start = start / self.process.scale(first)
            else:
                start = self.process.add_noise(start, noise.to(x), first)
            end = sampler(model, start, sigmas, extra_args, callback, disable, **options)
            held.append(end * self.process.scale(last))
            return x

        self.guider.sample(
            torch.zeros_like(latent),
            latent,
            comfy.samplers.KSAMPLER(through),
            sigmas,
            callback=self.callback,
            disable_pbar=True,
            seed=0,
        )
        return held[0]


def guided(
    model: io.Model.Type, positive: io.Conditioning.Type, negative: io.Conditioning.Type, guidance: float
) -> comfy.samplers.CFGGuider:
    """The host's classifier-free guidance."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(guidance)
    return guider
