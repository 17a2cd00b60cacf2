"""The shape of a SEINE network, under the names of the configuration that the checkpoint was built with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...mvg.seine import BETWEEN

ATTENTION = {"CrossAttnDownBlock3D": True, "DownBlock3D": False, "CrossAttnUpBlock3D": True, "UpBlock3D": False}

FIXED = {
    "mid_block_type": "UNetMidBlock3DCrossAttn",
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "use_first_frame": False,
}
"""What the network here computes; a configuration may say the same, or nothing."""

IGNORED = ("sample_size", "use_relative_position")
"""Read by nobody: sizes are free, and the position bias is there whatever the flag says."""


@dataclass(frozen=True)
class Config:
    """A UNet3D. The defaults are the released network.

    block_out_channels: width a level. layers_per_block: residual blocks a level on the way down (one more on the way
    up). heads, cross_attention and its mirror on the way up: one entry a level, from the finest. between: what the
    network was taught to see, in the masked video, of frames that are not given: a "gray" picture (the release) or a
    latent "walk" from one given frame to the next, see `mvg.seine.clip_conditioning`. ValueError where the numbers do
    not fit together.
    """

    in_channels: int = 9
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers_per_block: int = 2
    heads: tuple[int, ...] = (8, 8, 8, 8)
    down_attention: tuple[bool, ...] = (True, True, True, False)
    up_attention: tuple[bool, ...] = (False, True, True, True)
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    cross_attention_dim: int = 768
    rotary_dim: int = 32
    between: str = "gray"

    def __post_init__(self) -> None:
        for name, field in self.__dataclass_fields__.items():
            got, want = getattr(self, name), field.default
            alike = type(got) is type(want)
            if isinstance(want, tuple):
                alike = alike and all(type(part) is type(want[0]) for part in got)
            if not alike:
                raise ValueError(f"{name}: got {got!r}, want such as {want!r}")
        levels = len(self.block_out_channels)
        if self.between not in BETWEEN:
            raise ValueError(f"between: got {self.between!r}, want one of {', '.join(BETWEEN)}")
        for name in ("heads", "down_attention", "up_attention"):
            if len(getattr(self, name)) != levels:
                raise ValueError(f"{name}: got {len(getattr(self, name))} entries, want {levels}, one a level")
        for name in ("in_channels", "out_channels", "layers_per_block", "norm_num_groups", "cross_attention_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, want an integer >= 1")
        if self.in_channels != 2 * self.out_channels + 1:
            want = 2 * self.out_channels + 1
            raise ValueError(f"in_channels: got {self.in_channels}, want {want}: noisy latent, mask, masked video")
        if self.rotary_dim < 2 or self.rotary_dim % 2:
            raise ValueError(f"rotary_dim: got {self.rotary_dim}, want an even number >= 2")
        attended = [
            level for level in range(levels) if self.down_attention[level] or self.up_attention[levels - 1 - level]
        ]
        for level, (width, heads) in enumerate(zip(self.block_out_channels, self.heads, strict=True)):
            if width < 2 or width % self.norm_num_groups:
                raise ValueError(f"block_out_channels: got {width}, want a multiple of {self.norm_num_groups} (groups)")
            if level in (*attended, levels - 1) and (heads < 1 or width % heads or width // heads < self.rotary_dim):
                raise ValueError(
                    f"heads: got {heads} for a width of {width}, want a divisor that leaves at least "
                    f"{self.rotary_dim} channels (rotary_dim) a head"
                )

    @property
    def values(self) -> dict[str, Any]:
        """Plain lists and numbers, what `read_config` takes and JSON holds."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


def read_config(values: Mapping[str, Any]) -> Config:
    """The shape of a network from a configuration.

    Args:
        values: the original's configuration, or `Config.values`. The original calls the number of heads
            ``attention_head_dim`` (one number, or one a level) and says with the types of the blocks where attention
            is. Keys it does not know pass if they are empty, "default" or start with "_".

    Returns:
        The shape.

    Raises:
        ValueError: naming what the network here is not.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"config: got {type(values).__name__}, want names and values")
    rest = {k: v for k, v in values.items() if k not in IGNORED and not k.startswith("_")}
    for name, want in FIXED.items():
        if (got := rest.pop(name, want)) != want:
            raise ValueError(f"{name}: got {got!r}, want {want!r}, which SEINE's network has")
    if "attention_head_dim" in rest:
        rest["heads"] = rest.pop("attention_head_dim")
    if isinstance(rest.get("heads"), int):
        rest["heads"] = [rest["heads"]] * len(rest.get("block_out_channels") or Config.block_out_channels)
    for name, types in (("down_attention", "down_block_types"), ("up_attention", "up_block_types")):
        if isinstance(rest.get(types), list):
            rest[name] = [_has_attention(types, block) for block in rest.pop(types)]
    known = {name: rest.pop(name) for name in Config.__dataclass_fields__ if name in rest}
    strange = [f"{name} = {value!r}" for name, value in rest.items() if value not in (None, False, "default")]
    if strange:
        raise ValueError(f"config: got {', '.join(strange)}, which SEINE's network does not have")
    members: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in known.items()}
    return Config(**members)


def _has_attention(name: str, block: str) -> bool:
    if not isinstance(block, str) or block not in ATTENTION:
        raise ValueError(f"{name}: got {block!r}, want one of {', '.join(ATTENTION)}")
    return ATTENTION[block]
