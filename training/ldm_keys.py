"""Names of tensors: diffusers' and those of the checkpoints that ComfyUI and the original code read.

The tables are the host's own, so that what is written here is what it reads.
"""

from typing import Any

import torch
from torch import Tensor

from ..models.weights import first_names

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP = "cond_stage_model.transformer.text_model."


def shape_of_unet(config: Any) -> dict[str, Any]:
    """A diffusers UNet's shape as the host describes one.

    Args:
        config: of UNet2DConditionModel.

    Returns:
        What `comfy.utils.unet_to_diffusers` takes.
    """
    widths, layers = config.block_out_channels, config.layers_per_block
    down = [int("CrossAttn" in kind) for kind in config.down_block_types]
    up = [int("CrossAttn" in kind) for kind in reversed(config.up_block_types)]
    return {
        "num_res_blocks": [layers] * len(widths),
        "channel_mult": [width // widths[0] for width in widths],
        "transformer_depth": [depth for depth in down for _ in range(layers)],
        "transformer_depth_output": [depth for depth in up for _ in range(layers + 1)],
        "transformer_depth_middle": 1,
    }


def unet_config(state: dict[str, Tensor]) -> dict[str, Any]:
    """The shape of an SD 1.x UNet, read off its tensors.

    Args:
        state: tensors of a checkpoint, under UNET.

    Returns:
        The arguments of diffusers' UNet2DConditionModel.

    Raises:
        ValueError: it is no UNet of SD 1.x.
    """
    import comfy.model_detection

    found = comfy.model_detection.detect_unet_config(state, UNET) or {}
    if found.get("adm_in_channels") is not None or found.get("use_linear_in_transformer", True):
        raise ValueError("base: got a diffusion model of another family, want SD 1.x or SD 3")
    width, levels = found["model_channels"], len(found["channel_mult"])
    layers = found["num_res_blocks"][0]
    down = [found["transformer_depth"][level * layers] for level in range(levels)]
    up = [found["transformer_depth_output"][level * (layers + 1)] for level in range(levels)]
    return {
        "in_channels": found["in_channels"],
        "out_channels": found["out_channels"],
        "block_out_channels": [width * factor for factor in found["channel_mult"]],
        "layers_per_block": layers,
        "cross_attention_dim": found["context_dim"],
        "attention_head_dim": 8,
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in down],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(up)],
    }


def unet_from_ldm(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """The UNet of a checkpoint under diffusers' names."""
    import comfy.utils

    names = comfy.utils.unet_to_diffusers(shape_of_unet(config))
    return {ours: state[UNET + theirs] for ours, theirs in names.items() if UNET + theirs in state}


def unet_to_ldm(state: dict[str, Tensor], config: Any) -> dict[str, Tensor]:
    """A diffusers UNet of SD 1.x under the checkpoint's names."""
    import comfy.utils

    names = comfy.utils.unet_to_diffusers(shape_of_unet(config))
    if strange := [name for name in state if name not in names]:
        raise ValueError(f"base: got {first_names(strange)} in the UNet, want SD 1.x")
    return {UNET + names[name]: tensor for name, tensor in state.items()}


def vae_to_ldm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A diffusers AutoencoderKL of four levels under the original names, without a prefix."""
    import comfy.diffusers_convert

    return comfy.diffusers_convert.convert_vae_state_dict(dict(state))


def vae_config(state: dict[str, Tensor]) -> dict[str, Any]:
    """The shape of an AutoencoderKL, read off its tensors.

    Args:
        state: tensors under the original names, without a prefix.

    Returns:
        The arguments of diffusers' AutoencoderKL.

    Raises:
        ValueError: there is none.
    """
    try:
        levels = len({name.split(".")[2] for name in state if name.startswith("encoder.down.")})
        widths = [state[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)]
        layers = len({name.split(".")[4] for name in state if name.startswith("encoder.down.0.block.")})
        channels = state["decoder.conv_in.weight"].shape[1]
    except (KeyError, IndexError) as error:
        raise ValueError("vae: got none in the file, want an AutoencoderKL") from error
    quantized = "quant_conv.weight" in state
    numbers = {4: (0.18215, 0.0), 16: (1.5305, 0.0609)}.get(channels, (1.0, 0.0))
    return {
        "block_out_channels": widths,
        "layers_per_block": layers,
        "latent_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "norm_num_groups": 32,
        "scaling_factor": numbers[0],
        "shift_factor": numbers[1],
        "use_quant_conv": quantized,
        "use_post_quant_conv": quantized,
    }


def build_vae(state: dict[str, Tensor]):
    """diffusers' AutoencoderKL with the weights of a checkpoint.

    Args:
        state: tensors under the original names, without a prefix.

    Raises:
        ValueError: they are no AutoencoderKL.
    """
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    config = vae_config(state)
    vae = AutoencoderKL(**config)
    load_all(vae, convert_ldm_vae_checkpoint(dict(state), config), "vae")
    return vae


def load_all(network: torch.nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Loads every tensor of a network.

    Raises:
        ValueError: one is missing, or of another shape.
    """
    want = network.state_dict()
    if missing := [name for name in want if name not in state and not name.endswith("position_ids")]:
        raise ValueError(f"{what}: got no {first_names(missing)} ({len(missing)} missing) in the file, want them")
    for name, tensor in want.items():
        if name in state and state[name].shape != tensor.shape:
            got = list(state[name].shape)
            raise ValueError(f"{what}: {name} is {got} in the file, want {list(tensor.shape)}")
    network.load_state_dict({name: state[name].float() for name in want if name in state}, strict=False)


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
