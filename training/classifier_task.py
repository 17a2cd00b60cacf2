"""What `train classifier` trains: the losses over numbered samples, and what a network answers for a split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from .aucm import AUCMLoss
from .classifier_network import LiteFeatures
from .classifier_report import Answers
from .data import Pictures, Samples
from .task import Task

BATCH = 32


class ClassifierTask(Task):
    """A network with one of the two losses.

    Args:
        network: pictures or features -> logits.
        aucm: the AUC margin loss; None for cross-entropy.
    """

    def __init__(self, network: nn.Module, aucm: AUCMLoss | None = None):
        super().__init__()
        self.network, self.aucm = network, aucm

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """batch: image, target [B, k] and weight [B, k] -> loss."""
        logits, target, weight = self.network(batch["image"]).float(), batch["target"], batch["weight"]
        if self.aucm is not None:
            return {"loss": self.aucm(logits.sigmoid(), target, weight)}
        terms = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight
        return {"loss": terms.sum() / weight.sum().clamp(min=1)}


class Labelled(Dataset):
    """Numbered samples with the targets of the record that each shows.

    Args:
        samples: of a split.
        targets, weights: [n, k] of its records.
    """

    def __init__(self, samples: Samples, targets: Tensor, weights: Tensor):
        self.samples, self.targets, self.weights = samples, targets, weights

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """number: of the sample -> it with "target" and "weight"."""
        sample = self.samples[number]
        return sample | {"target": self.targets[sample["index"]], "weight": self.weights[sample["index"]]}


class Features(Dataset):
    """Frozen features in place of pictures; every picture is read once.

    Args:
        pictures: of a split.
        mirror: whether draws take turns between the picture and its mirror image.
        device: where the features are computed.
    """

    def __init__(self, pictures: Pictures, mirror: bool, device: torch.device):
        network, kept = LiteFeatures().to(device), []
        self.indices: list[int] = []
        for start in range(0, len(pictures), BATCH):
            items = [pictures[i] for i in range(start, min(start + BATCH, len(pictures)))]
            images = torch.stack([image for image, _ in items]).to(device)
            views = (images, images.flip(-1)) if mirror else (images,)
            kept.append(torch.stack([network(view) for view in views], dim=1).cpu())
            self.indices += [index for _, index in items]
        self.values = torch.cat(kept)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int]:
        """key: index, or (index, draw) -> features, and the index of the record that they are of."""
        index, draw = key if isinstance(key, tuple) else (key, 0)
        return self.values[index, draw % self.values.shape[1]], self.indices[index]


@torch.no_grad()
def answers_of(
    network: nn.Module,
    inputs: Pictures | Features,
    taught: tuple[Tensor, Tensor],
    patients: Sequence[str],
    device: torch.device,
) -> Answers:
    """What a network says of every record of a split.

    Args:
        network: pictures or features -> logits.
        inputs: of the split.
        taught: targets and weights [n, k] of its records.
        patients: of its records.
        device: of the network.

    Returns:
        The logits beside what is so; a record whose file cannot be read counts as unknown.
    """
    targets, weights = taught
    logits = torch.full(targets.shape, torch.nan)
    network.eval()
    for start in range(0, len(inputs), BATCH):
        items = [inputs[i] for i in range(start, min(start + BATCH, len(inputs)))]
        rows = network(torch.stack([image for image, _ in items]).to(device)).float().cpu()
        for row, (_, index) in zip(rows, items, strict=True):
            logits[index] = row
    known = (weights > 0) & logits.isfinite()
    told, so = (tensor.numpy().astype(np.float64) for tensor in (logits.nan_to_num(0.0), targets))
    return Answers(told, so, known.numpy(), tuple(patients))
