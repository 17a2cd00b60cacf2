"""What run.py train writes, in a real ComfyUI: every file loads by the host's own loaders, and is drawn with."""

import json
import shutil

import diffusers
import numpy as np
import peft
import pytest
import torch
import transformers
from mvgen.models.seine.unet import UNet3D
from mvgen.tests.host.test_seine import TINY
from mvgen.tests.library import sd_tiny
from mvgen.tests.library.training_runs import command, in_child
from PIL import Image
from safetensors.torch import load_file, save_file

IMPORTED = (diffusers, peft, transformers)
"""They take seconds, and a forked process has them."""
RUN = [
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--batch",
    1,
    "--accumulation",
    1,
    "--rate",
    "1e-2",
    "--warmup",
    0,
    "--steps",
    2,
]
SMALL = ["--size", 32, "--val-pictures", 1, "--pictures", 0, "--decay", 0]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    source = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(source.integers(0, 255, (64, 64), dtype=np.uint8)).save(folder / f"{i}.png")
    rows = ["image,patient,offset,split,edema", "0.png,a,0,train,1", "1.png,a,1,train,0", "2.png,b,0,val,1"]
    (folder / "films.csv").write_text("\n".join(rows))
    return folder / "films.csv"


@pytest.fixture(scope="module")
def sd_1(tmp_path_factory):
    """As wide as the host knows SD 1.x by, with its text tower and VAE."""
    return sd_tiny.stable_diffusion_1(tmp_path_factory.mktemp("sd") / "sd1", known=True)


def train(name: str, *arguments) -> None:
    assert in_child(command, name, [*arguments, *RUN]) == (0, "")


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def sampled(model: list, latent: str, clip: list, **more) -> dict:
    return {
        "words": node("CLIPTextEncode", clip=clip, text="frontal chest x-ray, edema"),
        "empty": node(latent, width=64, height=64, batch_size=1),
        "draw": node(
            "KSampler", model=model, positive=["words", 0], negative=["words", 0], latent_image=["empty", 0], seed=0,
            steps=2, cfg=1.0, sampler_name="euler", scheduler="simple", denoise=1.0,
        ),
        **more,
    }  # fmt: skip


def decoded(vae: list) -> dict:
    return {"see": node("VAEDecode", samples=["draw", 0], vae=vae),
            "save": node("SaveImage", images=["see", 0], filename_prefix="trained")}  # fmt: skip


def picture(server, graph: dict) -> np.ndarray:
    run = server.run(graph)
    assert run.error is None, run.error
    return np.asarray(Image.open(server.base / "output" / run.outputs["save"]["images"][0]["filename"]))


def moved(path, server, folder: str, name: str) -> str:
    target = server.base / "models" / folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    return name


def test_stable_diffusion_1(server, films, sd_1, tmp_path):
    """CheckpointLoaderSimple takes the model, LoraLoader the adapter, VAELoader the VAE; each changes the picture."""
    train("diffusion", films, "--base", sd_1, *SMALL, "--out", tmp_path / "full")
    train("diffusion", films, "--base", sd_1, *SMALL, "--method", "lora", "--rank", 2, "--out", tmp_path / "lora")
    train("vae", films, "--base", sd_1, "--size", 32, "--perceptual", "none", "--decay", 0, "--out", tmp_path / "vae")
    model = moved(tmp_path / "full" / "checkpoint.safetensors", server, "checkpoints", "trained.safetensors")
    adapter = moved(tmp_path / "lora" / "lora.safetensors", server, "loras", "trained_1.safetensors")
    vae = moved(tmp_path / "vae" / "vae.safetensors", server, "vae", "trained.safetensors")
    load = {"load": node("CheckpointLoaderSimple", ckpt_name=model)}
    latent = "EmptyLatentImage"
    plain = picture(server, load | sampled(["load", 0], latent, ["load", 1]) | decoded(["load", 2]))
    assert plain.shape == (64, 64, 3) and plain.std() > 1
    load["vae"] = node("VAELoader", vae_name=vae)
    seen = picture(server, load | sampled(["load", 0], latent, ["load", 1]) | decoded(["vae", 0]))
    assert np.abs(seen.astype(int) - plain).max() > 2
    # two steps change little of a network with random weights: at full strength one gray level
    load["lora"] = node(
        "LoraLoader", model=["load", 0], clip=["load", 1], lora_name=adapter, strength_model=20.0, strength_clip=1.0
    )
    adapted = picture(server, load | sampled(["lora", 0], latent, ["lora", 1]) | decoded(["load", 2]))
    assert np.abs(adapted.astype(int) - plain).max() > 2


def test_stable_diffusion_3(server, films, sd_1, tmp_path):
    """UNETLoader takes the transformer, LoraLoaderModelOnly the adapter."""
    base = sd_tiny.stable_diffusion_3(tmp_path / "sd3", 4096, (768, 1280))
    train("diffusion", films, "--base", base, *SMALL, "--out", tmp_path / "full")
    train("diffusion", films, "--base", base, *SMALL, "--method", "lora", "--rank", 2, "--out", tmp_path / "lora")
    model = moved(tmp_path / "full" / "checkpoint.safetensors", server, "diffusion_models", "trained.safetensors")
    adapter = moved(tmp_path / "lora" / "lora.safetensors", server, "loras", "trained_3.safetensors")
    (server.base / "models" / "text_encoders").mkdir(parents=True, exist_ok=True)
    tower = load_file(next((sd_1 / "text_encoder").glob("*.safetensors")))
    words = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in tower.items()}
    tower_file = server.base / "models" / "text_encoders" / "tower_of_sd3.safetensors"
    save_file(words, tower_file)
    load = {
        "load": node("UNETLoader", unet_name=model, weight_dtype="default"),
        "clip": node("CLIPLoader", clip_name=tower_file.name, type="sd3"),
    }
    save = {"save": node("SaveLatent", samples=["draw", 0], filename_prefix="trained")}
    drawn = []
    for with_lora in (False, True):
        if with_lora:
            load["lora"] = node("LoraLoaderModelOnly", model=["load", 0], lora_name=adapter, strength_model=1.0)
        model_of = ["lora", 0] if with_lora else ["load", 0]
        run = server.run(load | sampled(model_of, "EmptySD3LatentImage", ["clip", 0]) | save)
        assert run.error is None, run.error
        file = server.base / "output" / run.outputs["save"]["latents"][0]["filename"]
        drawn.append(load_file(file)["latent_tensor"])
    assert drawn[0].shape == (1, 16, 8, 8) and all(torch.isfinite(latent).all() for latent in drawn)
    assert float((drawn[0] - drawn[1]).abs().max()) > 1e-3
    tower_file.unlink()  # other tests list that folder


def test_the_embedded_unet_with_a_lora(server, films, tmp_path):
    train("diffusion", films, *SMALL, "--method", "lora", "--rank", 2, "--out", tmp_path / "lora")
    adapter = moved(tmp_path / "lora" / "lora.safetensors", server, "loras", "trained_embedded.safetensors")
    load = {"load": node("MVG_LoadEmbedded", domain="chest_xray")}
    latent = {"empty": node("VAEEncode", pixels=["film", 0], vae=["load", 2]),
              "film": node("MVG_LoadMedicalImage", image="film.png", size=128, fit="crop")}  # fmt: skip
    plain = picture(server, load | sampled(["load", 0], "", ["load", 1]) | latent | decoded(["load", 2]))
    load["lora"] = node("LoraLoaderModelOnly", model=["load", 0], lora_name=adapter, strength_model=1.0)
    adapted = picture(server, load | sampled(["lora", 0], "", ["load", 1]) | latent | decoded(["load", 2]))
    assert np.abs(adapted.astype(int) - plain).max() > 2


def test_seine(server, films, sd_1, tmp_path):
    """Load SEINE takes it, and a film is made on SD 1.x's latents."""
    narrow = sd_tiny.stable_diffusion_1(tmp_path / "sd", context=TINY.cross_attention_dim)
    save_file(UNet3D(TINY).state_dict(), tmp_path / "seine.safetensors", metadata={"config": json.dumps(TINY.values)})
    base = ["--base", tmp_path / "seine.safetensors", "--sd", narrow]
    train("transition", films, *base, "--frames", 4, "--size", 32, "--out", tmp_path / "run")
    file = moved(tmp_path / "run" / "seine.safetensors", server, "mvg/seine", "trained.safetensors")
    vae = server.base / "models" / "vae" / "sd_1.safetensors"
    vae.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(next((sd_1 / "vae").glob("*.safetensors")), vae)
    graph = {
        "load": node("MVG_LoadEmbedded", domain="chest_xray"),  # whose text tower is as wide as this small network asks
        "seine": node("MVG_LoadSEINE", file=f"seine/{file}", weights="default"),
        "vae": node("VAELoader", vae_name=vae.name),
        "a": node("MVG_LoadMedicalImage", image="film.png", size=64, fit="crop"),
        "b": node("ImageInvert", image=["a", 0]),
        "states": node("ImageBatch", image1=["a", 0], image2=["b", 0]),
        "film": node(
            "MVG_SEINETransition", states=["states", 0], model=["seine", 0], clip=["load", 1], vae=["vae", 0],
            positive="smooth transition.", negative="", frames=4, guidance=1.0, steps=2, method="ddim", denoise=1.0,
            noise="own", blend="crossfade", seed=0, anchor=True,
        ),
        "save": node("SaveImage", images=["film", 0], filename_prefix="trained"),
    }  # fmt: skip
    run = server.run(graph)
    (server.base / "models" / "mvg" / "seine" / file).unlink()  # other tests list that folder
    assert run.error is None, run.error
    assert len(run.outputs["save"]["images"]) == 4
