"""SEINE in a real ComfyUI: its loader, the film through the host's video nodes, other nodes' frames in its place."""

import json
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from mvgen.models.seine.config import Config
from mvgen.models.seine.unet import UNet3D
from mvgen.tests.host.hosting import HOST
from PIL import Image
from safetensors.torch import save_file

TINY = Config(
    block_out_channels=(32, 64),
    heads=(1, 2),
    layers_per_block=1,
    down_attention=(True, False),
    up_attention=(False, True),
    norm_num_groups=8,
    cross_attention_dim=96,
)
RIFE = """
import sys, torch
from comfy.cli_args import args
args.cpu = True
from comfy_extras.frame_interpolation_models.ifnet import IFNet
torch.manual_seed(0)
net = IFNet(4, (16, 16, 16, 16, 16))
for p in net.parameters():
    torch.nn.init.normal_(p, std=0.02)
torch.save(net.state_dict(), sys.argv[1])
"""


@pytest.fixture(scope="module")
def folder(server):
    """models/mvg/seine with a small checkpoint, and files that are none."""
    place = server.base / "models" / "mvg" / "seine"
    place.mkdir(parents=True, exist_ok=True)
    state = UNet3D(TINY).state_dict()
    save_file(state, place / "tiny.safetensors", metadata={"config": json.dumps(TINY.values)})
    torch.save({"ema": {f"model.diffusion_model.{name}": t for name, t in state.items()}}, place / "other.pt")
    (place / "half.safetensors").write_bytes((place / "tiny.safetensors").read_bytes()[:100_000])
    torch.save({"ema": {"conv_in.weight": Code()}}, place / "code.pt")
    (place / "notes.txt").write_text("no weights")
    return place


class Code:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))


@pytest.fixture
def graph():
    """Two pictures as stages, and the film between them."""
    return {
        "load": {"class_type": "MVG_LoadEmbedded", "inputs": {"domain": "chest_xray"}},
        "a": {"class_type": "MVG_LoadMedicalImage", "inputs": {"image": "film.png", "size": 64, "fit": "crop"}},
        "b": {"class_type": "ImageInvert", "inputs": {"image": ["a", 0]}},
        "ab": {"class_type": "ImageBatch", "inputs": {"image1": ["a", 0], "image2": ["b", 0]}},
        "states": {"class_type": "ImageBatch", "inputs": {"image1": ["ab", 0], "image2": ["a", 0]}},
        "film": {
            "class_type": "MVG_SEINETransition",
            "inputs": {
                **{"states": ["states", 0], "model": ["load", 5], "clip": ["load", 1], "vae": ["load", 2]},
                **{"positive": "smooth transition.", "negative": "", "frames": 4, "guidance": 1.0, "steps": 2},
                **{"method": "ddim", "denoise": 1.0, "noise": "own", "blend": "crossfade", "seed": 0, "anchor": True},
            },
        },
        "frames": {"class_type": "SaveImage", "inputs": {"images": ["film", 0], "filename_prefix": "seine"}},
        "stages": {"class_type": "SaveImage", "inputs": {"images": ["states", 0], "filename_prefix": "stage"}},
    }


def pictures(server, run, node) -> list[np.ndarray]:
    files = run.outputs[node]["images"]
    return [np.asarray(Image.open(server.base / "output" / f["filename"])) for f in files]


def test_the_film_has_exact_keyframes_and_becomes_a_video(server, graph):
    graph |= {
        "video": {"class_type": "CreateVideo", "inputs": {"images": ["film", 0], "fps": 8.0}},
        "mp4": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["video", 0], "filename_prefix": "seine", "format": "auto", "codec": "auto"},
        },
        "webp": {
            "class_type": "SaveAnimatedWEBP",
            "inputs": {
                **{"images": ["film", 0], "filename_prefix": "seine", "fps": 8.0, "lossless": True, "quality": 90},
                "method": "fastest",
            },
        },
    }
    run = server.run(graph)
    assert run.error is None, run.error
    frames, stages = pictures(server, run, "frames"), pictures(server, run, "stages")
    assert len(frames) == 2 * 3 + 1
    for n, stage in enumerate(stages):
        assert (frames[3 * n] == stage).all()
    (mp4,) = run.outputs["mp4"]["images"]
    with av.open(str(server.base / "output" / mp4["filename"])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 7
        assert film.streams.video[0].average_rate == 8
    (webp,) = run.outputs["webp"]["images"]
    with Image.open(server.base / "output" / webp["filename"]) as moving:
        assert moving.n_frames == 7
        assert (np.asarray(moving.convert("RGB")) == frames[0]).all()
    assert max(value for node, value, _ in run.progress if node == "film") == 2 * 2


def test_the_checkpoints_of_the_folder_are_offered(server, folder):
    (names, _) = server.get("/object_info/MVG_LoadSEINE")["MVG_LoadSEINE"]["input"]["required"]["file"]
    names = names if isinstance(names, list) else _["options"]
    assert {name.replace("\\", "/") for name in names} == {
        f"seine/{name}" for name in ("tiny.safetensors", "half.safetensors", "other.pt", "code.pt")
    }


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("other.pt", "other.pt: no weights of SEINE's network"),
        ("half.safetensors", "half.safetensors: not a readable safetensors file"),
        ("code.pt", "code.pt: holds"),
        (
            "tiny.safetensors",
            "vae: makes latents [8, 8, 8], want 4 channels",
        ),  # loaded; the embedded VAE is not its own
    ],
)
def test_a_checkpoint_is_loaded_or_refused_by_name(server, folder, graph, file, message):
    graph["seine"] = {"class_type": "MVG_LoadSEINE", "inputs": {"file": f"seine/{file}", "weights": "default"}}
    graph["film"]["inputs"]["model"] = ["seine", 0]
    run = server.run(graph)
    assert message in run.error["exception_message"]


@pytest.mark.parametrize("file", ["../secret.txt", "seine/../../../secret.txt", "seine/notes.txt", "", "embedded/x.pt"])
def test_other_files_are_refused(server, folder, graph, file):
    graph["seine"] = {"class_type": "MVG_LoadSEINE", "inputs": {"file": file, "weights": "default"}}
    graph["film"]["inputs"]["model"] = ["seine", 0]
    del graph["stages"]  # one output that works would be enough for the host to start
    answer = server.refuse(graph)
    assert "want a checkpoint of models/mvg/seine" in json.dumps(answer["node_errors"]["seine"])


def test_frame_interpolation_stands_in(server, graph):
    target = server.base / "models" / "frame_interpolation" / "tiny.pth"
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", RIFE, str(target)], check=True, cwd=HOST)
    del graph["film"]
    graph |= {
        "rife": {"class_type": "FrameInterpolationModelLoader", "inputs": {"model_name": "tiny.pth"}},
        "between": {
            "class_type": "FrameInterpolate",
            "inputs": {"interp_model": ["rife", 0], "images": ["states", 0], "multiplier": 3},
        },
        "film": {
            "class_type": "MVG_TransitionBlend",
            "inputs": {"states": ["states", 0], "frames": ["between", 0], "blend": "crossfade", "anchor": True},
        },
    }
    run = server.run(graph)
    assert run.error is None, run.error
    frames, stages = pictures(server, run, "frames"), pictures(server, run, "stages")
    assert len(frames) == 7 and all((frames[3 * n] == stage).all() for n, stage in enumerate(stages))


def test_what_is_behind_stage_pairs_runs_once_a_transition(server, graph):
    graph |= {
        "pairs": {"class_type": "MVG_StagePairs", "inputs": {"states": ["states", 0]}},
        "half": {
            "class_type": "ImageBlend",
            "inputs": {"image1": ["pairs", 0], "image2": ["pairs", 1], "blend_factor": 0.5, "blend_mode": "normal"},
        },
        "head": {"class_type": "ImageBatch", "inputs": {"image1": ["pairs", 0], "image2": ["half", 0]}},
        "clip": {"class_type": "ImageBatch", "inputs": {"image1": ["head", 0], "image2": ["pairs", 1]}},
        "film": {
            "class_type": "MVG_TransitionBlend",
            "inputs": {"states": ["states", 0], "frames": ["clip", 0], "blend": "mean", "anchor": False},
        },
    }
    run = server.run(graph)
    assert run.error is None, run.error
    frames, stages = pictures(server, run, "frames"), pictures(server, run, "stages")
    assert len(frames) == 5
    for n in range(2):
        middle = (stages[n].astype(float) + stages[n + 1]) / 2
        assert np.abs(frames[2 * n + 1] - middle).max() <= 1
