"""A user's own classifier in a real ComfyUI: its file among the models, its findings, its scores."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import DenseNet

FINDINGS = ("Melanoma", "Nevus")


@pytest.fixture(scope="module")
def folder(server):
    """models/mvg/classifiers with a small DenseNet in two files, and files that are none."""
    place = server.base / "models" / "mvg" / "classifiers"
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    state = DenseNet(
        growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=8, bn_size=2, num_classes=2
    ).state_dict()
    torch.save({"state_dict": {f"module.{name}": t for name, t in state.items()}}, place / "own.pth")
    threshs = {"op_threshs": torch.tensor([0.2, 0.3])}
    save_file(state | threshs, place / "xrv.safetensors", metadata={"labels": json.dumps(FINDINGS)})
    torch.save({"conv1.weight": torch.ones(1)}, place / "other.pt")
    (place / "notes.txt").write_text("no weights")
    return place


@pytest.fixture
def graph():
    return {
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "load": {
            "class_type": "MVG_LoadClassifier",
            "inputs": {
                "file": "classifiers/own.pth",
                **{"labels": ", ".join(FINDINGS), "activation": "from file", "image_size": 64},
            },
        },
        "conf": {
            "class_type": "MVG_Conf",
            "inputs": {"classifier": ["load", 0], "images": ["image", 0], "finding": "melanoma"},
        },
        "scores": {"class_type": "PreviewAny", "inputs": {"source": ["conf", 0]}},
        "labels": {"class_type": "PreviewAny", "inputs": {"source": ["load", 1]}},
    }


def scores(run) -> dict:
    assert run.error is None, run.error
    return json.loads(run.outputs["scores"]["text"][0])


def test_an_own_classifier_gives_conf_of_its_own_findings(server, folder, graph):
    run = server.run(graph)
    said = scores(run)
    assert list(said) == ["metric", "model", "scale", "finding", "values", "all"]
    assert (said["metric"], said["model"], said["finding"]) == ("conf", "own", "Melanoma")
    assert said["scale"] == "probability" and said["values"] == said["all"]["Melanoma"] and len(said["all"]) == 2
    assert run.outputs["labels"]["text"][0].splitlines() == list(FINDINGS)

    probabilities = said["all"]
    graph["load"]["inputs"].update(file="classifiers/xrv.safetensors", labels="")
    said = scores(server.run(graph))
    assert said["scale"] == "operating point" and said["model"] == "xrv"
    for finding, threshold in zip(FINDINGS, (0.2, 0.3), strict=True):
        (p,) = probabilities[finding]
        want = p / (2 * threshold) if p < threshold else 1 - (1 - p) / (2 * (1 - threshold))
        assert said["all"][finding] == pytest.approx([want], abs=1e-5)


@pytest.mark.parametrize(
    ("node", "change", "message"),
    [
        ("load", {"labels": "Melanoma"}, "own.pth: labels: got 1 (Melanoma), want 2"),
        ("load", {"file": "classifiers/other.pt"}, "other.pt: no DenseNet: got conv1.weight"),
        ("load", {"image_size": 7}, "image_size: got 7, want 0 (that of the file) or at least 32"),
        ("conf", {"finding": "edema"}, "finding: got 'edema', want one that the classifier reads: Melanoma, Nevus"),
        ("conf", {"finding": "plan"}, "plan: nothing is connected"),
        ("conf", {"images": ["plain", 0]}, "images: number 0 of 0 to 0 is constant"),
    ],
)
def test_what_does_not_fit_is_named(server, folder, graph, node, change, message):
    graph["plain"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 8421504},
    }
    graph[node]["inputs"].update(change)
    run = server.run(graph)
    assert message in run.error["exception_message"]


def test_the_files_of_the_folder_are_offered_and_no_others(server, folder, graph):
    (names, options) = server.get("/object_info/MVG_LoadClassifier")["MVG_LoadClassifier"]["input"]["required"]["file"]
    names = names if isinstance(names, list) else options["options"]
    assert {name.replace("\\", "/") for name in names} == {
        f"classifiers/{name}" for name in ("own.pth", "xrv.safetensors", "other.pt")
    }
    for file in ("../secret.txt", "classifiers/../../../secret.txt", "classifiers/notes.txt", "", "embedded/x.pt"):
        graph["load"]["inputs"]["file"] = file
        answer = server.refuse(graph)
        assert "want a classifier of models/mvg/classifiers" in json.dumps(answer["node_errors"]["load"])
