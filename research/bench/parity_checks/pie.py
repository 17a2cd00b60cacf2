"""The released PIE code's stages: mode "noise" of mvg/pie.py with the recorded draws, and its mask at latent size.

`stages_pndm` is not compared: PNDM, which the released script falls into, runs one step too noisy and is not rebuilt.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ....mvg.pie import direct_run, pie_noise_denoise, pie_stage
from ....mvg.roi import resize_mask
from . import Check, count, distance, tensors
from .closed_form import denoiser, schedule

TOLERANCE = 2e-5
HALF_A_GRAY_LEVEL = 0.5 / 255 + 1e-6
DOWNSCALE = 8


def checks(folder: Path) -> Iterator[Check]:
    facts = json.loads((folder / "stages.json").read_text(encoding="utf-8"))
    if (path := folder / "stages_ddim.safetensors").is_file():
        yield from stages(path, facts)
    if (path := folder / "preprocess.safetensors").is_file():
        yield from preprocess(path)


def stages(path: Path, facts: dict) -> Iterator[Check]:
    data, settings, scheduler = tensors(path), facts["settings"], facts["scheduler_common"]
    conds = data["cond"], data["uncond"], settings["guidance_scale"]
    timesteps = facts["runs"]["ddim"]["stages"][0]["timesteps_fed_to_the_denoiser"]
    sigmas = schedule(scheduler, timesteps, not scheduler["set_alpha_to_one"], torch.float32)
    run, x_0 = direct_run(denoiser(scheduler, *conds)), data["x0"]
    betas = {"beta_1": settings["beta_1"], "beta_2": settings["beta_2"]}

    def draws(n: int) -> tuple[Tensor, Tensor]:
        return data[f"stage{n}.noise_start"], data[f"stage{n}.noise_outside"]

    x = x_0
    for n in range(count(data, "stage{}.output")):
        options = {"mode": "noise", "mask": data["mask"], "noise": draws(n), **betas}
        x = pie_stage(x, x_0, sigmas, denoise=run, **options)
        yield Check(f"{path.stem} stage {n}", distance(x, data[f"stage{n}.output"]), TOLERANCE, "max abs, chained")
        f64 = f"stage{n}.output_f64"
        yield Check(f"{path.stem} stage {n} to f64", distance(x, data[f64]), TOLERANCE, "max abs, chained")
        seen: list[Tensor] = []
        start, outside = draws(n)
        end = direct_run(denoiser(scheduler, *conds, seen))(
            pie_noise_denoise,
            data[f"stage{n}.input"],
            start,
            sigmas,
            original=x_0,
            noise_outside=outside,
            mask=data["mask"],
        )
        yield Check(f"{path.stem} stage {n} x_start", distance(seen[0], data[f"stage{n}.x_start"]), TOLERANCE)
        yield Check(f"{path.stem} stage {n} before_blend", distance(end, data[f"stage{n}.before_blend"]), TOLERANCE)
        if (want := data.get(f"stage{n}.model_inputs")) is not None:
            yield Check(f"{path.stem} stage {n} states", distance(torch.cat(seen[: len(want)]), want), TOLERANCE)
    if "nomask.output" in data:
        noise = data["nomask.noise_start"], torch.full((1,), float("nan"))
        x = pie_stage(x_0, x_0, sigmas, denoise=run, mode="noise", noise=noise, **betas)
        yield Check(f"{path.stem} without a mask", distance(x, data["nomask.output"]), TOLERANCE)


def preprocess(path: Path) -> Iterator[Check]:
    """The mask at latent size. The released code rounds it to 8 bits, ours keeps the mean."""
    data = tensors(path)
    pixels = data["mask_uint8_hwc"].numpy()
    height, width = (side - side % DOWNSCALE for side in pixels.shape[:2])
    cut = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
    channels = torch.from_numpy(cut.copy()).movedim(-1, 0).float() / 255
    small = resize_mask(channels, height // DOWNSCALE, width // DOWNSCALE)
    want = data["mask_out"][0, : len(small)]
    yield Check(f"{path.stem} mask", distance(small, want), HALF_A_GRAY_LEVEL, "max abs, half a gray level")
