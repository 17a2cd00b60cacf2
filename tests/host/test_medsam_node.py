"""MedSAM in a real ComfyUI: its files, boxes, drawn or the plan's, what is kept, and the way to the mask editor."""

import json
import urllib.request

import numpy as np
import pytest
import torch
from mvgen.models.medsam import load_medsam
from mvgen.mvg.roi import refine
from mvgen.tests.library.sam_tiny import LAYERS, sam, segment_anything_state
from PIL import Image
from safetensors.torch import save_file

SIDE = 96
REPORT = "Frontal chest radiograph. Pulmonary edema, mild. No pleural effusion."


class Code:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))


@pytest.fixture(scope="module")
def folder(server):
    """models/mvg/medsam with a small SAM in both layouts, and files that are none."""
    place = server.base / "models" / "mvg" / "medsam"
    (place / "vit").mkdir(parents=True, exist_ok=True)
    network = sam()
    torch.save(segment_anything_state(network), place / "medsam_vit_b.pth")
    state = {n: t.clone() for n, t in network.state_dict().items() if not n.startswith("prompt_encoder.shared")}
    save_file(state, place / "vit" / "model.safetensors")
    torch.save({"conv1.weight": torch.ones(1)}, place / "other.pth")
    torch.save({"image_encoder.pos_embed": Code()}, place / "code.pth")
    (place / "notes.txt").write_text("no weights")
    return place


@pytest.fixture
def graph():
    return {
        "image": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": SIDE, "fit": "crop"}},
        "box": {"class_type": "PrimitiveBoundingBox", "inputs": {"x": 10, "y": 12, "width": 40, "height": 60}},
        "medsam": {
            "class_type": "MVG_MedSAM",
            "inputs": {"image": ["image", 0], "file": "medsam/medsam_vit_b.pth", "box": ["box", 0]},
        },
        "notes": {"class_type": "PreviewAny", "inputs": {"source": ["medsam", 1]}},
        "boxes": {"class_type": "PreviewAny", "inputs": {"source": ["medsam", 2]}},
        "as_image": {"class_type": "MaskToImage", "inputs": {"mask": ["medsam", 0]}},
        "mask": {"class_type": "SaveImage", "inputs": {"images": ["as_image", 0], "filename_prefix": "medsam"}},
    }


def with_plan(graph: dict) -> dict:
    """The same without a box, and with a plan in its place."""
    del graph["box"], graph["medsam"]["inputs"]["box"]
    graph["plan"] = {
        "class_type": "MVG_Recaption",
        "inputs": {
            **{"report": ["report", 0], "domain": "chest_xray", "stages": 2},
            **{"mode": "terminal", "finding": "auto", "strict": False},
        },
    }
    graph["report"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": REPORT}}
    graph["medsam"]["inputs"]["plan"] = ["plan", 0]
    return graph


def saved(server, run, node: str) -> np.ndarray:
    """[H, W] in [0, 1]: the first colour of what a node saved."""
    assert run.error is None, run.error
    (file,) = run.outputs[node]["images"]
    return np.asarray(Image.open(server.base / "output" / file["filename"]).convert("RGB"))[..., 0] / 255


def encoded(run) -> int:
    """How many layers of the encoder ran."""
    return max((value for node, value, _ in run.progress if node == "medsam"), default=0)


@pytest.mark.parametrize("file", ["medsam/medsam_vit_b.pth", "medsam/vit/model.safetensors"])
def test_the_mask_is_the_networks_and_shaped_as_asked(server, folder, graph, file):
    shape = {"grow": -0.02, "feather": 0.03, "fill": True}
    graph["medsam"]["inputs"].update(shape, file=file)
    graph["picture"] = {"class_type": "SaveImage", "inputs": {"images": ["image", 0], "filename_prefix": "picture"}}
    run = server.run(graph)
    mask = saved(server, run, "mask")
    picture = torch.from_numpy(saved(server, run, "picture")).float()[None, ..., None]
    model = load_medsam(server.base / "models" / "mvg" / file, patcher=False)
    want = model.masks(model.encode(picture), [torch.tensor([[10.0, 12, 50, 72]])], SIDE, SIDE)
    np.testing.assert_allclose(mask, refine(want, **shape)[0].numpy(), atol=0.02)
    assert mask.max() - mask.min() > 0.1
    notes = run.outputs["notes"]["text"][0]
    assert notes.startswith("box x 10 to 50, y 12 to 72 (drawn); ") and notes.endswith("% of the image found")
    assert json.loads(run.outputs["boxes"]["text"][0]) == [[{"x": 10, "y": 12, "width": 40, "height": 60}]]


def test_another_box_takes_the_image_as_it_was_seen(server, folder, graph):
    graph["image"]["inputs"]["size"] = SIDE + 8
    graph["medsam"]["inputs"]["grow"] = 0.01
    first = server.run(graph)
    assert encoded(first) == LAYERS
    graph["box"]["inputs"]["x"] = 30
    second = server.run(graph)
    assert encoded(second) == 0 and "medsam" in second.executed
    assert not np.array_equal(saved(server, first, "mask"), saved(server, second, "mask"))
    body = json.dumps({"unload_models": True}).encode()
    urllib.request.urlopen(urllib.request.Request(f"http://{server.address}/free", data=body), timeout=30)
    for _ in range(20):  # the host frees between runs, when it comes to it
        graph["box"]["inputs"]["x"] += 1
        if encoded(server.run(graph)) == LAYERS:
            return
    raise AssertionError("the network stayed after ComfyUI freed its memory")


def test_a_drawn_box_and_several_of_them(server, folder, graph):
    drawn = [{"x": 10, "y": 12, "width": 40, "height": 60}, {"x": 50, "y": 20, "width": 30, "height": 30}]
    graph["box"] = {
        "class_type": "CreateBoundingBoxes",
        "inputs": {"width": SIDE, "height": SIDE, "editor_state": {"__value__": drawn}, "background": ["image", 0]},
    }
    graph["medsam"]["inputs"]["box"] = ["box", 1]
    run = server.run(graph)
    assert run.error is None, run.error
    assert json.loads(run.outputs["boxes"]["text"][0]) == [drawn]
    graph["box"]["inputs"]["editor_state"] = {"__value__": []}
    assert "box: got none, want at least one" in server.run(graph).error["exception_message"]


def test_a_batch_gets_a_mask_each(server, folder, graph):
    graph["other"] = {"class_type": "ImageInvert", "inputs": {"image": ["image", 0]}}
    graph["both"] = {"class_type": "ImageBatch", "inputs": {"image1": ["image", 0], "image2": ["other", 0]}}
    graph["medsam"]["inputs"]["image"] = ["both", 0]
    run = server.run(graph)
    assert run.error is None, run.error
    assert len(run.outputs["mask"]["images"]) == 2 and encoded(run) in (0, 2 * LAYERS)
    assert [line[:8] for line in run.outputs["notes"]["text"][0].splitlines()] == ["image 0:", "image 1:"]


def test_the_plans_region_gives_the_boxes(server, folder, graph):
    graph = with_plan(graph)
    run = server.run(graph)
    assert run.error is None, run.error
    assert "(of the plan: lung fields found" in run.outputs["notes"]["text"][0]
    (boxes,) = json.loads(run.outputs["boxes"]["text"][0])
    assert len(boxes) == 2, "two lungs"
    left, right = sorted(boxes, key=lambda box: box["x"])
    assert left["x"] + left["width"] <= SIDE * 0.6 and right["x"] >= SIDE * 0.4
    # the film's lungs, see hosting.draw_inputs: 0.42 from the middle, of a half width of 1
    assert abs(left["x"] + left["width"] / 2 - 0.29 * SIDE) < 0.08 * SIDE


@pytest.mark.parametrize(
    ("node", "change", "message"),
    [
        ("box", {"x": 60}, f"box: got x 60 to 100, y 12 to 72, want it within the image of {SIDE} x {SIDE}"),
        ("medsam", {"file": "medsam/other.pth"}, "other.pth: no pos_embed of an image encoder: got conv1.weight"),
        ("medsam", {"file": "medsam/code.pth"}, "code.pth: holds"),
        ("medsam", {"image": ["plain", 0]}, "images: number 0 of 0 to 0 is constant"),
        ("medsam", {"box": None}, "box: nothing is connected, want a box or a plan"),
    ],
)
def test_what_does_not_fit_is_named(server, folder, graph, node, change, message):
    graph["plain"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": SIDE, "height": SIDE, "batch_size": 1, "color": 8421504},
    }
    graph[node]["inputs"] = {k: v for k, v in {**graph[node]["inputs"], **change}.items() if v is not None}
    run = server.run(graph)
    assert message in run.error["exception_message"]


def test_the_files_of_the_folder_are_offered_and_no_others(server, folder, graph):
    (names, options) = server.get("/object_info/MVG_MedSAM")["MVG_MedSAM"]["input"]["required"]["file"]
    names = names if isinstance(names, list) else options["options"]
    assert {name.replace("\\", "/") for name in names} == {
        f"medsam/{name}" for name in ("medsam_vit_b.pth", "vit/model.safetensors", "other.pth", "code.pth")
    }
    for file in ("../secret.txt", "medsam/../../../secret.txt", "medsam/notes.txt", "", "embedded/x.pt"):
        graph["medsam"]["inputs"]["file"] = file
        answer = server.refuse(graph)
        assert "want a checkpoint of models/mvg/medsam" in json.dumps(answer["node_errors"]["medsam"])


def test_values_outside_their_range_are_refused(server, folder, graph):
    for change in ({"grow": 0.6}, {"feather": -0.1}):
        broken = json.loads(json.dumps(graph))
        broken["medsam"]["inputs"].update(change)
        assert next(iter(change)) in json.dumps(server.refuse(broken)["node_errors"]["medsam"])


def test_what_goes_to_the_mask_editor_comes_back_as_the_mask(server, folder, graph):
    """The way of the help page without the editor between: Join Image with Alpha, Preview Image, Load Image."""
    graph["joined"] = {"class_type": "JoinImageWithAlpha", "inputs": {"image": ["image", 0], "alpha": ["medsam", 0]}}
    graph["preview"] = {"class_type": "PreviewImage", "inputs": {"images": ["joined", 0]}}
    run = server.run(graph)
    mask = saved(server, run, "mask")
    (file,) = run.outputs["preview"]["images"]
    assert file["type"] == "temp"
    back = {
        "load": {"class_type": "LoadImage", "inputs": {"image": f"{file['filename']} [temp]"}},
        "as_image": {"class_type": "MaskToImage", "inputs": {"mask": ["load", 1]}},
        "mask": {"class_type": "SaveImage", "inputs": {"images": ["as_image", 0], "filename_prefix": "edited"}},
    }
    np.testing.assert_allclose(saved(server, server.run(back), "mask"), mask, atol=1.5 / 255)


def test_the_anatomical_region_is_shaped_too_and_by_default_as_it_was_found(server, graph):
    graph = with_plan(graph)
    region = {"class_type": "MVG_AnatomicalROI", "inputs": {"image": ["image", 0], "plan": ["plan", 0]}}
    neutral = {"grow": 0.0, "feather": 0.0, "fill": False}
    given = {"plain": {}, "neutral": neutral, "grown": {"grow": 0.05}, "shrunk": {"grow": -0.05, "feather": 0.05}}
    for name in ("medsam", "notes", "boxes", "as_image", "mask"):
        del graph[name]
    for name, shape in given.items():
        graph[f"{name}.roi"] = {**region, "inputs": {**region["inputs"], **shape}}
        graph[f"{name}.image"] = {"class_type": "MaskToImage", "inputs": {"mask": [f"{name}.roi", 0]}}
        graph[name] = {"class_type": "SaveImage", "inputs": {"images": [f"{name}.image", 0], "filename_prefix": name}}
    run = server.run(graph)
    masks = {name: saved(server, run, name) for name in given}
    assert np.array_equal(masks["plain"], masks["neutral"])
    plain = torch.from_numpy(masks["plain"])[None]
    for name in ("grown", "shrunk"):
        np.testing.assert_allclose(masks[name], refine(plain, **given[name])[0].numpy(), atol=3 / 255)
    assert masks["grown"].mean() > masks["plain"].mean() + 0.05 > masks["shrunk"].mean() + 0.1
