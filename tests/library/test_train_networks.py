"""run.py train diffusion, vae and transition at a small size: killed and resumed runs, and what they write."""

import json
from pathlib import Path

import diffusers
import numpy as np
import peft
import pytest
import torch
import transformers
from mvgen.models.standalone_host import use_host
from mvgen.tests.library import sd_tiny
from mvgen.tests.library.training_runs import FAILED, KILLED, command, held, in_child
from PIL import Image
from safetensors import safe_open

use_host()

import comfy.lora  # noqa: E402

IMPORTED = (diffusers, peft, transformers)
"""They take seconds, and a forked process has them."""
LICENCE = "CC BY 4.0, nobody"
COMMON = ["--device", "cpu", "--precision", "fp32", "--batch", 2, "--warmup", 2, "--rate", "1e-2"]
SHORT = [*COMMON, "--steps", 5, "--checkpoint", 2, "--validate", 3]
SMALL = ["--accumulation", 1, "--val-pictures", 2, "--pictures", 0]
TINY = [*SMALL, "--size", 64]


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A CSV of 12 pictures of 9 patients."""
    folder = tmp_path_factory.mktemp("films")
    rows = ["image,patient,offset,split,licence,edema,Pleural Effusion,No Finding"]
    source = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(source.integers(0, 255, (64, 72), dtype=np.uint8)).save(folder / f"{i}.png")
        labels = ["1,0,0", "0,1,0", "0,0,1", "1,1,0"][i % 4]
        rows.append(f'{i}.png,p{i % 9},{i // 9},{"val" if i % 9 > 6 else "train"},"{LICENCE}",{labels}')
    (folder / "films.csv").write_text("\n".join(rows))
    return folder / "films.csv"


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Three folders of six frames, and a video."""
    import av

    folder = tmp_path_factory.mktemp("clips")
    for clip in range(3):
        (folder / f"{clip}").mkdir()
        for frame in range(6):
            picture = np.full((48, 48), 40 * frame + 10 * clip, dtype=np.uint8)
            Image.fromarray(picture).save(folder / f"{clip}" / f"{frame}.png")
    with av.open(str(folder / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        for frame in range(6):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * frame, dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return folder


@pytest.fixture(scope="module")
def sd_1(tmp_path_factory) -> Path:
    return sd_tiny.stable_diffusion_1(tmp_path_factory.mktemp("sd") / "sd1")


@pytest.fixture(scope="module")
def sd_3(tmp_path_factory) -> Path:
    return sd_tiny.stable_diffusion_3(tmp_path_factory.mktemp("sd") / "sd3")


def killed_and_whole(folder: Path, name: str, arguments: list, result: str) -> Path:
    """A run that is killed in step 4 and resumed is, byte for byte, one that is not -> the file it wrote."""
    whole, broken = folder / "whole", folder / "broken"
    assert in_child(command, name, [*arguments, "--out", whole]) == (0, "")
    assert in_child(command, name, [*arguments, "--out", broken], 3)[0] == KILLED
    assert [path.name for path in (broken / "checkpoints").iterdir()] == ["00000002"]
    assert in_child(command, name, [*arguments, "--out", broken, "--resume"]) == (0, "")
    assert (whole / "loss.csv").read_bytes() == (broken / "loss.csv").read_bytes()
    assert held(whole / result) == held(broken / result)
    losses = [float(line.split(",")[1]) for line in (whole / "loss.csv").read_text().splitlines()[1:]]
    assert len(losses) == 5 and np.isfinite(losses).all()
    return whole / result


def metadata(path: Path) -> dict:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def check_metadata(path: Path) -> None:
    told = metadata(path)
    assert told["licence"] == LICENCE and told["domain"] == "chest_xray"
    assert json.loads(told["findings"]) == ["edema", "pleural effusion"]


def test_sd_1_in_full(tmp_path, films, sd_1):
    arguments = [films, "--base", sd_1, *SHORT, *TINY, "--balance", "--gradient-checkpointing"]
    path = killed_and_whole(tmp_path, "diffusion", arguments, "checkpoint.safetensors")
    check_metadata(path)
    from mvgen.training.draws import Draws
    from mvgen.training.stable_diffusion import open_model

    before, after = open_model(sd_1, 0.0), open_model(path, 0.0)  # from one file: the names are those of SD 1.x
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    z = before.encode(images, Draws(0, [0]))
    assert torch.allclose(after.encode(images, Draws(0, [0])), z, atol=2e-2)  # the VAE is the base's, in fp16
    assert torch.allclose(after.embed(["edema"]), before.embed(["edema"]), atol=2e-2)
    t = torch.tensor([500])
    change = after.predict(z, t, after.embed(["edema"])) - before.predict(z, t, before.embed(["edema"]))
    assert float(change.detach().abs().max()) > 1e-2


def test_sd_1_lora(tmp_path, films, sd_1):
    arguments = [films, "--base", sd_1, "--method", "lora", "--rank", 2, *SHORT, *TINY, "--pictures", 1]
    path = killed_and_whole(tmp_path, "diffusion", arguments, "lora.safetensors")
    check_metadata(path)
    names = set(held(path))
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0.lora_up.weight" in names
    assert len(names) == 3 * 8 * 4  # down, up and alpha of two attentions' four layers in four transformers


def test_sd_3_lora(tmp_path, films, sd_3):
    arguments = [films, "--base", sd_3, "--method", "lora", "--rank", 2, *SHORT, *TINY]
    path = killed_and_whole(tmp_path, "diffusion", arguments, "lora.safetensors")
    check_metadata(path)
    transformer = diffusers.SD3Transformer2DModel.from_pretrained(sd_3 / "transformer")
    transformer.load_lora_adapter(str(path), prefix="transformer")  # diffusers reads it too
    assert len(transformer.peft_config) == 1


def test_sd_3_in_full(tmp_path, films, sd_3):
    arguments = [films, "--base", sd_3, *COMMON, "--steps", 2, *TINY, "--pictures", 1, "--out", tmp_path / "run"]
    assert in_child(command, "diffusion", arguments) == (0, "")
    names = set(held(tmp_path / "run" / "checkpoint.safetensors"))
    assert "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight" in names
    assert "first_stage_model.decoder.mid.attn_1.q.weight" in names


def test_embedded_lora(tmp_path, films):
    """Onto the host's own MODEL: every tensor finds its place."""
    from comfy.model_patcher import ModelPatcher
    from mvgen.models.embedded.loader import BUNDLED, load_model
    from safetensors.torch import load_file

    arguments = [films, "--method", "lora", "--rank", 2, *SHORT, *SMALL]
    path = killed_and_whole(tmp_path, "diffusion", [*arguments, "--findings", "edema"], "lora.safetensors")
    model: ModelPatcher = load_model(BUNDLED / "unet.safetensors")
    patches = comfy.lora.load_lora(load_file(path), comfy.lora.model_lora_keys_unet(model.model, {}))
    assert len(patches) == len(held(path)) / 3 == len(model.add_patches(patches, 1.0))


def test_embedded_in_full(tmp_path, films):
    from mvgen.models.embedded.loader import load_model

    arguments = [films, *COMMON, "--steps", 2, *SMALL, "--out", tmp_path / "run"]
    assert in_child(command, "diffusion", arguments) == (0, "")
    load_model(tmp_path / "run" / "unet.safetensors")


def test_the_vae_of_sd(tmp_path, films, sd_1):
    """With a discriminator and the weights of EfficientNet-Lite0."""
    from mvgen.training.vae import read_vae

    arguments = [films, "--base", sd_1, *SHORT, "--size", 64, "--val-pictures", 2, "--adversarial-weight", 0.1]
    path = killed_and_whole(tmp_path, "vae", arguments, "vae.safetensors")
    assert metadata(path)["licence"] == LICENCE
    read_vae(path)
    header = (path.parent / "loss.csv").read_text().splitlines()[0]
    assert header == "step,loss,l1,gradient,kl,perceptual,adversarial,discriminator,psnr,rate"


def test_the_embedded_vae_with_its_encoder_as_it_is(tmp_path, films):
    from mvgen.models.embedded.loader import BUNDLED, load_vae

    small = ["--size", 64, "--val-pictures", 2, "--perceptual", "none"]
    arguments = [films, *COMMON, "--steps", 2, "--encoder-stays", *small, "--out", tmp_path / "run"]
    assert in_child(command, "vae", arguments) == (0, "")
    path = tmp_path / "run" / "vae.safetensors"
    load_vae(path)
    before, after = held(BUNDLED / path.name), held(path)
    same = {name for name in before if before[name] == after[name]}
    assert same >= {name for name in before if name.startswith(("encoder.", "quant_conv."))}
    assert "decoder.conv_in.weight" not in same and "post_quant_conv.weight" not in same


def test_transition(tmp_path, clips):
    from mvgen.models.embedded.loader import BUNDLED, load_transition

    arguments = [clips, "--frames", 5, "--size", 32, "--accumulation", 1, "--val-share", 0.25, *SHORT]
    path = killed_and_whole(tmp_path, "transition", arguments, "seine.safetensors")
    load_transition(path, BUNDLED / "vae.safetensors")


def test_transitions_of_patients(tmp_path, films):
    """p0 and p1 have two pictures each."""
    arguments = [films, "--frames", 4, "--size", 32, "--accumulation", 1, *COMMON, "--steps", 1]
    assert in_child(command, "transition", [*arguments, "--out", tmp_path / "run"]) == (0, "")


WRONG = {
    "no such data": (["diffusion", "{nowhere}"], "data: got "),
    "no such label": (["diffusion", "{films}", "--findings", "gout"], "labels: got 'gout', want some of edema"),
    "no such base": (["diffusion", "{films}", "--base", "{nowhere}"], "--base: there is no "),
    "another family": (["diffusion", "{films}", "--base", "{xl}"], "model_index.json: _class_name: got 'StableDiff"),
    "no checkpoint": (["diffusion", "{films}", "--base", "{films}"], "films.csv: not a file of torch.save"),
    "odd size": (["diffusion", "{films}", "--size", "100"], "--size is 100: give a multiple of 16."),
    "no val": (["diffusion", "{train_only}", "--val-share", "0"], "split: got no picture in 'val'"),
    "no clips": (["transition", "{empty}"], "data: "),
    "no tower": (["transition", "{clips}", "--base", "{films}"], "--sd is missing"),
    "no backbone": (["vae", "{films}", "--perceptual", "gut"], "--perceptual: got 'gut', want efficientnet-lite0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_told_in_one_line(tmp_path, films, clips, case):
    for name in ("xl", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "xl" / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    (films.parent / "train.csv").write_text("image,patient,split,edema\n0.png,a,train,1\n1.png,b,train,0")
    places = {
        "films": films, "clips": clips, "nowhere": tmp_path / "nowhere", "xl": tmp_path / "xl",
        "empty": tmp_path / "empty", "train_only": films.parent / "train.csv",
    }  # fmt: skip
    (name, *arguments), want = WRONG[case]
    code, line = in_child(command, name, [*[a.format(**places) for a in arguments], "--out", tmp_path / "run"])
    assert code == FAILED and line.startswith(want) and "\n" not in line
    assert not (tmp_path / "run" / "checkpoints").exists()
