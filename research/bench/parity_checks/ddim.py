"""DDIM inversion and the paper's stages: mvg/ddim.py and mvg/pie.py against a float64 evaluation and diffusers."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....mvg.ddim import ddim_denoise, ddim_invert
from ....mvg.pie import direct_run, pie_stage
from . import Check, count, distance, tensors
from .closed_form import denoiser, schedule

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}
NAMES = {torch.float64: "f64", torch.float32: "f32"}
CONVENTIONS = (("", "upper", True), ("alt_lower.", "lower", True), ("alpha_one.", "upper", False))
REFINED = 12
"""Fixed-point iterations that bring the inversion to the exact inverse in double precision."""


def checks(folder: Path) -> Iterator[Check]:
    facts = json.loads((folder / "ddim.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob("inversion_*.safetensors")):
        case = facts["cases"][path.stem.removeprefix("inversion_")]
        yield from inversion(path, facts, case["denoising_timesteps"])
    if (path := folder / "paper_stages.safetensors").is_file():
        yield from paper_stages(path, facts)


def inversion(path: Path, facts: dict[str, Any], timesteps: list[int]) -> Iterator[Check]:
    data, scheduler = tensors(path), facts["scheduler"]
    model = denoiser(scheduler, data["c"])

    def invert(dtype: torch.dtype, pairing: str, final: bool, refine: int = 0) -> tuple[Tensor, Tensor]:
        """-> the inverted state, and what denoising makes of it."""
        sigmas, run = schedule(scheduler, timesteps, final, dtype), direct_run(model)
        up = run(ddim_invert, data["x0"].to(dtype), None, sigmas.flip(0), pairing=pairing, refine=refine)
        return up, run(ddim_denoise, up, None, sigmas)

    for dtype, tolerance in TOLERANCE.items():
        name = f"{path.stem} {NAMES[dtype]}"
        for prefix, pairing, final in CONVENTIONS:
            if f"{prefix}inverted" not in data:
                continue
            up, back = invert(dtype, pairing, final)
            yield Check(f"{name} {prefix}inverted", distance(up, data[f"{prefix}inverted"]), tolerance)
            yield Check(f"{name} {prefix}recon_same_c", distance(back, data[f"{prefix}recon_same_c"]), tolerance)
        sigmas = schedule(scheduler, timesteps, True, dtype)
        guided = denoiser(scheduler, data["c_edit"], data["c_uncond"], facts["guidance_for_edit_cfg"])
        edits = [
            ("denoise_c_edit", "inverted", denoiser(scheduler, data["c_edit"])),
            ("alt_lower.denoise_c_edit", "alt_lower.inverted", denoiser(scheduler, data["c_edit"])),
            (f"denoise_c_edit_cfg{facts['guidance_for_edit_cfg']:g}", "inverted", guided),
        ]
        for key, start, edit in edits:
            if key in data:
                down = direct_run(edit)(ddim_denoise, data[start].to(dtype), None, sigmas)
                yield Check(f"{name} {key}", distance(down, data[key]), tolerance)
    for key in ("inverted", "recon_same_c"):
        if f"diffusers_f32.{key}" in data:
            ours = invert(torch.float32, "upper", True)[key != "inverted"]
            yield Check(f"{path.stem} f32 {key}, diffusers", distance(ours, data[f"diffusers_f32.{key}"]), 1e-5)
    if "exact.inverted" in data:
        errors = [distance(invert(torch.float64, "upper", True, n)[0], data["exact.inverted"]) for n in (0, 1, 2, 3)]
        worst = max(b / a for a, b in pairwise(errors))
        yield Check(f"{path.stem} f64 refine 0, 1, 2, 3", worst, 0.5, "error to exact.inverted over the one before")
        up, back = invert(torch.float64, "upper", True, REFINED)
        yield Check(f"{path.stem} f64 exact.inverted", distance(up, data["exact.inverted"]), 1e-6, f"refine {REFINED}")
        yield Check(f"{path.stem} f64 exact round trip", distance(back, data["x0"]), 1e-6, f"refine {REFINED}")


def paper_stages(path: Path, facts: dict[str, Any]) -> Iterator[Check]:
    data, scheduler, settings = tensors(path), facts["scheduler"], facts["paper_stages"]
    spacing = scheduler["num_train_timesteps"] // settings["num_inference_steps"]
    first = scheduler["steps_offset"]
    timesteps = [first + spacing * i for i in reversed(range(settings["steps_used"]))]
    denoise = direct_run(denoiser(scheduler, data["c"], data["c_uncond"], settings["guidance"]))
    for dtype, tolerance in TOLERANCE.items():
        for source, key in (("c", "invert_with_c"), ("c_uncond", "invert_with_uncond")):
            x_0 = x = data["x0"].to(dtype)
            for n in range(count(data, key + ".stage{}.output")):
                x = pie_stage(
                    x,
                    x_0,
                    schedule(scheduler, timesteps, True, dtype),
                    denoise=denoise,
                    invert=direct_run(denoiser(scheduler, data[source])),
                    mask=data["mask"],
                    beta_1=settings["beta_1"],
                    beta_2=settings["beta_2"],
                )
                error = distance(x, data[f"{key}.stage{n}.output"])
                yield Check(f"{path.stem} {NAMES[dtype]} {key} stage {n}", error, tolerance)
