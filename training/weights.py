"""The files of models/embedded as a training reads and writes them."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from ..models.embedded import architecture
from ..models.embedded.loader import expand_token_table
from .common import WEIGHTS


def path_of(part: str, folder: Path = WEIGHTS) -> Path:
    """Where a network of all domains lies; those of one domain alone have `architecture.file_name`."""
    return folder / architecture.FILES[part]


def exported(part: str, folder: Path = WEIGHTS) -> dict[str, torch.Tensor]:
    """A file of models/embedded, or of another folder, in fp32."""
    state = load_file(path_of(part, folder))
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def load_vae(device: str, folder: Path = WEIGHTS):
    vae = architecture.build_vae()
    vae.load_state_dict(exported("vae", folder))
    return vae.eval().to(device)


def load_text_tower(folder: Path = WEIGHTS):
    """The text tower as it was exported: one row for every token that no caption holds."""
    tower = architecture.build_clip_text()
    state = expand_token_table(exported("clip_text", folder), architecture.CLIP_TEXT["vocab_size"])
    tower.load_state_dict(state, strict=False)
    return tower
