"""KID, Compare Images and Score Table in a real ComfyUI."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from mvgen.models.embedded.loader import BUNDLED
from mvgen.models.weights import read_weights
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

LOADED = {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}}


def film(name: str = "film.png", size: int = 64) -> dict:
    return {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": name, "size": size, "fit": "crop"}}


def repeat(image, amount: int) -> dict:
    return {"class_type": "RepeatImageBatch", "inputs": {"image": image, "amount": amount}}


def join(first, second) -> dict:
    return {"class_type": "ImageBatch", "inputs": {"image1": first, "image2": second}}


def show(text) -> dict:
    return {"class_type": "PreviewAny", "inputs": {"source": text}}


def save(images, prefix: str) -> dict:
    return {"class_type": "SaveImage", "inputs": {"images": images, "filename_prefix": prefix}}


def invert(image) -> dict:
    return {"class_type": "ImageInvert", "inputs": {"image": image}}


def flat(size: int = 64) -> dict:
    color = {"width": size, "height": size, "batch_size": 1, "color": 8421504}
    return {"class_type": "EmptyImage", "inputs": color}


def shown(run, node: str) -> str:
    assert run.error is None, run.error
    return run.outputs[node]["text"][0]


@pytest.fixture
def sets() -> dict:
    """Films and their negatives (real), films only (generated), four of each."""
    return {
        **{"load": LOADED, "film": film(), "negative": invert(["film", 0])},
        **{"two": join(["film", 0], ["negative", 0]), "real": repeat(["two", 0], 2), "fake": repeat(["film", 0], 4)},
    }


def kid(**changes) -> dict:
    inputs = {"real": ["real", 0], "generated": ["fake", 0], "inception": "none", "clip_vision": ["load", 3]}
    inputs |= {"subsets": 5, "subset_size": 3, "seed": 1, **changes}
    return {"class_type": "MVG_KID", "inputs": {k: v for k, v in inputs.items() if v is not None}}


def test_kid_by_clip_vision_goes_into_the_table(server, sets):
    graph = {**sets, "kid": kid(), "text": show(["kid", 0])}
    graph["table"] = {"class_type": "MVG_ScoreTable", "inputs": {"chain": "cohort", "scores.scores_0": ["kid", 0]}}
    graph["csv"] = show(["table", 0])
    run = server.run(graph)
    scores = json.loads(shown(run, "text"))
    assert scores["metric"] == "kid" and len(scores["values"]) == 1 and scores["values"][0] > 0
    assert [scores[k] for k in ("n", "m", "subsets", "subset_size", "seed", "note")] == [4, 4, 5, 3, 1, ""]
    size = read_weights(BUNDLED / "clip_vision.safetensors")[1]["image_size"]
    assert scores["std"] > 0 and f"{size} px" in scores["model"]
    rows = list(csv.DictReader(io.StringIO(shown(run, "csv"))))
    assert [(row["chain"], row["stage"], row["metric"]) for row in rows] == [
        *(("cohort", "", "kid"), ("cohort", "", "kid_std")),
    ]
    assert float(rows[0]["value"]) == scores["values"][0] and rows[0]["model"] == scores["model"]
    assert json.loads(rows[0]["settings"]) == {"m": 4, "n": 4, "seed": 1, "subset_size": 3, "subsets": 5}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generated": ["film", 0]}, "generated: got 1 picture, want a set"),
        ({"real": ["film", 0]}, "real: got 1 picture, want a set"),
        ({"subset_size": 5}, "real: got 4 pictures, want at least subset_size, 5"),
        ({"clip_vision": None}, "inception: got nothing"),
        ({"generated": ["flat", 0], "subset_size": 2}, "generated: picture 1 of 2 is constant"),
    ],
)
def test_kid_of_what_is_no_set_is_refused(server, sets, changes, words):
    graph = {**sets, "one": flat(), "flat": repeat(["one", 0], 2), "kid": kid(**changes), "text": show(["kid", 0])}
    run = server.run(graph)
    assert run.error is not None and words in run.error["exception_message"], run.error


def test_an_inception_that_is_not_there_is_refused(server, sets):
    for name in ("../secret.txt", "inception/none.pth"):
        graph = {**sets, "kid": kid(inception=name, clip_vision=None), "text": show(["kid", 0])}
        answer = server.refuse(graph)
        assert "inception" in json.dumps(answer["node_errors"])


def test_kid_by_an_inception_file(server, sets):
    class Untrained(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            pass

    folder = server.base / "models" / "mvg" / "inception"
    folder.mkdir()
    torch.save({}, folder / "nothing.pth")
    network = Untrained("inception-v3-compat", ["2048"], folder / "nothing.pth")
    torch.save(network.state_dict(), folder / "pt_inception-2015-12-05.pth")
    changes = {"inception": "inception/pt_inception-2015-12-05.pth", "clip_vision": None, "subset_size": 4}
    scores = json.loads(shown(server.run({**sets, "kid": kid(**changes), "text": show(["kid", 0])}), "text"))
    assert scores["model"] == "pt_inception-2015-12-05" and "std is 0" in scores["note"]
    both = server.run({**sets, "kid": kid(inception=changes["inception"]), "text": show(["kid", 0])})
    assert "inception: got a clip vision and an Inception file" in both.error["exception_message"]
    bad = server.run(
        {**sets, "kid": kid(**{**changes, "inception": "inception/nothing.pth"}), "text": show(["kid", 0])}
    )
    assert "nothing.pth: got other tensors" in bad.error["exception_message"]


def compare(register: str, **changes) -> dict:
    inputs = {"images": ["film", 0], "reference": ["other", 0], "register": register, "first_stage": 3, **changes}
    return {"class_type": "MVG_MAE", "inputs": inputs}


def test_compare_registers_and_shows_it(server):
    pixels = np.asarray(Image.open(server.base / "input" / "film.png"))
    assert pixels.shape == (160, 160)
    Image.fromarray(np.roll(pixels, 8, axis=0)).save(server.base / "input" / "moved.png")
    mask = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 160, "height": 100}}
    outside = {"class_type": "SolidMask", "inputs": {"value": 0.0, "width": 160, "height": 160}}
    combined = {"destination": ["outside", 0], "source": ["part", 0], "x": 0, "y": 0, "operation": "add"}
    graph = {
        **{"film": film(size=0), "other": film("moved.png", 0), "part": mask, "outside": outside},
        "mask": {"class_type": "MaskComposite", "inputs": combined},
        **{"as_is": compare("none", mask=["mask", 0]), "rigid": compare("rigid", mask=["mask", 0])},
        **{"text_as_is": show(["as_is", 0]), "text_rigid": show(["rigid", 0]), "mae": show(["rigid", 1])},
        **{"saved": save(["rigid", 2], "registered"), "overlay": save(["rigid", 3], "overlay")},
        "table": {
            "class_type": "MVG_ScoreTable",
            "inputs": {"chain": "p1", "scores.scores_0": ["as_is", 0], "scores.scores_1": ["rigid", 0]},
        },
        "csv": show(["table", 0]),
    }
    run = server.run(graph)
    before, after = (json.loads(shown(run, name)) for name in ("text_as_is", "text_rigid"))
    assert after["values"][0] < 0.2 * before["values"][0]
    assert float(shown(run, "mae")) == pytest.approx(after["values"][0])
    assert [(part["metric"], part["region"]) for part in after["parts"]] == [
        (metric, region) for metric in ("mae", "ssim", "psnr") for region in ("whole", "inside", "outside")
    ]
    (found,) = after["registration"]
    assert found["matrix"][1][2] == pytest.approx(8, abs=1) and found["after"] > found["before"]
    assert before["registration"] == [] and before["register"] == "none"
    rows = list(csv.DictReader(io.StringIO(shown(run, "csv"))))
    assert len(rows) == 18 and {row["stage"] for row in rows} == {"3"}
    sizes = [
        Image.open(server.base / "output" / run.outputs[node]["images"][0]["filename"]).size
        for node in ("saved", "overlay")
    ]
    assert sizes == [(160, 160), (320, 160)]


def test_equal_images_have_an_infinite_psnr_in_valid_json(server):
    graph = {"film": film(), "compare": compare("none", reference=["film", 0]), "text": show(["compare", 0])}
    text = shown(server.run(graph), "text")
    scores = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert scores["values"] == [0] and scores["parts"][2]["values"] == ["inf"]


@pytest.mark.parametrize(
    ("other", "register", "words"),
    [
        (film(size=32), "none", "reference: got 32 x 32 x 3, want 64 x 64 x 3"),
        (flat(), "rigid", "later: got a constant image"),
    ],
)
def test_references_that_do_not_fit_are_refused(server, other, register, words):
    run = server.run({"film": film(), "other": other, "compare": compare(register), "text": show(["compare", 0])})
    assert run.error is not None and words in run.error["exception_message"], run.error


def test_two_references_of_three_images_are_refused(server):
    graph = {"film": film(), "three": repeat(["film", 0], 3), "other": repeat(["film", 0], 2)}
    graph |= {"compare": compare("none", images=["three", 0]), "text": show(["compare", 0])}
    run = server.run(graph)
    assert run.error is not None and "reference: got 2 pictures, want 1 or 3" in run.error["exception_message"]


def test_the_table_refuses_what_is_no_score(server):
    words = {"class_type": "PrimitiveString", "inputs": {"value": "words"}}
    table = {"class_type": "MVG_ScoreTable", "inputs": {"chain": "p1", "scores.scores_0": ["words", 0]}}
    run = server.run({"words": words, "table": table})
    assert run.error is not None and "scores_0: got text that is no score" in run.error["exception_message"]


def test_the_plot_takes_real_scores_beside_the_simulated(server):
    conf = {"class_type": "MVG_Conf", "inputs": {"classifier": ["load", 4], "images": ["film", 0], "finding": "edema"}}
    plot = {"conf": ["conf", 0], "real": ["conf", 0], "title": "both"}
    graph = {
        "load": LOADED,
        "film": film(),
        "conf": conf,
        "plot": {"class_type": "MVG_ProgressionPlot", "inputs": plot},
    }
    run = server.run({**graph, "saved": save(["plot", 0], "plot")})
    assert run.error is None, run.error
