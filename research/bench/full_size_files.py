"""Checkpoints of the paper's networks at their true sizes and key layouts, with seeded random weights."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SD14_UNET = {
    **{"image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "num_res_blocks": [2, 2, 2, 2]},
    **{"channel_mult": [1, 2, 4, 4], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1},
    **{"transformer_depth_output": [1] * 9 + [0] * 3, "context_dim": 768, "num_heads": 8, "num_head_channels": -1},
    **{"use_spatial_transformer": True, "use_linear_in_transformer": False, "adm_in_channels": None},
}
SD3_MEDIUM = {
    **{"input_size": None, "in_channels": 16, "patch_size": 2, "depth": 24, "adm_in_channels": 2048},
    **{"pos_embed_max_size": 192, "num_patches": 36864, "pos_embed_scaling_factor": None},
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": 4096, "out_features": 1536},
    },
}
CLIP_L = {
    **{"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    "projection_dim": 768,
}
CLIP_G = {
    **{"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20},
    **{"hidden_act": "gelu", "projection_dim": 1280},
}
T5_XXL = {
    **{"d_model": 4096, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "d_kv": 64, "vocab_size": 32128},
    **{"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
}
CLIP_VIT_L14 = {
    **{"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    **{"patch_size": 14, "image_size": 224, "projection_dim": 768},
}
FINDINGS = "Cardiomegaly, Edema, Consolidation, Atelectasis, Pleural Effusion"

Named = Iterator[tuple[str, Tensor]]


def _vae(channels: int) -> nn.Module:
    from comfy.ldm.models.autoencoder import AutoencoderKL, AutoencodingEngine

    shape = {
        **{"double_z": True, "z_channels": channels, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128},
        **{"ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0},
    }
    if channels == 4:
        return AutoencoderKL(ddconfig=shape, embed_dim=channels)
    parts = {"encoder": "Encoder", "decoder": "Decoder"}
    return AutoencodingEngine(
        regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
        **{
            f"{part}_config": {"target": f"comfy.ldm.modules.diffusionmodules.model.{name}", "params": shape}
            for part, name in parts.items()
        },
    )


def _prefixed(prefix: str, network: nn.Module) -> Named:
    return ((prefix + name, tensor) for name, tensor in network.state_dict().items())


def _clip_text(prefix: str, config: dict[str, Any], projection: bool) -> Named:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    network = kind(CLIPTextConfig(**config))
    for name, tensor in network.state_dict().items():
        inner = name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"
        yield prefix + inner, tensor


def sd14() -> Named:
    """sd-v1-4.safetensors: UNet, autoencoder and CLIP-L, as CompVis published them."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    unet = UNetModel(**SD14_UNET, operations=comfy.ops.disable_weight_init, dtype=torch.float32)
    yield from _prefixed("model.diffusion_model.", unet)
    yield from _prefixed("first_stage_model.", _vae(4))
    yield from _clip_text("cond_stage_model.transformer.", CLIP_L, projection=False)


def sd3_medium() -> Named:
    """sd3_medium.safetensors: the transformer of 2 billion parameters and its autoencoder of 16 channels."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.mmdit import MMDiT

    network = MMDiT(**SD3_MEDIUM, operations=comfy.ops.disable_weight_init, dtype=torch.float32)
    yield from _prefixed("model.diffusion_model.", network)
    yield from _prefixed("first_stage_model.", _vae(16))


def clip_l() -> Named:
    """clip_l.safetensors of SD 3's text_encoders."""
    return _clip_text("", CLIP_L, projection=True)


def clip_g() -> Named:
    """clip_g.safetensors of SD 3's text_encoders."""
    return _clip_text("", CLIP_G, projection=True)


def t5_xxl() -> Named:
    """t5xxl_fp16.safetensors of SD 3's text_encoders."""
    from transformers import T5Config, T5EncoderModel

    for name, tensor in T5EncoderModel(T5Config(**T5_XXL)).state_dict().items():
        if name != "encoder.embed_tokens.weight":  # the same tensor as shared.weight
            yield name, tensor


def seine() -> Named:
    """seine.safetensors: what run.py convert makes of the released seine.pt."""
    from ...models.seine.config import Config
    from ...models.seine.unet import UNet3D

    return _prefixed("", UNet3D(Config()))


def clip_vision() -> Named:
    """clip-vit-large-patch14.safetensors: the image tower that CLIP-I reads with."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return _prefixed("", CLIPVisionModelWithProjection(CLIPVisionConfig(**CLIP_VIT_L14)))


def densenet121() -> Named:
    """densenet121.safetensors: the classifier of Conf, a logit for each of the paper's five findings."""
    from torchvision.models import densenet121 as build

    return _prefixed("", build(num_classes=5))


def medsam() -> Named:
    """medsam_vit_b.pth's tensors under transformers' names."""
    from transformers import SamConfig, SamModel

    return _prefixed("", SamModel(SamConfig()))


@dataclass(frozen=True)
class File:
    """A checkpoint: where it lies below a models folder, its tensors' names and shapes, and what else it says."""

    path: str
    tensors: Callable[[], Named]
    metadata: tuple[tuple[str, str], ...] = ()


FILES = {
    "sd14": File("checkpoints/sd-v1-4.safetensors", sd14),
    "sd3": File("checkpoints/sd3_medium.safetensors", sd3_medium),
    "clip_l": File("text_encoders/clip_l.safetensors", clip_l),
    "clip_g": File("text_encoders/clip_g.safetensors", clip_g),
    "t5": File("text_encoders/t5xxl_fp16.safetensors", t5_xxl),
    "seine": File("mvg/seine/seine.safetensors", seine),
    "clip_vision": File("clip_vision/clip-vit-large-patch14.safetensors", clip_vision),
    "densenet": File("mvg/classifiers/densenet121.safetensors", densenet121),
    "medsam": File("mvg/medsam/medsam_vit_b.safetensors", medsam),
}


def random_tensor(name: str, like: Tensor, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Weights that keep the variance of what passes: norms are one, biases zero, the rest 1 / sqrt(fan-in)."""
    if not like.is_floating_point():
        return torch.arange(like.numel(), dtype=like.dtype).reshape(like.shape)
    if like.ndim < 2:
        value = 0.0 if name.endswith(("bias", "running_mean")) else 1.0
        return torch.full(like.shape, value, dtype=dtype)
    noise = torch.randn(like.shape, generator=generator)
    return noise.mul_(like[0].numel() ** -0.5).to(dtype)


def make(name: str, folder: Path, dtype: torch.dtype = torch.float16, seed: int = 0) -> Path:
    """Writes a checkpoint unless it is there already.

    Args:
        name: one of FILES.
        folder: a models folder.
        dtype: of its weights.
        seed: of them.

    Returns:
        The file.

    Raises:
        ValueError: the disk has no room for it.
    """
    file = FILES[name]
    path = folder / file.path
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        shapes = dict(file.tensors())
    size = sum(tensor.numel() for tensor in shapes.values()) * dtype.itemsize
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise ValueError(f"{path.name}: wants {size / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free")
    generator = torch.Generator().manual_seed(seed)
    state = {key: random_tensor(key, like, generator, dtype) for key, like in shapes.items()}
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata=dict(file.metadata) or None)
    partial.replace(path)
    return path


def extra_model_paths(folder: Path) -> str:
    """The YAML by which a ComfyUI server finds the files of a folder."""
    names = sorted({file.path.split("/")[0] for file in FILES.values()})
    return "\n".join(["full_size:", f"  base_path: {json.dumps(str(folder))}", *(f"  {n}: {n}" for n in names), ""])
