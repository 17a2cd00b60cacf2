"""The paper's two baselines against closed forms, and their nodes on the host's own model classes."""

import math

import pytest
import torch
from closed_form import denoiser, schedule
from mvgen.mvg.baselines import direction, extrapolate, walk_stage, walk_text
from mvgen.mvg.ddim import NonFiniteError, ddim_denoise
from mvgen.mvg.interpolation import slerp
from mvgen.mvg.pie import direct_run, stage_noise
from mvgen.mvg.plan import Plan, Stage
from mvgen.mvg.roi import roi_blend
from tiny_models import build, conditioning

from mvgen.nodes.progression.baselines import Extrapolation, SDWalk, same_length, walk_conditioning  # isort: skip

SHAPE = (2, 4, 8, 8)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_slerp_goes_along_the_great_arc():
    a, b = torch.zeros(2, 3, 1), torch.zeros(2, 3, 1)
    a[:, 0], b[0, 1], b[1] = 1, 1, torch.tensor([0.5, 0, math.sqrt(0.75)])[:, None]  # at 90 and 60 degrees
    third = slerp(a, b, 1 / 3)
    for row, angle in ((0, 90), (1, 60)):
        assert float(third[row, 0, 0]) == pytest.approx(math.cos(math.radians(angle / 3)), abs=1e-6)
        assert float(third[row].norm()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_slerp_is_exact_at_the_ends_and_keeps_the_length_of_noise(dtype):
    a, b = normal(2, 4096, seed=1, dtype=torch.float64).to(dtype), normal(2, 4096, seed=2).to(dtype)
    assert torch.equal(slerp(a, b, 0), a) and torch.equal(slerp(a, b, 1), b)
    half = slerp(a, b, 0.5)
    assert half.dtype == dtype and half.double().std() == pytest.approx(1, abs=0.03)
    assert torch.equal(slerp(a[1:], b[1:], 0.3), slerp(a, b, 0.3)[1:]), "a row does not depend on the others"


def test_slerp_of_parallel_rows_is_the_straight_line():
    a = normal(4, 5)
    b = torch.stack([2 * a[0], -a[1], 0 * a[2], a[3]])
    assert torch.allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b, rtol=0, atol=1e-15)
    for args, name in (((a, b[:2], 0.5), "b: got"), ((a, b, 1.5), "t: got 1.5"), ((a, b, float("nan")), "t: got nan")):
        with pytest.raises(ValueError, match=name):
            slerp(*args)


def test_walk_text_is_straight_and_exact_at_the_ends():
    healthy, disease = normal(2, 7, 16, seed=1), normal(2, 7, 16, seed=2)
    assert torch.equal(walk_text(healthy, disease, 0, 5), healthy)
    assert torch.equal(walk_text(healthy, disease, 5, 5), disease)
    assert torch.allclose(walk_text(healthy, disease, 2, 5), 0.6 * healthy + 0.4 * disease, rtol=0, atol=1e-15)
    assert torch.equal(walk_text(healthy, disease, 1, 1), disease)
    with pytest.raises(ValueError, match=r"disease: got \(2, 6, 16\), want the shape of healthy, \(2, 7, 16\)"):
        walk_text(healthy, disease[:, :6], 1, 5)
    for n, count in ((6, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match=f"n: got stage {n} of {count}, want 0 to N"):
            walk_text(healthy, disease, n, count)


def walk(x_0, n, count, noise, *, k=8, model=None, **blend):
    model = denoiser(normal(len(x_0), 3, 5, seed=9)) if model is None else model
    sigmas = schedule(torch.float32, final=False, k=k)
    return walk_stage(x_0, sigmas, n, count, denoise=direct_run(model), noise=noise, **blend)


def test_a_stage_of_the_walk_is_image_to_image_from_the_original():
    x_0, noise = normal(*SHAPE, dtype=torch.float32), stage_noise(SHAPE, 3, 0)
    mask = (torch.arange(8) < 4).float().expand(1, 1, 8, 8)
    sigmas, model = schedule(torch.float32, final=False, k=8), denoiser(normal(2, 3, 5, seed=9))
    for n in range(4):
        noised = x_0 + sigmas[0] * slerp(*noise, n / 3)
        want = roi_blend(ddim_denoise(model, noised, sigmas), x_0, mask, 0.01, 0.75)
        x_n = walk(x_0, n, 3, noise, mask=mask)
        assert (x_n - want).abs().max() <= 2e-6 and (x_n - x_0).abs().max() > 0.1
    out = walk(x_0, 1, 3, noise, mask=mask, beta_1=0.0)
    assert torch.equal(out[..., 4:], x_0[..., 4:]) and not torch.equal(out[..., :4], x_0[..., :4])


def test_no_step_leaves_the_original():
    x_0 = normal(*SHAPE, dtype=torch.float32)
    assert torch.equal(walk(x_0, 2, 3, stage_noise(SHAPE, 0, 0), k=0), x_0)


def test_a_row_of_the_walk_is_the_run_of_it_alone():
    x_0, words = normal(*SHAPE, dtype=torch.float32), normal(2, 3, 5, seed=9)
    both = walk(x_0, 2, 3, stage_noise(SHAPE, 7, 0), model=denoiser(words))
    assert torch.equal(both, walk(x_0, 2, 3, stage_noise(SHAPE, 7, 0), model=denoiser(words)))
    for b in range(2):
        row = slice(b, b + 1)
        alone = walk(x_0[row], 2, 3, stage_noise((1, *SHAPE[1:]), 7 + b, 0), model=denoiser(words[row]))
        assert (alone - both[row]).abs().max() <= 1e-6


def test_a_model_that_fails_is_named_with_its_stage():
    x_0 = normal(*SHAPE, dtype=torch.float32)
    with pytest.raises(NonFiniteError, match="stage 2, denoising step 1 of 8"):
        walk(x_0, 2, 3, stage_noise(SHAPE, 0, 0), model=lambda x, sigma: x * float("nan"))


def test_the_mean_direction_is_the_difference_of_the_means():
    healthy, diseased = normal(40, 4, 3, 3, seed=1), normal(30, 4, 3, 3, seed=2) + 0.5
    d = direction(healthy, diseased)
    assert d.shape == (4, 3, 3) and torch.allclose(d, diseased.mean(0) - healthy.mean(0), rtol=0, atol=1e-14)
    assert torch.equal(d, direction(healthy, diseased, "mean"))


def test_the_linear_direction_is_fishers_where_the_covariance_is_known():
    """Two Gaussians of one covariance: the best classifier's normal is S^-1 of the difference of the means."""
    spread = torch.tensor([4.0, 1.0, 0.25], dtype=torch.float64).sqrt()
    shift = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    healthy, diseased = normal(500, 3, seed=1) * spread, normal(500, 3, seed=2) * spread + shift
    d, mean = direction(healthy, diseased, "linear"), direction(healthy, diseased, "mean")
    known = shift / spread.square()
    assert cosine(d, known) >= 0.998 and cosine(mean, known) < 0.9
    assert torch.equal(d, direction(healthy, diseased, "linear"))
    assert float(d @ mean) == pytest.approx(float(mean @ mean), rel=1e-12), "a step of 1 is the same way along the mean"


def test_the_linear_direction_solves_the_shrunk_covariance():
    """The same by the D x D covariance with the shrinkage as Ledoit and Wolf print it, fewer pictures than numbers."""
    healthy, diseased = normal(9, 20, seed=1), normal(7, 20, seed=2)
    healthy[:, 0], diseased[:, 0] = 4 * healthy[:, 0], 4 * diseased[:, 0] + 3
    rows = torch.cat([healthy - healthy.mean(0), diseased - diseased.mean(0)])
    covariance = rows.T @ rows / 16
    mu = covariance.trace() / 20
    eye = torch.eye(20, dtype=torch.float64)
    apart = sum((row.outer(row) - covariance).square().sum() for row in rows) / 16**2
    s = apart / (covariance - mu * eye).square().sum()
    assert 0.05 < s < 0.95
    difference = diseased.mean(0) - healthy.mean(0)
    want = torch.linalg.solve((1 - s) * covariance + s * mu * eye, difference)
    assert cosine(direction(healthy, diseased, "linear"), want) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [1, 4, 2048])
def test_both_methods_agree_on_isotropic_sets(size):
    healthy, diseased = normal(60, size, seed=1), normal(60, size, seed=2) + 0.5
    linear, mean = direction(healthy, diseased, "linear"), direction(healthy, diseased, "mean")
    assert cosine(linear, mean) >= 0.995 and float(linear.norm() / mean.norm()) == pytest.approx(1, abs=5e-3)


def test_sets_of_one_picture_repeated_have_the_direction_between_the_two():
    healthy, diseased = normal(1, 6, seed=1).expand(2, 6), normal(1, 6, seed=2).expand(3, 6)
    for method in ("mean", "linear"):
        assert torch.allclose(direction(healthy, diseased, method), diseased[0] - healthy[0], rtol=0, atol=1e-12)


def test_float32_latents_give_the_float64_direction():
    healthy, diseased = normal(12, 500, seed=1, dtype=torch.float32), normal(12, 500, seed=2, dtype=torch.float32) + 1
    for method in ("mean", "linear"):
        d = direction(healthy, diseased, method)
        assert d.dtype == torch.float32
        assert torch.equal(d, direction(healthy.double(), diseased.double(), method).float())


def test_direction_refuses_by_name():
    healthy, diseased = normal(4, 2, 3, seed=1), normal(4, 2, 3, seed=2)
    for args, words in (
        ((healthy[:0], diseased), "healthy: got 0, want two or more"),
        ((healthy, diseased[:1]), "diseased: got 1, want two or more"),
        ((healthy, diseased[..., :2]), r"diseased: got latents of \(2, 2\), want those of healthy, \(2, 3\)"),
        ((healthy * float("nan"), diseased), "healthy: got values that are not finite"),
        ((healthy, diseased * float("inf")), "diseased: got values that are not finite"),
        ((healthy, healthy.flip(0)), "diseased: got the mean of healthy"),
        ((0 * healthy, 0 * healthy), "diseased: got the mean of healthy"),
        ((healthy, diseased, "svm"), "method: got 'svm', want one of mean, linear"),
    ):
        with pytest.raises(ValueError, match=words):
            direction(*args)


def test_extrapolation_is_linear_in_the_stage_and_blended():
    z_0, d = normal(*SHAPE), normal(*SHAPE[1:], seed=4)
    mask = (torch.arange(8) < 4).double().expand(1, 1, 8, 8)
    assert torch.equal(extrapolate(z_0, d, 0, 0.5), z_0)
    assert torch.allclose(extrapolate(z_0, d, 3, 0.5), z_0 + 1.5 * d, rtol=0, atol=1e-14)
    out = extrapolate(z_0, d, 3, 0.5, mask, 0.0, 1.0)
    assert torch.equal(out[..., 4:], z_0[..., 4:]) and torch.equal(out[..., :4], (z_0 + 3 * 0.5 * d)[..., :4])
    for args, words in (((z_0, d[:2], 1, 0.5), "d: got"), ((z_0, d, 1, float("nan")), "step: got nan")):
        with pytest.raises(ValueError, match=words):
            extrapolate(*args)


def test_one_direction_takes_the_healthy_mean_to_the_diseased():
    healthy, diseased = normal(20, *SHAPE[1:], seed=1), normal(20, *SHAPE[1:], seed=2) + 0.3
    mean = direction(healthy, diseased)
    for method in ("mean", "linear"):
        arrived = extrapolate(healthy, direction(healthy, diseased, method), 4, 1 / 4).mean(0)
        assert float((arrived * mean).sum()) == pytest.approx(float((diseased.mean(0) * mean).sum()), rel=1e-12)


# The nodes, on the host's SD 1.5 class at a small size, with a VAE and texts whose values are known.


class BlockVAE:
    """Four channels that say all a constant 8 x 8 block has: its colour, and nothing in the fourth."""

    def encode(self, pixels):
        blocks = pixels.unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).mean((2, 4)).movedim(-1, 1)
        return torch.cat([2 * blocks - 1, 0 * blocks[:, :1]], 1)

    def decode(self, latent):
        pixels = (latent[:, :3] + 1) / 2
        return pixels.repeat_interleave(8, 2).repeat_interleave(8, 3).movedim(1, -1).clamp(0, 1)


class Texts:
    """A CLIP that knows a conditioning for a prompt, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def tokenize(self, text):
        self.asked.append(text)
        return len(text)

    def encode_from_tokens_scheduled(self, tokens):
        return conditioning(tokens)


@pytest.fixture(scope="module")
def model():
    return build("SD 1.5")


def image(batch=1, seed=0):
    return torch.stack([torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(seed + b)) for b in range(batch)])


def half(batch=1):
    return (torch.arange(64) < 32).float().expand(batch, 64, 64)


def plan(*sources, **fields):
    words = ("mild", "moderate edema", "the severe edema")
    stages = [Stage(words[n], "edema", n / 4, source=source, **fields) for n, source in enumerate(sources)]
    return Plan("chest_xray", "edema", "", tuple(stages))


def sd_walk(model, pictures, course, clip=None, **changes):
    inputs = {"steps": 8, "gamma": 0.5, "guidance": 2.0, "beta_1": 0.0, "beta_2": 0.9, "composite": True}
    inputs |= {"scheduler": "ddim_uniform", "seed": 5, "mask": half(), **changes}
    return SDWalk.execute(model, clip or Texts(), BlockVAE(), pictures, course, **inputs).args


def extrapolation(pictures, healthy, diseased, **changes):
    inputs = {"method": "mean", "reach": 1.0, "beta_1": 0.0, "beta_2": 1.0, "composite": True, "stages": 2}
    return Extrapolation.execute(BlockVAE(), pictures, healthy, diseased, **{**inputs, **changes}).args


def test_the_walk_leaves_the_outside_bit_for_bit(model):
    pictures, before = image(2), image(2)
    states, latents, notes = sd_walk(model, pictures, plan("", ""))
    assert torch.equal(pictures, before) and len(states) == len(latents) == len(notes) == 2
    for patient in range(2):
        x, z = states[patient], latents[patient]["samples"]
        assert x.shape == (3, 64, 64, 3) and z.shape == (3, 4, 8, 8) and torch.equal(x[0], pictures[patient])
        for n in (1, 2):
            assert torch.equal(x[n, :, 32:], x[0, :, 32:]) and not torch.equal(x[n, :, :32], x[0, :, :32])
            assert torch.equal(z[n, ..., 4:], z[0, ..., 4:])
        assert not torch.equal(x[1], x[2])
    states, latents, _ = sd_walk(model, pictures, plan("", ""), mask=torch.zeros(1, 64, 64))
    for patient in range(2):
        assert all(torch.equal(state, pictures[patient]) for state in states[patient])
        assert all(torch.equal(z, latents[patient]["samples"][0]) for z in latents[patient]["samples"])


def test_a_patient_of_the_walk_comes_out_as_alone(model):
    states, latents, notes = sd_walk(model, image(2), plan("", ""))
    for b in range(2):
        alone = sd_walk(model, image(seed=b), plan("", ""), seed=5 + b)
        assert (alone[0][0] - states[b]).abs().max() <= 1e-5
        # latents reach 8, where fp32 itself steps by 1e-6; kernels sum in another order for another batch size
        torch.testing.assert_close(alone[1][0]["samples"], latents[b]["samples"], rtol=1e-5, atol=1e-5)
    again = sd_walk(model, image(2), plan("", ""))
    assert all(torch.equal(a, b) for a, b in zip(again[0], states, strict=True)) and again[2] == notes
    other = sd_walk(model, image(2), plan("", ""), seed=6)
    assert not torch.equal(other[0][0], states[0])


def test_the_walk_goes_from_the_first_source_to_the_last_prompt(model):
    clip = Texts()
    sd_walk(model, image(), plan("healthy", "mild", "moderate"), clip)
    assert clip.asked == ["healthy", "the severe edema", "healthy"]
    clip = Texts()
    sd_walk(model, image(), plan("healthy", "mild", "moderate"), clip, stages=2)
    assert clip.asked == ["healthy", "moderate edema", "healthy"]
    healthy, disease = conditioning(1), conditioning(2)
    for n, (text, more) in ((n, walk_conditioning(healthy, disease, n, 4)[0]) for n in range(5)):
        assert torch.allclose(text, (1 - n / 4) * healthy[0][0] + n / 4 * disease[0][0], atol=1e-6)
        pooled = [cond[0][1]["pooled_output"] for cond in (healthy, disease)]
        assert torch.allclose(more["pooled_output"], (1 - n / 4) * pooled[0] + n / 4 * pooled[1], atol=1e-6)
        assert more["width"] == 128


def test_texts_of_several_windows_are_repeated_to_one_length():
    a, b = same_length(normal(1, 77, 4), normal(1, 154, 4))
    assert a.shape == b.shape == (1, 154, 4) and torch.equal(a[:, :77], a[:, 77:])
    with pytest.raises(ValueError, match="plan: got 256 tokens for what the image shows and 300 for the last stage"):
        same_length(normal(1, 256, 4), normal(1, 300, 4))


def test_stages_have_their_own_strength_and_may_be_none_or_one(model):
    states, latents, notes = sd_walk(model, image(), plan())
    assert states[0].shape[0] == latents[0]["samples"].shape[0] == 1 and torch.equal(states[0], image())
    assert notes == ["SD Walk, T = 8, ddim_uniform, seed 5, beta_1 0, beta_2 0.9"]
    states, _, notes = sd_walk(model, image(), plan("", gamma=0.25, guidance=1.5))
    assert len(states[0]) == 2 and "stage 1: k = 2, guidance 1.5, 100% of the way, change" in notes[0]
    states, _, _ = sd_walk(model, image(), plan("", gamma=0.0))
    assert torch.equal(states[0][1, :, 32:], states[0][0, :, 32:])
    assert (states[0][1] - states[0][0]).abs().max() <= 1e-6, "no step: the image, with what the VAE loses put back"


def test_a_course_that_fails_names_the_stage(model):
    class Broken(Texts):
        def encode_from_tokens_scheduled(self, tokens):
            (text, more), *_ = conditioning(tokens)
            return [[text * float("nan") if tokens == len("moderate edema") else text, more]]

    class Blind(BlockVAE):
        def decode(self, latent):
            return super().decode(latent) * float("nan")

    with pytest.raises(NonFiniteError, match="stage 1, denoising step 1 of 4"):
        sd_walk(model, image(), plan("", ""), Broken())
    with pytest.raises(ValueError, match="stage 1: the VAE returned values that are not finite"):
        Extrapolation.execute(Blind(), image(), image(2), image(2, 5), "mean", 1.0, 0.0, 1.0, True, stages=2)


def test_extrapolation_reaches_the_diseased_mean():
    healthy, diseased = image(4, 10) * 0.4 + 0.2, image(4, 10) * 0.4 + 0.35
    before = healthy.clone(), diseased.clone()
    for method in ("mean", "linear"):
        states, latents, notes = extrapolation(healthy[:2], healthy, diseased, method=method)
        assert torch.equal(healthy, before[0]) and torch.equal(diseased, before[1])
        z = latents[1]["samples"]
        assert z.shape == (3, 4, 8, 8) and torch.allclose(z[2] - z[1], z[1] - z[0], atol=1e-6)
        assert (states[1][2] - states[1][0]).mean() < 0.16 and torch.equal(states[1][0], healthy[1])
        assert f"Extrapolation, {method} of 4 healthy and 4 diseased pictures, reach 1" in notes[1]
        assert "stage 1: 0.5 of the difference of the means" in notes[1]
    states, latents, _ = extrapolation(healthy[:1], healthy, diseased)
    assert float((latents[0]["samples"][2] - latents[0]["samples"][0])[:3].mean()) == pytest.approx(0.3, abs=1e-5)
    twice = extrapolation(healthy[:1], healthy, diseased, reach=2.0)[1][0]["samples"]
    assert torch.allclose(twice[1], latents[0]["samples"][2], atol=1e-6)


def test_extrapolation_leaves_the_outside_and_takes_its_stages_from_either():
    healthy, diseased = image(3, 10) * 0.5, image(3, 20) * 0.5 + 0.5
    states, _, _ = extrapolation(image(2), healthy, diseased, mask=half(), stages=0, plan=plan("", ""))
    for patient in range(2):
        assert len(states[patient]) == 3
        assert torch.equal(states[patient][2, :, 32:], image(2)[patient, :, 32:])
        assert not torch.equal(states[patient][2, :, :32], image(2)[patient, :, :32])
    states, _, _ = extrapolation(image(), healthy, diseased, mask=torch.zeros(64, 64))
    assert all(torch.equal(state, image()[0]) for state in states[0])
    assert len(extrapolation(image(), healthy, diseased, stages=0, plan=plan())[0][0]) == 1
    assert len(extrapolation(image(), healthy, diseased, stages=1)[0][0]) == 2
    alone = extrapolation(image(seed=1), healthy, diseased)[1][0]["samples"]
    assert (alone - extrapolation(image(2), healthy, diseased)[1][1]["samples"]).abs().max() <= 1e-6


def test_the_nodes_refuse_by_name(model):
    two = image(2, 10)
    for args, changes, words in (
        ((image(), two[:, :32], two), {}, "healthy: got 64 x 32 with 3 channels, want the image's 64 x 64 with 3"),
        ((image(), two, two[:1]), {}, "diseased: got 1 picture, want a batch of two or more"),
        ((image(), two, two * float("nan")), {}, "diseased: got values that are not finite"),
        ((image(), two, two), {}, "diseased: got the mean of healthy"),
        ((image(), two, 1 - two), {"stages": 0}, "stages: got 0 and no plan"),
        ((image(), two, 1 - two), {"stages": 3, "plan": plan("", "")}, "plan: got 2 stages, want 1"),
        ((image(), two, 1 - two), {"mask": torch.ones(1, 32, 64)}, "mask: got 64 x 32 pixels, want 64 x 64"),
        ((image() * float("nan"), two, 1 - two), {}, "image: got values that are not finite"),
    ):
        with pytest.raises(ValueError, match=words):
            extrapolation(*args, **changes)
    with pytest.raises(ValueError, match="image: got 60 x 64, want both sides a multiple of 8"):
        sd_walk(model, image()[:, :, :60], plan(""))
    with pytest.raises(ValueError, match="image: got an empty batch, want at least one picture"):
        sd_walk(model, image()[:0], plan(""))
    with pytest.raises(ValueError, match="image: got 4 channels, want 3"):
        sd_walk(model, torch.ones(1, 64, 64, 4), plan(""))
    with pytest.raises(ValueError, match="mask: got values from 2 to 2"):
        sd_walk(model, image(), plan(""), mask=2 * torch.ones(1, 64, 64))
    with pytest.raises(ValueError, match="plan: got 2 stages, want 1"):
        sd_walk(model, image(), plan("", ""), stages=5)
