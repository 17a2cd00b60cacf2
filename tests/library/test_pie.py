"""pie.py against the stages recorded from the released code and from the paper's recipe."""

import math

import pytest
import torch
from closed_form import alphas, denoiser, gaussian_flow, level, load, schedule
from mvgen.mvg.ddim import FLOW, VP, NonFiniteError
from mvgen.mvg.pie import (
    change_bound,
    convergence_curve,
    direct_run,
    n_inverted,
    pick_stages,
    pie_noise_denoise,
    pie_stage,
    row_curves,
    sigmas_for,
    stage_noise,
    stop_stage,
    stop_stages,
)


def distance(a, b):
    return float((a.double() - b.double()).abs().max())


@pytest.fixture(scope="module")
def released():
    return load("pie/stages_ddim.safetensors")


@pytest.fixture(scope="module")
def paper():
    return load("ddim/paper_stages.safetensors")


def draws(released, n):
    return released[f"stage{n}.noise_start"], released[f"stage{n}.noise_outside"]


def test_noise_mode_equals_the_released_code_with_its_draws(released):
    run = direct_run(denoiser(released["cond"], released["uncond"], 7.5))
    x = released["x0"]
    for n in range(3):
        x = pie_stage(
            x, released["x0"], schedule(torch.float32), denoise=run, mode="noise", mask=released["mask"],
            noise=draws(released, n),
        )  # fmt: skip
        assert x.dtype == torch.float32
        assert distance(x, released[f"stage{n}.output"]) <= 2e-5
        assert distance(x, released[f"stage{n}.output_f64"]) <= 2e-5


def test_noise_mode_shows_the_network_the_recorded_states(released):
    seen: list[torch.Tensor] = []
    run = direct_run(denoiser(released["cond"], released["uncond"], 7.5, seen))
    start, outside = draws(released, 0)
    end = run(
        pie_noise_denoise, released["x0"], start, schedule(torch.float32),
        original=released["x0"], noise_outside=outside, mask=released["mask"],
    )  # fmt: skip
    assert len(seen) == 25
    assert distance(seen[0], released["stage0.x_start"]) <= 2e-5
    assert distance(torch.cat(seen[:6]), released["stage0.model_inputs"]) <= 2e-5
    assert distance(end, released["stage0.before_blend"]) <= 2e-5


def test_noise_mode_without_a_mask_blends_nothing(released):
    run = direct_run(denoiser(released["cond"], released["uncond"], 7.5))
    noise = (released["nomask.noise_start"], torch.full((1,), float("nan")))
    x = pie_stage(released["x0"], released["x0"], schedule(torch.float32), denoise=run, mode="noise", noise=noise)
    assert distance(x, released["nomask.output"]) <= 2e-5


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("source", ["c", "c_uncond"])
def test_ddim_mode_equals_the_papers_stages(paper, source, dtype, tolerance):
    prefix = "invert_with_c" if source == "c" else "invert_with_uncond"
    denoise = direct_run(denoiser(paper["c"], paper["c_uncond"], 7.5))
    invert = direct_run(denoiser(paper[source]))
    x_0 = x = paper["x0"].to(dtype)
    for n in range(3):
        x = pie_stage(x, x_0, schedule(dtype), denoise=denoise, invert=invert, mask=paper["mask"])
        assert x.dtype == dtype
        assert distance(x, paper[f"{prefix}.stage{n}.output"]) <= tolerance


@pytest.mark.parametrize("mode", ["ddim", "noise"])
def test_outside_the_mask_nothing_moves_at_beta_1_zero(released, mode):
    run, x_0 = direct_run(denoiser(released["cond"])), released["x0"]
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12] = 1
    options = {"denoise": run, "invert": run, "mode": mode, "noise": draws(released, 0)}
    x = pie_stage(x_0 + 0.1, x_0, schedule(torch.float32), mask=mask, beta_1=0.0, beta_2=1.0, **options)
    assert torch.equal(x[..., :4], x_0[..., :4]) and torch.equal(x[..., 12:], x_0[..., 12:])
    assert distance(x[..., 4:12], x_0[..., 4:12]) > 0.05
    full = pie_stage(x_0 + 0.1, x_0, schedule(torch.float32), mask=torch.ones_like(mask), beta_2=1.0, **options)
    bare = pie_stage(x_0 + 0.1, x_0, schedule(torch.float32), **options)
    assert torch.equal(full, bare)


def test_no_step_leaves_the_blend_alone(released):
    x_0, mask = released["x0"], released["mask"]
    for mode in ("ddim", "noise"):
        x = pie_stage(x_0 + 1, x_0, schedule(torch.float32, k=0), denoise=None, mode=mode, mask=mask)
        assert distance(x, x_0 + 0.01 * (1 - mask) + 0.75 * mask) <= 1e-6


def test_flow_stage_pastes_the_noised_original():
    model, _ = gaussian_flow(0.0, 1.0)
    x_0 = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    seen: list[tuple[float, torch.Tensor]] = []

    def watched(x, sigma):
        seen.append((float(sigma[0]), x))
        return model(x, sigma)

    noise = stage_noise(x_0.shape, 5, 1)
    sigmas = torch.tensor([0.8, 0.4, 0.0])
    mask = torch.zeros(2, 1, 8, 8)
    pie_stage(x_0, x_0, sigmas, denoise=direct_run(watched, FLOW), mode="noise", mask=mask, noise=noise, process=FLOW)
    for (sigma, state), draw in zip(seen, noise, strict=True):
        assert distance(state, (1 - sigma) * x_0 + sigma * draw) <= 1e-6


def test_each_row_of_a_batch_equals_the_run_of_it_alone(released):
    run, x_0 = direct_run(denoiser(released["cond"])), torch.cat([released["x0"], released["x0"].flip(-1)])
    options = {"denoise": run, "mode": "noise", "mask": released["mask"][:, :1]}
    sigmas = schedule(torch.float32, final=False)
    both = pie_stage(x_0, x_0, sigmas, noise=stage_noise(x_0.shape, 7, 3), **options)
    for b in range(2):
        row = x_0[b : b + 1]
        alone = pie_stage(row, row, sigmas, noise=stage_noise(row.shape, 7 + b, 3), **options)
        assert torch.equal(both[b : b + 1], alone)


def test_draws_are_normal_and_differ_by_stage_and_seed():
    start, outside = stage_noise((1, 4, 64, 64), 1, 1)
    assert start.shape == outside.shape == (1, 4, 64, 64)
    other = [outside, stage_noise((1, 4, 64, 64), 1, 2)[0], stage_noise((1, 4, 64, 64), 2, 1)[0]]
    for draw in (start, *other):
        assert abs(float(draw.mean())) < 0.03 and abs(float(draw.std()) - 1) < 0.03
    assert all(abs(float((start * draw).mean())) < 0.03 for draw in other)
    assert torch.equal(start, stage_noise((1, 4, 64, 64), 1, 1)[0])


def test_n_inverted_rounds_halves_up():
    assert [n_inverted(50, g) for g in (0, 0.01, 0.29, 0.5, 0.51, 0.99, 1)] == [0, 1, 15, 25, 26, 50, 50]
    assert n_inverted(5, 0.5) == 3 and n_inverted(1, 0.4) == 0
    nan = float("nan")
    for steps, gamma, name in ((0, 0.5, "steps"), (2.5, 0.5, "steps"), (50, 1.01, "gamma"), (50, nan, "gamma")):
        with pytest.raises(ValueError, match=name):
            n_inverted(steps, gamma)


def test_sigmas_for_cuts_to_the_lowest_steps():
    full = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])
    assert sigmas_for(full, 2).tolist() == [2.0, 1.0, 0.0]
    assert sigmas_for(full, 2, 0.5).tolist() == [2.0, 1.0, 0.5]
    assert sigmas_for(full, 0).tolist() == [0.0] and sigmas_for(full, 4).tolist() == full.tolist()
    assert full[-1] == 0
    a = alphas(torch.float64)
    recorded = schedule(torch.float64)
    assert [round(float(s), 9) for s in recorded[[0, -2, -1]]] == [round(level(a[t]), 9) for t in (481, 1, 0)]
    with pytest.raises(ValueError, match="k: got 5, want 0 to 4"):
        sigmas_for(full, 5)
    with pytest.raises(ValueError, match="final"):
        sigmas_for(full, 2, 1.0)


def test_convergence_and_stop():
    states = [torch.zeros(1, 1, 2), torch.tensor([[[3.0, -4.0]]]), torch.tensor([[[3.0, -3.0]]])]
    assert convergence_curve(states).tolist() == pytest.approx([12.5**0.5, 0.5**0.5])
    assert convergence_curve(torch.stack(states), "mean").tolist() == [3.5, 0.5]
    assert convergence_curve(states[:1]).shape == (0,)
    curve = convergence_curve(states)
    assert [stop_stage(curve, delta) for delta in (1.0, 5.0, 0.1)] == [2, 1, None]
    assert stop_stage([], 1) is None
    with pytest.raises(ValueError, match="delta"):
        stop_stage(curve, -1)
    with pytest.raises(ValueError, match="norm"):
        convergence_curve(states, "max")


def test_the_bound_is_proposition_two_solved_for_its_threshold():
    a_0, a_1, c_1, c_2 = 0.9, 0.7, 1.3, 1.1
    bound = change_bound(c_1, a_0, a_1, 12, c_2)
    factor = (math.sqrt(a_0 - a_0 * a_1) - math.sqrt(a_1 - a_0 * a_1)) / math.sqrt(a_1)
    constant = math.log((1 / math.sqrt(a_0) - 1) * c_1 + factor * c_2)
    for n, delta in enumerate(bound):  # |x_(n+1) - x_n| < delta from this n on, as the paper prints it
        assert 2 / math.log(a_0) * (math.log(delta) - constant) == pytest.approx(n, abs=1e-9)
    assert bound == sorted(bound, reverse=True)
    assert change_bound(1.0, 1.0, 1.0, 2) == [0.0, 0.0], "no noise, no change"
    with pytest.raises(ValueError, match=r"a_0, a_1: got 0.7 and 0.9"):
        change_bound(1.0, 0.7, 0.9, 2)


def test_rows_converge_each_on_its_own():
    first, second = ([0.0, 2.0, 3.0, 3.1], [0.0, 5.0, 5.5, 5.4])
    states = [torch.tensor([a, b])[:, None].expand(2, 3) for a, b in zip(first, second, strict=True)]
    curves = row_curves(states)
    assert curves.tolist() == [pytest.approx([2, 1, 0.1]), pytest.approx([5, 0.5, 0.1])]
    for row, values in enumerate(zip(*states, strict=True)):
        assert torch.equal(curves[row], convergence_curve(values)), "as alone"
    assert [stop_stages(curves, delta) for delta in (0, 0.7, 1.5)] == [[None, None], [3, 2], [2, 2]]
    assert row_curves(states[:1]).shape == (2, 0) and stop_stages(row_curves(states[:1]), 1) == [None, None]


def test_the_stages_that_a_plan_gives():
    assert pick_stages("abc") == pick_stages("abc", 3) == ["a", "b", "c"]
    assert pick_stages("abc", 2) == ["a", "b"] and pick_stages("a", 3) == ["a"] * 3
    assert pick_stages("") == [] and pick_stages("a") == ["a"]
    for plan, count, said in (("abc", 4, "got 3 stages, want 1"), ("", 1, "got 0 stages"), ("a", -1, "stages: got -1")):
        with pytest.raises(ValueError, match=said):
            pick_stages(plan, count)


def test_errors_name_what_is_wrong(released):
    x, sigmas = released["x0"], schedule(torch.float32)
    broken = direct_run(lambda x, sigma: x * float("nan"))
    with pytest.raises(NonFiniteError, match="stage 4, inversion step 1 of 25"):
        pie_stage(x, x, sigmas, denoise=broken, invert=broken, stage=4)
    with pytest.raises(NonFiniteError, match=r"^denoising step 1 of 25"):
        pie_stage(x, x, sigmas, denoise=broken, mode="noise", noise=draws(released, 0))
    for options, name in (({"mode": "ode"}, "mode"), ({}, "invert"), ({"mode": "noise"}, "noise")):
        with pytest.raises(ValueError, match=f"^{name}: got"):
            pie_stage(x, x, sigmas, denoise=broken, **options)
    with pytest.raises(ValueError, match="x_prev"):
        pie_stage(x[..., :8], x, sigmas, denoise=broken, invert=broken)
    assert VP.scale(0.0) == FLOW.scale(0.7) == 1
