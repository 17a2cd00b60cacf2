"""transition.py: the walk between two latents and the joined film."""

import math

import numpy as np
import pytest
import torch
from mvgen.mvg.transition import (
    anchored,
    equal_change_film,
    film_length,
    join_clips,
    jumps,
    latent_walk,
    split_film,
)


@pytest.mark.parametrize("mode", ["slerp", "linear"])
@pytest.mark.parametrize("frames", [2, 3, 16])
def test_ends_are_exact(mode, frames):
    a, b = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    walk = latent_walk(a, b, frames, mode)
    assert walk.shape == (frames, 4, 8, 8) and walk.dtype == torch.float32
    assert torch.equal(walk[0], a) and torch.equal(walk[-1], b)


def test_linear_by_hand_and_slerp_on_the_circle():
    a, b = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    assert latent_walk(a, b, 5, "linear")[1].flatten().tolist() == [1.5, 0.5]
    angles = torch.linspace(0, math.pi / 2, 5)
    arc = 2 * torch.stack([angles.cos(), angles.sin()], 1)
    assert torch.allclose(latent_walk(a, b, 5).reshape(5, 2), arc, atol=1e-6)


def test_slerp_equals_scipy_on_unit_vectors():
    from scipy.spatial import geometric_slerp

    a, b = torch.nn.functional.normalize(torch.randn(2, 12, generator=torch.Generator().manual_seed(2)).double(), dim=1)
    want = geometric_slerp(a.numpy(), b.numpy(), np.linspace(0, 1, 9))
    assert np.abs(latent_walk(a, b, 9).numpy() - want).max() <= 1e-12


def test_degenerate_latents_walk_straight():
    a = torch.randn(4, 4, 4, generator=torch.Generator().manual_seed(1))
    for b in (a, 2 * a, -a, torch.zeros_like(a)):
        assert torch.allclose(latent_walk(a, b, 3)[1], (a + b) / 2, atol=1e-6)
    assert torch.isfinite(latent_walk(torch.zeros(4), torch.zeros(4), 3)).all()


@pytest.mark.parametrize(("n", "k"), [(0, 16), (1, 2), (1, 16), (3, 2), (6, 16)])
def test_film_has_its_length_and_exact_keyframes(n, k):
    generator = torch.Generator().manual_seed(4)
    stages = torch.rand(n + 1, 8, 6, 3, generator=generator)
    clips = [torch.rand(k, 8, 6, 3, generator=generator) for _ in range(n)]
    film = join_clips(clips, stages)
    assert len(film) == film_length(n, k) == n * (k - 1) + 1
    assert torch.equal(film[:: k - 1] if n else film, stages)
    for i, clip in enumerate(clips):
        assert torch.equal(film[i * (k - 1) + 1 : (i + 1) * (k - 1)], clip[1:-1])


def test_errors_are_named():
    z, stages = torch.zeros(4), torch.zeros(3, 2, 2, 3)
    clip = torch.zeros(4, 2, 2, 3)
    for call, message in (
        (lambda: latent_walk(z, z, 1), "frames: got 1, want an integer >= 2"),
        (lambda: latent_walk(z, z, 4, "cubic"), "mode"),
        (lambda: latent_walk(z, z[:2], 4), "z_b"),
        (lambda: film_length(3, 1), "frames: got 1"),
        (lambda: join_clips([clip], stages), r"stages: got \(3, 2, 2, 3\), want \[2, H, W, C\] for 1 clips"),
        (lambda: join_clips([clip, clip[:3]], stages), r"clip 1 is \(3, 2, 2, 3\), want \(4, 2, 2, 3\)"),
        (lambda: join_clips([clip[:1], clip[:1]], stages), "frames: got 1"),
        (lambda: join_clips([clip[:, :1], clip[:, :1]], stages), "clip 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_an_anchored_clip_meets_its_ends_and_keeps_what_bends_between():
    ramp = torch.linspace(0.2, 0.6, 5).reshape(-1, 1, 1, 1).expand(5, 2, 2, 1)
    bend = torch.tensor([0.0, 0.1, 0.0, -0.1, 0.0]).reshape(-1, 1, 1, 1)
    first, last = torch.full((2, 2, 1), 0.3), torch.full((2, 2, 1), 0.5)
    out = anchored(ramp + bend, first, last)
    want = torch.linspace(0.3, 0.5, 5).reshape(-1, 1, 1, 1) + bend
    assert torch.allclose(out, want.expand_as(out), atol=1e-6)
    assert float(anchored(ramp + 0.5, first + 0.6, last + 0.5).max()) == 1.0


def test_anchored_by_inner_frames_removes_what_they_have_in_common():
    ramp = torch.linspace(0.2, 0.6, 7).reshape(-1, 1, 1, 1).expand(7, 2, 2, 1)
    clip = ramp.clone()
    clip[1:-1] += 0.1 * torch.rand(2, 2, 1, generator=torch.Generator().manual_seed(1))
    for inner in (2, 3, 5, 9):
        assert torch.allclose(anchored(clip, ramp[0], ramp[-1], inner), ramp, atol=1e-6)
    assert torch.equal(anchored(clip, ramp[2], ramp[4], 3)[[0, -1]], ramp[[2, 4]])
    assert torch.equal(anchored(clip[:3], ramp[0], ramp[2], 3), anchored(clip[:3], ramp[0], ramp[2]))


def test_jumps_of_a_film_by_hand():
    film = torch.tensor([0.0, 0.1, 0.1, 0.5]).reshape(4, 1, 1, 1).expand(4, 3, 2, 1)
    assert jumps(film).tolist() == pytest.approx([0.1, 0.0, 0.4])


@pytest.mark.parametrize(("n", "k"), [(1, 2), (1, 5), (3, 2), (4, 5)])
def test_a_split_film_joins_again(n, k):
    film = torch.rand(n * (k - 1) + 1, 2, 2, 3, generator=torch.Generator().manual_seed(5))
    clips = split_film(film, n)
    assert [len(clip) for clip in clips] == [k] * n
    assert torch.equal(join_clips(clips, film[:: k - 1]), film)


def test_a_film_of_another_length_is_refused():
    for frames, clips in ((7, 4), (1, 1), (3, 3)):
        with pytest.raises(
            ValueError, match=rf"frames: got {frames}, want N \* \(K - 1\) \+ 1 for {clips} transitions"
        ):
            split_film(torch.zeros(frames, 2, 2, 3), clips)


def gray_film(*values):
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3).contiguous()


def test_a_clip_that_stands_still_and_jumps_moves_evenly():
    film, places = equal_change_film(gray_film(0.0, 0.0, 0.0, 0.8, 0.8), 1)
    assert film[:, 0, 0, 0].tolist() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=1e-4) and places == [0, 4]


def test_clips_get_frames_by_their_change_and_stages_stay_exact():
    # the second clip changes three times as much as the first: 2 and 6 of the 8 steps
    stages = gray_film(0.1, 0.3, 0.9)
    film, places = equal_change_film(gray_film(0.1, 0.1, 0.2, 0.3, 0.3, 0.9, 0.9, 0.9, 0.9), 2)
    assert places == [0, 2, 8] and torch.equal(film[places], stages)
    assert jumps(film).tolist() == pytest.approx([0.1] * 8, abs=1e-4)


@pytest.mark.parametrize("clips, frames", [(1, 2), (1, 16), (6, 16), (60, 3)])
def test_no_frame_of_a_random_film_jumps(clips, frames):
    steps = torch.rand(clips * (frames - 1), generator=torch.Generator().manual_seed(clips)) ** 4
    film = gray_film(0.0, *(steps.cumsum(0) / steps.sum()).tolist())
    even, places = equal_change_film(film, clips)
    assert len(even) == len(film) and torch.equal(even[places], film[:: frames - 1])
    assert float(jumps(even).max()) <= float(jumps(film).max()) + 1e-6
    if clips * (frames - 1) > 2 * clips:
        assert float(jumps(even).max()) < 2.5 / (len(film) - 1)


def test_a_film_without_change_stays_as_it_is():
    film, places = equal_change_film(gray_film(*[0.5] * 7), 2)
    assert torch.equal(film, gray_film(*[0.5] * 7)) and places == [0, 3, 6]
