"""How exactly inversion brings an image back: ``run.py bench inversion``.

Phantoms the embedded model never saw are inverted over gamma of the schedule and denoised at guidance 1 under the same
prompt. Ours runs as in ComfyUI: DDIM Invert, then the host's own Euler sampler. Beside it diffusers' schedulers
DDIMInverseScheduler and DDIMScheduler, as Stable Diffusion 1.4 configures them, drive the same network. PSNR compares
the decoded picture with the decoded latent it began from (peak 1), so the autoencoder's own loss is not in it. Exit
code 1 where refine 3 is not GAIN dB above plain DDIM.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...models.standalone_host import use_host
from ...mvg.ddim import round_trip
from ...mvg.metrics.image import psnr
from ..phantom import chest_xray
from ..phantom.captions import caption
from ..phantom.chest_xray import FINDINGS
from .diffusers_twin import SD14_SCHEDULER

GAIN = 10.0


def phantoms(count: int, first_seed: int) -> tuple[Tensor, list[str]]:
    """Pictures [B, H, W, 3], every other one with a disease, and what a reader would write of each."""
    pictures, captions = [], []
    for i in range(count):
        patient = chest_xray.sample_patient(first_seed + i)
        severities = {FINDINGS[i // 2 % len(FINDINGS)]: 0.55} if i % 2 else {}
        pictures.append(chest_xray.render(patient, severities))
        captions.append(caption(severities, patient.sides))
    return torch.from_numpy(np.stack(pictures))[..., None].repeat(1, 1, 1, 3), captions


class Ours:
    """DDIM Invert and the host's Euler sampler."""

    def __init__(self, model, steps: int, gamma: float, refine: int):
        self.model, self.settings, self.refine = model, (steps, gamma), refine

    def __call__(self, x: Tensor, cond: Tensor) -> Tensor:
        import comfy.sample
        import comfy.samplers

        from ...nodes.progression.pie import DDIMInvert

        conds = [[cond, {}]]
        found = DDIMInvert.execute(
            self.model, conds, {"samples": x}, *self.settings, self.refine, "ddim_uniform", round_trip=False
        )
        noise_map, sigmas, _ = found.args
        return comfy.sample.sample_custom(
            self.model,
            torch.zeros_like(x),
            1.0,
            comfy.samplers.ksampler("euler"),
            sigmas,
            conds,
            conds,
            noise_map["samples"],
            disable_pbar=True,
            seed=0,
        )


class Diffusers:
    """diffusers' pair of schedulers on the host's network."""

    def __init__(self, model, steps: int, k: int):
        from diffusers import DDIMInverseScheduler, DDIMScheduler

        self.model, self.device, self.k = model.model, model.load_device, k
        self.up, self.down = DDIMInverseScheduler(**SD14_SCHEDULER), DDIMScheduler(**SD14_SCHEDULER)
        for scheduler in (self.up, self.down):
            scheduler.set_timesteps(steps)

    def __call__(self, x: Tensor, cond: Tensor) -> Tensor:
        z, cond = self.model.process_latent_in(x).to(self.device), cond.to(self.device)
        for scheduler, timesteps in (
            (self.up, self.up.timesteps[: self.k]),
            (self.down, self.down.timesteps[-self.k :]),
        ):
            for t in timesteps:
                eps = self.model.diffusion_model(z, t.expand(len(z)).to(self.device).float(), context=cond)
                z = scheduler.step(eps, t, z).prev_sample
        return self.model.process_latent_out(z).to(x.device)


def ways(
    model, steps: int, gamma: float, refines: list[int]
) -> Iterator[tuple[str, Callable[[Tensor, Tensor], Tensor]]]:
    from ...mvg.pie import n_inverted

    for refine in refines:
        yield f"ours, refine {refine}", Ours(model, steps, gamma, refine)
    yield "diffusers, DDIMInverseScheduler", Diffusers(model, steps, n_inverted(steps, gamma))


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bench inversion", description=__doc__)
    parser.add_argument("--patients", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--refine", type=int, nargs="+", default=[0, 1, 2, 3])
    options = parser.parse_args()
    use_host()
    import comfy.model_management

    from ...models.embedded import loader

    networks = loader.load("chest_xray")
    comfy.model_management.load_models_gpu([networks.model])
    pictures, captions = phantoms(options.patients, options.first_seed)

    def encode_text(prompts: list[str]) -> Tensor:
        clip = networks.clip
        return torch.cat([clip.encode_from_tokens(clip.tokenize(prompt)) for prompt in prompts])

    print(f"{options.patients} phantoms, T = {options.steps}, gamma = {options.gamma:g}, guidance 1")
    print(f"{'source':8} {'way':32} {'latent RMS':>10} {'PSNR, dB':>9} {'worst':>6} {'seconds':>8}")
    passed = True
    with torch.inference_mode():
        x = networks.vae.encode(pictures)
        before = networks.vae.decode(x).float()
        for source, prompts in (("empty", [""] * len(x)), ("caption", captions)):
            cond, quality = encode_text(prompts), {}
            for name, way in ways(networks.model, options.steps, options.gamma, options.refine):
                began = time.perf_counter()
                back = way(x, cond)
                seconds = time.perf_counter() - began
                values = psnr(networks.vae.decode(back).float(), before)
                rms = float(round_trip(x, back).rms.square().mean().sqrt())
                quality[name] = float(values.mean())
                print(
                    f"{source:8} {name:32} {rms:10.2e} {quality[name]:9.1f} {float(values.min()):6.1f} {seconds:8.1f}",
                    flush=True,
                )
            if {0, 3} <= set(options.refine):
                gain = quality["ours, refine 3"] - quality["ours, refine 0"]
                passed &= gain >= GAIN
                print(f"{'ok' if gain >= GAIN else 'FAIL'}  refine 3 above plain DDIM: {gain:.1f} dB >= {GAIN:g} dB")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
