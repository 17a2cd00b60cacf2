"""Low-rank adapters (Hu et al. 2022) by peft, and their file as LoraLoader takes it."""

import torch
from torch import Tensor

from .image_model import ImageModel


def add(model: ImageModel, rank: int, dtype: torch.dtype) -> None:
    """Puts adapters beside the layers that the model names; they alone are trained.

    Args:
        model: its denoiser is changed.
        rank: of the adapters; their scale is 1.
        dtype: of the weights that stay as they are.

    Raises:
        ValueError: no layer has one of the names.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(model.targets), init_lora_weights="gaussian")
    if dtype != torch.float32:
        model.denoiser.to(dtype)
    inject_adapter_in_model(config, model.denoiser)
    for parameter in model.denoiser.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def tensors(model: ImageModel) -> dict[str, Tensor]:
    """The adapters under the names that the host's LoraLoader knows.

    SD 3: those of diffusers ("transformer.NAME.lora_A.weight"), which diffusers reads too. SD 1.x: those of kohya
    ("lora_unet_NAME.lora_down.weight", dots of the name as underscores). The embedded UNet: its own names.
    """
    from peft.tuners.lora import LoraLayer

    kohya = model.lora_prefix.endswith("_")
    down, up = ("lora_A", "lora_B") if model.lora_prefix == "transformer." else ("lora_down", "lora_up")
    out = {}
    for name, layer in model.denoiser.named_modules():
        if isinstance(layer, LoraLayer):
            key = model.lora_prefix + (name.replace(".", "_") if kohya else name)
            out[f"{key}.{down}.weight"] = layer.lora_A["default"].weight
            out[f"{key}.{up}.weight"] = layer.lora_B["default"].weight
            out[f"{key}.alpha"] = torch.tensor(float(layer.lora_alpha["default"]))
    return out
