"""The Inception network of FID and KID, from a file: torch-fidelity's pt_inception-2015-12-05 (2048 features)."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .model_patcher import loaded, managed
from .weights import read_torch

LAYER = "2048"


@dataclass(frozen=True)
class Inception:
    """The network, and the host's memory management for it (None: the CPU)."""

    network: torch.nn.Module
    patcher: Any
    name: str

    @torch.inference_mode()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """images [B, H, W, 1 or 3] in [0, 1] -> pooled features [B, 2048] on the CPU.

        As torch-fidelity: 8 bits, then bilinear to 299 x 299 as TensorFlow 1 does it, without antialiasing.
        """
        device = loaded(self.patcher)
        levels = (images[..., :3].clamp(0, 1) * 255).round().to(device, torch.uint8).movedim(-1, 1)
        return self.network(levels.expand(-1, 3, -1, -1))[0].cpu()


def load_inception(path: Path, patcher: bool = True) -> Inception:
    """Reads the file as tensors alone, never code in it. ValueError where it is no such file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        state = read_torch(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name}: got no file of tensors alone, want pt_inception-2015-12-05") from error
    checked = io.BytesIO()  # the library reads its file with code allowed, so it gets the tensors that were read above
    torch.save(state, checked)
    checked.seek(0)
    try:
        network = FeatureExtractorInceptionV3("inception-v3-compat", [LAYER], checked)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name}: got other tensors than torch-fidelity's pt_inception-2015-12-05 has") from error
    return Inception(network, managed(network) if patcher else None, path.stem)
