"""Reading the project's weight files: safetensors whose metadata key ``config`` is the network's shape as JSON."""

import json
from pathlib import Path
from typing import Any

import torch


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, str]]:
    """-> (tensors, config, all metadata). Raises ValueError naming the file where it is not such a file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name}: not a readable safetensors file ({error})") from error
    if "config" not in metadata:
        raise ValueError(f'{path.name}: got no metadata key "config", want the network\'s shape as JSON there')
    return state, json.loads(metadata["config"]), metadata
