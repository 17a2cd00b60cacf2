"""The loop of PIE against diffusers' img2img pipeline, side by side on the same weights: ``run.py bench pie_speed``.

Ours: the nodes of PIE Loop in mode "noise" (VAE Encode once; PIE Stage and VAE Decode a stage), one trajectory and a
batch of them. Theirs: what the released code does, StableDiffusionImg2ImgPipeline called stage by stage on the picture
it returned, so that every stage encodes and decodes. Both make the same calls of the same network, each in its own
classes; ours also pastes and blends by a mask, which the pipeline does not. Both use PyTorch's attention, which the
host takes on a GPU by itself and on a CPU with --use-pytorch-cross-attention. The sides take turns and the ratios are
those of medians. On a GPU theirs runs in fp32 and in fp16, ours in fp16. On a CPU with one thread (OMP_NUM_THREADS=1)
the bars are on CPU seconds, which other programs on the machine change little; else they are on the clock's.

--weights embedded: the bundled networks at 128 x 128. --weights sd14: Stable Diffusion 1.4's architecture with random
weights. Exit code 1 where a bar is missed.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.standalone_host import use_host
from ...mvg.pie import n_inverted
from . import diffusers_twin
from .diffusers_twin import Twins

BATCH = 8
ONE, MANY, OUTSIDE = 1.0, 0.8, 0.05
"""CPU: our time over theirs at most, for one trajectory and each of BATCH; share outside the network at most."""
GPU_FP32, GPU_FP16 = 3.0, 1.3
"""GPU: our throughput over theirs at least."""
SLACK = 32 * 2**20


@dataclass
class Setting:
    stages: int
    steps: int
    gamma: float
    guidance: float
    size: int


class Clock:
    """Calls of a network and the seconds inside them."""

    def __init__(self, network: torch.nn.Module):
        self.calls, self.seconds, self.began = 0, 0.0, 0.0
        network.register_forward_pre_hook(lambda *_: self.start())
        network.register_forward_hook(lambda *_: self.stop())

    def start(self) -> None:
        self.began = now()

    def stop(self) -> None:
        self.seconds += now() - self.began
        self.calls += 1

    def take(self) -> tuple[int, float]:
        taken = self.calls, self.seconds
        self.calls, self.seconds = 0, 0.0
        return taken


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def our_loop(twins: Twins, setting: Setting, pictures: Tensor, mode: str = "noise") -> tuple[list[Tensor], float]:
    """-> the pictures of the stages, and the seconds inside the PIE Stage nodes."""
    from ...nodes.progression.pie import PIEStep

    cond, uncond = [[twins.cond, {}]], [[twins.uncond, {}]]
    mask = torch.zeros(1, setting.size, setting.size)
    mask[:, setting.size // 4 : -setting.size // 4, setting.size // 4 : -setting.size // 4] = 1
    x_0 = x = {"samples": twins.vae.encode(pictures)}
    states, inside = [], 0.0
    for n in range(1, setting.stages + 1):
        began = now()
        made = PIEStep.execute(
            twins.model,
            cond,
            uncond,
            x,
            x_0,
            setting.steps,
            setting.gamma,
            setting.guidance,
            beta_1=0.01,
            beta_2=0.75,
            mode=mode,
            refine=0,
            scheduler="ddim_uniform",
            seed=0,
            mask=mask,
            stage=n,
        )
        x = made.args[0]
        inside += now() - began
        states.append(twins.vae.decode(x["samples"]))
    return states, inside


class Theirs:
    """The released code's loop over diffusers' pipeline."""

    def __init__(self, twins: Twins, device: torch.device, dtype: torch.dtype):
        from diffusers import DDIMScheduler, StableDiffusionImg2ImgPipeline

        self.pipeline = StableDiffusionImg2ImgPipeline(
            vae=twins.autoencoder,
            text_encoder=None,
            tokenizer=None,
            unet=twins.unet,
            scheduler=DDIMScheduler(**diffusers_twin.SD14_SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        ).to(device, dtype)
        self.pipeline.set_progress_bar_config(disable=True)
        self.texts = {
            "prompt_embeds": twins.cond.to(device, dtype),
            "negative_prompt_embeds": twins.uncond.to(device, dtype),
        }

    def __call__(self, setting: Setting, picture) -> list:
        states = []
        for _ in range(setting.stages):
            made = self.pipeline(
                image=picture,
                strength=setting.gamma,
                num_inference_steps=setting.steps,
                guidance_scale=setting.guidance,
                generator=torch.Generator().manual_seed(0),
                **self.texts,
            )
            picture = made.images[0]
            states.append(picture)
        return states


def report(name: str, value: float, bar: float | None, above: bool = False) -> bool:
    """Prints a figure and its bar -> whether it is met."""
    if bar is None:
        print(f"      {name:66} {value:8.4f}", flush=True)
        return True
    met = value >= bar if above else value <= bar
    print(f"{'ok  ' if met else 'FAIL'}  {name:66} {value:8.4f} {'>=' if above else '<='} {bar:g}", flush=True)
    return met


def peak() -> float:
    """Bytes: of the device where there is one, of the process otherwise."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset)
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale)


@dataclass
class Side:
    """One way to make trajectories: what runs it, the network it calls, and how many it makes at once."""

    run: Callable[[], object]
    clock: Clock
    trajectories: int = 1


def race(sides: dict[str, Side], repeats: int) -> dict[str, tuple[float, ...]]:
    """Median seconds a trajectory, of the clock and of the CPU; the sides take turns after a run each to warm up."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, side in sides.items():
            side.clock.take()
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
            began, busy = now(), time.process_time()
            side.run()
            taken, busy = now() - began, time.process_time() - busy
            calls, inside = side.clock.take()
            memory = f", peak {peak() / 2**30:.1f} GiB" if torch.cuda.is_available() else ""
            if turn:
                seconds[name].append((taken / side.trajectories, busy / side.trajectories))
                line = (
                    f"{name:18} {taken:7.2f} s for {side.trajectories} ({busy:.2f} of CPU), {calls} calls {inside:.2f}"
                )
                print(f"      turn {turn}: {line}{memory}", flush=True)
    return {name: tuple(map(statistics.median, zip(*values, strict=True))) for name, values in seconds.items()}


def outside_share(twins: Twins, setting: Setting, pictures: Tensor, clock: Clock, bar: float | None) -> bool:
    """The share of PIE Stage's time that is not the network's, in both modes; the pictures for show apart."""
    passed = True
    for mode in ("noise", "ddim"):
        clock.take()
        began = now()
        inside = our_loop(twins, setting, pictures, mode)[1]
        whole = now() - began
        calls, network = clock.take()
        print(f"      mode {mode}: {calls} calls")
        passed &= report(f"mode {mode}: share of a stage outside the network", 1 - network / inside, bar)
        report(f"mode {mode}: encoding and decoding for show, share of the whole loop", 1 - inside / whole, None)
    return passed


def memory(twins: Twins, setting: Setting, pictures: Tensor) -> bool:
    """Whether four times the stages need more memory than their pictures."""
    peaks = []
    for stages in (2, 8):
        states, _ = our_loop(twins, Setting(stages, 4, 0.5, setting.guidance, setting.size), pictures)
        peaks.append(peak())
    kept = 0 if torch.cuda.is_available() else 6 * states[0].nbytes
    grown = (peaks[1] - peaks[0] - kept) / 2**20
    return report("peak memory from 2 to 8 stages beyond the pictures kept, MiB", grown, SLACK / 2**20)


def compare(twins: Twins, setting: Setting, one: Tensor, clock: Clock, repeats: int, half: bool) -> bool:
    """The race; half: theirs in fp16 too, and the bars of a GPU."""
    import comfy.model_management
    from PIL import Image

    device = comfy.model_management.get_torch_device()
    picture = Image.fromarray((one[0] * 255).round().byte().numpy())
    many = one.repeat(BATCH, 1, 1, 1)

    def theirs(twins: Twins, dtype: torch.dtype) -> Side:
        loop = Theirs(twins, device, dtype)
        return Side(lambda: loop(setting, picture), Clock(twins.unet))

    sides = {"theirs, fp32": theirs(twins, torch.float32)}
    report("largest difference of the two networks, over the largest output", twins.mismatch(setting.size), None)
    if half:
        copies = {"unet": copy.deepcopy(twins.unet), "autoencoder": copy.deepcopy(twins.autoencoder)}
        sides["theirs, fp16"] = theirs(twins._replace(**copies), torch.float16)
    sides["ours, one"] = Side(lambda: our_loop(twins, setting, one), clock)
    sides[f"ours, batch of {BATCH}"] = Side(lambda: our_loop(twins, setting, many), clock, BATCH)
    seconds = race(sides, repeats)
    for name, (clocked, busy) in seconds.items():
        report(f"{name}: seconds a trajectory, median ({busy:.2f} of CPU)", clocked, None)
    (single, single_cpu), (batch, batch_cpu) = seconds["ours, one"], seconds[f"ours, batch of {BATCH}"]
    full, full_cpu = seconds["theirs, fp32"]
    if not half:
        alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
        ratios = {"one trajectory": (single / full, single_cpu / full_cpu, ONE)}
        ratios[f"each of {BATCH}"] = (batch / full, batch_cpu / full_cpu, MANY)
        met = True
        for name, (clocked, busy, bar) in ratios.items():
            met &= report(f"our time over theirs, {name}", clocked, None if alone else bar)
            met &= report(f"our CPU time over theirs, {name}", busy, bar if alone else None)
        return met
    best = min(single, batch)
    met = report("our throughput over theirs, fp32", full / best, GPU_FP32, above=True)
    return report("our throughput over theirs, fp16", seconds["theirs, fp16"][0] / best, GPU_FP16, above=True) and met


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bench pie_speed", description=__doc__)
    parser.add_argument("--weights", choices=("embedded", "sd14"), default="embedded")
    parser.add_argument("--stages", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--guidance", type=float, default=7.5)
    parser.add_argument("--size", type=int, help="pixels; default 128, for sd14 256 on the CPU and 512 on a GPU")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("race", "share", "memory"), help="one part in place of all")
    options = parser.parse_args()
    use_host()
    import comfy.cli_args

    comfy.cli_args.args.use_pytorch_cross_attention = True
    import comfy.model_management

    gpu, sd14 = torch.cuda.is_available(), options.weights == "sd14"
    size = options.size or (128 if not sd14 else 512 if gpu else 256)
    setting = Setting(options.stages, options.steps, options.gamma, options.guidance, size)
    twins = diffusers_twin.sd14(torch.float16 if gpu else torch.float32) if sd14 else diffusers_twin.embedded()
    comfy.model_management.load_models_gpu([twins.model])
    where = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    steps = n_inverted(setting.steps, setting.gamma)
    print(f"{options.weights} at {size} x {size}, {setting.stages} stages of {steps} steps; {where}", flush=True)
    one = torch.rand(1, size, size, 3, generator=torch.Generator().manual_seed(0))
    clock = Clock(twins.model.model.diffusion_model)
    parts = {
        "memory": lambda: memory(twins, setting, one),
        "share": lambda: outside_share(twins, setting, one, clock, OUTSIDE if sd14 else None),
        "race": lambda: compare(twins, setting, one, clock, options.repeats, half=gpu and sd14),
    }
    with torch.inference_mode():
        met = [part() for name, part in parts.items() if options.only in (None, name)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
