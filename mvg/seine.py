"""SEINE's transition between two stages (eq. 9): its noise levels, its DDPM sampler and its conditioning.

Network-free: SEINE (Chen et al., ICLR 2024) is in models/seine. Clips are [N, C, K, H, W], K frames of N transitions.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .ddim import Callback, Model, noise_levels, slope
from .seeds import generator
from .transition import latent_walk

GRAY = 0.5
"""A pixel of a frame that is not given, in [0, 1]."""

BETWEEN = ("gray", "walk")

Draw = Callable[[Sequence[int]], Tensor]
"""Standard normal noise of a shape, another at every call."""


def respaced_timesteps(steps: int, total: int = 1000) -> list[int]:
    """Evenly spaced time steps of a training schedule, both ends among them.

    Args:
        steps: how many, from 1 to total; one is time step 0 alone.
        total: time steps of the schedule.

    Returns:
        Time steps of 0 .. total - 1, ascending.

    Raises:
        ValueError: steps is out of range.
    """
    if steps != int(steps) or not 1 <= steps <= total:
        raise ValueError(f"steps: got {steps}, want an integer from 1 to {total}")
    stride = (total - 1) / (steps - 1) if steps > 1 else 0.0
    timesteps, at = [], 0.0
    for _ in range(int(steps)):
        timesteps.append(round(at))
        at += stride
    return timesteps


def schedule(levels: Tensor, steps: int, denoise: float = 1.0) -> Tensor:
    """The noise levels of a run.

    Args:
        levels: the model's sigmas by time step, ascending.
        steps: model calls of the run.
        denoise: in (0, 1]; below 1 the last ``steps`` of a longer run, steps / denoise, as the host's samplers have it.

    Returns:
        [steps + 1], descending to 0.

    Raises:
        ValueError: steps or denoise is out of range, or the longer run has more steps than there are levels.
    """
    if not 0 < denoise <= 1:
        raise ValueError(f"denoise: got {denoise}, want a number in (0, 1]")
    whole = round(steps / denoise)
    if denoise < 1 and whole > len(levels):
        raise ValueError(f"steps: got {steps} at denoise {denoise}, want at most {int(len(levels) * denoise)}")
    chosen = [levels[t] for t in reversed(respaced_timesteps(whole, len(levels))[: int(steps)])]
    return torch.stack([*chosen, torch.zeros_like(levels[0])])


@torch.no_grad()
def ddpm_denoise(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    *,
    draw: Draw,
) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2) as a k-diffusion sampler, for variance-preserving models.

    The mean is that of the posterior (eq. 7), the variance the step's own beta_t (their sigma_t^2 = beta_t), betas
    being those of the steps taken: 1 - a_t / a_s. In the sigma form (x over sqrt(a), s the step's lower level) the mean
    is D + (sigma_s / sigma_t)^2 * (x - D) and the variance beta_t / a_s. The last step, to sigma 0, adds no noise.

    Args:
        model: see `ddim`.
        x: state [B, ...] at sigmas[0].
        sigmas: descending levels [steps + 1].
        extra_args: the model's own.
        callback: called after every model call, with the step as "i".
        disable: k-diffusion's, without effect.
        draw: shape -> standard normal noise.

    Returns:
        The state [B, ...] at sigmas[-1].

    Raises:
        ValueError: sigmas are not descending.
        NonFiniteError: the model returned NaN or infinity.
    """
    levels = noise_levels(sigmas, ascending=False)
    for i, (high, low) in enumerate(pairwise(levels)):
        _, denoised = slope(model, x, high, extra_args or {}, f"denoising step {i + 1} of {len(levels) - 1}")
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = denoised + (low / high) ** 2 * (x - denoised)
        if low > 0:
            variance = (high**2 - low**2) * (1 + low**2) / (1 + high**2)
            x = x + variance**0.5 * draw(x.shape).to(x)
    return x


class ClipNoise:
    """The draws of some clips of a film, on the CPU. A clip's depend on the seed and its number alone.

    So a clip comes out the same whether it is made by itself or in a batch. shared: one noise for all frames of a clip,
    in place of one for each; what it does to a picture, it then does to all (Ge et al. 2023 mix both).
    """

    def __init__(self, seed: int, clips: Sequence[int], shared: bool = False):
        self.shared = shared
        self.generators = [generator(seed, clip) for clip in clips]

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """[N, C, K, h, w], N being the number of clips."""
        if shape[0] != len(self.generators):
            raise ValueError(f"clips: got a batch of {shape[0]}, want {len(self.generators)}")
        channels, frames, *size = shape[1:]
        drawn = (channels, 1 if self.shared else frames, *size)
        noise = torch.stack([torch.randn(drawn, generator=g) for g in self.generators])
        return noise.repeat(1, 1, frames, 1, 1) if self.shared else noise


def frame_mask(frames: int, first: int = 1, last: int = 1) -> Tensor:
    """Which frames of a clip are to be generated.

    Args:
        frames: K, more than are given.
        first: frames given at the start.
        last: frames given at the end.

    Returns:
        [K] of 1 (to be generated) and 0 (given).

    Raises:
        ValueError: no frame is left to be generated, or a count is negative.
    """
    if frames != int(frames) or first < 0 or last < 0 or frames <= first + last:
        raise ValueError(f"frames: got {frames}, want an integer above the {first + last} given")
    mask = torch.ones(int(frames))
    mask[:first] = 0
    mask[len(mask) - last :] = 0
    return mask


def masked_video(first: Tensor, last: Tensor, frames: int) -> Tensor:
    """The clip that SEINE is shown: the given images at its ends, mid-gray between them (eq. 9).

    Args:
        first: image [H, W, C] in [0, 1].
        last: another of the same shape.
        frames: K >= 3.

    Returns:
        [K, H, W, C] in [0, 1].

    Raises:
        ValueError: the shapes differ, or K is below 3.
    """
    if first.shape != last.shape or first.ndim != 3:
        raise ValueError(f"last: got {tuple(last.shape)}, want [H, W, C], the shape of first, {tuple(first.shape)}")
    known = frame_mask(frames) == 0
    video = first.new_full((len(known), *first.shape), GRAY)
    video[0], video[-1] = first, last.to(first)
    return video


def clip_conditioning(stages: Tensor, gray: Tensor, frames: int, between: str = "gray") -> tuple[Tensor, Tensor]:
    """What SEINE is shown for the N transitions between N + 1 stages (eq. 9). The latents go through as they are.

    Args:
        stages: latents [N + 1, C, h, w].
        gray: latent of a mid-gray picture [1, C, h, w], as in `masked_video`; it is not zero.
        frames: K >= 3.
        between: "gray", or "walk" for a network that was trained with the straight way from stage to stage in its place
            (a small one learns to copy from its own frame long before it learns to look another up over time).

    Returns:
        The masked videos [N, C, K, h, w], and masks [N, 1, K, h, w] of 1 (to be generated) and 0 (given).

    Raises:
        ValueError: there are fewer than two stages, K is below 3, gray has another size, or between is unknown.
    """
    if stages.ndim != 4 or len(stages) < 2:
        raise ValueError(f"stages: got {tuple(stages.shape)}, want [N + 1, C, h, w], two stages at least")
    if between not in BETWEEN:
        raise ValueError(f"between: got {between!r}, want one of {', '.join(BETWEEN)}")
    if gray.shape != stages[:1].shape:
        raise ValueError(f"gray: got {tuple(gray.shape)}, want {tuple(stages[:1].shape)}")
    mask = frame_mask(frames)
    clips, height, width = len(stages) - 1, *stages.shape[2:]
    video = gray.to(stages)[:, :, None].repeat(clips, 1, len(mask), 1, 1)
    video[:, :, 0], video[:, :, -1] = stages[:-1], stages[1:]
    if between == "walk":
        video = linear_walk(video)
    return video, mask.to(stages)[None, None, :, None, None].expand(clips, 1, len(mask), height, width)


def linear_walk(clips: Tensor) -> Tensor:
    """Clips that go evenly from their first frame to their last.

    Args:
        clips: [N, C, K, h, w], of which the ends are read.

    Returns:
        [N, C, K, h, w] with the same ends.
    """
    walks = [latent_walk(clip[:, 0], clip[:, -1], clip.shape[1], "linear") for clip in clips]
    return torch.stack(walks).movedim(1, 2)


def flatten_frames(clips: Tensor) -> Tensor:
    """The frames of clips as a batch that a VAE of pictures decodes.

    Args:
        clips: [N, C, K, h, w].

    Returns:
        [N * K, C, h, w].
    """
    return clips.movedim(2, 1).flatten(0, 1)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resizes pictures as SEINE's script does: bilinear, not antialiased, proportions not kept.

    Args:
        images: [B, H, W, C].
        height: of the result.
        width: of the result.

    Returns:
        [B, height, width, C].
    """
    return interpolate(images.movedim(-1, 1), (height, width), mode="bilinear", align_corners=False).movedim(1, -1)
