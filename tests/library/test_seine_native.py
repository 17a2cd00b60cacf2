"""models/seine/native.py in the real host: its samplers, guidance, patches, offloading, casts, cancel and preview."""

import json

import pytest
import torch
from mvgen.models.standalone_host import use_host
from mvgen.mvg.ddim import NonFiniteError
from mvgen.mvg.seine import ClipNoise, clip_conditioning
from safetensors.torch import save_file
from seine_tiny import TINY, random_network, text

use_host()

import comfy.lora  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.sample  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.sd  # noqa: E402
import latent_preview  # noqa: E402
from mvgen.models.seine import native  # noqa: E402
from mvgen.models.seine.config import read_config  # noqa: E402

SCALE = 0.18215
CLIP = (4, 5, 4, 6)


def distance(a, b):
    return float((a - b).abs().max())


def relative(a, b):
    return distance(a, b) / float(b.abs().max())


@pytest.fixture(scope="module")
def model():
    return native.wrap(random_network().state_dict(), TINY, dtype=torch.float32)


@pytest.fixture(scope="module")
def scene():
    """Three stages, so two clips: (positive, negative, masked videos, masks)."""
    stages = torch.randn(4, 4, 4, 6, generator=torch.Generator().manual_seed(0)) / SCALE
    return [[text(1), {}]], [[text(2), {}]], *clip_conditioning(stages[:3], stages[3:], CLIP[1])


def sample(model, scene, **options):
    options = {"steps": 4, "draw": ClipNoise(3, [0, 1]), "guidance": 3.0, **options}
    return native.sample(model, *scene, **options)


def by_the_book(scene, method, steps=4, guidance=3.0):
    """The same run in the usual form, without the host: states sqrt(a) x0 + sqrt(1 - a) noise."""
    positive, negative, video, mask = scene
    network, draw = random_network(), ClipNoise(3, [0, 1])
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64)
    every = torch.cumprod(1 - betas, 0)
    timesteps = [round(i * 999 / (steps - 1)) for i in range(steps)]
    alphas = [float(every[t]) for t in timesteps]
    x = draw(video.shape)
    for i in reversed(range(steps)):
        a, before = alphas[i], alphas[i - 1] if i else 1.0
        t = torch.full((2,), timesteps[i])
        shown = torch.cat([x, mask, video * SCALE], 1)
        with torch.inference_mode():
            cond, uncond = (network(shown, t, c[0][0].expand(2, -1, -1)) for c in (positive, negative))
        eps = uncond + guidance * (cond - uncond)
        x0 = (x - (1 - a) ** 0.5 * eps) / a**0.5
        if method == "ddim":
            x = before**0.5 * x0 + (1 - before) ** 0.5 * eps
            continue
        beta = 1 - a / before
        x = before**0.5 * beta / (1 - a) * x0 + (1 - beta) ** 0.5 * (1 - before) / (1 - a) * x
        if i:
            x = x + beta**0.5 * draw(x.shape)
    return x / SCALE


@pytest.mark.parametrize("method", native.METHODS)
def test_a_run_equals_the_textbooks(model, scene, method):
    before = [scene[2].clone(), scene[3].clone()]
    out = sample(model, scene, method=method)
    assert out.shape == (2, *CLIP)
    assert relative(out, by_the_book(scene, method)) <= 1e-4
    assert torch.equal(out, sample(model, scene, method=method))
    assert torch.equal(scene[2], before[0]) and torch.equal(scene[3], before[1]) and scene[0][0][1] == {}


@pytest.mark.parametrize("method", native.METHODS)
def test_a_clip_is_the_same_alone_and_in_a_batch(model, scene, method):
    both = sample(model, scene, method=method)
    for n in range(2):
        part = (*scene[:2], scene[2][n : n + 1], scene[3][n : n + 1])
        alone = sample(model, part, method=method, draw=ClipNoise(3, [n]))
        assert relative(alone, both[n : n + 1]) <= 1e-4


def test_levels_are_seines_own(model):
    alphas = torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)
    held = model.get_model_object("model_sampling")
    assert float((held.sigmas.double() / ((1 - alphas) / alphas).sqrt() - 1).abs().max()) <= 1e-6
    sigmas = native.sigmas(model, 250)
    assert len(sigmas) == 251 and sigmas[-1] == 0
    assert held.timestep(sigmas[:-1]).tolist()[:3] == [999, 995, 991] and held.timestep(sigmas[-2:-1]).item() == 0


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m", "ddim", "uni_pc", "heun"])
def test_the_hosts_samplers_run_it(model, scene, sampler):
    conds = [native.with_frames(c, *scene[2:]) for c in scene[:2]]
    latent, steps = torch.zeros(2, *CLIP), []
    out = comfy.sample.sample(
        model, comfy.sample.prepare_noise(latent, 1), 4, 3.0, sampler, "normal", *conds, latent,
        callback=lambda step, denoised, x, total: steps.append(step), disable_pbar=True, seed=1,
    )  # fmt: skip
    assert out.shape == (2, *CLIP) and torch.isfinite(out).all() and len(steps) >= 4


def test_our_ddim_is_the_hosts_euler(model, scene):
    conds = [native.with_frames(c, *scene[2:]) for c in scene[:2]]
    host = comfy.sample.sample_custom(
        model, ClipNoise(3, [0, 1])((2, *CLIP)), 3.0, comfy.samplers.ksampler("euler"), native.sigmas(model, 4), *conds,
        torch.zeros(2, *CLIP), disable_pbar=True, seed=0,
    )  # fmt: skip
    assert relative(sample(model, scene), host) <= 1e-4


def test_a_lora_of_stable_diffusions_names_changes_it_and_leaves(model, scene):
    plain = sample(model, scene)
    name, generator = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", torch.Generator().manual_seed(4)
    lora = {
        f"lora_unet_{name}.lora_up.weight": torch.randn(32, 4, generator=generator),
        f"lora_unet_{name}.lora_down.weight": torch.randn(4, 32, generator=generator),
        f"lora_unet_{name}.alpha": torch.tensor(4.0),
    }
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    changed = sample(patched, scene)
    assert relative(changed, plain) > 1e-3
    assert torch.equal(sample(model, scene), plain)
    merged = random_network().state_dict()
    up, down = (lora[f"lora_unet_{name}.lora_{part}.weight"] for part in ("up", "down"))
    merged["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"] += up @ down
    assert relative(sample(native.wrap(merged, TINY, dtype=torch.float32), scene), changed) <= 1e-4


def apply(patcher, scene):
    """One call of the host's model at the level of time step 700."""
    positive, _, video, mask = scene
    sigma = patcher.get_model_object("model_sampling").sigmas[[700, 700]]
    x = 5 * torch.randn(2, *CLIP, generator=torch.Generator().manual_seed(6))
    concat = torch.cat([mask, video * SCALE], 1)
    with torch.inference_mode():
        return patcher.model.apply_model(x, sigma, c_concat=concat, c_crossattn=positive[0][0].expand(2, -1, -1))


def test_offloaded_layers_give_the_same(scene):
    whole, partial = (native.wrap(random_network().state_dict(), TINY, dtype=torch.float32) for _ in range(2))
    cpu = torch.device("cpu")
    whole.load(cpu, full_load=True)
    partial.load(cpu, lowvram_model_memory=1)
    casting = [m for m in partial.model.modules() if getattr(m, "comfy_cast_weights", False)]
    owning = [m for m in partial.model.modules() if hasattr(m, "comfy_cast_weights")]
    assert len(casting) == len(owning) > 50
    assert torch.equal(apply(partial, scene), apply(whole, scene))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_are_near(model, scene, dtype):
    half = native.wrap(random_network().state_dict(), TINY, dtype=dtype)
    assert half.model.get_dtype() == dtype
    kinds = {name: p.dtype for name, p in half.model.diffusion_model.named_parameters()}
    assert {kind for name, kind in kinds.items() if not name.endswith("freqs")} == {dtype}
    assert {kind for name, kind in kinds.items() if name.endswith("freqs")} == {torch.float32}
    model.load(torch.device("cpu"), full_load=True)
    half.load(torch.device("cpu"), full_load=True)
    assert relative(apply(half, scene), apply(model, scene)) <= 0.05


def test_cancel_stops_within_a_model_call(model, scene):
    calls = []

    def stop(step, denoised, x, total):
        calls.append(step)
        comfy.model_management.interrupt_current_processing()

    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(model, scene, callback=stop)
    assert calls == [0]
    comfy.model_management.interrupt_current_processing(False)
    assert torch.isfinite(sample(model, scene)).all()


def test_preview_and_progress(model, scene):
    kept, images = {}, []
    callback = latent_preview.prepare_callback(model, 4, kept)
    factors = model.model.latent_format.latent_rgb_factors
    previewer = latent_preview.Latent2RGBPreviewer(factors)

    def both(step, denoised, x, total):
        callback(step, denoised, x, total)
        images.append(previewer.decode_latent_to_preview_image("JPEG", denoised)[1].size)

    sample(model, scene, callback=both)
    assert images == [(6, 4)] * 4 and kept["x0"].shape == (2, *CLIP)


def test_memory_of_clips(model, monkeypatch):
    assert native.clips_at_once(model, CLIP, 6) == 6
    need = native.HEADROOM * model.memory_required([2, *CLIP]) + model.model_size()
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: need)
    loaded = model.loaded_size()
    assert native.clips_at_once(model, CLIP, 6) >= 2
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: need - loaded)
    assert native.clips_at_once(model, CLIP, 6) == 2
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: 0)
    assert native.clips_at_once(model, CLIP, 6) == 1


def test_files_and_other_latents(tmp_path, scene):
    path = tmp_path / "tiny.safetensors"
    save_file(random_network().state_dict(), path, metadata={"config": json.dumps(TINY.values)})
    loaded = native.load(path)
    assert relative(sample(loaded, scene), by_the_book(scene, "ddim")) <= 1e-3
    with pytest.raises(ValueError, match="latent_format: got 4 channels, want 8, the network's"):
        wide = read_config({**TINY.values, "in_channels": 17, "out_channels": 8})
        native.wrap(random_network(wide).state_dict(), wide)
    with pytest.raises(ValueError, match="1 missing"):
        state = random_network().state_dict()
        del state["conv_in.bias"]
        native.wrap(state, TINY)


def test_wrong_inputs_are_named(model, scene):
    positive, negative, video, mask = scene
    for changed, message in (
        ((positive, negative, video[..., :4], mask), r"mask: got \(2, 1, 5, 4, 6\), want \(2, 1, 5, 4, 4\)"),
        ((positive, negative, video, mask[:, :, 1:]), r"mask: got \(2, 1, 4, 4, 6\)"),
        (([[text(1, width=32), {}]], negative, video, mask), r"conditioning: got \(\d, 7, 32\)"),
    ):
        with pytest.raises(ValueError, match=message):
            sample(model, changed)
    with pytest.raises(ValueError, match="method: got 'euler', want one of ddim, ddpm"):
        sample(model, scene, method="euler")
    with pytest.raises(ValueError, match="conditioning: got text alone"):
        run_host(model, positive, negative, torch.zeros(2, *CLIP))
    frames = [native.with_frames(c, video, mask) for c in (positive, negative)]
    with pytest.raises(ValueError, match="mask: got"):
        run_host(model, *frames, torch.zeros(3, *CLIP))
    state = random_network().state_dict()
    broken = native.wrap(state, TINY, dtype=torch.float32)
    broken.model.diffusion_model.conv_out.bias.data[0] = float("nan")
    with pytest.raises(NonFiniteError, match="denoising step 1 of 4"):
        sample(broken, scene)


def run_host(model, positive, negative, latent):
    return comfy.sample.sample(
        model, torch.randn(latent.shape, generator=torch.Generator().manual_seed(7)), 2, 3.0, "euler", "normal",
        positive, negative, latent, disable_pbar=True, seed=0,
    )  # fmt: skip
