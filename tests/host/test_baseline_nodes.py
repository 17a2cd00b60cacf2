"""The paper's two baselines in a real ComfyUI: what a run gives, its progress, its end by the user, its refusals."""

import numpy as np
import pytest
from mvgen.tests.host.test_pie_loop import pictures, plan

SETTINGS = {"beta_1": 0.0, "beta_2": 0.9, "composite": True}


@pytest.fixture
def graph():
    """Loader, two pictures, a mask of the left half, a plan of two stages; what a baseline gives is saved and shown."""
    solid = {"width": 64, "height": 64}
    return {
        "model": {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}},
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "other": {"class_type": "ImageInvert", "inputs": {"image": ["image", 0]}},
        "both": {"class_type": "ImageBatch", "inputs": {"image1": ["image", 0], "image2": ["other", 0]}},
        "none": {"class_type": "SolidMask", "inputs": {"value": 0.0, **solid}},
        "half": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 32, "height": 64}},
        "mask": {
            "class_type": "MaskComposite",
            "inputs": {"destination": ["none", 0], "source": ["half", 0], "x": 0, "y": 0, "operation": "add"},
        },
        "plan": {"class_type": "PlanFromJson", "inputs": {"text": plan(2)}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["course", 0], "filename_prefix": "baseline"}},
        "notes": {"class_type": "PreviewAny", "inputs": {"source": ["course", 2]}},
    }


@pytest.fixture
def walk(graph):
    inputs = {
        **{"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2], "image": ["both", 0]},
        **{"plan": ["plan", 0], "mask": ["mask", 0], "steps": 4, "gamma": 0.5, "guidance": 2.0},
        **{"scheduler": "ddim_uniform", "seed": 5, **SETTINGS},
    }
    graph["course"] = {"class_type": "MVG_SDWalk", "inputs": inputs}
    return inputs


@pytest.fixture
def extrapolation(graph):
    graph["darker"] = {"class_type": "ImageBlend", "inputs": dark(["both", 0], "multiply")}
    graph["lighter"] = {"class_type": "ImageBlend", "inputs": dark(["both", 0], "screen")}
    inputs = {
        **{"vae": ["model", 2], "image": ["both", 0], "healthy": ["darker", 0], "diseased": ["lighter", 0]},
        **{"plan": ["plan", 0], "mask": ["mask", 0], "method": "mean", "reach": 1.0, **SETTINGS},
    }
    graph["course"] = {"class_type": "MVG_Extrapolation", "inputs": inputs}
    return inputs


def dark(image: list, mode: str) -> dict:
    return {"image1": image, "image2": image, "blend_factor": 0.5, "blend_mode": mode}


def done(server, graph, **options):
    run = server.run(graph, **options)
    assert run.error is None, run.error
    return run


def test_a_walk_keeps_the_outside_and_tells_its_progress(server, graph, walk):
    run = done(server, graph)
    shown = pictures(server, run)
    assert len(shown) == 6, "two patients of N + 1 pictures"
    for first, *later in (shown[:3], shown[3:]):
        for stage in later:
            assert (stage[:, 32:] == first[:, 32:]).all() and (stage[:, :32] != first[:, :32]).any()
        assert (later[0] != later[1]).any()
    told = [(value, steps) for node, value, steps in run.progress if node == "course"]
    assert told[0] == (1, 4) and told[-1] == (4, 4) and told == sorted(told)
    assert run.previews, "what is being computed is shown"
    notes = run.outputs["notes"]["text"]
    assert len(notes) == 2 and notes[0].startswith("SD Walk, T = 4, ddim_uniform, seed 5, beta_1 0, beta_2 0.9")
    assert "stage 2: k = 2, guidance 2, 100% of the way, change" in notes[0]


def test_a_patient_of_a_walk_comes_out_as_alone(server, graph, walk):
    together = pictures(server, done(server, graph))
    for patient, image in enumerate(("image", "other")):
        walk.update(image=[image, 0], seed=5 + patient)
        for n, picture in enumerate(pictures(server, done(server, graph))):
            assert abs(picture - together[3 * patient + n]).max() <= 1


def test_a_walk_of_no_stage_and_of_one(server, graph, walk):
    for count in (0, 1):
        graph["plan"]["inputs"]["text"] = plan(count)
        assert len(pictures(server, done(server, graph))) == 2 * (count + 1)
    walk["gamma"] = 0.0
    first, second, *_ = pictures(server, done(server, graph))
    assert abs(first - second).max() <= 1, "no step leaves the image"


def test_a_walk_stops_when_it_is_cancelled(server, graph, walk):
    walk.update(steps=40, gamma=1.0, stages=2)

    def cancel(kind, data):
        if kind == "progress" and data["node"] == "course":
            server.post("/interrupt")

    run = server.run(graph, watch=cancel)
    assert run.interrupted and max(value for node, value, _ in run.progress if node == "course") < 80


def test_a_walk_feeds_the_nodes_behind_it(server, graph, walk):
    graph["film"] = {
        "class_type": "MVG_LatentWalkTransition",
        "inputs": {
            **{"states": ["course", 0], "latents": ["course", 1], "vae": ["model", 2]},
            **{"frames": 3, "blend": "crossfade", "walk": "slerp"},
        },
    }
    graph["frames"] = {"class_type": "SaveImage", "inputs": {"images": ["film", 0], "filename_prefix": "film"}}
    assert len(done(server, graph).outputs["frames"]["images"]) == 2 * 5


@pytest.mark.parametrize("method", ["mean", "linear"])
def test_an_extrapolation_gets_lighter_inside_only(server, graph, extrapolation, method):
    extrapolation["method"] = method
    run = done(server, graph)
    shown = pictures(server, run)
    assert len(shown) == 6
    for course in (shown[:3], shown[3:]):
        for stage in course[1:]:
            assert (stage[:, 32:] == course[0][:, 32:]).all()
        light = [float(np.mean(stage[:, :32])) for stage in course]
        assert light[0] < light[1] < light[2]
    assert (4, 4) in [(value, steps) for node, value, steps in run.progress if node == "course"]
    notes = run.outputs["notes"]["text"]
    assert f"Extrapolation, {method} of 2 healthy and 2 diseased pictures, reach 1" in notes[0]
    assert "stage 1: 0.5 of the difference of the means, change" in notes[1]


def test_an_extrapolation_takes_its_stages_from_either(server, graph, extrapolation):
    extrapolation["image"] = ["image", 0]
    graph["plan"]["inputs"]["text"] = plan(0)
    assert len(pictures(server, done(server, graph))) == 1
    del extrapolation["plan"]
    extrapolation["stages"] = 3
    assert len(pictures(server, done(server, graph))) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"diseased": ["image", 0]}, "diseased: got 1 picture, want a batch of two or more"),
        ({"healthy": ["wide", 0]}, "healthy: got 128 x 128 with 3 channels, want the image's 64 x 64 with 3"),
        ({"diseased": ["darker", 0]}, "diseased: got the mean of healthy"),
        ({"mask": ["half", 0]}, "mask: got 32 x 64 pixels, want 64 x 64"),
        ({"stages": 5}, "plan: got 2 stages, want 1 (for all) or at least 5"),
        ({"plan": None}, "stages: got 0 and no plan"),
    ],
)
def test_what_cannot_be_extrapolated_is_named(server, graph, extrapolation, change, words):
    graph["wide"] = {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 128, "fit": "crop"}}
    extrapolation.update(change)
    extrapolation = {name: value for name, value in extrapolation.items() if value is not None}
    graph["course"]["inputs"] = extrapolation
    run = server.run(graph)
    assert run.error["node_type"] == "MVG_Extrapolation" and words in run.error["exception_message"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stages": 5}, "plan: got 2 stages, want 1 (for all) or at least 5"),
        ({"mask": ["half", 0]}, "mask: got 32 x 64 pixels, want 64 x 64"),
    ],
)
def test_what_cannot_be_walked_is_named(server, graph, walk, change, words):
    walk.update(change)
    run = server.run(graph)
    assert run.error["node_type"] == "MVG_SDWalk" and words in run.error["exception_message"]
