"""Files of weights that promise more than they hold are refused by name, before memory is taken for them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from mvgen.models.classifier_checkpoint import read_classifier
from mvgen.models.inception import load_inception
from mvgen.models.medsam_checkpoint import read_sam
from mvgen.models.seine.checkpoint import read_checkpoint
from mvgen.models.seine.config import Config
from mvgen.models.seine.unet import UNet3D
from mvgen.models.weights import read_torch, read_weights
from safetensors.torch import save_file
from sam_tiny import sam, segment_anything_state
from torchvision.models import DenseNet

MOST_MIB = 200
"""Of memory that a refusal may take, beside the libraries."""


def promised(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Tensors of the network's shapes, each with a single value in the file."""
    return {name: torch.zeros(()).expand(t.shape) for name, t in network.state_dict().items()}


def wide_densenet() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return promised(DenseNet(growth_rate=512, block_config=(6, 12, 24, 16), num_init_features=2048, num_classes=5))


def wide_seine() -> dict[str, torch.Tensor]:
    config = Config(block_out_channels=(3200, 6400, 12800, 12800))
    return promised(UNet3D(config, device="meta"))


def wide_sam() -> dict[str, torch.Tensor]:
    state = segment_anything_state(sam())
    name = "mask_decoder.mask_tokens.weight"
    return {**state, name: torch.zeros(()).expand(10**7, state[name].shape[1])}


PEAK = """
import resource, sys
from pathlib import Path
from mvgen.models.standalone_host import use_host
use_host()
from mvgen.models.classifier_checkpoint import read_classifier
from mvgen.models.embedded import loader
from mvgen.models.inception import load_inception
from mvgen.models.medsam_checkpoint import read_sam
from mvgen.models.seine.checkpoint import read_checkpoint
read = {"classifier": lambda p: read_classifier(p, labels="a,b,c,d,e"), "seine": read_checkpoint, "sam": read_sam,
        "inception": load_inception, "unet": loader.load_model, "vae": loader.load_vae, "clip": loader.load_clip,
        "vision": loader.load_clip_vision}
def call(kind, path):
    try:
        read[kind](Path(path))
    except ValueError as error:
        return str(error)
    raise SystemExit(f"{path} was read")
first, *cases = [case.split("=", 1) for case in sys.argv[1:]]
call("sam", first[1]); call("inception", first[1]); call("vision", first[1])  # imports the libraries
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for kind, path in cases:
    told = call(kind, path)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, told, flush=True)
"""


def test_no_memory_is_taken_for_what_a_file_only_promises(tmp_path):
    torch.save({"state_dict": wide_densenet()}, tmp_path / "classifier.pt")
    torch.save({"ema": wide_seine()}, tmp_path / "seine.pt")
    torch.save(wide_sam(), tmp_path / "sam.pt")
    torch.save({"Conv2d_1a_3x3.conv.weight": torch.zeros(()).expand(10**5, 10**5)}, tmp_path / "inception.pt")
    bundled = Path(__file__).parents[2] / "models" / "embedded" / "weights"
    for kind, name, change in (
        ("unet", "unet", {"model_channels": 12800}),
        ("vae", "vae", {"embed_dim": 10**6}),
        ("clip", "clip_text", {"vocab_size": 10**9}),
        ("vision", "clip_vision", {"num_hidden_layers": 10**9}),
    ):
        state, config, _ = read_weights(bundled / f"{name}.safetensors")
        save_file(state, tmp_path / f"{kind}.safetensors", metadata={"config": json.dumps(config | change)})
    (tmp_path / "nothing.pt").write_bytes(b"")
    cases = [
        *("sam=nothing.pt", "classifier=classifier.pt", "seine=seine.pt", "sam=sam.pt", "inception=inception.pt"),
        *(f"{kind}={kind}.safetensors" for kind in ("unet", "vae", "clip", "vision")),
    ]
    done = subprocess.run([sys.executable, "-c", PEAK, *cases], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[-8:]
    taken = [int(line.split(" ", 1)[0]) for line in lines]
    assert max(taken) < MOST_MIB, lines
    for line, words in zip(
        lines,
        (
            "classifier.pt: features.conv0.weight: got [2048, 3, 7, 7] with fewer values than that",
            "seine.pt: conv_in.weight: got [3200, 9, 3, 3] with fewer values",
            "sam.pt: mask_decoder.mask_tokens.weight: got [10000000,",
            "inception.pt: got other tensors",
            "unet.safetensors: time_embed.0.weight: got [",
            "vae.safetensors: ",
            "clip.safetensors: config: got vocab_size 1000000000, want 49408",
            "vision.safetensors: describes a network of many more tensors than its 72",
        ),
        strict=True,
    ):
        assert words in line


def pickled(content: bytes) -> bytes:
    """A pickle of protocol 2 in torch's first layout: magic number, protocol, machine, content."""
    magic = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
    return b"\x80\x02\x8a\x0a" + magic + b"." + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02" + content + b"."


READERS = [
    read_checkpoint,
    read_sam,
    lambda path: read_classifier(path, labels="a"),
    lambda path: load_inception(path, False),
]


@pytest.mark.parametrize("read", READERS)
def test_strange_structures_are_named_errors(tmp_path, read):
    for name, content in (
        ("tuples.pt", pickled(b"}N" + b"\x85" * 2_000_000 + b"K\x01s")),  # as a key, it would end the process
        ("lists.pt", pickled(b"]" * 100_000 + b"a" * 99_999)),
        ("dicts.pt", pickled(b"}" + b"X\x05\0\0\0model}" * 50_000 + b"s" * 50_000)),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)
    for name, held in (
        ("keys.pt", {0: torch.ones(1), 1: torch.ones(2)}),
        ("nested_keys.pt", {"state_dict": {3: torch.ones(1)}, "model": {4: 5}, "ema": {6: torch.ones(1)}}),
        ("sparse.pt", {"a": torch.ones(2, 2).to_sparse()}),
    ):
        torch.save(held, tmp_path / name)
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


def test_compressed_records_are_refused(tmp_path):
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "small.pt", "w") as small:
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "small.pt").stat().st_size < 10_000
    with pytest.raises(ValueError, match="holds compressed records, want a file as"):
        read_torch(tmp_path / "small.pt")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[" * 100_000, "metadata key config: is nested too deeply"),
        ("[1]", "config: got list"),
        ('{"in_channels": "9"}', "in_channels: got '9', want such as 9"),
        ('{"block_out_channels": 3}', "block_out_channels: got 3, want such as"),
        ('{"heads": null}', "heads: got None"),
        ('{"layers_per_block": 1000000000}', "layers_per_block: got 1000000000, more than the 1 tensors"),
        ('{"block_out_channels": [3200000000000000, 64, 64, 64]}', "."),
    ],
)
def test_a_shape_that_makes_no_sense_is_named(tmp_path, config, words):
    save_file({"conv_in.bias": torch.ones(4)}, tmp_path / "s.safetensors", metadata={"config": config})
    with pytest.raises(ValueError, match=rf"^s\.safetensors: {words}"):
        read_checkpoint(tmp_path / "s.safetensors")
