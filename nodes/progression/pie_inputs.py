"""What PIE Loop, its parts and the baselines share: widgets, and the check of what they start from."""

import torch
from comfy_api.latest import io

from ...mvg import pie, roi
from ..support import sampling

MAX_STAGES = 99


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        display_name="steps (T)",
        default=50,
        min=1,
        max=1000,
        tooltip="T of the paper: the steps of the model's whole noise schedule, of which a stage takes the fraction "
        "that strength says.",
    )


def gamma_input() -> io.Float.Input:
    return io.Float.Input(
        "gamma",
        display_name="strength",
        default=pie.GAMMA,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="gamma of the paper: the fraction of the schedule that a stage inverts and denoises again, k = "
        "round(gamma * T) steps. Higher changes more.",
    )


def guidance_input() -> io.Float.Input:
    return io.Float.Input(
        "guidance",
        display_name="guidance (w)",
        default=pie.GUIDANCE,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip="w of the paper: how strongly the prompt pulls while denoising. Inversion always runs at 1.",
    )


def beta_inputs(beta_1: float = roi.BETA_1, beta_2: float = roi.BETA_2) -> list[io.Float.Input]:
    """Eq. 6: what is kept of a change outside the mask, and inside it."""
    return [
        io.Float.Input(
            "beta_1",
            display_name="keep outside",
            default=beta_1,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="beta_1 of the paper: how much of the change to keep outside the mask. 0 leaves it untouched.",
        ),
        io.Float.Input(
            "beta_2",
            display_name="keep inside",
            default=beta_2,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="beta_2 of the paper: how much of the change to keep inside the mask. 1 keeps it whole.",
        ),
    ]


def mode_input() -> io.Combo.Input:
    return io.Combo.Input(
        "mode",
        options=list(pie.MODES),
        tooltip="ddim: deterministic inversion, as the paper says. noise: seeded noise, as the released code does.",
    )


def refine_input() -> io.Int.Input:
    return io.Int.Input(
        "refine",
        display_name="refinement",
        default=0,
        min=0,
        max=20,
        advanced=True,
        tooltip="Fixed-point iterations of every inversion step: 0 is plain DDIM, 2 or 3 bring the image back more "
        "exactly and cost that many model calls more.",
    )


def scheduler_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=sampling.SCHEDULERS,
        advanced=True,
        tooltip="Where the steps lie. ddim_uniform gives Stable Diffusion's own DDIM steps; ddim_released ends them "
        "at the model's lowest level instead of 0, as the released code does.",
    )


def seed_input() -> io.Int.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="Random seed of mode noise (picture b of a batch draws with seed + b); mode ddim has nothing random.",
    )


def composite_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "composite",
        display_name="keep original pixels",
        default=True,
        label_on="outside",
        label_off="none",
        tooltip="On: outside the mask the pixels are the input's own, up to keep outside (bit for bit at 0), and "
        "inside it the detail that the VAE loses is put back. Off: every pixel passes through the VAE.",
    )


def mask_input() -> io.Mask.Input:
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip="Where the image may change; the image's own size, one for all pictures or one each. Nothing "
        "connected: everywhere, and keep outside and keep inside have no effect.",
    )


def stages_input() -> io.Int.Input:
    return io.Int.Input(
        "stages",
        default=0,
        min=0,
        max=MAX_STAGES,
        optional=True,
        tooltip="N. 0: as many as the plan has. A plan of one stage serves any N; a longer one gives its first N.",
    )


def check_start(image: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor | None:
    """The mask as `roi.check_mask` gives it; ValueError naming image [B, H, W, 3] or mask where one is not fit."""
    batch, height, width, channels = image.shape
    if batch < 1:
        raise ValueError("image: got an empty batch, want at least one picture")
    if channels != 3:
        raise ValueError(f"image: got {channels} channels, want 3 (Load Medical Image gives them)")
    if height % 8 or width % 8:
        raise ValueError(f"image: got {width} x {height}, want both sides a multiple of 8 (Load Medical Image: size)")
    if not torch.isfinite(image).all():
        raise ValueError("image: got values that are not finite (NaN)")
    return None if mask is None else roi.check_mask(mask, image)


def check_use(mask: torch.Tensor | None, beta_1: float, beta_2: float) -> None:
    """Looks whether a run can change anything inside its mask.

    Args:
        mask: [B, H, W] in [0, 1], or None where everything may change.
        beta_1, beta_2: how much of a change is kept outside and inside.

    Raises:
        ValueError: a mask is 0 everywhere, and what is inside was to change more than what is outside.
    """
    if mask is None or beta_1 >= beta_2:
        return
    empty = [n for n, one in enumerate(mask) if not one.any()]
    if empty:
        which = f"number {empty[0]} of 0 to {len(mask) - 1}" if len(mask) > 1 else "it"
        raise ValueError(
            f"mask: {which} is 0 everywhere, so that nothing may change; want the region above 0, or no mask for the "
            "whole image"
        )
