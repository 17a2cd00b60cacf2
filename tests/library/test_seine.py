"""mvg/seine.py: levels, the DDPM sampler and the conditioning, against the recorded facts and the textbook."""

import json
from itertools import pairwise

import pytest
import torch
from closed_form import PARITY
from mvgen.mvg.ddim import NonFiniteError
from mvgen.mvg.seine import (
    ClipNoise,
    clip_conditioning,
    ddpm_denoise,
    flatten_frames,
    frame_mask,
    masked_video,
    resize,
    respaced_timesteps,
    schedule,
)


@pytest.fixture(scope="module")
def facts():
    return json.loads((PARITY / "seine" / "sampling.json").read_text(encoding="utf-8"))


def linear_alphas():
    return torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), 0)


def levels():
    return ((1 - linear_alphas()) / linear_alphas()).sqrt()


def test_steps_are_the_recorded(facts):
    assert len(facts["respacing"]) > 10
    for steps, want in facts["respacing"].items():
        assert respaced_timesteps(int(steps)) == want
    for t, alpha in facts["schedule_1000"]["alphas_cumprod_at"].items():
        assert float(linear_alphas()[int(t)]) == pytest.approx(alpha, rel=1e-12)
    part = schedule(levels(), 2, 0.25)
    assert torch.equal(part, schedule(levels(), 8)[-3:])
    with pytest.raises(ValueError, match=r"denoise: got 0, want a number in \(0, 1\]"):
        schedule(levels(), 8, 0)
    sigmas = schedule(levels(), 8)
    assert sigmas.tolist() == [*levels()[facts["ddim"]["timesteps_fed_to_the_network"]].tolist(), 0.0]
    for steps in (0, 2.5, 1001):
        with pytest.raises(ValueError, match="steps"):
            respaced_timesteps(steps)


def test_ddpm_is_the_textbooks(facts):
    """Against the posterior's coefficients in the usual form, as recorded, and a closed-form noise predictor."""
    want, x = facts["respaced_8"], torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    draws = [torch.randn(x.shape, generator=torch.Generator().manual_seed(i)).double() for i in range(1, 8)]
    alphas = want["alphas_cumprod"]

    def eps(state, sigma):
        return 0.3 * torch.sin(state) + 0.1 * sigma / (1 + sigma)

    state = x
    for i, draw in zip(reversed(range(8)), [*draws, None], strict=True):
        a = alphas[i]
        x0 = (state - (1 - a) ** 0.5 * eps(state, ((1 - a) / a) ** 0.5)) / a**0.5
        state = want["posterior_mean_coef_x0"][i] * x0 + want["posterior_mean_coef_xt"][i] * state
        if draw is not None:
            state = state + want["model_variance_used_fixed_large"][i] ** 0.5 * draw

    def model(x, sigma):
        s = float(sigma[0])
        return x - s * eps(x / (1 + s * s) ** 0.5, s)

    sigmas, left, steps = schedule(levels(), 8), iter(draws), []
    start = x * (1 + sigmas[0] ** 2).sqrt()
    ours = ddpm_denoise(model, start, sigmas, None, lambda d: steps.append(d["i"]), draw=lambda shape: next(left))
    assert steps == list(range(8)) and next(left, None) is None
    assert float((ours - state).abs().max()) <= 1e-10 * float(state.abs().max())
    with pytest.raises(NonFiniteError, match="denoising step 1 of 8"):
        ddpm_denoise(lambda x, sigma: x * float("nan"), start, sigmas, draw=torch.randn)


def test_noise_of_a_clip_does_not_depend_on_its_batch():
    both, second = ClipNoise(5, [0, 1]), ClipNoise(5, [1])
    for _ in range(3):
        assert torch.equal(both((2, 4, 3, 2, 2))[1:], second((1, 4, 3, 2, 2)))
    shared = ClipNoise(5, [0, 1], shared=True)((2, 4, 6, 3, 2))
    assert shared.shape == (2, 4, 6, 3, 2) and float((shared - shared[:, :, :1]).abs().max()) == 0
    assert not torch.equal(shared[0], shared[1])
    draws = [ClipNoise(seed, [clip])((1, 4, 64, 64)) for seed, clip in ((0, 0), (0, 1), (1, 0))]
    for a, b in pairwise([*draws, draws[0]]):
        assert abs(float((a * b).mean())) < 0.05 and float(a.std()) == pytest.approx(1, abs=0.03)
    assert torch.equal(ClipNoise(0, [0])((1, 4, 64, 64)), draws[0])
    with pytest.raises(ValueError, match="clips: got a batch of 3, want 2"):
        both((3, 4, 3, 2, 2))


def test_conditioning_puts_the_stages_at_the_ends(facts):
    for frames, want in facts["mask_onelast1_frames"].items():
        assert frame_mask(int(frames)).tolist() == want
    generator = torch.Generator().manual_seed(1)
    stages, gray = torch.randn(3, 4, 5, 6, generator=generator), torch.randn(1, 4, 5, 6, generator=generator)
    before = stages.clone()
    video, mask = clip_conditioning(stages, gray, 7)
    assert video.shape == (2, 4, 7, 5, 6) and mask.shape == (2, 1, 7, 5, 6)
    for n in range(2):
        assert torch.equal(video[n, :, 0], stages[n]) and torch.equal(video[n, :, -1], stages[n + 1])
    assert torch.equal(video[:, :, 1:-1], gray[:, :, None].expand(2, 4, 5, 5, 6))
    assert mask[1, 0, :, 2, 3].tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert torch.equal(flatten_frames(video)[7:], video[1].movedim(1, 0)) and torch.equal(stages, before)
    walk, same = clip_conditioning(stages, gray, 7, "walk")
    assert torch.equal(walk[:, :, [0, -1]], video[:, :, [0, -1]]) and torch.equal(same, mask)
    torch.testing.assert_close(walk[1, :, 2], stages[1] + (stages[2] - stages[1]) / 3)


def test_masked_video_is_gray_between_its_ends():
    first, last = torch.rand(2, 4, 6, 3, generator=torch.Generator().manual_seed(2))
    video = masked_video(first, last, 5)
    assert torch.equal(video[0], first) and torch.equal(video[-1], last)
    assert video[1:-1].unique().tolist() == [0.5]
    assert resize(first[None], 2, 3)[0, 0, 0].tolist() == pytest.approx(first[:2, :2].mean((0, 1)).tolist())


def test_errors_are_named():
    stages = torch.zeros(2, 4, 5, 6)
    for call, message in (
        (lambda: frame_mask(2), "frames: got 2, want an integer above the 2 given"),
        (lambda: frame_mask(4.5), "frames: got 4.5"),
        (lambda: clip_conditioning(stages[:1], stages[:1], 16), r"stages: got \(1, 4, 5, 6\), want \[N \+ 1"),
        (lambda: clip_conditioning(stages, stages, 16), r"gray: got \(2, 4, 5, 6\), want \(1, 4, 5, 6\)"),
        (lambda: clip_conditioning(stages, stages[:1], 2), "frames: got 2"),
        (lambda: clip_conditioning(stages, stages[:1], 16, "black"), "between: got 'black', want one of gray, walk"),
        (lambda: masked_video(stages[0], stages[0, :2], 4), "last: got"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
