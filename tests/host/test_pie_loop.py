"""PIE Loop in a real ComfyUI: which stages run and which come from the cache, batches, ends and refusals."""

import json
import re

import numpy as np
import pytest
from PIL import Image

STEPS = {"steps": 4, "gamma": 0.5, "guidance": 2.0, "refine": 0, "scheduler": "ddim_uniform"}
WORDS = ("minimal", "mild", "mild to moderate", "moderate", "moderate to severe", "severe")


def plan(count: int, *, prompts: dict[int, str] | None = None, **fields) -> str:
    """JSON of a plan that worsens; ``prompts`` replaces those of stages by number, ``fields`` go into stage 2."""
    stages = []
    for n in range(1, count + 1):
        prompt = f"frontal chest x-ray, {WORDS[min(n, len(WORDS)) - 1]} edema"
        stage = {"prompt": (prompts or {}).get(n, prompt), "finding": "edema", "severity": n / (count + 1)}
        stages.append(stage | (fields if n == 2 else {}))
    head = {"schema": "mvg.plan", "version": 1, "domain": "chest_xray", "finding": "edema", "side": ""}
    return json.dumps({**head, "stages": stages})


@pytest.fixture
def graph():
    """Loader, picture, plan, loop; what is asked of it is saved and shown."""
    loop = {
        **{"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2]},
        **{"image": ["image", 0], "plan": ["plan", 0]},
        **{**STEPS, "beta_1": 0.01, "beta_2": 0.9, "mode": "ddim", "composite": True, "seed": 0},
    }
    return {
        "model": {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}},
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "plan": {"class_type": "PlanFromJson", "inputs": {"text": plan(3)}},
        "loop": {"class_type": "MVG_PIELoop", "inputs": loop},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["loop", 0], "filename_prefix": "loop"}},
        "curve": {"class_type": "PreviewAny", "inputs": {"source": ["loop", 2]}},
        "notes": {"class_type": "PreviewAny", "inputs": {"source": ["loop", 3]}},
    }


@pytest.fixture
def loop(graph):
    return graph["loop"]["inputs"]


@pytest.fixture
def run(server, graph):
    """Runs the graph, with a plan where one is given -> the run, which has no error."""

    def go(text: str | None = None, **options):
        if text is not None:
            graph["plan"]["inputs"]["text"] = text
        done = server.run(graph, **options)
        assert done.error is None, done.error
        return done

    return go


def curves(done) -> list[dict]:
    return [json.loads(text) for text in done.outputs["curve"]["text"]]


def pictures(server, done) -> list[np.ndarray]:
    files = done.outputs["save"]["images"]
    return [np.asarray(Image.open(server.base / "output" / file["filename"])).astype(int) for file in files]


def test_a_changed_prompt_runs_its_stage_and_the_later_ones(run):
    assert run(plan(6)).stages_run() == [1, 2, 3, 4, 5, 6]
    changed = run(plan(6, prompts={4: "chest x-ray, severe effusion"}))
    assert changed.stages_run() == [4, 5, 6]
    assert {"model", "image"} <= changed.cached
    parts = {node.split(".pie.")[1] for node in changed.executed if ".pie." in node}
    assert {part for part in parts if "text" not in part} == {"decode.4", "decode.5", "decode.6"}
    assert len(parts) == 4, "one text is new"
    again = run(plan(6))
    assert not [node for node in again.executed if ".stage." in node or ".pie." in node], "all is still there"


def test_more_stages_compute_the_new_ones_only(run, loop):
    loop["guidance"] = 2.1
    one = plan(1)
    loop["stages"] = 5
    assert run(one).stages_run() == [1, 2, 3, 4, 5]
    loop["stages"] = 8
    assert run(one).stages_run() == [6, 7, 8]
    loop["stages"] = 2
    few = run(one)
    assert few.stages_run() == [] and len(few.outputs["save"]["images"]) == 3
    del loop["stages"]
    longer = run(plan(5, prompts=dict.fromkeys(range(1, 6), json.loads(one)["stages"][0]["prompt"])))
    assert longer.stages_run() == [], "the same prompts are the same stages, whichever way they are written"


def test_settings_of_one_stage_touch_it_and_the_later_ones(run, loop):
    loop["guidance"] = 2.2
    assert run(plan(3)).stages_run() == [1, 2, 3]
    done = run(plan(3, guidance=4.0))
    assert done.stages_run() == [2, 3]
    assert "stage 1: k = 2, guidance 2.2" in done.outputs["notes"]["text"][0]
    assert "stage 2: k = 2, guidance 4" in done.outputs["notes"]["text"][0]
    done = run(plan(3, gamma=0.75, guidance=4.0))
    assert done.stages_run() == [2, 3]
    assert "stage 2: k = 3, guidance 4" in done.outputs["notes"]["text"][0]
    assert max(steps for node, _, steps in done.progress if node.endswith(".stage.2")) == 4 + 6 + 4 + 1
    done = run(plan(3, gamma=0.0))
    assert curves(done)[0]["values"][1] == 0, "no step, no mask, no change"
    assert run(plan(3, source="chest x-ray, no finding")).stages_run() == [2, 3]


def test_seed_mode_and_refine(run, loop):
    loop.update(guidance=2.3, seed=11)
    assert run().stages_run() == [1, 2, 3]
    loop["seed"] = 12
    assert run().stages_run() == [], "mode ddim has nothing random in it"
    assert run().executed == [], "an equal prompt runs nothing at all"
    for change in ({"mode": "noise"}, {"seed": 13}, {"mode": "ddim", "refine": 1}):
        loop.update(change)
        assert run().stages_run() == [1, 2, 3], change


def test_a_cancelled_run_goes_on_where_it_stopped(server, run, loop):
    loop.update(steps=20, gamma=1.0)

    def cancel(kind, data):
        if kind == "progress" and data["node"].endswith(".stage.3"):
            server.post("/interrupt")

    stopped = run(plan(5), watch=cancel)
    assert stopped.interrupted and stopped.stages_run() == [1, 2, 3]
    reached = max(value for node, value, _ in stopped.progress if node.endswith(".stage.3"))
    assert reached < 3 * 40, "it did not run to the end of the stage"
    resumed = run(plan(5))
    assert not resumed.interrupted and resumed.stages_run() == [3, 4, 5]
    assert len(resumed.outputs["save"]["images"]) == 6


def test_one_bar_and_sentence_go_over_the_whole_trajectory(server, run, loop):
    told = []
    loop.update(guidance=2.4, steps=8)
    done = run(watch=lambda kind, data: told.append(data) if kind == "mvg_progress" else None)
    values = [(value, total) for node, value, total in done.progress if node == "loop" or ".stage." in node]
    assert values == sorted(values) and values[0] == (0, 25) and values[-1] == (25, 25), "3 stages of 8 calls"
    assert [data["stage"] for data in told] == sorted(data["stage"] for data in told)
    assert {(data["node"], data["stages"], data["stage"]) for data in told} == {("loop", 3, n) for n in (1, 2, 3)}
    assert told[0]["value"] == 0 and told[0]["text"] == "stage 1 of 3"
    assert re.fullmatch(r"stage 3 of 3, a(bout .+| moment) left", told[-2]["text"]) and told[-1]["value"] == 1
    assert done.previews, "what is being computed is shown"
    film = np.asarray(Image.open(server.base / "input" / "film.png").convert("L").resize((16, 16)), dtype=float)
    shown = np.asarray(done.previews[-1].convert("L").resize((16, 16)), dtype=float)
    assert np.corrcoef(film.flatten(), shown.flatten())[0, 1] > 0.5


def test_a_small_change_ends_the_loop(run, loop):
    loop.update(guidance=2.5, delta=100.0)
    terminal = plan(3, prompts=dict.fromkeys((1, 2, 3), "chest x-ray, severe edema"))
    done = run(terminal)
    assert done.stages_run() == [1] and len(done.outputs["save"]["images"]) == 2
    assert not [node for node in done.executed if node.endswith((".decode.2", ".decode.3", ".stage.2"))]
    (curve,) = curves(done)
    assert curve["stopped"] == 1 and curve["delta"] == 100 and len(curve["values"]) == 1
    assert "ended after stage 1: its change is below delta, 100" in done.outputs["notes"]["text"][0]
    loop["delta"] = 0.0
    whole = run()
    assert whole.stages_run() == [2, 3]
    (curve,) = curves(whole)
    assert curve["stopped"] is None and curve["delta"] is None and len(curve["values"]) == 3
    between = sorted(curve["values"])[0:2]
    loop["delta"] = sum(between) / 2
    ended = run()
    assert ended.stages_run() == [], "delta takes no part in a stage"
    assert len(curves(ended)[0]["values"]) == curve["values"].index(between[0]) + 1


def test_the_notes_tell_how_exact_the_inversion_is(run, loop):
    loop.update(guidance=2.6, round_trip=True)
    done = run()
    text = done.outputs["notes"]["text"][0]
    assert text.startswith("mode ddim, T = 4, ddim_uniform, refine 0")
    assert "inversion of the input image: k = 2 of 4 steps, refine 0; round trip of the latent: RMS error" in text
    loop["round_trip"] = False
    plain = run()
    assert plain.stages_run() == [] and "round trip" not in plain.outputs["notes"]["text"][0]


def test_what_the_model_was_not_made_for_is_said_before_a_stage_runs(run, graph, loop):
    size = "the image is 64 x 64 pixels, and the embedded chest_xray model was made for 256 x 256"
    loop["guidance"] = 2.8
    done = run()
    assert [size in text for text in done.texts] == [True] and size in done.outputs["notes"]["text"][0]
    (note,) = done.outputs["loop"]["mvg_notes"]
    assert note.startswith(size) and next(iter(done.outputs)) == "loop", "before a stage's own output"
    graph["image"]["inputs"].update(image="effusion.png", size=128)
    conf = {"classifier": ["model", 4], "images": ["loop", 0], "finding": "plan", "plan": ["plan", 0]}
    graph["conf"] = {"class_type": "MVG_Conf", "inputs": conf}
    graph["scores"] = {"class_type": "PreviewAny", "inputs": {"source": ["conf", 0]}}
    done = run(plan(1).replace("edema", "pleural effusion"))
    (note,) = done.outputs["loop"]["mvg_notes"]
    assert note.startswith("the image already reads as pleural effusion before stage 1 (Conf 1.00)")
    assert f"note: {note}" in done.outputs["notes"]["text"][0]
    assert json.loads(done.outputs["scores"]["text"][0])["notes"] == [note]
    done = run(plan(1))
    assert done.texts == [] and "mvg_notes" not in done.outputs.get("loop", {}), "no edema in this image"


def test_a_film_that_stands_on_its_head_is_told_before_a_stage_runs(server, run, graph):
    with Image.open(server.base / "input" / "mvg_chest_xray.png") as film:
        film.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(server.base / "input" / "turned.png")
    told = "the image seems to be upside down: want the head at the top"
    graph["image"]["inputs"].update(image="turned.png", size=128)
    done = run(plan(1))
    assert told in done.outputs["loop"]["mvg_notes"] and told in done.outputs["notes"]["text"][0]
    assert any(told in text for text in done.texts)
    graph["image"]["inputs"].update(image="mvg_chest_xray.png")
    assert not any("upside down" in text for text in run(plan(1)).texts)


@pytest.mark.parametrize("mode", ["ddim", "noise"])
def test_patients_of_a_batch_come_out_as_they_do_alone(server, run, graph, loop, mode):
    loop.update(mode=mode, seed=3)
    graph["other"] = {"class_type": "ImageInvert", "inputs": {"image": ["image", 0]}}
    graph["both"] = {"class_type": "ImageBatch", "inputs": {"image1": ["image", 0], "image2": ["other", 0]}}
    masks = {"value": 1.0, "width": 64, "height": 64}
    graph["mask"] = {"class_type": "SolidMask", "inputs": masks}
    loop.update(mask=["mask", 0], image=["both", 0])
    graph["film"] = {
        "class_type": "MVG_LatentWalkTransition",
        "inputs": {
            **{"states": ["loop", 0], "latents": ["loop", 1], "vae": ["model", 2]},
            **{"frames": 3, "blend": "crossfade", "walk": "slerp"},
        },
    }
    graph["conf"] = {
        "class_type": "MVG_Conf",
        "inputs": {"classifier": ["model", 4], "images": ["loop", 0], "finding": "edema"},
    }
    graph["show"] = {"class_type": "PreviewAny", "inputs": {"source": ["conf", 0]}}
    graph["folder"] = {
        "class_type": "MVG_SaveTrajectory",
        "inputs": {"states": ["loop", 0], "frames": ["film", 0], "folder_prefix": f"batch/{mode}", "fps": 8.0},
    }
    both = run()
    assert both.stages_run() == [1, 2, 3], "the patients advance together"
    together = pictures(server, both)
    assert len(together) == 8 and len(both.outputs["show"]["text"]) == len(curves(both)) == 2
    for folder in (mode, f"{mode}_00002"):
        assert len(list((server.base / "output" / "batch" / folder).glob("stage_*.png"))) == 4
    for key in ("film", "conf", "show", "folder"):
        del graph[key]
    for patient, image in enumerate(("image", "other")):
        loop.update(image=[image, 0], seed=3 + patient)
        alone = run()
        for n, picture in enumerate(pictures(server, alone)):
            assert abs(picture - together[4 * patient + n]).max() <= 1
        values = curves(alone)[0]["values"]
        assert values == pytest.approx(curves(both)[patient]["values"], rel=1e-4)


def test_an_empty_plan_gives_the_input_image(server, run, loop):
    done = run(plan(0))
    assert done.stages_run() == [] and len(pictures(server, done)) == 1 and curves(done)[0]["values"] == []
    loop["round_trip"] = True
    assert len(pictures(server, run(plan(0)))) == 1


def test_one_stage(server, run, loop):
    loop["guidance"] = 2.7
    done = run(plan(1))
    assert done.stages_run() == [1] and len(pictures(server, done)) == 2 and len(curves(done)[0]["values"]) == 1


def test_no_beta_1_leaves_the_outside_bit_for_bit(server, run, graph, loop):
    graph["half"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 32, "height": 64}}
    graph["none"] = {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 64, "height": 64}}
    graph["mask"] = {
        "class_type": "MaskComposite",
        "inputs": {"destination": ["none", 0], "source": ["half", 0], "x": 0, "y": 0, "operation": "add"},
    }
    loop.update(mask=["mask", 0], beta_1=0.0)
    first, *later = pictures(server, run())
    assert len(later) == 3
    for stage in later:
        assert (stage[:, 32:] == first[:, 32:]).all() and (stage[:, :32] != first[:, :32]).any()


def cut(graph, node, **inputs):
    graph["cut"] = {"class_type": node, "inputs": inputs}
    graph["loop"]["inputs"]["image"] = ["cut", 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda g: g["loop"]["inputs"].update(stages=5), "plan: got 3 stages, want 1 (for all) or at least 5"),
        (
            lambda g: (g["plan"]["inputs"].update(text=plan(0)), g["loop"]["inputs"].update(stages=2)),
            "plan: got 0 stages, want 1 (for all) or at least 2",
        ),
        (
            lambda g: cut(g, "ImageCrop", image=["image", 0], width=60, height=64, x=0, y=0),
            "image: got 60 x 64, want both sides a multiple of 8",
        ),
        (
            lambda g: (
                g.update(alpha={"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 64, "height": 64}}),
                cut(g, "JoinImageWithAlpha", image=["image", 0], alpha=["alpha", 0]),
            ),
            "image: got 4 channels, want 3",
        ),
        (
            lambda g: (
                g.update(small={"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 32, "height": 64}}),
                g["loop"]["inputs"].update(mask=["small", 0]),
            ),
            "mask: got 32 x 64 pixels, want 64 x 64",
        ),
    ],
)
def test_what_cannot_be_done_is_named_before_anything_is_computed(server, graph, change, words):
    change(graph)
    done = server.run(graph)
    assert done.error["node_type"] == "MVG_PIELoop" and words in done.error["exception_message"]
    assert done.stages_run() == []


def test_the_viewers_folder_cannot_be_led_elsewhere(server):
    inputs = {"state_0": ["1", 0], "latent_0": ["2", 0], "delta": 0.0, "about": "all", "viewer": "../../../elsewhere"}
    prompt = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "3": {"class_type": "MVG_PIEStates", "inputs": inputs},
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }
    error = server.run(prompt).error
    assert error and error["exception_message"].startswith("viewer: got '../../../elsewhere'")
    assert not list(server.base.parent.rglob("elsewhere"))
