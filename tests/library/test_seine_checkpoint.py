"""models/seine/checkpoint.py: what it reads, what it refuses, and `run.py convert`."""

import argparse
import json
import os
from dataclasses import replace

import pytest
import torch
from mvgen.launch.arguments import add_convert_options
from mvgen.launch.convert import main
from mvgen.launch.exception_handler import exit_code_of
from mvgen.models.seine.checkpoint import convert, infer_config, read_checkpoint
from mvgen.models.seine.config import Config
from mvgen.models.seine.unet import UNet3D
from safetensors.torch import save_file
from seine_tiny import TINY, random_network

RELEASED_GROUPS = replace(TINY, norm_num_groups=32)


@pytest.fixture(scope="module")
def state():
    state = random_network(RELEASED_GROUPS).state_dict()
    shared = torch.nn.Parameter(next(t for name, t in state.items() if name.endswith("freqs")).clone())
    return {name: shared if name.endswith("freqs") else t for name, t in state.items()}  # as the original saves them


def saved(path, held, **options):
    torch.save(held, path, **options)
    return path


def test_reads_what_the_released_file_is_and_infers_its_shape(state, tmp_path):
    for name, held, options in (
        ("seine.pt", {"ema": state}, {}),
        ("legacy.pt", {"ema": state}, {"_use_new_zipfile_serialization": False}),
        ("bare.ckpt", state, {}),
    ):
        got, config = read_checkpoint(saved(tmp_path / name, held, **options))
        assert config == RELEASED_GROUPS
        assert got.keys() == state.keys() and all(torch.equal(got[n], state[n]) for n in state)
    loud = convert(tmp_path / "seine.pt").rename(tmp_path / "SEINE.SAFETENSORS")
    assert read_checkpoint(loud)[0].keys() == state.keys()


@pytest.mark.parametrize("config", [
    Config(), replace(TINY, heads=(1, 1), norm_num_groups=32),
    Config(out_channels=8, in_channels=17, block_out_channels=(64, 96, 128), heads=(2, 3, 4), layers_per_block=3,
           down_attention=(False, True, True), up_attention=(False, True, True), cross_attention_dim=48,
           rotary_dim=16),
])  # fmt: skip
def test_the_shape_is_read_off_the_tensors(config):
    assert infer_config(UNet3D(config, device="meta").state_dict()) == config


def test_convert_keeps_every_tensor_and_the_shape(state, tmp_path):
    half = {name: t if name.endswith("freqs") else t.half() for name, t in state.items()}
    path = saved(tmp_path / "seine.pt", {"ema": half})
    target = convert(path)
    assert target == tmp_path / "seine.safetensors" and sorted(os.listdir(tmp_path)) == ["seine.pt", target.name]
    assert target.stat().st_mode == path.stat().st_mode
    got, config = read_checkpoint(target)
    assert config == RELEASED_GROUPS
    assert all(torch.equal(got[n], half[n]) and got[n].dtype == half[n].dtype for n in half)
    with pytest.raises(ValueError, match=r"seine\.safetensors: exists already"):
        convert(path)
    assert convert(path, overwrite=True) == target
    with pytest.raises(ValueError, match="is safetensors already"):
        convert(target)


def test_a_shape_in_the_metadata_wins(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file(random_network().state_dict(), path, metadata={"config": json.dumps(TINY.values)})
    assert read_checkpoint(path)[1] == TINY


def test_a_failed_conversion_leaves_nothing(state, tmp_path):
    path = saved(tmp_path / "seine.pt", {"ema": {**state, "extra": torch.ones(1)}})
    with pytest.raises(ValueError, match="extra"):
        convert(path)
    assert os.listdir(tmp_path) == ["seine.pt"]


class Harmful:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_wrong_checkpoints_are_named(state, tmp_path):
    other = {name: t for name, t in state.items() if name != "conv_in.bias"}
    whole = saved(tmp_path / "whole.pt", {"ema": state}).read_bytes()
    (tmp_path / "truncated.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pt").write_text("<!DOCTYPE html>")
    (tmp_path / "empty.pt").write_bytes(b"")
    save_file({"conv_in.bias": torch.ones(4)}, tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-8])
    save_file({"a": torch.ones(4)}, tmp_path / "other.safetensors", metadata={"config": '{"act_fn": "gelu"}'})
    lavie = {**state, "conv_in.weight": torch.zeros(32, 4, 3, 3)}
    released = UNet3D(Config(), device="meta").state_dict()
    picture = {name: torch.zeros(()).expand(t.shape) for name, t in released.items() if "_temp" not in name}
    picture["conv_in.weight"] = torch.zeros(320, 4, 3, 3)
    for name, held in (
        ("missing.pt", {"ema": other}),
        ("unexpected.pt", {"ema": {**state, "step": torch.ones(1)}}),
        ("lavie.pt", {"ema": lavie}),
        ("sd14.pt", picture),
        ("ldm.ckpt", {"state_dict": {"model.diffusion_model.input_blocks.0.0.weight": torch.ones(1)}}),
        ("ldm_unet.pt", {"input_blocks.0.0.weight": torch.ones(1), "input_blocks.0.0.bias": torch.ones(1)}),
        ("training.pt", {"model": state, "opt": {}, "step": 3}),
        ("harmful.pt", {"ema": Harmful()}),
        ("nan.pt", {"ema": {**state, "conv_in.bias": torch.full((32,), float("nan"))}}),
        ("whole_numbers.pt", {"ema": {**state, "conv_in.bias": torch.ones(32, dtype=torch.int8)}}),
        ("list.pt", [torch.ones(1)]),
    ):
        saved(tmp_path / name, held)
    for name, message in (
        ("missing.pt", r"1 missing \(conv_in.bias\)"),
        ("unexpected.pt", r"1 unexpected \(step\)"),
        ("lavie.pt", r"conv_in.weight \[32, 4, 3, 3\] instead of \[32, 9, 3, 3\]"),
        ("sd14.pt", r"144 missing \(down_blocks.0.*attn_temp.*conv_in.weight \[320, 4, 3, 3\] instead of \[320, 9"),
        ("ldm.ckpt", "got state_dict, want tensors by name, under the key 'ema'"),
        ("ldm_unet.pt", r"830 missing \(conv_in.weight, .*2 unexpected \(input_blocks.0.0.weight, input_bl"),
        ("training.pt", "got model, opt, step, want tensors"),
        ("harmful.pt", r"holds \w+\.system, want tensors alone"),
        ("nan.pt", r"damaged: 1 not finite numbers \(conv_in.bias\)"),
        ("whole_numbers.pt", "conv_in.bias"),
        ("list.pt", "got list, want tensors"),
        ("truncated.pt", "truncated"),
        ("text.pt", "not a file of torch.save"),
        ("empty.pt", "not a file of torch.save"),
        ("cut.safetensors", "truncated"),
        ("other.safetensors", "act_fn"),
        ("absent.pt", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=rf"(?s)^{name}: .*{message}"):
            read_checkpoint(tmp_path / name)


def test_the_command_ends_in_one_line(state, tmp_path, capsys):
    def command(path, *options):
        parser = argparse.ArgumentParser()
        add_convert_options(parser)
        status = exit_code_of(lambda: main(parser.parse_args([str(path), *options])))
        return status, capsys.readouterr()

    path = saved(tmp_path / "seine.pt", {"ema": state})
    status, said = command(path)
    assert status == 0 and f"result: {tmp_path / 'seine.safetensors'}" in said.out
    status, said = command(path)
    assert status == 1 and said.err.startswith("error: seine.safetensors: exists already")
    assert len(said.err.splitlines()) == 1
    assert command(path, "--overwrite")[0] == 0
    status, said = command(tmp_path / "absent.pt")
    assert status == 2 and "there is no file" in said.err
