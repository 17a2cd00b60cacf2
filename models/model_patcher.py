"""Networks that are no MODEL of the host and yet are moved and freed by it."""

from typing import Any

import torch


def managed(network: torch.nn.Module) -> Any:
    """The network in the host's ModelPatcher."""
    import comfy.model_management
    import comfy.model_patcher

    return comfy.model_patcher.ModelPatcher(
        network,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def loaded(patcher: Any, memory: int = 0) -> torch.device:
    """Where the network is now, after the host has loaded it whole; the CPU without a patcher (None).

    memory: bytes that it is going to need there beside its weights, which the host frees.
    """
    if patcher is None:
        return torch.device("cpu")
    import comfy.model_management

    comfy.model_management.load_models_gpu([patcher], memory_required=memory, force_full_load=True)
    # with --novram the host leaves where they are the layers that are not its own
    return next(patcher.model.parameters()).device
