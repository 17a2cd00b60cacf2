"""PIE on the host's own model classes (eps, v and flow) through the nodes, against the textbook's form of each."""

import math
from itertools import pairwise

import pytest
import torch
from mvgen.mvg.ddim import NonFiniteError
from mvgen.mvg.pie import stage_noise
from mvgen.mvg.roi import latent_mask
from tiny_models import FAMILIES, build, conditioning, latents

import comfy.model_management  # isort: skip
import comfy.sample  # isort: skip
import comfy.samplers  # isort: skip
import comfy.sd  # isort: skip
import comfy.utils  # isort: skip
import latent_preview  # isort: skip
from comfy_extras.nodes_freelunch import FreeU_V2  # isort: skip
from mvgen.nodes.support import sampling  # isort: skip
from mvgen.nodes.progression.pie import DDIMInvert, PIEStep  # isort: skip

STEPS, K = 10, 5
POSITIVE, NEGATIVE, SOURCE = (conditioning(seed) for seed in (1, 2, 3))
NETWORKS = sorted({"SD 1.5", "Flux"})


@pytest.fixture(scope="module")
def models():
    return {name: build(name) for name in FAMILIES}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


def mask(batch: int = 1) -> torch.Tensor:
    """A soft-edged square of 64 x 64 pixels, another one a row."""
    pixels = torch.zeros(batch, 64, 64)
    for row in range(batch):
        pixels[row, 16:48, 8 + 4 * row : 40] = 0.5
        pixels[row, 24:40, 16:40] = 1.0
    return pixels


def step(model, latent, latent_0=None, **options):
    options = {
        **{"steps": STEPS, "gamma": 0.5, "guidance": 3.0, "beta_1": 0.1, "beta_2": 0.75, "mode": "ddim", "refine": 0},
        **{"scheduler": "ddim_uniform", "seed": 5, "mask": mask(), "source": SOURCE, "stage": 2},
        **options,
    }
    return PIEStep.execute(model, POSITIVE, NEGATIVE, latent, latent_0 or latent, **options).args[0]["samples"]


def invert(model, latent, **options):
    options = {"steps": STEPS, "gamma": 0.5, "refine": 0, "scheduler": "ddim_uniform", **options}
    return DDIMInvert.execute(model, SOURCE, latent, **options).args


def rms_of(notes):
    return float(notes.split("RMS error ")[1].split(",")[0])


def distance(a, b):
    return float((a - b).abs().max())


def relative(a, b):
    return distance(a, b) / float(b.abs().max())


class Book:
    """DDIM and Euler as the papers print them, on what the bare network returns."""

    def __init__(self, model, name):
        self.model, self.name, self.kind = model, name, FAMILIES[name].prediction
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        self.alphas = torch.cumprod(1 - betas, 0)

    def network(self, z, level, cond):
        """The output at a state as the network sees it; level: a time step for eps and v, a sigma for flow."""
        text, more = cond[0]
        y = {"SDXL": self.adm, "SD 3": self.pooled, "Flux": self.pooled}.get(self.name)
        extra = {} if y is None else {"y": y(more["pooled_output"]).expand(len(z), -1)}
        if self.name == "Flux":
            extra["guidance"] = torch.full((len(z),), 3.5)
        t = torch.full((len(z),), 1000 * level if self.name == "SD 3" else level, dtype=torch.float32)
        return self.model.model.diffusion_model(z, t, context=text.expand(len(z), -1, -1), **extra)

    def pooled(self, pooled):
        return pooled

    def adm(self, pooled):
        """The pooled text, then height, width, two crops and the target's height and width as sines."""
        angles = torch.exp(-math.log(10000) * torch.arange(128) / 128)
        sizes = [torch.cat([(n * angles).cos(), (n * angles).sin()]) for n in (128.0, 128.0, 0.0, 0.0, 128.0, 128.0)]
        return torch.cat([pooled, torch.cat(sizes)[None]], 1)

    def move(self, z, at, low, high, cond, uncond=None, guidance=1.0):
        """z from level `low` to `high` with the network asked at level `at`."""
        out = self.network(z, at, cond)
        if uncond is not None:
            other = self.network(z, at, uncond)
            out = other + guidance * (out - other)
        if self.kind == "flow":
            return z + (high - low) * out
        a, b, shown = (1.0 if t is None else float(self.alphas[t]) for t in (low, high, at))
        eps = out if self.kind == "eps" else shown**0.5 * out + (1 - shown) ** 0.5 * z
        return b**0.5 * (z - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps

    def levels(self):
        """Of the K lowest steps, ascending; None is the end without noise of a model with time steps."""
        many = 10_000 if self.name == "Flux" else 1000
        steps = [1 + i * many // STEPS for i in range(K)]
        return [0.0, *(self.sigma((t + 1) / many) for t in steps)] if self.kind == "flow" else [None, *steps]

    def sigma(self, t):
        """The level at a share t of the schedule: SD 3 with its shift of 3, Flux with the host's default of 1.15."""
        return 3 * t / (1 + 2 * t) if self.name == "SD 3" else math.exp(1.15) / (math.exp(1.15) + 1 / t - 1)

    def noised(self, x_0, noise, level):
        if self.kind == "flow":
            return (1 - level) * x_0 + level * noise
        a = float(self.alphas[level])
        return a**0.5 * x_0 + (1 - a) ** 0.5 * noise

    def stage(self, latent, latent_0, mode):
        process = self.model.model.latent_format
        z, x_0, levels = process.process_in(latent), process.process_in(latent_0), self.levels()
        inside = latent_mask(mask(), latent)
        start, outside = stage_noise(latent.shape, 5, 2)
        if mode == "ddim":
            for low, high in pairwise(levels):
                z = self.move(z, high, low, high, SOURCE)
        else:
            z = self.noised(z, start, levels[-1])
        for i, (high, low) in enumerate(pairwise(levels[::-1])):
            if mode == "noise" and i > 0:
                z = self.noised(x_0, outside, high) * (1 - inside) + z * inside
            z = self.move(z, high, high, low, POSITIVE, NEGATIVE, 3.0)
        x = process.process_out(z)
        return (0.1 * (x - latent_0) + latent_0) * (1 - inside) + (0.75 * (x - latent_0) + latent_0) * inside


@pytest.mark.parametrize("mode", ["ddim", "noise"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_stage_equals_the_textbooks(models, name, mode):
    latent_0, latent = latents(name, seed=1), latents(name, seed=2)
    out = step(models[name], latent, latent_0, mode=mode)
    assert relative(out, Book(models[name], name).stage(latent["samples"], latent_0["samples"], mode)) <= 2e-4
    assert distance(out, latent_0["samples"]) > 0.1


@pytest.mark.parametrize("name", FAMILIES)
def test_refinement_brings_the_image_back(models, name):
    latent = latents(name)
    x = latent["samples"]
    errors = []
    for refine in (0, 1, 3, 12):
        noise_map, sigmas, notes = invert(models[name], latent, refine=refine)
        back = comfy.sample.sample_custom(
            models[name], torch.zeros_like(x), 1.0, comfy.samplers.ksampler("euler"), sigmas, SOURCE, SOURCE,
            noise_map["samples"], disable_pbar=True, seed=0,
        )  # fmt: skip
        rms = float((back - x).square().mean().sqrt())
        errors.append(rms / float(x.std()))
        if refine == 0:
            assert rms_of(notes) == pytest.approx(rms, rel=0.02), "the notes say what the host's sampler gives"
    assert errors[1] < errors[0] / 4 and errors[2] < errors[1] / 4
    assert 1e-3 < errors[0] < 0.2 and errors[3] <= 1e-5


@pytest.mark.parametrize("mode", ["ddim", "noise"])
@pytest.mark.parametrize("name", FAMILIES)
def test_each_row_of_a_batch_equals_the_run_of_it_alone(models, name, mode):
    both = step(models[name], latents(name, 2), mode=mode, mask=mask(2), refine=1)
    for b in range(2):
        alone = step(models[name], latents(name, seed=b), mode=mode, mask=mask(2)[b : b + 1], refine=1, seed=5 + b)
        assert relative(both[b : b + 1], alone) <= 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_a_lora_counts_as_its_merged_weights_do(models, name):
    plain = step(models[name], latents(name))
    keys = [key for key, p in models[name].model.diffusion_model.named_parameters() if p.ndim == 2]
    generator = torch.Generator().manual_seed(0)
    lora, merged = {}, build(name)
    weights = dict(merged.model.diffusion_model.named_parameters())
    for key in keys[len(keys) // 2 :]:
        up, down = torch.randn(len(weights[key]), 2, generator=generator), torch.randn(2, weights[key].shape[1])
        base = "diffusion_model." + key.removesuffix(".weight")
        lora |= {f"{base}.lora_B.weight": up * 0.1, f"{base}.lora_A.weight": down * 0.1}
        weights[key].data += 0.01 * up @ down
    patched, _ = comfy.sd.load_lora_for_models(models[name], None, lora, 1.0, 0.0)
    assert len(patched.patches) == len(keys) - len(keys) // 2
    out = step(patched, latents(name))
    assert relative(out, plain) > 1e-3
    assert relative(out, step(merged, latents(name))) <= 1e-4
    assert torch.equal(step(models[name], latents(name)), plain), "the LoRA stays on the model it was put on"


def halved(apply, arguments):
    return 0.5 * apply(arguments["input"], arguments["timestep"], **arguments["c"])


def calmer(arguments):
    return arguments["uncond"] + 0.5 * (1 + arguments["cond_scale"]) * (arguments["cond"] - arguments["uncond"])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_hosts_patches_apply_and_inversion_stays_exact(models, name):
    latent = latents(name)
    plain = step(models[name], latent)
    wrapped, guided = models[name].clone(), models[name].clone()
    wrapped.set_model_unet_function_wrapper(halved)
    guided.set_model_sampler_cfg_function(calmer)
    patched = [wrapped, guided]
    if FAMILIES[name].unet.get("model_channels"):
        patched.append(FreeU_V2.execute(models[name], 1.3, 1.4, 0.9, 0.2).args[0])
    for model in patched:
        assert relative(step(model, latent), plain) > 1e-3
        assert rms_of(invert(model, latent, refine=8)[2]) <= 0.01 * rms_of(invert(model, latent)[2])
    assert relative(step(guided, latent, guidance=5.0), plain) <= 1e-4
    assert torch.equal(step(models[name], latent), plain)


@pytest.mark.parametrize("name", FAMILIES)
def test_gamma_0_and_1(models, name):
    latent_0, latent = latents(name, seed=1), latents(name, seed=2)
    x_0, x = latent_0["samples"], latent["samples"]
    inside = latent_mask(mask(), x)
    blended = x_0 + (0.1 + 0.65 * inside) * (x - x_0)
    for mode in ("ddim", "noise"):
        assert distance(step(models[name], latent, latent_0, gamma=0.0, mode=mode), blended) <= 1e-5
        whole = step(models[name], latent, latent_0, gamma=1.0, mode=mode, steps=4)
        assert torch.isfinite(whole).all() and distance(whole, blended) > 0.1
    same, sigmas, notes = invert(models[name], latent, gamma=0.0)
    assert same is latent and sigmas.tolist() == [0.0] and "nothing was inverted" in notes
    if FAMILIES[name].prediction == "flow":
        with pytest.raises(ValueError, match="gamma: got 1, which ends at pure noise"):
            invert(models[name], latent, gamma=1.0, scheduler="simple")
    else:
        assert torch.isfinite(invert(models[name], latent, gamma=1.0, steps=4)[0]["samples"]).all()


@pytest.mark.parametrize("mode", ["ddim", "noise"])
def test_outside_the_mask_not_a_bit_moves_at_beta_1_0(models, mode):
    for name, model in models.items():
        latent_0, latent = latents(name, seed=1), latents(name, seed=2)
        out = step(model, latent, latent_0, mode=mode, beta_1=0.0)
        outside = (latent_mask(mask(), out) == 0).expand_as(out)
        assert torch.equal(out[outside], latent_0["samples"][outside]) and outside.float().mean() > 0.3


def test_inputs_stay_as_they_are(models):
    for name in NETWORKS:
        for mode in ("ddim", "noise"):
            given = latents(name, 2), latents(name, 2, seed=9), mask(2)
            kept = given[0]["samples"].clone(), given[1]["samples"].clone(), given[2].clone()
            texts = [cond[0][0].clone() for cond in (POSITIVE, NEGATIVE, SOURCE)]
            step(models[name], given[0], given[1], mask=given[2], mode=mode)
            assert torch.equal(given[0]["samples"], kept[0]) and torch.equal(given[1]["samples"], kept[1])
            assert torch.equal(given[2], kept[2]) and list(given[0]) == ["samples"]
            for cond, text in zip((POSITIVE, NEGATIVE, SOURCE), texts, strict=True):
                assert torch.equal(cond[0][0], text) and set(cond[0][1]) == {"pooled_output", "width", "height"}


@pytest.mark.parametrize("name", NETWORKS)
def test_nan_names_stage_and_step(name):
    broken = build(name)
    calls = []

    def poison(_, inputs, output):
        calls.append(output)
        return output * float("nan") if len(calls) == 8 else output

    broken.model.diffusion_model.register_forward_hook(poison)
    with pytest.raises(NonFiniteError, match=r"stage 2, denoising step 3 of 5 \(sigma .*\): the model returned NaN"):
        step(broken, latents(name), guidance=1.0)
    calls.clear()
    with pytest.raises(NonFiniteError, match="stage 2, inversion step 4 of 5"):
        step(broken, latents(name), refine=1)
    bad = {"samples": latents(name)["samples"] * float("nan")}
    with pytest.raises(ValueError, match="stage 2, latent: got values that are not finite"):
        step(broken, bad, latents(name))


@pytest.mark.parametrize(("mode", "refine"), [("ddim", 0), ("ddim", 3), ("noise", 0)])
def test_cancel_stops_before_the_next_model_call(models, mode, refine):
    model, calls = models["SD 1.5"], []

    def count(*_):
        calls.append(1)
        if len(calls) == 4:
            comfy.model_management.interrupt_current_processing()

    hook = model.model.diffusion_model.register_forward_hook(count)
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            step(model, latents("SD 1.5"), mode=mode, refine=refine)
    finally:
        hook.remove()
        comfy.model_management.interrupt_current_processing(False)
    assert len(calls) == 4
    assert torch.isfinite(step(model, latents("SD 1.5"), mode=mode)).all()


def test_progress_tells_every_step_of_a_stage_once(models, monkeypatch):
    told = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0.0)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: told.append((value, total)))
    step(models["SD 1.5"], latents("SD 1.5"))
    assert told == [(n, 2 * K) for n in range(1, 2 * K + 1)]
    told.clear()
    step(models["SD 1.5"], latents("SD 1.5"), mode="noise")
    assert told == [(n, K) for n in range(1, K + 1)]
    told.clear()
    step(models["SD 1.5"], latents("SD 1.5"), gamma=0.0)
    assert told == []


def test_every_step_shows_a_preview(models, monkeypatch):
    shown = []
    monkeypatch.setattr(latent_preview.args, "preview_method", latent_preview.LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: shown.append(preview[1]))
    for name in NETWORKS:
        shown.clear()
        step(models[name], latents(name, 2), mask=None)
        assert [picture.size for picture in shown] == [(8, 8)] * 2 * K


def test_the_host_may_offload_the_model_at_any_time(models):
    model = models["SD 1.5"]
    before = step(model, latents("SD 1.5"))
    assert any(loaded.model.is_clone(model) for loaded in comfy.model_management.current_loaded_models)
    comfy.model_management.unload_all_models()
    assert torch.equal(step(model, latents("SD 1.5")), before)


def test_wrong_sizes_are_named(models):
    model, latent = models["SD 1.5"], latents("SD 1.5")
    for options, message in (
        ({"mask": torch.ones(1, 32, 64)}, "mask: got 64 x 32 pixels, want 64 x 64"),
        ({"mask": torch.ones(2, 64, 64)}, "mask: got 2 masks, want 1"),
        ({"mask": 2 * torch.ones(1, 64, 64)}, "mask: got values from 2 to 2"),
        ({"latent_0": latents("SD 1.5", 2)}, r"got shape \(1, 4, 8, 8\), want that of latent_0, \(2, 4, 8, 8\)"),
        ({"gamma": 1.01}, "gamma: got 1.01"),
        ({"steps": 0}, "steps: got 0"),
        ({"steps": 1001, "gamma": 1.0}, "steps: got 1001, want 1 to 1000"),
    ):
        with pytest.raises(ValueError, match=message):
            step(model, latent, **options)
    small = latent_mask(mask(), latent["samples"])[:, 0]
    assert torch.equal(step(model, latent, mask=small), step(model, latent)), "a mask may have the latent's size"


def test_a_stage_holds_no_memory_but_its_result(models):
    import gc

    def live() -> int:
        gc.collect()
        tensors = [t for t in gc.get_objects() if type(t) is torch.Tensor]
        return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

    model, latent_0 = models["SD 3"], latents("SD 3", 4)
    states = [step(model, latent_0, mask=None)]
    sizes = [live()]
    for n, mode in ((2, "ddim"), (3, "noise")):
        states.append(step(model, {"samples": states[-1]}, latent_0, mask=None, stage=n, mode=mode))
        sizes.append(live())
    assert [b - a for a, b in pairwise(sizes)] == [states[0].nbytes] * 2


def test_any_scheduler_of_the_host_will_do(models):
    for scheduler in sampling.SCHEDULERS:
        out = step(models["SD 3"], latents("SD 3"), scheduler=scheduler, steps=6)
        assert torch.isfinite(out).all() and distance(out, latents("SD 3")["samples"]) > 0, scheduler
