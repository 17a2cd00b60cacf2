"""The widgets that the nodes of PIE share."""

from comfy_api.latest import io

from ..mvg import pie
from . import sampling

MAX_STAGES = 99


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps", default=50, min=1, max=1000, tooltip="T, the steps of the model's whole noise schedule."
    )


def gamma_input() -> io.Float.Input:
    return io.Float.Input(
        "gamma",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="Strength of a stage: the fraction of the schedule that is inverted and denoised again. Higher changes "
        "more; k = round(gamma * T) steps.",
    )


def guidance_input() -> io.Float.Input:
    return io.Float.Input(
        "guidance",
        default=3.0,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip="w, how strongly the prompt pulls while denoising. Inversion always runs at 1.",
    )


def beta_inputs(beta_1: float = 0.01, beta_2: float = 0.9) -> list[io.Float.Input]:
    return [
        io.Float.Input(
            "beta_1",
            default=beta_1,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the change to keep outside the mask. 0 leaves it untouched.",
        ),
        io.Float.Input(
            "beta_2",
            default=beta_2,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the change to keep inside the mask. 1 keeps it whole.",
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
        tooltip="Where the steps lie. ddim_uniform gives Stable Diffusion's own DDIM steps.",
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
