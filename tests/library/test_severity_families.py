"""Stages by severity on the host's own model classes: nothing at severity 0, more with every step, native samplers."""

import pytest
import torch
from mvgen.mvg.ddim import round_trip
from tiny_models import build, conditioning, latents

import comfy.samplers  # isort: skip
from mvgen.nodes.progression.pie import DDIMInvert  # isort: skip
from mvgen.nodes.progression.severity import SeverityStage  # isort: skip
from mvgen.nodes.support.guider import SeverityGuider, scale_of, with_severity  # isort: skip

NAMES = ("SD 1.5", "SD 2", "SDXL", "SD 3")
NONE, MILD, SEVERE = (conditioning(seed) for seed in (1, 2, 3))
SCALE = with_severity(NONE, 0.0) + with_severity(SEVERE, 0.8)
SETTINGS = {"steps": 10, "gamma": 0.5, "scheduler": "ddim_uniform"}


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def models():
    return {name: build(name) for name in NAMES}


def inverted(model, latent):
    return DDIMInvert.execute(model, NONE, latent, refine=6, round_trip=False, **SETTINGS).args[0]


def stage(model, latent, noise_map, severity, **options):
    options = {"guidance": 1.0, "beta_1": 0.01, "beta_2": 1.0, **SETTINGS, **options}
    given = model, options.pop("scale", SCALE), NONE, noise_map, latent, severity
    return SeverityStage.execute(*given, **options).args[0]["samples"]


@pytest.mark.parametrize("name", NAMES)
def test_severity_zero_gives_the_input_back(models, name):
    latent = latents(name)
    back = stage(models[name], latent, inverted(models[name], latent), 0.0, guidance=3.0)
    assert float(round_trip(latent["samples"], back).psnr.min()) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_the_change_grows_with_the_severity(models, name):
    latent = latents(name, batch=10, seed=20)
    noise_map = inverted(models[name], latent)
    changed = torch.stack(
        [
            (stage(models[name], latent, noise_map, severity) - latent["samples"]).flatten(1).norm(dim=1)
            for severity in (0.0, 0.2, 0.4, 0.6, 0.8)
        ]
    )
    rising = (changed.diff(dim=0) > 0).all(dim=0)
    assert int(rising.sum()) >= 9, changed


def test_halfway_the_predictions_are_halfway(models):
    model = models["SD 1.5"]
    latent = latents("SD 1.5")["samples"]
    seen = {}

    def sampler(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        seen["x"] = wrapped(x, sigmas[:1].expand(len(x)), **(extra_args or {}))
        return x

    def predicted(severity):
        guider = SeverityGuider(model, SCALE, NONE, severity, 2.0)
        sigmas = torch.tensor([3.0, 0.0])
        guider.sample(torch.zeros_like(latent), latent, comfy.samplers.KSAMPLER(sampler), sigmas, disable_pbar=True)
        return seen["x"]

    none, half, full = (predicted(severity) for severity in (0.0, 0.4, 0.8))
    torch.testing.assert_close(half, (none + full) / 2, rtol=1e-4, atol=1e-4)
    assert float((full - none).abs().max()) > 1e-3


def test_entries_of_a_scale_are_grouped_in_rising_order():
    mixed = with_severity(SEVERE, 0.8) + with_severity(NONE, 0.0) + with_severity(MILD, 0.8)
    assert [(severity, len(entries)) for severity, entries in scale_of(mixed)] == [(0.0, 1), (0.8, 2)]
    with pytest.raises(ValueError, match="scale: got a conditioning without severity"):
        scale_of(NONE)


def test_what_is_not_finite_names_the_stage(models):
    latent = latents("SD 1.5")
    broken = {"samples": latent["samples"] * float("nan")}
    with pytest.raises(ValueError, match="stage 1, noise_map: got values that are not finite"):
        stage(models["SD 1.5"], latent, broken, 0.5)
