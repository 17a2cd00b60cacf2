"""Shapes of the embedded networks: the real architectures at a small size.

Each dictionary is what the host's or the library's own class takes, and travels with the weights as the
safetensors metadata key ``config``; loaders read it from there, so that a retrained file may change it.
"""

import json
from pathlib import Path

from ...mvg.embedded_set import IMAGE_SIZE

LATENT_CHANNELS = 8
DOWNSCALE = 8

# comfy.ldm.models.autoencoder.AutoencoderKL
VAE = {
    "ddconfig": {
        "double_z": True,
        "z_channels": LATENT_CHANNELS,
        "resolution": IMAGE_SIZE,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 2, 2, 4],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
    "embed_dim": LATENT_CHANNELS,
}

# comfy.ldm.modules.diffusionmodules.openaimodel.UNetModel, epsilon prediction, SD's scaled-linear betas
UNET = {
    "image_size": IMAGE_SIZE // DOWNSCALE,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "model_channels": 64,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 2],
    "transformer_depth": [0, 0, 1, 1, 1, 1],
    "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": 96,
    "num_heads": 4,
    "num_head_channels": -1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}

# models/seine/unet.UNet3D, epsilon prediction, SEINE's linear betas; attention at the finest level on the way down
# too, since only attention over time carries what the given frames show into the frames between
SEINE: dict = {
    "in_channels": 2 * LATENT_CHANNELS + 1,
    "out_channels": LATENT_CHANNELS,
    "block_out_channels": (64, 128, 128),
    "layers_per_block": 1,
    "heads": (2, 4, 4),
    "down_attention": (True, True, False),
    "up_attention": (False, True, False),
    "norm_num_groups": 32,
    "cross_attention_dim": 96,
    "rotary_dim": 32,
    "between": "walk",
}

# transformers.CLIPTextModel / comfy.clip_model.CLIPTextModel
CLIP_TEXT: dict = {
    "hidden_size": 96,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
    "layer_norm_eps": 1e-5,
    "projection_dim": 96,
    "model_type": "clip_text_model",
}

# transformers.CLIPVisionModelWithProjection / comfy.clip_model.CLIPVisionModelProjection
CLIP_VISION: dict = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_channels": 3,
    "patch_size": 16,
    "image_size": 128,
    "projection_dim": 96,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "model_type": "clip_vision_model",
}

# torchvision.models.DenseNet: the 121-layer block layout with a small growth rate
CLASSIFIER: dict = {
    "growth_rate": 8,
    "block_config": [6, 12, 24, 16],
    "num_init_features": 16,
    "bn_size": 4,
    "image_size": 128,
    "outputs": ["cardiomegaly", "edema", "pleural effusion", "consolidation"],
    "activation": "sigmoid",
}

DOMAINS = ("chest_xray", "fundus", "skin")
FILES = {
    "vae": "vae.safetensors",
    "unet": "unet.safetensors",
    "seine": "seine.safetensors",
    "clip_text": "clip_text.safetensors",
    "clip_vision": "clip_vision.safetensors",
    "classifier": "classifier.{domain}.safetensors",
    "reader": "reader.{domain}.safetensors",
}


def check_domain(domain: str) -> None:
    """ValueError for a domain that the networks do not draw, naming those there are."""
    if domain not in DOMAINS:
        raise ValueError(f"domain: got {domain!r}, want one of {', '.join(DOMAINS)}")


def file_name(part: str, domain: str) -> str:
    """The name of the file of one network.

    Args:
        part: the network, of FILES.
        domain: the name of a domain; most networks serve all of them.

    Returns:
        A name such as "unet.safetensors" or "classifier.fundus.safetensors".

    Raises:
        ValueError: the networks do not draw the domain; the message names those there are.
    """
    check_domain(domain)
    return FILES[part].format(domain=domain)


class TorchOps:
    """The layer classes of torch under the names the host's networks ask for: initialised, trainable."""

    from torch.nn import Conv2d, Embedding, GroupNorm, LayerNorm, Linear

    @staticmethod
    def conv_nd(dims, *args, **kwargs):
        """A convolution of torch, as the host's networks ask for it.

        Args:
            dims: 2.
            *args: of Conv2d.
            **kwargs: of Conv2d.

        Returns:
            The layer.

        Raises:
            ValueError: dims is another.
        """
        if dims != 2:
            raise ValueError(f"dims: got {dims}, want 2")
        from torch.nn import Conv2d

        return Conv2d(*args, **kwargs)


def build_vae(config: dict = VAE):
    """The host's AutoencoderKL; its weights are uninitialized until they are set.

    Args:
        config: the arguments of the class.
    """
    from comfy.ldm.models.autoencoder import AutoencoderKL

    return AutoencoderKL(**config)


def build_unet(config: dict = UNET):
    """The host's SD-1.x UNet with trainable layers, in fp32.

    Args:
        config: the arguments of the class.
    """
    import torch
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    return UNetModel(**config, operations=TorchOps, dtype=torch.float32)


def build_seine(config: dict = SEINE):
    """SEINE's 3D UNet with trainable layers.

    Args:
        config: the fields of `models.seine.config.Config`.
    """
    from ..seine.config import Config
    from ..seine.unet import UNet3D

    return UNet3D(Config(**config))


def build_clip_text(config: dict = CLIP_TEXT):
    """transformers' CLIP text tower with its projection.

    Args:
        config: the fields of transformers' CLIPTextConfig.
    """
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(CLIPTextConfig(**config))


def build_clip_vision(config: dict = CLIP_VISION):
    """transformers' CLIP image tower with its projection.

    Args:
        config: the fields of transformers' CLIPVisionConfig.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(CLIPVisionConfig(**config))


def build_classifier(config: dict = CLASSIFIER):
    """torchvision's DenseNet with one logit an output, and where it is graded with a second for the severity.

    Args:
        config: growth_rate, block_config, num_init_features, bn_size, outputs, the names of the logits, and graded.
    """
    from torchvision.models import DenseNet

    return DenseNet(
        growth_rate=config["growth_rate"],
        block_config=tuple(config["block_config"]),
        num_init_features=config["num_init_features"],
        bn_size=config["bn_size"],
        num_classes=len(config["outputs"]) * (2 if config.get("graded") else 1),
    )


def compact_text_embedding(state: dict, token_ids) -> dict:
    """Replaces a token table by the rows that are used and one row, their mean, for every other token.

    Args:
        state: the text tower's tensors, with the table [49408, width].
        token_ids: the tokens whose rows stay.

    Returns:
        A copy with ``token_ids``, ``token_rows`` and ``token_other`` in the table's place.
    """
    import torch

    state = dict(state)
    table = state.pop("text_model.embeddings.token_embedding.weight")
    ids = torch.as_tensor(sorted({int(i) for i in token_ids}), dtype=torch.int32)
    state["token_ids"] = ids
    state["token_rows"] = table[ids.long()].clone()
    state["token_other"] = table[ids.long()].mean(dim=0)
    return state


def save_weights(state: dict, config: dict, path: Path, **metadata: str) -> None:
    """Writes safetensors, floating tensors as fp16, whole or not at all.

    Args:
        state: tensors by name.
        config: the network's shape, which goes into the metadata as JSON.
        path: the file; its folder is made.
        **metadata: further texts.

    Raises:
        ValueError: a tensor is not finite.
    """
    import torch
    from safetensors.torch import save_file

    out = {}
    for name, tensor in state.items():
        tensor = tensor.detach().to("cpu").contiguous().clone()
        if tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{path.name}: tensor {name} is not finite")
            tensor = tensor.half()
        out[name] = tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(out, temporary, metadata={"config": json.dumps(config), **metadata})
    temporary.replace(path)
