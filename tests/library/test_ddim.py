"""ddim.py against the recorded float64 map, diffusers, and models with a known solution."""

from itertools import pairwise

import pytest
import torch
from closed_form import K, alphas, denoiser, epsilon, gaussian_flow, load, schedule
from mvgen.mvg.ddim import FLOW, VP, NonFiniteError, ddim_denoise, ddim_invert, round_trip
from mvgen.mvg.pie import direct_run

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.fixture(scope="module")
def recorded():
    return load("ddim/inversion_t481.safetensors")


def invert(model, x, sigmas, **options):
    return direct_run(model)(ddim_invert, x, None, sigmas.flip(0), process=VP, **options)


def denoise(model, x, sigmas):
    return direct_run(model)(ddim_denoise, x, None, sigmas)


def distance(a, b):
    return float((a.double() - b).abs().max())


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("pairing", "prefix", "final"), [("upper", "", True), ("lower", "alt_lower.", True), ("upper", "alpha_one.", False)]
)
def test_inversion_and_round_trip_equal_the_recorded(recorded, dtype, pairing, prefix, final):
    sigmas, model = schedule(dtype, final), denoiser(recorded["c"])
    up = invert(model, recorded["x0"].to(dtype), sigmas, pairing=pairing)
    assert distance(up, recorded[f"{prefix}inverted"]) <= TOLERANCE[dtype]
    assert distance(denoise(model, up, sigmas), recorded[f"{prefix}recon_same_c"]) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_guided_edits_equal_the_recorded(recorded, dtype):
    sigmas, up = schedule(dtype), recorded["inverted"].to(dtype)
    edit = denoise(denoiser(recorded["c_edit"]), up, sigmas)
    guided = denoise(denoiser(recorded["c_edit"], recorded["c_uncond"], 7.5), up, sigmas)
    assert distance(edit, recorded["denoise_c_edit"]) <= TOLERANCE[dtype]
    assert distance(guided, recorded["denoise_c_edit_cfg7.5"]) <= TOLERANCE[dtype]


@pytest.mark.parametrize("pairing", ["upper", "lower"])
def test_refine_approaches_the_exact_inverse(recorded, pairing):
    sigmas, model, x0 = schedule(torch.float64), denoiser(recorded["c"]), recorded["x0"].double()
    errors = []
    for refine in (0, 1, 2, 3, 20):
        up = invert(model, x0, sigmas, refine=refine, pairing=pairing)
        errors.append(distance(up, recorded["exact.inverted"]))
    assert all(b < a / 10 for a, b in pairwise(errors[:4]))
    assert errors[-1] <= 1e-12
    assert distance(denoise(model, up, sigmas), x0) <= 1e-12


def test_equals_diffusers_run_here(recorded):
    from diffusers import DDIMInverseScheduler, DDIMScheduler

    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    config |= {"set_alpha_to_one": False, "clip_sample": False, "timestep_spacing": "leading"}
    up, down = DDIMInverseScheduler(**config), DDIMScheduler(**config)
    x, c = recorded["x0"], recorded["c"]
    for scheduler in (up, down):
        scheduler.set_timesteps(50)
        for t in scheduler.timesteps[:K] if scheduler is up else scheduler.timesteps[-K:]:
            x = scheduler.step(epsilon(x, t, c), int(t), x).prev_sample
        if scheduler is up:
            inverted = x
    sigmas, model = schedule(torch.float32), denoiser(c)
    ours = invert(model, recorded["x0"], sigmas)
    assert distance(ours, inverted.double()) <= 1e-5
    assert distance(denoise(model, ours, sigmas), x.double()) <= 1e-5


def test_v_prediction_inverts_as_eps_does(recorded):
    eps_model, c = denoiser(recorded["c"]), recorded["c"].double()
    log_levels = ((1 - alphas(torch.float64)) / alphas(torch.float64)).log() / 2

    def v_model(x, sigma):  # v = sqrt(a) * eps - sqrt(1 - a) * x0 with x0 = (x_t - sqrt(1 - a) * eps) / sqrt(a)
        s = sigma.reshape(-1, 1, 1, 1)
        a = 1 / (1 + s * s)
        state = x * a.sqrt()
        t = (sigma.log()[:, None] - log_levels).abs().argmin(1).reshape(-1, 1, 1, 1).to(x)
        eps = epsilon(state, t, c)
        v = a.sqrt() * eps - (1 - a).sqrt() * (state - (1 - a).sqrt() * eps) / a.sqrt()
        return a.sqrt() * state - (1 - a).sqrt() * v

    sigmas, x0 = schedule(torch.float64), recorded["x0"].double()
    assert distance(invert(v_model, x0, sigmas), invert(eps_model, x0, sigmas)) <= 1e-12


@pytest.mark.parametrize("pairing", ["upper", "lower"])
def test_flow_follows_the_exact_path(pairing):
    model, exact = gaussian_flow(0.3, 0.7)
    x0 = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    run = direct_run(model, FLOW)
    errors = []
    for steps in (100, 200):
        sigmas = torch.linspace(0, 0.6, steps + 1, dtype=torch.float64)
        up = run(ddim_invert, x0, None, sigmas, pairing=pairing, process=FLOW)
        errors.append(distance(up, exact(x0, 0.6)))
    assert errors[0] < 0.03
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)  # Euler: the error halves with the step
    up = run(ddim_invert, x0, None, sigmas, pairing=pairing, process=FLOW, refine=8)
    assert distance(run(ddim_denoise, up, None, sigmas.flip(0)), x0) <= 1e-12


def test_euler_of_the_denoised_form_by_hand():
    def model(x, sigma):
        return 0.5 * x

    x = torch.full((1, 1, 1, 1), 8.0)
    assert ddim_denoise(model, x, torch.tensor([4.0, 1.0, 0.0])).item() == pytest.approx(8 * (1 - 0.375) * 0.5)
    # one step 0 -> 1 shows the network 8 * sqrt(2): slope = 0.5 * 8 * sqrt(2) / 1
    assert ddim_invert(model, x, torch.tensor([0.0, 1.0])).item() == pytest.approx(8 + 4 * 2**0.5)


def test_callbacks_batches_and_inputs(recorded):
    sigmas, model = schedule(torch.float32, k=3), denoiser(recorded["c"])
    x = torch.cat([recorded["x0"], recorded["x0"].flip(-1)])
    before, steps = x.clone(), []
    both = ddim_invert(model, x, sigmas.flip(0), None, lambda d: steps.append((d["i"], *d)), refine=1)
    assert steps == [(i, "x", "i", "sigma", "sigma_hat", "denoised") for i in (0, 0, 1, 1, 2, 2)]
    assert torch.equal(x, before)
    alone = torch.cat([ddim_invert(model, row[None], sigmas.flip(0), refine=1) for row in x])
    assert torch.equal(both, alone)
    steps.clear()
    ddim_denoise(model, both, sigmas, None, lambda d: steps.append(d["i"]))
    assert steps == [0, 1, 2]


class Cancelled(BaseException):
    pass


@pytest.mark.parametrize("sampler", [ddim_invert, ddim_denoise])
def test_nan_is_named_and_cancel_passes(sampler):
    sigmas = torch.tensor([0.1, 1.0, 2.0])
    sigmas = sigmas if sampler is ddim_invert else sigmas.flip(0)
    calls = []

    def breaks(x, sigma):
        calls.append(sigma)
        return x * (float("nan") if len(calls) == 2 else 0.5)

    with pytest.raises(NonFiniteError, match=r"step 2 of 2 .sigma .*NaN"):
        sampler(breaks, torch.ones(1, 1, 2, 2), sigmas)

    def cancel(state):
        raise Cancelled

    with pytest.raises(Cancelled):
        sampler(lambda x, sigma: x, torch.ones(1, 1, 2, 2), sigmas, None, cancel)


def test_no_step_returns_the_state():
    x = torch.randn(1, 4, 2, 2)
    for sampler in (ddim_invert, ddim_denoise):
        assert torch.equal(sampler(None, x, torch.tensor([0.0])), x)


def test_bad_arguments_are_named():
    x = torch.ones(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"sigmas.*ascending"):
        ddim_invert(None, x, torch.tensor([2.0, 1.0]))
    with pytest.raises(ValueError, match=r"sigmas.*descending"):
        ddim_denoise(None, x, torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="clean end only"):
        ddim_denoise(None, x, torch.tensor([1.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="finite"):
        ddim_denoise(None, x, torch.tensor([float("nan"), 0.0]))
    with pytest.raises(ValueError, match=r"pairing.*'middle'"):
        ddim_invert(None, x, torch.tensor([0.0, 1.0]), pairing="middle")
    with pytest.raises(ValueError, match=r"refine.*-1"):
        ddim_invert(None, x, torch.tensor([0.0, 1.0]), refine=-1)


def test_the_round_trip_error_is_told_row_by_row():
    x = torch.tensor([[0.0, 4.0], [1.0, 2.0]])[:, None, None]
    told = round_trip(x, x + torch.tensor([[0.3, -0.4], [0.0, 0.01]])[:, None, None])
    assert told.rms.tolist() == pytest.approx([0.125**0.5, 0.01 / 2**0.5])
    assert told.psnr.tolist() == pytest.approx([21.0721, 43.0103], abs=1e-4)  # 20 log10(range / rms)
    assert str(told) == "RMS error 0.354, PSNR 21.1 dB, the worst of 2"
    assert str(round_trip(x[1:], x[1:])) == "RMS error 0, PSNR inf dB"
    with pytest.raises(ValueError, match="back: got"):
        round_trip(x, x[:1])
