"""A plan of mode severity in a real ComfyUI: one inversion, stages cached one by one, host samplers, refusals."""

import json

import pytest
from safetensors.torch import save_file
from torchvision.models import DenseNet

WORDS = {0.0: "no finding", 0.25: "mild edema", 0.85: "severe edema"}
GRADES = [{"severity": s, "prompt": f"frontal chest x-ray, {words}"} for s, words in WORDS.items()]


def plan(*severities: float, **fields) -> str:
    source = GRADES[0]["prompt"]
    stages = [
        {"prompt": GRADES[-1]["prompt"], "finding": "edema", "severity": s, "source": source, **fields}
        for s in severities
    ]
    head = {"schema": "mvg.plan", "version": 1, "domain": "chest_xray", "finding": "edema", "side": ""}
    return json.dumps({**head, "stages": stages, "scale": GRADES})


@pytest.fixture
def graph():
    loop = {
        **{"model": ["model", 0], "clip": ["model", 1], "vae": ["model", 2]},
        **{"image": ["image", 0], "plan": ["plan", 0]},
        **{"steps": 4, "gamma": 1.0, "guidance": 1.1, "refine": 1, "scheduler": "ddim_uniform"},
        **{"beta_1": 0.01, "beta_2": 1.0, "mode": "ddim", "composite": True, "seed": 0},
    }
    return {
        "model": {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}},
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "plan": {"class_type": "PlanFromJson", "inputs": {"text": plan(0.2, 0.5, 0.8)}},
        "loop": {"class_type": "MVG_PIELoop", "inputs": loop},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["loop", 0], "filename_prefix": "severity"}},
    }


@pytest.fixture
def own(server):
    """A user's classifier, which reads no severities, as the inputs of Load Classifier."""
    file = server.base / "models" / "mvg" / "classifiers" / "own.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    network = DenseNet(growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=8, bn_size=2, num_classes=1)
    save_file(network.state_dict(), file, metadata={"labels": "edema"})
    yield {"file": f"classifiers/{file.name}", "labels": "", "activation": "from file", "image_size": 64}
    file.unlink()


def test_a_changed_severity_runs_its_stage_alone(server, graph):
    done = server.run(graph)
    assert done.error is None, done.error
    assert done.stages_run() == [1, 2, 3] and len(done.outputs["save"]["images"]) == 4
    assert [node for node in done.executed if node.endswith("pie.invert")], "the image is inverted"
    graph["plan"]["inputs"]["text"] = plan(0.2, 0.6, 0.8)
    changed = server.run(graph)
    assert changed.error is None and changed.stages_run() == [2]
    assert not [node for node in changed.executed if node.endswith("pie.invert")], "it is inverted once"
    graph["plan"]["inputs"]["text"] = plan(0.2, 0.6, 0.8, 0.85)
    assert server.run(graph).stages_run() == [4]


def test_stages_of_equal_change_are_spaced_by_probes(server, graph):
    graph["loop"]["inputs"]["spacing"] = "equal change"
    graph["notes"] = {"class_type": "PreviewAny", "inputs": {"source": ["loop", 3]}}
    done = server.run(graph)
    assert done.error is None, done.error
    (told,) = (line for line in done.outputs["notes"]["text"][0].splitlines() if line.startswith("equal change"))
    asked = [float(word) for word in told.removeprefix("equal change: stages at ").split(", ")]
    assert len(asked) == 3 and asked == sorted(asked) and asked[-1] == 0.8
    assert asked != [0.2, 0.5, 0.8]


def test_stages_of_equal_severity_are_read_by_the_embedded_classifier(server, graph):
    graph["loop"]["inputs"] |= {"spacing": "equal severity", "classifier": ["model", 4]}
    graph["conf"] = {
        "class_type": "MVG_Conf",
        "inputs": {"classifier": ["model", 4], "images": ["loop", 0], "finding": "plan", "plan": ["plan", 0]},
    }
    graph["scores"] = {"class_type": "PreviewAny", "inputs": {"source": ["conf", 0]}}
    done = server.run(graph)
    assert done.error is None, done.error
    scores = json.loads(done.outputs["scores"]["text"][0])
    assert len(scores["severity"]["values"]) == len(scores["values"]) == 4
    assert scores["severity"]["values"] == scores["severity"]["all"]["edema"]


@pytest.mark.parametrize(
    "fields, inputs, message",
    [
        ({}, {"spacing": "equal severity"}, "classifier: got nothing, want a graded one"),
        (
            {},
            {"spacing": "equal severity", "classifier": ["own", 0]},
            "classifier: got own, which reads no severities, want a graded one for stages of equal severity",
        ),
        ({}, {"mode": "noise"}, "mode: got 'noise', want ddim for a plan of mode severity"),
        ({"gamma": 0.4}, {}, "stage 1, gamma: got 0.4, want none in a plan of mode severity"),
    ],
)
def test_what_a_shared_inversion_cannot_do_is_refused(server, graph, own, fields, inputs, message):
    graph["own"] = {"class_type": "MVG_LoadClassifier", "inputs": own}
    graph["plan"]["inputs"]["text"] = plan(0.2, 0.8, **fields)
    graph["loop"]["inputs"] |= inputs
    assert message in server.run(graph).error["exception_message"]


def test_one_stage_cannot_stand_for_several(server, graph):
    graph["plan"]["inputs"]["text"] = plan(0.8)
    graph["loop"]["inputs"]["stages"] = 3
    message = "plan: got 1 stage for 3, want one each in a plan of mode severity"
    assert message in server.run(graph).error["exception_message"]
    graph["loop"]["inputs"]["stages"] = 1
    assert server.run(graph).stages_run() == [1]


def test_a_model_that_does_not_answer_is_named_on_the_page_and_in_provenance(server, graph):
    same = json.loads(plan(0.4, 0.8))
    for grade in same["scale"]:
        grade["prompt"] = GRADES[0]["prompt"]
    graph["plan"]["inputs"]["text"] = json.dumps(same)
    graph["loop"]["inputs"] |= {"gamma": 0.25, "refine": 8, "spacing": "equal change", "delta": 0.1}
    graph["save"] = {
        "class_type": "MVG_SaveTrajectory",
        "inputs": {"states": ["loop", 0], "folder_prefix": "mvg/still", "fps": 8.0, "curve": ["loop", 2]},
    }
    graph["notes"] = {"class_type": "PreviewAny", "inputs": {"source": ["loop", 3]}}
    done = server.run(graph)
    assert done.error is None, done.error
    told = done.outputs["notes"]["text"][0]
    assert "equal change: the model does not answer to the prompt" in told and "stages as planned" in told
    assert "note: delta has no effect" in told
    (saved,) = done.outputs["save"]["mvg_trajectory"]
    folder = server.base / "output" / saved["subfolder"]
    (note,) = json.loads((folder / "provenance.json").read_text())["notes"]
    assert note.startswith("the model does not answer to the prompt of edema: no stage changes the picture by more")
    assert f"note: {note}" in told


def test_the_guider_works_with_the_hosts_own_sampler(server, graph):
    words = {"none": GRADES[0], "severe": GRADES[2]}
    for name, grade in words.items():
        graph[name] = {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": grade["prompt"]}}
        graph[f"{name} graded"] = {
            "class_type": "MVG_ConditioningSeverity",
            "inputs": {"conditioning": [name, 0], "severity": grade["severity"]},
        }
    joined = {"conditioning_1": ["none graded", 0], "conditioning_2": ["severe graded", 0]}
    graph["scale"] = {"class_type": "ConditioningCombine", "inputs": joined}
    latent = {"pixels": ["image", 0], "vae": ["model", 2]}
    graph["latent"] = {"class_type": "VAEEncode", "inputs": latent}
    settings = {"steps": 4, "gamma": 0.75, "refine": 1, "scheduler": "ddim_uniform", "round_trip": False}
    inverted = {"model": ["model", 0], "positive": ["none", 0], "latent": ["latent", 0], **settings}
    graph["invert"] = {"class_type": "MVG_DDIMInvert", "inputs": inverted}
    guided = {"model": ["model", 0], "scale": ["scale", 0], "negative": ["none", 0], "severity": 0.4, "guidance": 1.1}
    graph["guider"] = {"class_type": "MVG_SeverityGuider", "inputs": guided}
    graph["noise"] = {"class_type": "DisableNoise", "inputs": {}}
    graph["euler"] = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}}
    sampled = {"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["euler", 0], "sigmas": ["invert", 1]}
    graph["sample"] = {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {**sampled, "latent_image": ["invert", 0]},
    }
    graph["decode"] = {"class_type": "VAEDecode", "inputs": {"samples": ["sample", 0], "vae": ["model", 2]}}
    graph["save"]["inputs"]["images"] = ["decode", 0]
    done = server.run(graph)
    assert done.error is None, done.error
    assert len(done.outputs["save"]["images"]) == 1
