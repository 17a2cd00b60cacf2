"""Networks that are no MODEL of the host and yet are moved and freed by it."""

from typing import Any

import torch


def make_patcher(network: torch.nn.Module) -> Any:
    """Puts a network into the host's ModelPatcher, so that the host moves and frees it.

    Args:
        network: any module.

    Returns:
        The ModelPatcher.
    """
    import comfy.model_management
    import comfy.model_patcher

    return comfy.model_patcher.ModelPatcher(
        network,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


def load_to_device(patcher: Any, memory: int = 0) -> torch.device:
    """Has the host load a network whole.

    Args:
        patcher: of `make_patcher`, or None for a network that the host does not know.
        memory: bytes that it is going to need there beside its weights, which the host frees.

    Returns:
        Where the network is now; the CPU without a patcher.
    """
    if patcher is None:
        return torch.device("cpu")
    import comfy.model_management

    comfy.model_management.load_models_gpu([patcher], memory_required=memory, force_full_load=True)
    # with --novram the host leaves where they are the layers that are not its own
    return next(patcher.model.parameters()).device
