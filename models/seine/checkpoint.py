"""SEINE's weights from a file: the released `seine.pt`, or safetensors made of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from .. import weights
from .config import Config, read_config
from .unet import UNet3D

EMA = "ema"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TRANSFORMER = "attentions.0.transformer_blocks.0"


BARE = SimpleNamespace(
    **{
        layer.__name__: type(layer.__name__, (layer,), {"reset_parameters": lambda self: None})
        for layer in (nn.Conv2d, nn.Embedding, nn.GroupNorm, nn.LayerNorm, nn.Linear)
    }
)
"""Layers that draw no weights: torch takes seconds to learn how to draw those that are not there."""


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], Config]:
    """Reads the weights of SEINE's network.

    Args:
        path: .safetensors, whose shape is in the metadata key ``config`` or read off the tensors; or, by any other
            suffix, a file of torch.save with the weights under the key ``ema``, read as tensors alone (code in it is
            never run).

    Returns:
        The tensors under the released names, and the network's shape.

    Raises:
        ValueError: naming the file where it is no SEINE checkpoint.
    """
    metadata: dict[str, str] = {}
    with weights.errors_naming(path):
        if path.suffix.lower() == ".safetensors":
            state, metadata = weights.read_safetensors(path)
        else:
            state = _named_tensors(weights.read_torch(path))
        told = metadata.get("config")
        config = infer_config(state) if told is None else read_config(weights.read_json("config", told))
        check_state(state, config)
    return state, config


def infer_config(state: Mapping[str, Tensor]) -> Config:
    """The shape of a network, read off its tensors.

    Group norms leave no trace of their number of groups: it is the released network's.

    Args:
        state: tensors under the released names.

    Returns:
        Their shape, or the released one where they are not of this layout (`check_state` tells).
    """
    levels = _count(state, "down_blocks.")
    try:
        latent = state["conv_out.weight"].shape[0]
        return Config(
            in_channels=2 * latent + 1,
            out_channels=latent,
            block_out_channels=tuple(state[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(levels)),
            layers_per_block=_count(state, "down_blocks.0.resnets."),
            heads=tuple(_heads(state, i, levels) for i in range(levels)),
            down_attention=tuple(_count(state, f"down_blocks.{i}.attentions.") > 0 for i in range(levels)),
            up_attention=tuple(_count(state, f"up_blocks.{i}.attentions.") > 0 for i in range(levels)),
            cross_attention_dim=state[f"mid_block.{TRANSFORMER}.attn2.to_k.weight"].shape[1],
            rotary_dim=2 * state[f"mid_block.{TRANSFORMER}.attn_temp.rotary_emb.freqs"].shape[0],
        )
    except (KeyError, IndexError, ValueError):
        return Config()


def check_state(state: Mapping[str, Tensor], config: Config) -> None:
    """Compares tensors with those of SEINE's network.

    Args:
        state: tensors under the released names.
        config: the network's shape.

    Raises:
        ValueError: naming the first that are missing, unexpected, of another shape, not floats or not finite.
    """
    if config.layers_per_block > max(len(state), Config.layers_per_block):
        raise ValueError(f"layers_per_block: got {config.layers_per_block}, more than the {len(state)} tensors")
    with weights.on_meta_device(len(state)):
        bare = UNet3D(config, device="meta", operations=BARE)
    want = {name: tuple(t.shape) for name, t in bare.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in state.items()}
    faults = [
        _named("missing", [name for name in want if name not in got]),
        _named("unexpected", [name for name in got if name not in want]),
        _named(
            "of another shape",
            [
                f"{name} {list(got[name])} instead of {list(want[name])}"
                for name in want
                if got.get(name, want[name]) != want[name]
            ],
        ),
    ]
    if any(faults):
        raise ValueError(f"no weights of SEINE's network: {'; '.join(fault for fault in faults if fault)}")
    weights.check_plain(state)
    broken = [
        name
        for name, t in state.items()
        if t.dtype not in DTYPES or not torch.isfinite(torch.stack(torch.aminmax(t))).all()
    ]
    if broken:
        raise ValueError(f"the weights are damaged: {_named('not finite numbers', broken)}")


def convert(path: Path, *, overwrite: bool = False) -> Path:
    """Writes a checkpoint beside itself as safetensors, whole or not at all.

    Tensors keep their type; the shape goes into the metadata key ``config``.

    Args:
        path: the checkpoint.
        overwrite: whether an earlier safetensors file of its name may go.

    Returns:
        The new file.

    Raises:
        ValueError: it is no SEINE checkpoint, is safetensors already, or the new file exists and ``overwrite`` is off.
    """

    def read() -> tuple[dict[str, Tensor], dict]:
        state, config = read_checkpoint(path)
        # The rotary frequencies of all blocks are one tensor there, and safetensors wants each to stand alone.
        own = {name: t.clone() if name.endswith("rotary_emb.freqs") else t.contiguous() for name, t in state.items()}
        return own, config.values

    return weights.convert(path, read, "seine.pt", overwrite=overwrite)


def _named_tensors(held: object) -> dict[str, Tensor]:
    if isinstance(held, dict) and EMA in held:
        held = held[EMA]
    if not isinstance(held, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in held.items()):
        keys = weights.first_names(held) if isinstance(held, dict) else type(held).__name__
        raise ValueError(f"got {keys}, want tensors by name, under the key {EMA!r} or at the top")
    return dict(held)


def _count(state: Iterable[str], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def _heads(state: Mapping[str, Tensor], level: int, levels: int) -> int:
    for block in (f"down_blocks.{level}", f"up_blocks.{levels - 1 - level}", "mid_block"):
        table = f"{block}.{TRANSFORMER}.attn_temp.time_rel_pos_bias.relative_attention_bias.weight"
        if table in state:
            return state[table].shape[1]
    raise KeyError("no attention over time")


def _named(what: str, names: list[str]) -> str:
    return f"{len(names)} {what} ({weights.first_names(names)})" if names else ""
