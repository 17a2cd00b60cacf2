"""The Inception network of FID and KID, from a file: torch-fidelity's pt_inception-2015-12-05 (2048 features)."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .model_patcher import load_to_device, make_patcher
from .weights import check_plain, check_shapes, read_torch

LAYER = "2048"


@dataclass(frozen=True)
class Inception:
    """The network, and the host's memory management for it (None: the CPU)."""

    network: torch.nn.Module
    patcher: Any
    name: str

    @torch.inference_mode()
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled features as torch-fidelity computes them: 8 bits, then bilinear to 299 x 299 as TensorFlow 1 has it.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            [B, 2048] on the CPU.
        """
        device = load_to_device(self.patcher)
        levels = (images[..., :3].clamp(0, 1) * 255).round().to(device, torch.uint8).movedim(-1, 1)
        return self.network(levels.expand(-1, 3, -1, -1))[0].cpu()


def load_inception(path: Path, patcher: bool = True) -> Inception:
    """The Inception network from a file, read as tensors alone; code in it is never run.

    Args:
        path: torch-fidelity's pt_inception-2015-12-05 (weights-inception-2015-12-05-*.pth).
        patcher: wrap the network in the host's ModelPatcher, so that the host moves and frees it.

    Returns:
        The network for evaluation.

    Raises:
        ValueError: naming the file, which is no such file.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unloaded(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: Any, **__: Any) -> None:
            return None

    try:
        state = read_torch(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path.name}: got no file of tensors alone, want pt_inception-2015-12-05") from error
    other = f"{path.name}: got other tensors than torch-fidelity's pt_inception-2015-12-05 has"
    if not isinstance(state, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in state.items()):
        raise ValueError(other)
    try:
        with torch.device("meta"):
            bare = Unloaded("inception-v3-compat", [LAYER], _saved({}))
        check_shapes(state, bare)
        check_plain(state)
        # the library reads its file with code allowed, so it gets the tensors that were read above
        network = FeatureExtractorInceptionV3("inception-v3-compat", [LAYER], _saved(state))
    except (RuntimeError, ValueError) as error:
        raise ValueError(other) from error
    return Inception(network, make_patcher(network) if patcher else None, path.stem)


def _saved(state: dict[str, Tensor]) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file
