"""Attention of SEINE's network: over space, over text and over time."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

BUCKETS = 32
"""Rows of a position bias table: distances 0..15 backwards, then the same forwards."""
EXACT = 8
"""Distances below this have a row each; above it they share rows, logarithmically."""
FAR = 32
"""From this distance on there is one row."""
ROTARY_BASE = 10000.0
ROWS = 2**15


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None = None) -> Tensor:
    """Attention of several heads: softmax(q k^T / sqrt(width) + bias) v.

    Args:
        q: [rows, n, heads * width].
        k: [rows, m, heads * width].
        v: of k's shape.
        heads: how many.
        bias: [heads, n, m], the same for every row.

    Returns:
        [rows, n, heads * width].
    """
    q, k, v = (rearrange(t, "r n (h d) -> r h n d", h=heads) for t in (q, k, v))
    mask = None if bias is None else bias[None]
    # CUDA's kernels put the rows into one axis of their launch grid, which ends at 65535.
    parts = zip(q.split(ROWS), k.split(ROWS), v.split(ROWS), strict=True)
    out = [scaled_dot_product_attention(*part, attn_mask=mask) for part in parts]
    return rearrange(out[0] if len(out) == 1 else torch.cat(out), "r h n d -> r n (h d)")


class Attention(nn.Module):
    """Multi-head attention of x [rows, n, width] to itself or to context [rows, m, context_width]."""

    def __init__(self, width: int, heads: int, context_width: int | None = None, *, operations=nn, **factory):
        super().__init__()
        self.heads = heads
        self.to_q = operations.Linear(width, width, bias=False, **factory)
        self.to_k = operations.Linear(context_width or width, width, bias=False, **factory)
        self.to_v = operations.Linear(context_width or width, width, bias=False, **factory)
        self.to_out = nn.ModuleList([operations.Linear(width, width, **factory)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x [rows, n, width], context [rows, m, context_width] or None -> [rows, n, width]."""
        source = x if context is None else context
        return self.to_out[0](attend(self.to_q(x), self.to_k(source), self.to_v(source), self.heads))


class Rotary(nn.Module):
    """Rotary position encoding (Su et al., RoFormer, eq. 34) of the first channels of every head.

    Pairs are neighboring channels (2i, 2i + 1), turned by frame * 10000^(-2i / dim). The frequencies are a constant
    that the checkpoint carries; half precision would move far frames, so they stay in fp32.
    """

    def __init__(self, dim: int, device=None):
        super().__init__()
        exponents = torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim
        self.freqs = nn.Parameter(ROTARY_BASE**-exponents, requires_grad=False)

    def angles(self, frames: int, like: Tensor) -> Tensor:
        """The angles of every frame.

        Args:
            frames: F.
            like: a tensor of the device, and of the type if that is wider than fp32.

        Returns:
            [F, dim], each angle twice, in fp32 at least.
        """
        dtype = torch.promote_types(torch.float32, like.dtype)
        freqs = self.freqs.to(like.device, dtype)
        return torch.outer(torch.arange(frames, device=like.device, dtype=dtype), freqs).repeat_interleave(2, -1)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        """x [..., frames, channels >= dim] and angles [frames, dim] -> x with its first channels turned."""
        turned, rest = x.split([angles.shape[-1], x.shape[-1] - angles.shape[-1]], dim=-1)
        even, odd = turned[..., 0::2], turned[..., 1::2]
        across = torch.stack((-odd, even), dim=-1).flatten(-2)
        return torch.cat((turned * angles.cos().to(x) + across * angles.sin().to(x), rest), dim=-1)


def position_buckets(frames: int, device=None) -> Tensor:
    """Which row of the bias table a pair of frames uses (Raffel et al., T5, section 2.1).

    Args:
        frames: F.
        device: of the result.

    Returns:
        [query, key] int64 in 0 .. BUCKETS - 1.
    """
    time = torch.arange(frames, device=device)
    offset = time[:, None] - time[None, :]
    distance = offset.abs()
    half = BUCKETS // 2
    far = (distance.clamp(min=1).double() / EXACT).log() / math.log(FAR / EXACT) * (half - EXACT)
    near_or_far = torch.where(distance < EXACT, distance, (EXACT + far.floor().long()).clamp(max=half - 1))
    return near_or_far + half * (offset < 0)


class PositionBias(nn.Module):
    """A learned bias a head on the scores of two frames, by their distance and order."""

    def __init__(self, heads: int, *, operations=nn, **factory):
        super().__init__()
        self.relative_attention_bias = operations.Embedding(BUCKETS, heads, **factory)

    def forward(self, frames: int, like: Tensor) -> Tensor:
        """The bias [heads, query, key] of so many frames, in the type and on the device of ``like``."""
        table = self.relative_attention_bias(position_buckets(frames, like.device))
        # CUDA's fused kernels want the last axis of a mask without gaps, else the scores stand in memory.
        return rearrange(table, "q k h -> h q k").to(like).contiguous()


class TemporalAttention(Attention):
    """Self-attention over frames, x [rows, frames, width], with rotary encoding and a position bias."""

    def __init__(self, width: int, heads: int, rotary_dim: int, *, operations=nn, **factory):
        super().__init__(width, heads, operations=operations, **factory)
        self.time_rel_pos_bias = PositionBias(heads, operations=operations, **factory)
        self.rotary_emb = Rotary(rotary_dim, factory.get("device"))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x [rows, frames, width] -> the same shape; there is no context."""
        frames = x.shape[1]
        angles = self.rotary_emb.angles(frames, x)[:, None]
        q, k = (rearrange(f(x), "r f (h d) -> r f h d", h=self.heads) for f in (self.to_q, self.to_k))
        q, k = (self.rotary_emb(t, angles).flatten(-2) for t in (q, k))
        return self.to_out[0](attend(q, k, self.to_v(x), self.heads, self.time_rel_pos_bias(frames, x)))


class GatedGELU(nn.Module):
    """x W * gelu(x V), both products in one projection, the gate second (Shazeer, GLU variants)."""

    def __init__(self, width: int, inner: int, *, operations=nn, **factory):
        super().__init__()
        self.proj = operations.Linear(width, 2 * inner, **factory)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width] -> [..., inner]."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width: int, *, operations=nn, **factory):
        super().__init__()
        inner = 4 * width
        self.net = nn.ModuleList(
            [
                GatedGELU(width, inner, operations=operations, **factory),
                nn.Identity(),  # the checkpoint numbers a dropout
                operations.Linear(inner, width, **factory),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width] -> the same shape."""
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    """Attention over space, over text and over time, then the feed-forward; each normed before, added after."""

    def __init__(self, width: int, heads: int, context_width: int, rotary_dim: int, *, operations=nn, **factory):
        super().__init__()
        make = {"operations": operations, **factory}
        self.attn1 = Attention(width, heads, **make)
        self.norm1 = operations.LayerNorm(width, **factory)
        self.attn2 = Attention(width, heads, context_width, **make)
        self.norm2 = operations.LayerNorm(width, **factory)
        self.attn_temp = TemporalAttention(width, heads, rotary_dim, **make)
        self.norm_temp = operations.LayerNorm(width, **factory)
        self.ff = FeedForward(width, **make)
        self.norm3 = operations.LayerNorm(width, **factory)

    def forward(self, x: Tensor, context: Tensor, frames: int) -> Tensor:
        """x [batch * frames, pixels, width], context [batch, tokens, context_width] -> x's shape."""
        pixels = x.shape[1]
        x = x + self.attn1(self.norm1(x))
        # All frames of a clip ask the same text: as one row of queries, keys and values are made once a clip.
        asked = rearrange(self.norm2(x), "(b f) n c -> b (f n) c", f=frames)
        x = x + rearrange(self.attn2(asked, context), "b (f n) c -> (b f) n c", f=frames)
        in_time = rearrange(x, "(b f) n c -> (b n) f c", f=frames)
        x = x + rearrange(self.attn_temp(self.norm_temp(in_time)), "(b n) f c -> (b f) n c", n=pixels)
        return x + self.ff(self.norm3(x))
