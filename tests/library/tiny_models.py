"""The host's own model classes of five families at a small size, with random weights, for tests of PIE on them."""

from typing import Any, NamedTuple

import torch
from mvgen.models.standalone_host import use_host

use_host()

import comfy.model_base  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.supported_models  # noqa: E402

TOKENS, WIDTH, POOLED = 7, 32, 24

UNET = {
    "image_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "transformer_depth": [0, 1],
    "transformer_depth_output": [0, 0, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": WIDTH,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
}
SIZES = 6 * 256  # six numbers, each embedded in 256 channels
XL = {"use_linear_in_transformer": True, "num_classes": "sequential", "adm_in_channels": POOLED + SIZES}
FLUX = {
    "image_model": "flux",
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "vec_in_dim": POOLED,
    "context_in_dim": WIDTH,
    "hidden_size": 48,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [8, 8, 8],
    "theta": 10000,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}
SD3 = {
    "input_size": None,
    "in_channels": 16,
    "patch_size": 2,
    "depth": 1,
    "adm_in_channels": POOLED,
    "context_embedder_config": {"target": "torch.nn.Linear", "params": {"in_features": WIDTH, "out_features": 64}},
    "pos_embed_max_size": 16,
    "num_patches": 256,
    "pos_embed_scaling_factor": None,
    "context_size": WIDTH,
}


class Family(NamedTuple):
    """prediction: what the network's output is."""

    prediction: str
    config: Any
    unet: dict[str, Any]
    channels: int


class SD2VPrediction(comfy.supported_models.SD20):
    """SD 2.x with the v-prediction that the host reads from a checkpoint's weights."""

    def model_type(self, state_dict, prefix=""):
        return comfy.model_base.ModelType.V_PREDICTION


FAMILIES = {
    "SD 1.5": Family("eps", comfy.supported_models.SD15, UNET, 4),
    "SD 2": Family("v", SD2VPrediction, {**UNET, "use_linear_in_transformer": True}, 4),
    "SDXL": Family("eps", comfy.supported_models.SDXL, {**UNET, **XL}, 4),
    "SD 3": Family("flow", comfy.supported_models.SD3, SD3, 16),
    "Flux": Family("flow", comfy.supported_models.Flux, FLUX, 16),
}


def build(name: str, seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL of the family, every layer at the size that keeps the variance of what passes through."""
    family = FAMILIES[name]
    heads = {"num_head_channels": 16, "num_heads": -1} if family.channels == 4 else {}

    class Tiny(family.config):
        unet_extra_config = heads

    config = Tiny(family.unet)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    for key, parameter in model.diffusion_model.named_parameters():
        scale = 0.1 if parameter.ndim < 2 else 0.7 / parameter[0].numel() ** 0.5
        mean = 1.0 if parameter.ndim < 2 and key.endswith("weight") else 0.0
        parameter.data = mean + scale * torch.randn(parameter.shape, generator=generator)
    for buffer in model.diffusion_model.buffers():  # SD 3's positions: the host leaves them for a checkpoint to fill
        buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


def conditioning(seed: int) -> list:
    generator = torch.Generator().manual_seed(seed)
    text = torch.randn(1, TOKENS, WIDTH, generator=generator)
    return [[text, {"pooled_output": torch.randn(1, POOLED, generator=generator), "width": 128, "height": 128}]]


def latents(name: str, batch: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    """A LATENT of unit variance as the network sees it; row b depends on seed + b only."""
    shape = FAMILIES[name].channels, 8, 8
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + b)) for b in range(batch)]
    return {"samples": FAMILIES[name].config.latent_format().process_out(torch.stack(rows))}
