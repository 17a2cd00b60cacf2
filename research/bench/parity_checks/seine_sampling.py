"""SEINE's recorded runs through the path a node takes: the host's MODEL, its guidance, and our samplers in it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....models.seine.config import Config
from ....models.standalone_host import use_host
from ....mvg.ddim import VP
from ....mvg.seine import Draw
from . import Check, distance, relative, tensors

RUN, START, SCHEDULE = 1e-4, 1e-5, 1e-6


def replay(*recorded: Tensor) -> Draw:
    """Draws that were recorded, in their order."""
    left = iter(recorded)

    def draw(shape: Sequence[int]) -> Tensor:
        return next(left)[: shape[0]]

    return draw


def sampling(folder: Path, facts: dict[str, Any], config: Config, state: dict[str, Tensor]) -> Iterator[Check]:
    use_host()
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    from ....models.seine import native

    model = native.wrap(state, config, dtype=torch.float32)
    steps = facts["num_sampling_steps"]
    yield from schedule(model, native.sigmas(model, steps), facts)
    for method in native.METHODS:
        if (path := folder / f"sampling_{method}.safetensors").is_file():
            yield from whole_run(model, method, tensors(path), facts)
    if (path := folder / "sampling_steps.safetensors").is_file():
        yield from single_steps(model, tensors(path), tensors(folder / "sampling_ddpm.safetensors"), facts)


def schedule(model: Any, sigmas: Tensor, facts: dict[str, Any]) -> Iterator[Check]:
    held = model.get_model_object("model_sampling")
    alphas = 1 / (1 + held.sigmas.double() ** 2)
    recorded = facts["schedule_1000"]["alphas_cumprod_at"]
    want = torch.tensor(list(recorded.values()), dtype=torch.float64)
    got = alphas[[int(t) for t in recorded]]
    yield Check("cumulative alphas", float(((got - want) / want).abs().max()), SCHEDULE, "max relative")
    shown = [int(t) for t in held.timestep(sigmas[:-1])]
    fed = facts["ddim"]["timesteps_fed_to_the_network"]
    yield Check("timesteps fed to the network", sum(a != b for a, b in zip(shown, fed, strict=True)), 0, "number wrong")


def whole_run(model: Any, method: str, data: dict[str, Tensor], facts: dict[str, Any]) -> Iterator[Check]:
    from ....models.seine import native

    scale, states = native.Latent().scale_factor, []
    steps = facts["num_sampling_steps"]
    noise = [data[f"noise.{i}"] for i in range(steps) if f"noise.{i}" in data]
    out = native.sample(
        model,
        [[data["context_cond"], {}]],
        [[data["context_uncond"], {}]],
        data["x_start"] / scale,
        data["mask"],
        steps=steps,
        draw=replay(data["z"], *noise),
        guidance=facts["cfg_scale"],
        method=method,
        callback=lambda step, denoised, x, total: states.append(x),
    )
    sigmas = native.sigmas(model, steps).tolist()
    seen = torch.cat([x * VP.scale(s) for x, s in zip(states, sigmas, strict=False)])
    yield Check(f"{method} run, first state", distance(seen[:1], data["z"]), START)
    worst = max(relative(seen[i + 1], data["x"][i]) for i in range(steps - 1))
    yield Check(f"{method} run, {steps - 1} states on the way", worst, RUN, "over the max of each")
    yield Check(f"{method} run, samples", relative(out * scale, data["samples"]), RUN, "over the max")


def single_steps(model: Any, data: dict[str, Tensor], run: dict[str, Tensor], facts: dict[str, Any]) -> Iterator[Check]:
    """One step each from a recorded state, put into the host's sampling as a latent without noise."""
    import comfy.sample

    from ....models.seine import native

    scale = native.Latent().scale_factor
    levels = native.sigmas(model, facts["num_sampling_steps"]).flip(0)  # 0, then index 0, 1, ...
    video = run["x_start"] / scale
    conds = [native.with_frames([[run[f"context_{c}"], {}]], video, run["mask"]) for c in ("cond", "uncond")]
    for method in native.METHODS:
        for i in facts["single_steps"]["indices"]:
            low, high = float(levels[i]), float(levels[i + 1])
            denoised: list[Tensor] = []
            out = comfy.sample.sample_custom(
                model,
                torch.zeros_like(video),
                facts["cfg_scale"],
                native.sampler(method, replay(data[f"ddpm.{i}.noise"])),
                levels[[i + 1, i]],
                *conds,
                data[f"{i}.x"] / VP.scale(high) / scale,
                callback=lambda step, d, x, total, held=denoised: held.append(d),
                disable_pbar=True,
                seed=0,
            )
            name = f"{method} step, index {i},"
            x0 = relative(denoised[0], data[f"{method}.{i}.pred_xstart"])
            yield Check(f"{name} pred_xstart", x0, RUN, "over the max")
            error = relative(out * scale * VP.scale(low), data[f"{method}.{i}.sample"])
            yield Check(f"{name} sample", error, RUN, "over the max")
