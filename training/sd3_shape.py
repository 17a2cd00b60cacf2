"""The shape of an SD 3 transformer, read off the tensors of a checkpoint."""

from typing import Any

from torch import Tensor


def transformer_config(state: dict[str, Tensor]) -> dict[str, Any]:
    """The arguments of diffusers' SD3Transformer2DModel.

    Args:
        state: tensors under the original names, without a prefix.

    Raises:
        ValueError: they are no transformer of SD 3.
    """
    try:
        width, channels, patch, _ = state["x_embedder.proj.weight"].shape
        positions = state["pos_embed"].shape[1]
        blocks = sorted({int(name.split(".")[1]) for name in state if name.startswith("joint_blocks.")})
        dual = [i for i in blocks if f"joint_blocks.{i}.x_block.attn2.qkv.weight" in state]
        normed = "joint_blocks.0.x_block.attn.ln_q.weight" in state
        return {
            "sample_size": 128,
            "patch_size": patch,
            "in_channels": channels,
            "out_channels": channels,
            "num_layers": len(blocks),
            "attention_head_dim": 64,
            "num_attention_heads": width // 64,
            "joint_attention_dim": state["context_embedder.weight"].shape[1],
            "caption_projection_dim": state["context_embedder.weight"].shape[0],
            "pooled_projection_dim": state["y_embedder.mlp.0.weight"].shape[1],
            "pos_embed_max_size": round(positions**0.5),
            "dual_attention_layers": tuple(dual),
            "qk_norm": "rms_norm" if normed else None,
        }
    except (KeyError, ValueError) as error:
        raise ValueError(f"base: got no transformer of SD 3 in it ({error} is missing)") from error
