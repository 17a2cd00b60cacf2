"""A mask written out as text, so that what is computed with it stays cached."""

import base64
import math
import re
import zlib

import torch
from comfy_api.latest import io

MAX_VALUES = 1 << 30


class FixedMask(io.ComfyNode):
    """A mask by its content, part of MVG_PIELoop's expansion.

    The host caches a node by where its inputs come from. A mask that is drawn from the plan comes from a node that
    knows N, so that every stage would be computed again where N alone changes; a mask written out does not.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_FixedMask",
            display_name="Fixed Mask",
            category="MVG/progression",
            description="Holds a mask as text. PIE Loop adds it by itself, so that stages stay cached.",
            search_aliases=["mask literal"],
            is_dev_only=True,
            inputs=[io.String.Input("data", tooltip="Shape and compressed float32 values, as PIE Loop writes them.")],
            outputs=[io.Mask.Output("mask", tooltip="The mask.")],
        )

    @classmethod
    def execute(cls, data: str) -> io.NodeOutput:
        return io.NodeOutput(mask_from_text(data))


def mask_to_text(mask: torch.Tensor) -> str:
    """A mask as text: its shape, such as 1x128x128, and its float32 values, compressed."""
    values = mask.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
    return "x".join(map(str, mask.shape)) + " " + base64.b85encode(zlib.compress(values, 1)).decode()


def mask_from_text(text: str) -> torch.Tensor:
    """The mask that `mask_to_text` has written.

    Args:
        text: shape and values. No more is decompressed than the shape tells.

    Returns:
        float32 [B, H, W] or [H, W] in [0, 1].

    Raises:
        ValueError: the text is of another form, its values are not as many as the shape says, or not in [0, 1].
    """
    shape, _, values = text.partition(" ")
    if not re.fullmatch(r"[1-9]\d{0,5}(x[1-9]\d{0,5}){1,2}", shape):
        raise ValueError(f"data: got shape {shape[:40]!r}, want such as 1x128x128")
    sides = [int(side) for side in shape.split("x")]
    count = math.prod(sides)
    if count > MAX_VALUES:
        raise ValueError(f"data: got a mask of {shape}, want at most {MAX_VALUES} values")
    try:
        raw = zlib.decompressobj().decompress(base64.b85decode(values[: 6 * count + 128]), 4 * count + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"data: got values that are damaged ({error}), want those that PIE Loop writes") from error
    if len(raw) != 4 * count:
        got = f"{len(raw)} bytes" if len(raw) < 4 * count else "more bytes"
        raise ValueError(f"data: got {got} of values, want {4 * count} for a mask of {shape}")
    mask = torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(sides)
    if not ((mask >= 0) & (mask <= 1)).all():
        raise ValueError("data: got values that are not in [0, 1]")
    return mask
