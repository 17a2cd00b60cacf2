"""What collects the stages of PIE Loop, and what keeps them between runs."""

import asyncio
import base64
import json
import tracemalloc
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mvgen.models.standalone_host import use_host

use_host()

import folder_paths  # noqa: E402
from mvgen.mvg.pie import change_bound  # noqa: E402
from mvgen.nodes.progression.fixed_mask import FixedMask, mask_to_text  # noqa: E402
from mvgen.nodes.progression.pie_states import PIEStates  # noqa: E402
from mvgen.nodes.support.cache import StageCache, stage_caches  # noqa: E402
from mvgen.nodes.support.preview import index_of, new_token  # noqa: E402
from tiny_models import build  # noqa: E402

ABOUT = "mode ddim\n" + "\n".join(f"stage {n}: k = 2" for n in range(1, 5))
STEPS = [[1.0, 0.5, 0.2, 0.1], [1.0, 0.1, 0.4, 0.05]]  # RMS change of stages 1 to 4 of two patients


def stages(known: int = 4, pictures: int = 4) -> dict:
    """Inputs of a loop of four stages and two patients, of which some have been computed."""
    given: dict = {"state_0": torch.zeros(2, 8, 8, 3), "latent_0": {"samples": torch.zeros(2, 4, 1, 1)}}
    for n in range(1, 5):
        latent = torch.tensor([sum(row[:n]) for row in STEPS]).reshape(2, 1, 1, 1).expand(2, 4, 1, 1)
        given[f"latent_{n}"] = {"samples": latent} if n <= known else None
        given[f"state_{n}"] = torch.full((2, 8, 8, 3), n / 10) if n <= pictures else None
    return given


@pytest.mark.parametrize(
    ("delta", "known", "asked"),
    [
        (0.0, 0, ["latent_1"]),
        (0.0, 4, ["state_1", "state_2", "state_3", "state_4"]),
        (0.3, 0, ["latent_1"]),
        (0.3, 2, ["latent_3"]),  # the second patient has converged, the first has not
        (0.3, 3, ["state_1", "state_2", "state_3"]),  # both have: stage 4 is never asked for
        (0.01, 4, ["state_1", "state_2", "state_3", "state_4"]),
        (2.0, 1, ["state_1"]),
    ],
)
def test_only_what_is_needed_is_asked_for(delta, known, asked):
    assert PIEStates.check_lazy_status(delta=delta, about=ABOUT, **stages(known, 0)) == asked
    assert PIEStates.check_lazy_status(delta=delta, about=ABOUT, **stages(4)) == []


def test_who_watches_sees_each_stage_as_it_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "get_temp_directory", lambda: str(tmp_path))
    token = new_token()
    planned = json.dumps([{"prompt": f"stage {n}", "severity": n / 4} for n in range(1, 5)])
    watched = {"delta": 0.3, "about": ABOUT, "viewer": token, "planned": planned}

    def shown():
        runs = json.loads((tmp_path / index_of(token)["subfolder"] / "stages.json").read_text(encoding="utf-8"))
        assert all(run["planned"] == json.loads(planned) for run in runs)
        return [(len(run["stages"]), len(run["maps"]), len(run["change"])) for run in runs]

    asked = [PIEStates.check_lazy_status(**watched, **stages(n, m)) for n, m in ((0, 0), (1, 0), (1, 1), (2, 1))]
    assert asked == [["latent_1"], ["state_1"], ["latent_2"], ["state_2"]]
    assert shown() == [(2, 1, 1), (2, 1, 1)]
    assert PIEStates.check_lazy_status(**watched, **stages(2, 2)) == ["latent_3"]
    first = (tmp_path / index_of(token)["subfolder"] / "0" / "stage_01.png").stat().st_mtime_ns
    assert PIEStates.check_lazy_status(**watched, **stages(3, 3)) == []
    PIEStates.execute(**watched, **stages(3, 3))
    assert shown() == [(4, 3, 3), (3, 2, 2)], "the second patient has ended before the last stage"
    assert (tmp_path / index_of(token)["subfolder"] / "0" / "stage_01.png").stat().st_mtime_ns == first


def test_every_patient_ends_where_it_would_alone():
    given = stages(3, 3)
    states, latents, curves, notes = PIEStates.execute(delta=0.3, about=ABOUT, **given).args
    assert [len(s) for s in states] == [len(latent["samples"]) for latent in latents] == [4, 3]
    for patient in range(2):
        row = slice(patient, patient + 1)
        alone = {
            key: value[row] if torch.is_tensor(value) else {"samples": value["samples"][row]}
            for key, value in given.items()
            if value is not None
        }
        one = PIEStates.execute(delta=0.3, about=ABOUT, **alone, latent_4=None, state_4=None).args
        assert torch.equal(one[0][0], states[patient]) and one[2] == curves[patient : patient + 1]
        assert torch.equal(one[1][0]["samples"], latents[patient]["samples"]) and one[3] == notes[patient : patient + 1]
    first, second = (json.loads(curve) for curve in curves)
    assert first["values"] == pytest.approx([1, 0.5, 0.2]) and (first["stopped"], second["stopped"]) == (3, 2)
    assert second["values"] == pytest.approx([1, 0.1]) and first["delta"] == 0.3
    assert notes[1].splitlines() == [
        "mode ddim",
        "stage 1: k = 2, change 1",
        "stage 2: k = 2, change 0.1",
        "ended after stage 2: its change is below delta, 0.3",
    ]


def test_the_round_trip_is_told_and_inputs_stay():
    given = stages()
    before = {key: value.clone() for key, value in given.items() if torch.is_tensor(value)}
    states, *_, notes = PIEStates.execute(delta=0.0, about=ABOUT, round_trip="RMS error 1", **given).args
    states[0] += 1
    assert notes[0].endswith("stage 4: k = 2, change 0.1\ninversion of the input image: RMS error 1")
    assert all(torch.equal(given[key], value) for key, value in before.items())


def test_a_picture_that_is_none_is_named_with_its_stage():
    broken, small = stages(), stages()
    broken["state_2"] = broken["state_2"] * float("nan")
    with pytest.raises(ValueError, match="stage 2: the VAE returned values that are not finite"):
        PIEStates.execute(delta=0.0, about=ABOUT, **broken)
    small["state_3"] = torch.zeros(2, 8, 16, 3)
    with pytest.raises(ValueError, match="stage 3 came back as 16 x 8, want the input's 8 x 8"):
        PIEStates.execute(delta=0.0, about=ABOUT, **small)


def test_a_mask_is_written_out_exactly():
    mask = torch.rand(2, 5, 7)
    (back,) = FixedMask.execute(mask_to_text(mask)).args
    assert torch.equal(back, mask) and mask_to_text(back) == mask_to_text(mask)


def held(values: bytes) -> str:
    return base64.b85encode(zlib.compress(values)).decode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "got shape '', want such as 1x128x128"),
        ("1x-1x4 " + held(bytes(16)), "got shape '1x-1x4'"),
        ("999999x999999 " + held(bytes(16)), "got a mask of 999999x999999, want at most"),
        ("2x2 " + held(bytes(12)), "got 12 bytes of values, want 16 for a mask of 2x2"),
        ("2x2 " + held(bytes(500 << 20)), "got more bytes of values, want 16|got values that are damaged"),
        ("2x2 " + held(np.array([0, 1, np.nan, 0], "<f4").tobytes()), r"got values that are not in \[0, 1\]"),
        ("2x2 " + held(np.array([0, 1, np.inf, 0], "<f4").tobytes()), r"got values that are not in \[0, 1\]"),
        ("2x2 " + held(bytes(16))[:6], r"got values that are damaged|got \d+ bytes"),
        ("2x2 \u20ac", "got values that are damaged"),
    ],
)
def test_a_written_mask_is_bounded_by_its_shape(data, words):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"^data: {words}"):
            FixedMask.execute(data)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def context(node_id: str, class_type: str = "VAEDecode", key: str = "k"):
    return SimpleNamespace(node_id=node_id, class_type=class_type, cache_key_hash=key)


def test_pictures_never_push_out_a_stage():
    stage, pictures = stage_caches()
    assert stage.should_cache(context("3.0.0.stage.1", "MVG_PIEStep")) and not pictures.should_cache(
        context("3.0.0.stage.1", "MVG_PIEStep")
    )
    for part in ("encode", "decode.0", "decode.12", "blend.1", "text.0a1b"):
        assert pictures.should_cache(context(f"3.0.0.pie.{part}")) and not stage.should_cache(context(f"3.pie.{part}"))
    assert not pictures.should_cache(context("8")) and not stage.should_cache(context("8"))


def test_the_least_recently_used_go_first_and_size_is_bounded():
    cache = StageCache(3000, classes=("A",))

    def store(key: str, floats: int) -> None:
        value = SimpleNamespace(outputs=[[[torch.zeros(floats), {"pooled": torch.zeros(floats)}]]])
        asyncio.run(cache.on_store(context("1", "A", key), value))

    def found(key: str) -> bool:
        return asyncio.run(cache.on_lookup(context("1", "A", key))) is not None

    for key in "abc":
        store(key, 100)  # 800 bytes each
    assert cache.bytes == 2400 and found("a")
    store("d", 100)
    assert [found(key) for key in "abcd"] == [True, False, True, True] and cache.bytes == 2400
    store("huge", 1000)
    assert cache.bytes == 0 and not found("huge")


def test_a_model_that_does_not_answer_is_named():
    still = stages()
    for n in range(1, 5):
        still[f"state_{n}"] = still["state_0"] + 0.001
    given = {"delta": 0.0, "about": ABOUT, "mask": torch.ones(1, 8, 8)}
    asked = given | {"expected": "edema", "unchanged": still["state_0"]}
    *_, curves, notes = PIEStates.execute(**asked, **still).args
    told = "the model does not answer to the prompt of edema: no stage changes the picture by more than 0.0010 of 1"
    assert json.loads(curves[0])["notes"][0].startswith(told) and told in notes[1]
    asked_nothing = PIEStates.execute(**given, **still).args
    assert "notes" not in json.loads(asked_nothing[2][0])
    answered = stages()
    answered["state_2"] = answered["state_2"] + 0.01
    assert "notes" not in json.loads(PIEStates.execute(**asked, **answered).args[2][0])


@pytest.mark.parametrize("name, bounded", [("SD 1.5", True), ("SD 3", False)])
def test_the_bound_stands_beside_the_curve_where_a_model_has_alphas(name, bounded):
    given = {key: value for key, value in stages().items() if value is not None}
    given["latent_0"] = {"samples": torch.ones(2, 4, 2, 2)}
    for n in range(1, 5):
        given[f"latent_{n}"] = {"samples": torch.ones(2, 4, 2, 2) * (1 + n)}
    model = build(name)
    curves = PIEStates.execute(delta=0.0, about=ABOUT, model=model, steps=50, **given).args[2]
    curve = json.loads(curves[0])
    assert ("bound" in curve) is bounded
    if bounded:
        table = model.get_model_object("model_sampling").sigmas
        a_0, a_1 = (float(1 / (1 + table[place] ** 2)) for place in (1, 21))
        scale = model.model.latent_format.scale_factor
        assert curve["bound"] == pytest.approx([b / scale for b in change_bound(scale, a_0, a_1, 4)], rel=1e-4)
