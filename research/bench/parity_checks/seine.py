"""SEINE's network and preprocessing against the released code: models/seine and mvg/seine.py."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....models.seine.attention import TemporalAttention, position_buckets
from ....models.seine.checkpoint import check_state, infer_config
from ....models.seine.config import Config, read_config
from ....models.seine.unet import TimeEncoding, UNet3D
from ....mvg.seine import clip_conditioning, frame_mask, masked_video, resize, respaced_timesteps
from . import Check, distance, relative, tensors
from .seine_sampling import sampling

F32, F64, UNIT = 3e-5, 1e-6, 1e-5


def checks(folder: Path) -> Iterator[Check]:
    if (path := folder / "keys.json").is_file():
        yield from keys(json.loads(path.read_text(encoding="utf-8")))
    if (path := folder / "temporal_attention_units.safetensors").is_file():
        yield from units(path)
    facts = None
    if (path := folder / "sampling.json").is_file():
        facts = json.loads(path.read_text(encoding="utf-8"))
        yield from plans(facts)
    if (path := folder / "weights.safetensors").is_file():
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = read_config({"rotary_dim": shape["rotary_dim"], **shape["unet"]})
        state = {name: t.float() for name, t in tensors(path).items()}
        check_state(state, config)
        yield from network(folder, config, state)
        if facts is not None:
            yield from sampling(folder, facts, config, state)
    if (path := folder / "preprocess.safetensors").is_file():
        yield from preprocess(path)


def keys(facts: dict[str, Any]) -> Iterator[Check]:
    """Every name and shape of the full-size network, and the shape read back off them as the loader does."""
    config = read_config(facts["config"])
    ours = UNet3D(config, device="meta").state_dict()
    want = {name: tuple(held["shape"]) for name, held in facts["keys"].items()}
    different = {(name, tuple(t.shape)) for name, t in ours.items()} ^ set(want.items())
    yield Check(f"keys, {len(want)} names and shapes", len(different), 0, "number that differ")
    yield Check("keys, number of names", abs(len(ours) - facts["num_keys"]), 0, f"{facts['num_keys']} stated")
    told = replace(config, norm_num_groups=Config.norm_num_groups, norm_eps=Config.norm_eps)  # names do not tell these
    yield Check("keys, shape inferred", float(infer_config(ours) != told), 0, "0: as stated")


@torch.inference_mode()
def network(folder: Path, config: Config, state: dict[str, Tensor]) -> Iterator[Check]:
    net = UNet3D(config).eval()
    net.load_state_dict(state)
    if (path := folder / "trace.safetensors").is_file():
        yield from trace(net, tensors(path))
    recorded = {path.stem: tensors(path) for path in sorted(folder.glob("io*.safetensors"))}
    for name, data in recorded.items():
        out = net(data["sample"], data["timesteps"], data["encoder_hidden_states"])
        yield Check(f"{name} {list(data['sample'].shape)}", distance(out, data["output"]), F32)
    net.double()
    for name, data in recorded.items():
        if "output_f64" in data:
            yield Check(f"{name} in float64", double_error(net, data), F64)


def double_error(net: UNet3D, data: dict[str, Tensor]) -> float:
    """Distance to `output_f64`, over the roundings that an fp32 exp() may give the time encoding's frequencies.

    An exp() that is nearly exact still rounds either way where the true value is almost in the middle of two fp32
    numbers; which way depends on the processor that recorded.
    """
    encoding, errors = net.time_proj, []
    for frequencies in roundings(encoding):
        net.time_proj = FixedEncoding(frequencies)
        out = net(data["sample"].double(), data["timesteps"], data["encoder_hidden_states"].double())
        errors.append(distance(out, data["output_f64"]))
    net.time_proj = encoding
    return min(errors)


class FixedEncoding(TimeEncoding):
    def __init__(self, frequencies: Tensor):
        super().__init__(2 * len(frequencies))
        self.fixed = frequencies

    def frequencies(self) -> Tensor:
        return self.fixed


def roundings(encoding: TimeEncoding, middle: float = 0.01, most: int = 3) -> Iterator[Tensor]:
    """The frequencies, and with each of the `most` largest that lie within `middle` of a tie rounded the other way."""
    nearest = encoding.frequencies()
    half = len(nearest)
    exact = (-torch.log(torch.tensor(10000.0, dtype=torch.float64)).float() * torch.arange(half) / half).double().exp()
    away = torch.where(exact > nearest, torch.inf, -torch.inf).float()
    other = torch.nextafter(nearest, away)
    offset = (exact - nearest).abs() / (other.double() - nearest).abs()
    ties = (offset > 0.5 - middle).nonzero().flatten().tolist()[:most]
    for chosen in itertools.product((False, True), repeat=len(ties)):
        out = nearest.clone()
        for index, flip in zip(ties, chosen, strict=True):
            out[index] = other[index] if flip else nearest[index]
        yield out


def trace(net: UNet3D, data: dict[str, Tensor]) -> Iterator[Check]:
    """The output of every recorded module in one pass, and of the network. Frames may lie on another axis."""
    held: dict[str, Tensor] = {}
    modules = dict(net.named_modules())
    wanted = {name.removeprefix("trace."): want for name, want in data.items() if name.startswith("trace.")}

    def keep(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            held[name] = output

        return hook

    hooks = [modules[name].register_forward_hook(keep(name)) for name in wanted if name in modules]
    out = net(data["in.sample"], data["in.timesteps"], data["in.encoder_hidden_states"])
    for hook in hooks:
        hook.remove()
    yield Check("trace output", distance(out, data["output"]), F32)
    yield Check(f"trace, {len(wanted)} modules known", len(wanted) - len(held), 0, "number that are not")
    for name, want in wanted.items():
        if name in held:
            yield Check(f"trace {name}", relative(in_the_order_of(held[name], want), want), F32, "over the max")


def in_the_order_of(got: Tensor, want: Tensor) -> Tensor:
    """Pictures [B * F, C, H, W] as clips [B, C, F, H, W]; one row for all frames as a row a frame."""
    if got.ndim == 4 and want.ndim == 5:
        return got.unflatten(0, (len(want), -1)).movedim(1, 2)
    return got.reshape(want.shape) if got.numel() == want.numel() else got


@torch.inference_mode()
def units(path: Path) -> Iterator[Check]:
    """Temporal attentions by themselves, with what they compute on the way."""
    data = tensors(path)
    for unit in json.loads(path.with_suffix(".json").read_text(encoding="utf-8")):
        j, heads, frames = unit["index"], unit["heads"], unit["frames"]
        weights = {n.removeprefix(f"{j}.w."): t.float() for n, t in data.items() if n.startswith(f"{j}.w.")}
        width = heads * unit["head_dim"]
        attention = TemporalAttention(width, heads, 2 * len(weights["rotary_emb.freqs"])).eval()
        attention.load_state_dict(weights)
        x, name = data[f"{j}.in"], f"unit {j}, {heads} x {unit['head_dim']}, {frames} frames,"
        bias = attention.time_rel_pos_bias(frames, x)
        yield Check(f"{name} bucket", distance(position_buckets(frames), data[f"{j}.bucket"]), 0)
        yield Check(f"{name} rel_pos_bias", distance(bias, data[f"{j}.rel_pos_bias"]), UNIT)
        yield Check(f"{name} angles", distance(attention.rotary_emb.angles(frames, x), data[f"{j}.angles"]), UNIT)
        yield Check(f"{name} out", distance(attention(x), data[f"{j}.out"]), UNIT)


def plans(facts: dict[str, Any]) -> Iterator[Check]:
    """The time steps of every recorded number of steps, and which frames are given."""
    wrong = [n for n, want in facts["respacing"].items() if respaced_timesteps(int(n)) != want]
    yield Check(f"timesteps of {len(facts['respacing'])} step counts", len(wrong), 0, "number that differ")
    masks = [(frame_mask(int(k)), want) for k, want in facts["mask_onelast1_frames"].items()]
    for name, ends in (("mask_first1_frames_16", (1, 0)), ("mask_onelast2_frames_16", (2, 2))):
        if name in facts:
            masks.append((frame_mask(16, *ends), facts[name]))
    yield Check(
        f"{len(masks)} frame masks", sum(mask.tolist() != want for mask, want in masks), 0, "number that differ"
    )


def preprocess(path: Path) -> Iterator[Check]:
    data = tensors(path)
    video = data["masked_video_bfchw"]
    frames, _, height, width = video.shape[1:]
    ends = torch.stack([data["first_uint8_hwc"], data["last_uint8_hwc"]]).float() / 255
    first, last = resize(ends, height, width)
    ours = masked_video(first, last, frames).movedim(-1, 1)[None] * 2 - 1
    yield Check("masked video", distance(ours, video), UNIT)
    yield Check("mask of frames", distance(frame_mask(frames)[None], data["pixel_mask_bf"]), 0)
    want = data["latent_mask_b1fhw"]
    latents = torch.zeros(3, 4, *want.shape[-2:])
    _, mask = clip_conditioning(latents[:2], latents[2:], frames)
    yield Check("mask at latent size", distance(mask, want), 0)
