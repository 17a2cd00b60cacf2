"""The extension in a real ComfyUI: what it offers, what a run gives, what is cached, what is refused."""

import json

import av
import numpy as np
import pytest
from PIL import Image

IDS = {
    "MVG_LoadEmbedded",
    "MVG_LoadMedicalImage",
    "MVG_LoadReport",
    "MVG_Recaption",
    "MVG_EditPlan",
    "MVG_AnatomicalROI",
    "MVG_MedSAM",
    "MVG_ConditioningSeverity",
    "MVG_SeverityGuider",
    "MVG_SeverityStage",
    "MVG_StageSpacing",
    "MVG_PIELoop",
    "MVG_PIEStep",
    "MVG_PIEStates",
    "MVG_FixedMask",
    "MVG_DDIMInvert",
    "MVG_ROIBlend",
    "MVG_LoadSEINE",
    "MVG_SEINETransition",
    "MVG_TransitionBlend",
    "MVG_StagePairs",
    "MVG_LatentWalkTransition",
    "MVG_LoadClassifier",
    "MVG_SDWalk",
    "MVG_Extrapolation",
    "MVG_Conf",
    "MVG_CLIPI",
    "MVG_KID",
    "MVG_MAE",
    "MVG_ScoreTable",
    "MVG_ComparisonSheet",
    "MVG_PickSeverity",
    "MVG_DifferenceMap",
    "MVG_ProgressionPlot",
    "MVG_SyntheticLabel",
    "MVG_SaveTrajectory",
}
LOADED = {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}}


def text(clip, words):
    return {"class_type": "CLIPTextEncode", "inputs": {"clip": clip, "text": words}}


def test_every_node_is_there_and_explained(definitions):
    ours = {name: node for name, node in definitions.items() if name.startswith("MVG_")}
    assert set(ours) == IDS
    for name, node in ours.items():
        assert node["category"].startswith("MVG/"), name
        assert node["display_name"] and node["description"] and node["search_aliases"], name
        for kind in ("required", "optional"):
            for key, (_, options) in node["input"].get(kind, {}).items():
                assert options.get("tooltip"), f"{name}.{key} has no tooltip"
        assert len(node["output_tooltips"]) == len(node["output"]), name
        assert all(node["output_tooltips"]), f"{name}: an output has no tooltip"


def test_host_ksampler_draws_with_the_embedded_model(server):
    run = server.run(
        {
            "1": LOADED,
            "2": text(["1", 1], "frontal chest x-ray, severe cardiomegaly"),
            "3": text(["1", 1], ""),
            "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 128, "batch_size": 2}},
            "5": {
                "class_type": "KSampler",
                "inputs": {
                    **{"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]},
                    **{"seed": 1, "steps": 3, "cfg": 2.0, "sampler_name": "ddim", "scheduler": "ddim_uniform"},
                    "denoise": 1.0,
                },
            },
            "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
            "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "drawn"}},
        }
    )
    assert run.error is None, run.error
    images = run.outputs["7"]["images"]
    assert len(images) == 2
    assert Image.open(server.base / "output" / images[0]["filename"]).size == (128, 128)


def test_whole_workflow_writes_one_complete_folder(server, workflow, inputs):
    prefix = inputs("MVG_SaveTrajectory")["folder_prefix"]
    run = server.run(workflow)
    assert run.error is None, run.error
    folder = server.base / "output" / prefix
    names = {entry.name for entry in folder.iterdir()}
    assert names == {
        *("video.mp4", "contact_sheet.png", "plot.png", "scores.json", "scores.csv", "provenance.json"),
        *("stage_00.png", "stage_01.png", "stage_02.png", "difference_01.png", "difference_02.png"),
    }
    assert not [entry for entry in folder.parent.iterdir() if entry.name.startswith(".")]
    saved = next(output for output in run.outputs.values() if "mvg_trajectory" in output)
    assert saved["mvg_trajectory"] == [{"subfolder": prefix, "files": sorted(names)}]

    with av.open(str(folder / "video.mp4")) as video:
        frames = sum(1 for _ in video.decode(video=0))
        assert "synthetic" in video.metadata
    assert frames == 2 * (3 - 1) + 1

    stages = [Image.open(folder / f"stage_{n:02d}.png") for n in range(3)]
    assert [stage.size for stage in stages] == [(256, 256)] * 3
    assert [stage.text["Synthetic"] == "true" for stage in stages] == [False, True, True]

    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert len(scores["conf"]["values"]) == 3 and len(scores["clip_i"]["values"]) == len(scores["curve"]["values"]) == 2
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["synthetic"] is True and len(record["models"]) == 6 and record["stages"] == 2
    assert record["versions"]["comfyui"] and record["seeds"]


def test_report_text_is_in_no_file(server, workflow, inputs):
    (server.base / "input" / "named.txt").write_text("Patient Quixotic Zebra. Cardiomegaly.", encoding="utf-8")
    inputs("MVG_LoadReport")["report"] = "named.txt"
    prefix = inputs("MVG_SaveTrajectory")["folder_prefix"]
    assert server.run(workflow).error is None
    for entry in (server.base / "output" / prefix).iterdir():
        content = entry.read_bytes()
        assert b"Zebra" not in content and b"named.txt" not in content, entry.name


def test_a_second_folder_of_one_name_gets_a_number(server, workflow, inputs):
    prefix = inputs("MVG_SaveTrajectory")["folder_prefix"]
    server.run(workflow)
    inputs("MVG_SaveTrajectory")["fps"] = 4.0
    assert server.run(workflow).error is None
    assert (server.base / "output" / f"{prefix}_00002" / "video.mp4").is_file()


def test_only_what_changed_runs_again(server, workflow, inputs):
    loop, recaption = inputs("MVG_PIELoop"), inputs("MVG_Recaption")
    loop["seed"], loop["gamma"] = 11, 0.75
    recaption["mode"] = "terminal"  # every stage is drawn towards the same words, whatever N
    assert server.run(workflow).stages_run() == [1, 2]
    recaption["stages"] = 4
    assert server.run(workflow).stages_run() == [3, 4], "more stages compute the new ones only"
    recaption["stages"] = 3
    assert server.run(workflow).stages_run() == [], "fewer stages compute none"
    loop["seed"] = 12
    assert server.run(workflow).stages_run() == [], "mode ddim has nothing random in it"
    assert server.run(workflow).executed == [], "an equal prompt runs nothing at all"
    loop["guidance"] = 2.0
    assert server.run(workflow).stages_run() == [1, 2, 3]
    loop["mode"] = "noise"
    assert server.run(workflow).stages_run() == [1, 2, 3]
    loop["seed"] = 13
    assert server.run(workflow).stages_run() == [1, 2, 3]


def test_no_stage_gives_the_input_image(server, workflow, inputs):
    inputs("MVG_Recaption")["stages"] = 0
    prefix = inputs("MVG_SaveTrajectory")["folder_prefix"]
    run = server.run(workflow)
    assert run.error is None, run.error
    names = {entry.name for entry in (server.base / "output" / prefix).iterdir()}
    assert "stage_00.png" in names and "stage_01.png" not in names


def test_beta_1_of_0_leaves_the_outside_bit_for_bit(server, workflow, inputs):
    inputs("MVG_PIELoop")["beta_1"] = 0.0
    loop = next(key for key, node in workflow.items() if node["class_type"] == "MVG_PIELoop")
    roi = next(key for key, node in workflow.items() if node["class_type"] == "MVG_AnatomicalROI")
    workflow["mask"] = {"class_type": "MaskToImage", "inputs": {"mask": [roi, 0]}}
    workflow["save_mask"] = {"class_type": "SaveImage", "inputs": {"images": ["mask", 0], "filename_prefix": "mask"}}
    workflow["save"] = {"class_type": "SaveImage", "inputs": {"images": [loop, 0], "filename_prefix": "outside"}}
    run = server.run(workflow)
    assert run.error is None, run.error

    def pixels(node):
        files = run.outputs[node]["images"]
        return [np.asarray(Image.open(server.base / "output" / f["filename"])) for f in files]

    outside = pixels("save_mask")[0][..., 0] == 0
    first, *later = pixels("save")
    assert outside.mean() > 0.05
    for stage in later:
        assert (stage[outside] == first[outside]).all()
    assert (later[0] != first).any()


def test_inversion_comes_back_through_the_hosts_sampler(server):
    run = server.run(
        {
            "1": LOADED,
            "2": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 128, "fit": "crop"}},
            "3": {"class_type": "VAEEncode", "inputs": {"pixels": ["2", 0], "vae": ["1", 2]}},
            "4": text(["1", 1], ""),
            "5": {
                "class_type": "MVG_DDIMInvert",
                "inputs": {
                    **{"model": ["1", 0], "positive": ["4", 0], "latent": ["3", 0]},
                    **{"steps": 30, "gamma": 0.5, "refine": 8, "scheduler": "ddim_uniform"},
                },
            },
            "6": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
            "7": {
                "class_type": "SamplerCustom",
                "inputs": {
                    **{"model": ["1", 0], "positive": ["4", 0], "negative": ["4", 0], "sampler": ["6", 0]},
                    **{"sigmas": ["5", 1], "latent_image": ["5", 0]},
                    **{"add_noise": False, "noise_seed": 0, "cfg": 1.0},
                },
            },
            "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["1", 2]}},
            "9": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["1", 2]}},
            "10": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "back"}},
            "11": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "direct"}},
        }
    )
    assert run.error is None, run.error
    back, direct = (
        np.asarray(Image.open(server.base / "output" / run.outputs[node]["images"][0]["filename"])).astype(int)
        for node in ("10", "11")
    )
    assert abs(back - direct).max() <= 2


@pytest.mark.parametrize(
    ("class_type", "change", "words"),
    [
        ("MVG_LoadMedicalImage", {"image": "nothing.png"}, "there is no file"),
        ("MVG_LoadMedicalImage", {"image": "renamed.png"}, "no PNG, JPEG, TIFF or DICOM"),
        ("MVG_LoadMedicalImage", {"image": "dot.png"}, "1 x 1 pixels"),
        ("MVG_LoadMedicalImage", {"image": "../secret.txt"}, "image"),
        ("MVG_LoadReport", {"report": "empty.txt"}, "empty"),
        ("MVG_LoadReport", {"report": "../secret.txt"}, "report"),
        ("MVG_LoadReport", {"report": "film.png"}, "want a .txt file"),
        ("MVG_LoadEmbedded", {"domain": "x-ray"}, "domain"),
        ("MVG_PIELoop", {"gamma": 1.5}, "gamma"),
        ("MVG_PIELoop", {"gamma": -0.1}, "gamma"),
        ("MVG_PIELoop", {"steps": 0}, "steps"),
        ("MVG_PIELoop", {"mode": "magic"}, "mode"),
        ("MVG_SaveTrajectory", {"folder_prefix": "../../out"}, "folder_prefix"),
        ("MVG_SaveTrajectory", {"folder_prefix": "/absolute"}, "folder_prefix"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(server, workflow, inputs, class_type, change, words):
    inputs(class_type).update(change)
    answer = server.refuse(workflow)
    errors = [e for node in answer["node_errors"].values() if node["class_type"] == class_type for e in node["errors"]]
    said = json.dumps(errors)
    assert words in said, said


def test_a_socket_left_open_is_named(server, workflow, inputs):
    del inputs("MVG_PIELoop")["image"]
    answer = server.refuse(workflow)
    assert "image" in json.dumps(answer["node_errors"])


def test_a_mask_of_another_size_is_refused_with_both_sizes(server, workflow, inputs):
    workflow["mask"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 64, "height": 64}}
    inputs("MVG_PIELoop")["mask"] = ["mask", 0]
    run = server.run(workflow)
    assert run.error["node_type"] == "MVG_PIELoop"
    assert "64 x 64" in run.error["exception_message"] and "256 x 256" in run.error["exception_message"]
    assert run.stages_run() == []


def test_an_odd_size_is_refused_by_name(server, workflow, inputs):
    inputs("MVG_LoadMedicalImage").update(image="odd.png", size=0)
    run = server.run(workflow)
    assert run.error["node_type"] in ("MVG_PIELoop", "MVG_AnatomicalROI")
    assert "77 x 100" in run.error["exception_message"]


@pytest.mark.parametrize(
    ("image", "fit", "note"),
    [
        ("film16.png", "crop", "16-bit gray"),
        ("film_rgba.png", "pad", "transparency, laid on black; padded with black to 200 x 200"),
        ("film_rgba.png", "crop", "centre 150 x 150 cut out"),
        ("film.jpg", "stretch", "JPEG, 8-bit gray"),
    ],
)
def test_images_of_all_kinds_load(server, image, fit, note):
    run = server.run(
        {
            "1": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": image, "size": 64, "fit": fit}},
            "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 1]}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "loaded"}},
        }
    )
    assert run.error is None, run.error
    assert note in run.outputs["2"]["text"][0]
    loaded = Image.open(server.base / "output" / run.outputs["3"]["images"][0]["filename"])
    assert loaded.size == (64, 64)
    levels = np.asarray(loaded)
    assert levels.max() > 150 and levels.min() < 80


def test_broken_weights_are_named(server, workflow):
    folder = server.base / "models" / "mvg" / "embedded"
    broken = folder / "unet.safetensors"
    kept = broken.read_bytes() if broken.exists() else None
    try:
        broken.write_bytes(b"no weights")
        run = server.run(workflow)
        assert run.error["node_type"] == "MVG_LoadEmbedded"
        assert "unet.safetensors" in run.error["exception_message"]
    finally:
        if kept is None:
            broken.unlink()
        else:
            broken.write_bytes(kept)
