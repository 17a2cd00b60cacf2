"""SEINE's 3D UNet: Stable Diffusion 1.4's, its convolutions frame by frame, with attention over time in every block.

Parameter names are those of the released checkpoint. Layers come from `operations`: torch.nn, or what the host gives
its own networks so that it can cast and offload their weights.
"""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, silu

from .attention import TransformerBlock
from .config import Config


def per_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of pictures applied to every frame of clips.

    Args:
        layer: takes and gives [B * F, C, H, W].
        x: clips [B, C, F, H, W].

    Returns:
        Clips, with the layer's channels and size.
    """
    frames = x.shape[2]
    return rearrange(layer(rearrange(x, "b c f h w -> (b f) c h w")), "(b f) c h w -> b c f h w", f=frames)


class TimeEncoding(nn.Module):
    """Sinusoids of the time step, cosines first [B, width]; formed in fp32 whatever the network's type."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def frequencies(self) -> Tensor:
        """[width / 2] fp32: 10000^(-2i / width), the exponent in fp32 and rounded once.

        At time step 999 one unit in the last place shows in the output, and fp32's own exp() differs from one
        processor to the next; fp64's, rounded, does not.
        """
        half = self.width // 2
        exponents = -math.log(10000) * torch.arange(half, dtype=torch.float32) / half
        return exponents.double().exp().float()

    def forward(self, timesteps: Tensor) -> Tensor:
        """timesteps [B] -> [B, width] float32."""
        arguments = timesteps.float()[:, None] * self.frequencies().to(timesteps.device)
        return torch.cat((arguments.cos(), arguments.sin()), dim=-1)


class TimeEmbedding(nn.Module):
    def __init__(self, width: int, inner: int, *, operations=nn, **factory):
        super().__init__()
        self.linear_1 = operations.Linear(width, inner, **factory)
        self.linear_2 = operations.Linear(inner, inner, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """Encoded time steps [B, width] -> their embedding [B, embedding width]."""
        return self.linear_2(silu(self.linear_1(x)))


class ResnetBlock(nn.Module):
    """Two normed convolutions with the time embedding between them. The norms run over frames as well as space."""

    def __init__(self, config: Config, width_in: int, width: int, time_width: int, *, operations=nn, **factory):
        super().__init__()
        groups, eps = config.norm_num_groups, config.norm_eps
        self.norm1 = operations.GroupNorm(groups, width_in, eps=eps, **factory)
        self.conv1 = operations.Conv2d(width_in, width, 3, padding=1, **factory)
        self.time_emb_proj = operations.Linear(time_width, width, **factory)
        self.norm2 = operations.GroupNorm(groups, width, eps=eps, **factory)
        self.conv2 = operations.Conv2d(width, width, 3, padding=1, **factory)
        self.conv_shortcut = operations.Conv2d(width_in, width, 1, **factory) if width_in != width else None

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x [B, C, F, H, W] and time embedding [B, embedding width] -> [B, C', F, H, W]."""
        h = per_frame(self.conv1, silu(self.norm1(x)))
        h = h + self.time_emb_proj(silu(time))[:, :, None, None, None]
        h = per_frame(self.conv2, silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else per_frame(self.conv_shortcut, x))


class Transformer(nn.Module):
    """A transformer block over the pixels of all frames. The norm at its entrance is per frame."""

    def __init__(self, config: Config, level: int, *, operations=nn, **factory):
        super().__init__()
        width, heads = config.block_out_channels[level], config.heads[level]
        self.norm = operations.GroupNorm(config.norm_num_groups, width, eps=1e-6, **factory)
        self.proj_in = operations.Conv2d(width, width, 1, **factory)
        block = TransformerBlock(
            width, heads, config.cross_attention_dim, config.rotary_dim, operations=operations, **factory
        )
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = operations.Conv2d(width, width, 1, **factory)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x [B, C, F, H, W] and context [B, tokens, width] -> x's shape."""
        frames, height = x.shape[2:4]
        h = rearrange(x, "b c f h w -> (b f) c h w")
        h = rearrange(self.proj_in(self.norm(h)), "r c h w -> r (h w) c")
        for block in self.transformer_blocks:
            h = block(h, context, frames)
        h = self.proj_out(rearrange(h, "r (h w) c -> r c h w", h=height).contiguous())
        return x + rearrange(h, "(b f) c h w -> b c f h w", f=frames)


class Resample(nn.Module):
    """Half size by a strided convolution, or the given size by nearest neighbour and a convolution."""

    def __init__(self, width: int, stride: int, *, operations=nn, **factory):
        super().__init__()
        self.conv = operations.Conv2d(width, width, 3, stride=stride, padding=1, **factory)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """x [B, C, F, H, W] -> half its height and width, or ``size`` (height, width) where one is given."""
        if size is not None:
            x = interpolate(x, (x.shape[2], *size), mode="nearest")
        return per_frame(self.conv, x)


class Level(nn.Module):
    """Residual blocks of one level with the transformers that follow them."""

    def __init__(self, config: Config, level: int, widths_in: list[int], attention: int, *, operations=nn, **factory):
        super().__init__()
        make = {"operations": operations, **factory}
        width, time_width = config.block_out_channels[level], 4 * config.block_out_channels[0]
        if attention:
            self.attentions = nn.ModuleList(Transformer(config, level, **make) for _ in range(attention))
        self.resnets = nn.ModuleList(ResnetBlock(config, w, width, time_width, **make) for w in widths_in)

    def attend(self, index: int, x: Tensor, context: Tensor) -> Tensor:
        """x [B, C, F, H, W] after the transformer of this index, as it is where the level has none."""
        return self.attentions[index](x, context) if hasattr(self, "attentions") else x


class DownLevel(Level):
    def __init__(self, config: Config, level: int, width_in: int, **make):
        width, depth = config.block_out_channels[level], config.layers_per_block
        attention = depth if config.down_attention[level] else 0
        super().__init__(config, level, [width_in] + [width] * (depth - 1), attention, **make)
        last = level == len(config.block_out_channels) - 1
        self.downsamplers = None if last else nn.ModuleList([Resample(width, 2, **make)])

    def forward(self, x: Tensor, time: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        """x [B, C, F, H, W] -> the next level's; every state on the way is added to ``skips``."""
        for i, resnet in enumerate(self.resnets):
            x = self.attend(i, resnet(x, time), context)
            skips.append(x)
        if self.downsamplers is not None:
            x = self.downsamplers[0](x)
            skips.append(x)
        return x


class MidLevel(Level):
    def __init__(self, config: Config, **make):
        level = len(config.block_out_channels) - 1
        super().__init__(config, level, [config.block_out_channels[level]] * 2, 1, **make)

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        """x [B, C, F, H, W] -> the same shape."""
        return self.resnets[1](self.attend(0, self.resnets[0](x, time), context), time)


class UpLevel(Level):
    def __init__(self, config: Config, level: int, width_in: int, skip_widths: list[int], **make):
        width, depth = config.block_out_channels[level], config.layers_per_block + 1
        attention = depth if config.up_attention[len(config.block_out_channels) - 1 - level] else 0
        widths = [w + skip_widths.pop() for w in [width_in] + [width] * (depth - 1)]
        super().__init__(config, level, widths, attention, **make)
        self.upsamplers = nn.ModuleList([Resample(width, 1, **make)]) if level > 0 else None

    def forward(self, x: Tensor, time: Tensor, context: Tensor, skips: list[Tensor]) -> Tensor:
        """x [B, C, F, H, W] -> the next level's; the states of ``skips`` are taken from its end."""
        for i, resnet in enumerate(self.resnets):
            x = self.attend(i, resnet(torch.cat((x, skips.pop()), dim=1), time), context)
        if self.upsamplers is not None:
            x = self.upsamplers[0](x, tuple(skips[-1].shape[-2:]))  # a side that is odd below is not twice its half
        return x


class UNet3D(nn.Module):
    """The noise in the first channels of a clip.

    config: the shape. operations: who makes the layers; dtype and device: of the weights.
    """

    def __init__(self, config: Config, *, dtype=None, device=None, operations=nn):
        super().__init__()
        self.config, self.dtype = config, dtype or torch.get_default_dtype()
        factory = {"dtype": dtype, "device": device}
        make = {"operations": operations, **factory}
        widths = config.block_out_channels
        self.conv_in = operations.Conv2d(config.in_channels, widths[0], 3, padding=1, **factory)
        self.time_proj = TimeEncoding(widths[0])
        self.time_embedding = TimeEmbedding(widths[0], 4 * widths[0], **make)

        inflow = [widths[0], *widths]
        self.down_blocks = nn.ModuleList(
            DownLevel(config, level, inflow[level], **make) for level in range(len(widths))
        )
        skip_widths = [widths[0]]
        for level, width in enumerate(widths):
            skip_widths += [width] * (config.layers_per_block + (level < len(widths) - 1))
        self.mid_block = MidLevel(config, **make)
        self.up_blocks = nn.ModuleList(
            UpLevel(config, level, [*widths, widths[-1]][level + 1], skip_widths, **make)
            for level in reversed(range(len(widths)))
        )
        self.conv_norm_out = operations.GroupNorm(config.norm_num_groups, widths[0], eps=config.norm_eps, **factory)
        self.conv_out = operations.Conv2d(widths[0], config.out_channels, 3, padding=1, **factory)

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, control=None, transformer_options: dict | None = None
    ) -> Tensor:
        """The network's prediction of the noise. Any F, H and W >= 1 will do.

        Args:
            x: noisy latent, mask and masked-video latent [B, in_channels, F, H, W].
            timesteps: [B], 0 to 999.
            context: text embeddings [B, tokens, cross_attention_dim].
            control: the host's; a ControlNet has no place here.
            transformer_options: the host's; attention patches are unread.

        Returns:
            [B, out_channels, F, H, W].

        Raises:
            ValueError: x or context has another shape, or there is a ControlNet.
        """
        if x.ndim != 5 or x.shape[1] != self.config.in_channels:
            raise ValueError(f"x: got {tuple(x.shape)}, want [B, {self.config.in_channels}, F, H, W]")
        if context.ndim != 3 or len(context) != len(x) or context.shape[-1] != self.config.cross_attention_dim:
            want = f"[{len(x)}, tokens, {self.config.cross_attention_dim}]"
            raise ValueError(
                f"conditioning: got {tuple(context.shape)}, want {want}, the text encoder of SEINE's model"
            )
        if control is not None:
            raise ValueError("control: got a ControlNet, want none: SEINE's network has no place for one")
        time = self.time_embedding(self.time_proj(timesteps.expand(len(x))).to(x.dtype))
        x = per_frame(self.conv_in, x)
        skips = [x]
        for down in self.down_blocks:
            x = down(x, time, context, skips)
        x = self.mid_block(x, time, context)
        for up in self.up_blocks:
            x = up(x, time, context, skips)
        return per_frame(self.conv_out, silu(self.conv_norm_out(x)))
