"""nodes/transition/ with the embedded CLIP and VAE and a small random SEINE network."""

from dataclasses import replace

import pytest
import torch
from mvgen.models.embedded import architecture, loader
from mvgen.models.seine.config import Config
from mvgen.models.standalone_host import use_host
from mvgen.mvg.ddim import NonFiniteError
from seine_tiny import random_network

use_host()

import comfy.model_management  # noqa: E402
from mvgen.models.seine import native  # noqa: E402
from mvgen.nodes.support.model_files import SEINE  # noqa: E402
from mvgen.nodes.transition.frames import LatentWalkTransition, StagePairs, TransitionBlend  # noqa: E402
from mvgen.nodes.transition.seine import SEINETransition  # noqa: E402

SMALL = Config(
    **{
        **architecture.SEINE,
        "block_out_channels": (32, 64),
        "heads": (1, 2),
        "down_attention": (True, False),
        "up_attention": (False, True),
        "norm_num_groups": 8,
    }
)


@pytest.fixture(scope="module")
def parts():
    """clip, vae: the embedded ones."""
    return {
        "clip": loader.load_clip(loader.find_weights("clip_text")),
        "vae": loader.load_vae(loader.find_weights("vae")),
    }


@pytest.fixture(scope="module")
def base():
    latent = loader._latent_format(SMALL.out_channels, {}, dimensions=3)
    return native.wrap(random_network(SMALL).state_dict(), SMALL, latent_format=latent, dtype=torch.float32)


@pytest.fixture
def model(base):
    """A copy that counts its calls, by how many clips each held (guidance doubles the rows)."""
    copy, calls = base.clone(), []

    def count(apply, call):
        calls.append(len(call["input"]))
        return apply(call["input"], call["timestep"], **call["c"])

    copy.set_model_unet_function_wrapper(count)
    copy.calls = calls
    return copy


@pytest.fixture(scope="module")
def states():
    return torch.rand(4, 32, 24, 3, generator=torch.Generator().manual_seed(0))


def run(model, states, parts, **options):
    options = {
        **{"positive": "smooth transition.", "negative": "", "frames": 5, "guidance": 1.0, "steps": 2},
        **{"method": "ddim", "denoise": 1.0, "noise": "own", "blend": "crossfade", "seed": 0, "anchor": True},
        **options,
    }
    with torch.inference_mode():
        return SEINETransition.execute(states, model, **{**parts, **options})[0]


@pytest.mark.parametrize("method", native.METHODS)
@pytest.mark.parametrize("anchor", [True, False])
def test_a_film_has_its_length_and_exact_keyframes(model, states, parts, method, anchor):
    before = states.clone()
    film = run(model, states, parts, method=method, anchor=anchor)
    assert film.shape == (3 * 4 + 1, 32, 24, 3) and torch.equal(film[::4], states)
    assert torch.isfinite(film).all() and film.min() >= 0 and film.max() <= 1
    assert model.calls == [3, 3], "the clips of a trajectory are one batch"
    assert torch.equal(states, before)


def test_the_seed_decides_the_film(model, states, parts, base):
    film = run(model, states, parts)
    assert torch.equal(run(base.clone(), states, parts), film)
    assert float((run(model, states, parts, seed=1) - film).abs().max()) > 1e-3


def test_a_film_may_start_from_the_way_between_the_stages(model, states, parts):
    film = run(model, states, parts)
    near = run(model, states, parts, denoise=0.05)
    straight = torch.stack([torch.lerp(states[n // 4], states[min(n // 4 + 1, 3)], n % 4 / 4) for n in range(13)])
    errors = [float((frames - straight).abs().mean()) for frames in (near, film)]
    assert errors[0] < errors[1] and torch.equal(near[::4], states)
    with pytest.raises(ValueError, match=r"steps: got 60 at denoise 0\.05, want at most 50"):
        run(model, states, parts, denoise=0.05, steps=60)
    with pytest.raises(ValueError, match="noise: got 'none', want one of own, shared"):
        run(model, states, parts, noise="none")


@pytest.mark.parametrize("method", native.METHODS)
def test_one_noise_for_all_frames_flickers_less(model, states, parts, method):
    pair = states[:1].repeat(2, 1, 1, 1)

    def flicker(noise: str) -> float:
        film = run(model, pair, parts, frames=9, noise=noise, denoise=0.3, method=method)
        assert torch.equal(film[[0, -1]], pair)
        return float((film[2:-1] - film[1:-2]).abs().mean())

    assert flicker("shared") < 0.5 * flicker("own")


def test_a_single_transition_and_none(model, states, parts):
    film = run(model, states[:2], parts, frames=3, guidance=8.0)
    assert len(film) == 3 and model.calls == [2, 2]
    assert torch.equal(film[[0, 2]], states[:2])
    assert torch.equal(run(model, states[:1], parts), states[:1]) and model.calls == [2, 2]


def test_finished_clips_are_not_made_again(model, states, parts):
    film = run(model, states, parts)
    assert torch.equal(run(model, states, parts), film) and model.calls == [3, 3]
    assert torch.equal(run(model, states, parts, blend="mean"), film) and model.calls == [3, 3]
    changed = run(model, torch.cat([states[:3], 1 - states[3:]]), parts)
    assert model.calls == [3, 3, 1, 1] and torch.equal(changed[:9], film[:9])
    run(model, states, parts, guidance=1.5)
    assert model.calls[4:] == [6, 6]
    run(model, states, parts, positive="another text")
    assert model.calls[6:] == [3, 3]
    run(model.clone(), states, parts)
    assert model.calls[8:] == [3, 3], "a copy may be patched: it keeps its own"


def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same_film(model, states, parts, base):
    film, limit = run(model, states, parts), 1
    short, rows = base.clone(), []

    def memory(apply, call):
        rows.append(len(call["input"]))
        if len(call["input"]) > limit:
            torch.empty(2**60)  # more than any machine has
        return apply(call["input"], call["timestep"], **call["c"])

    short.set_model_unet_function_wrapper(memory)
    assert float((run(short, states, parts) - film).abs().max()) < 1e-4
    assert rows == [3, 1, 1, 1, 1, 1, 1]

    limit, rows[:] = 0, []
    with pytest.raises(ValueError, match="clip 1: out of memory while making it"):
        run(short, states, parts, seed=2)


def test_clips_before_a_failure_are_kept(states, parts, base):
    broken, rows = base.clone(), []

    def fail(apply, call):
        rows.append(len(call["input"]))
        if len(rows) in (1, 4):  # the whole batch, then the second clip
            torch.empty(2**60)
        return apply(call["input"], call["timestep"], **call["c"])

    broken.set_model_unet_function_wrapper(fail)
    with pytest.raises(ValueError, match="clip 2: out of memory"):
        run(broken, states, parts)
    assert rows == [3, 1, 1, 1]
    film = run(broken, states, parts)
    assert rows == [3, 1, 1, 1, 2, 2], "the first clip was there"
    assert torch.equal(film[::4], states)


def test_nan_is_named_with_clip_and_step(states, parts, base):
    broken = base.clone()
    broken.set_model_unet_function_wrapper(
        lambda apply, call: torch.nan * apply(call["input"], call["timestep"], **call["c"])
    )
    with pytest.raises(NonFiniteError, match="clip 1, 2, 3: denoising step 1 of 2"):
        run(broken, states, parts)

    class Blind:
        def encode(self, images):
            return torch.full((len(images), SMALL.out_channels, 4, 3), torch.nan)

    with pytest.raises(ValueError, match=r"vae \(latents\): got values that are not finite"):
        run(base, states, {**parts, "vae": Blind()})


def test_cancel_keeps_what_is_done(states, parts, base, monkeypatch):
    stopped, rows = base.clone(), []

    def stop(apply, call):
        rows.append(len(call["input"]))
        if len(rows) == 3:
            comfy.model_management.interrupt_current_processing()
        return apply(call["input"], call["timestep"], **call["c"])

    stopped.set_model_unet_function_wrapper(stop)
    monkeypatch.setattr(native, "clips_at_once", lambda *_: 1)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(stopped, states, parts)
    assert rows == [1, 1, 1]
    run(stopped, states, parts)
    assert rows == [1] * 7


def test_the_mask_leaves_a_fade_outside(model, states, parts):
    mask = torch.zeros(1, 32, 24)
    mask[:, 8:16, 8:16] = 1
    outside = mask[0] == 0
    time = torch.linspace(0, 1, 5).reshape(-1, 1, 1, 1)
    film = run(model, states[:2], parts, mask=mask)
    fade = states[0] * (1 - time) + states[1] * time
    assert float((film - fade)[:, outside].abs().max()) < 1e-6
    assert float((film - fade)[1:-1, ~outside].abs().max()) > 1e-3
    film = run(model, states[:2], parts, mask=mask, blend="mean")
    assert float((film[1:-1] - (states[0] + states[1]) / 2)[:, outside].abs().max()) < 1e-6


def test_bad_inputs_are_named(model, states, parts):
    nan = states.clone()
    nan[2, 0, 0, 0] = float("nan")
    for changed, options, message in (
        (states[:, :30], {}, "states: got 24 x 30, want both sides a multiple of 8"),
        (nan, {}, "states: stage 2 has values that are not finite"),
        (states[..., :1], {}, "states: got 1 channels, want 3"),
        (states, {"frames": 2}, "frames: got 2"),
        (states, {"mask": torch.ones(1, 16, 24)}, "mask: got 24 x 16 pixels, want 24 x 32"),
        (states, {"mask": torch.full((1, 32, 24), 2.0)}, "mask: got values"),
        (states, {"steps": 0}, "steps: got 0"),
        (states, {"method": "euler"}, "method: got 'euler'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(model, changed, parts, **options)
    with pytest.raises(ValueError, match="model: got BaseModel, want SEINE's"):
        run(loader.load_model(loader.find_weights("unet")), states, parts)
    released = replace(SMALL, in_channels=9, out_channels=4)
    with pytest.raises(ValueError, match=r"vae: makes latents \[8, 4, 3\], want 4 channels"):
        run(native.wrap(random_network(released).state_dict(), released), states, parts)
    other = replace(SMALL, cross_attention_dim=24)
    wrong = native.wrap(random_network(other).state_dict(), other, latent_format=type(model.model.latent_format))
    with pytest.raises(ValueError, match=r"conditioning: got \(3, 77, 96\), want \[3, tokens, 24\]"):
        run(wrong, states, parts)
    with pytest.raises(ValueError, match=r"file: got '\.\./secret\.pt', want a checkpoint of models/mvg/seine"):
        loader.register_folder()
        SEINE.find("../secret.pt")


def blend(states, frames, *, mode="crossfade", anchor=True, mask=None):
    return TransitionBlend.execute(states, frames, [mode], [anchor], mask)[0]


def test_frames_from_elsewhere_meet_the_stages(states):
    generator = torch.Generator().manual_seed(1)
    clips = [torch.rand(6, 32, 24, 3, generator=generator) for _ in range(3)]
    (film,) = blend([states], clips, anchor=False)
    assert film.shape == (16, 32, 24, 3) and torch.equal(film[::5], states)
    assert torch.equal(film[6:10], clips[1][1:-1])
    (anchored,) = blend([states], clips)
    assert torch.equal(anchored[::5], states) and not torch.equal(anchored, film)

    whole = torch.cat([clips[0], *(clip[1:] for clip in clips[1:])])
    (same,) = blend([states], [whole], anchor=False)
    assert torch.equal(same, film)

    two = blend([states[:3], states[2:]], clips, anchor=False)
    assert [len(one) for one in two] == [11, 6]
    assert torch.equal(two[0], film[:11]) and torch.equal(two[1], film[10:])
    assert torch.equal(blend([states[:1]], [whole])[0], states[:1])


def test_pairs_are_the_ends_of_every_transition(states):
    first, last = StagePairs.execute(states)
    assert [len(part) for part in (first, last)] == [3, 3]
    assert torch.equal(torch.cat(first), states[:-1]) and torch.equal(torch.cat(last), states[1:])
    with pytest.raises(ValueError, match="states: got 1 picture, want two or more"):
        StagePairs.execute(states[:1])


def test_frames_that_do_not_fit_are_named(states):
    clip = torch.rand(4, 32, 24, 3)
    nan = clip.clone()
    nan[1, 0, 0, 0] = float("nan")
    film = torch.rand(5, 32, 24, 3)
    for frames, message in (
        ([clip, clip], "frames: got 2 batches, want 3 clips"),
        ([clip[:, :16]] * 3, "frames: clip 1 is 24 x 16 with 3 channels, want the states' 24 x 32"),
        ([clip, clip, clip[:3]], r"clip 2 is \(3, 32, 24, 3\)"),
        ([clip, nan, clip], "frames: clip 2 has values that are not finite"),
        ([film], r"frames: got 5, want N \* \(K - 1\) \+ 1 for 3 transitions: 4, 7"),
    ):
        with pytest.raises(ValueError, match=message):
            blend([states], frames)
    with pytest.raises(ValueError, match="mask: got 24 x 16 pixels"):
        blend([states], [clip] * 3, mask=[torch.ones(1, 16, 24)])
    with pytest.raises(ValueError, match="mask: got 2, want 1, one a trajectory"):
        blend([states], [clip] * 3, mask=[torch.ones(1, 32, 24)] * 2)


def test_the_latent_walk_is_anchored_too(states, parts):
    latents = {"samples": parts["vae"].encode(states)}
    film = LatentWalkTransition.execute(states, latents, parts["vae"], 4, "crossfade", "slerp")[0]
    assert film.shape == (10, 32, 24, 3) and torch.equal(film[::3], states)
