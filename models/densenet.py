"""A DenseNet with one logit a finding: the classifier behind the score Conf = sigmoid(f(x))."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..mvg.metrics.conf import IMAGENET_MEAN, IMAGENET_STD, classifier_input
from .weights import read_weights


class DenseNet(torch.nn.Module):
    """torchvision's DenseNet behind the preprocessing it was trained with.

    ``config``: growth_rate, block_config, num_init_features, bn_size, outputs (one name a logit), image_size,
    and optionally image_mean, image_std (ImageNet's by default).
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        from torchvision.models import DenseNet as Network

        self.outputs = tuple(config["outputs"])
        self.image_size = int(config["image_size"])
        self.densenet = Network(
            growth_rate=config["growth_rate"],
            block_config=tuple(config["block_config"]),
            num_init_features=config["num_init_features"],
            bn_size=config["bn_size"],
            num_classes=len(self.outputs),
        )
        self.mean = tuple(config.get("image_mean", IMAGENET_MEAN))
        self.std = tuple(config.get("image_std", IMAGENET_STD))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """images [B, H, W, 1 or 3] in [0, 1] -> logits [B, outputs]. Bilinear to ``image_size`` squared."""
        return self.densenet(classifier_input(images, self.image_size, self.mean, self.std))


@dataclass(frozen=True)
class Classifier:
    """What an MVG_CLASSIFIER socket carries: a network, its names and the host's memory management for it."""

    network: DenseNet
    patcher: Any
    name: str

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.network.outputs

    @torch.inference_mode()
    def logits(self, images: torch.Tensor, batch: int = 32) -> torch.Tensor:
        """images [B, H, W, C] in [0, 1] -> logits [B, outputs], on the CPU."""
        device = torch.device("cpu")
        if self.patcher is not None:
            import comfy.model_management

            comfy.model_management.load_models_gpu([self.patcher], force_full_load=True)
            device = self.patcher.load_device
        parts = [self.network(part.to(device, torch.float32)).cpu() for part in images.split(batch)]
        return torch.cat(parts)


def load_densenet(path: Path, patcher: bool = True) -> Classifier:
    """Reads a safetensors file whose metadata key ``config`` describes the network.

    With ``patcher`` the network is wrapped in the host's ModelPatcher, so that the host moves and frees it.
    Raises ValueError where the file is not such a file.
    """
    state, config, _ = read_weights(path)
    network = DenseNet(config)
    missing, unexpected = network.densenet.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    if missing or unexpected:
        raise ValueError(f"{path.name}: got other tensors than its config asks for: {[*missing, *unexpected][:3]}")
    network.eval().requires_grad_(False)
    wrapped = None
    if patcher:
        import comfy.model_management
        import comfy.model_patcher

        wrapped = comfy.model_patcher.ModelPatcher(
            network,
            load_device=comfy.model_management.get_torch_device(),
            offload_device=comfy.model_management.unet_offload_device(),
        )
    return Classifier(network, wrapped, config.get("name", path.stem))
