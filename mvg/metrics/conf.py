"""Conf, the classifier's confidence in the disease (section 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ACTIVATIONS = ("sigmoid", "softmax")


def classifier_input(
    images: Tensor,
    size: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensor:
    """Images [B, H, W, 1 or 3] in [0, 1] -> [B, C, size, size]: bilinear (antialiased), normalised.

    C is the number of means, 3 or 1: gray is repeated for three, colour is averaged for one.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images: got {tuple(images.shape)}, want [B, H, W, C] with C = 1 or 3")
    x = images.float().movedim(-1, 1)
    x = x.expand(-1, 3, -1, -1) if len(mean) == 3 else x.mean(dim=1, keepdim=True)
    if x.shape[-2:] != (size, size):
        x = interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return (x - x.new_tensor(mean).reshape(-1, 1, 1)) / x.new_tensor(std).reshape(-1, 1, 1)


def check_pictures(images: Tensor) -> None:
    """ValueError for an empty batch, or naming the first of the images [B, H, W, C] that no classifier can read.

    Such are values that are not finite, and one colour all over: a network answers to both, and means nothing by it.
    """
    if len(images) < 1:
        raise ValueError("images: got an empty batch, want at least one picture")
    for n, image in enumerate(images):
        low, high = torch.aminmax(image.flatten(0, -2), dim=0)
        if not (low.isfinite() & high.isfinite()).all():
            raise ValueError(f"images: number {n} of 0 to {len(images) - 1} has values that are NaN or infinite")
        if torch.equal(low, high):
            raise ValueError(f"images: number {n} of 0 to {len(images) - 1} is constant, want a medical picture")


def conf(logits: Tensor, activation: str = "sigmoid", op_threshs: Sequence[float] | None = None) -> Tensor:
    """Confidence in [0, 1] from logits [B, K]: sigmoid (section 5), or softmax over classes that exclude each other.

    With ``op_threshs``, one a logit, it is no probability but torchxrayvision's scale, see `operating_point`.
    """
    probability = torch.softmax(logits.float(), dim=-1) if activation == "softmax" else torch.sigmoid(logits.float())
    return probability if op_threshs is None else operating_point(probability, op_threshs)


def operating_point(probability: Tensor, op_threshs: Sequence[float]) -> Tensor:
    """Probabilities [B, K] and K thresholds in (0, 1) -> [0, 1], linear to either side, 0.5 at the threshold.

    torchxrayvision's op_norm (section 2.5 of arXiv:2111.00595).
    """
    threshold = probability.new_tensor(op_threshs)
    below, above = probability / (2 * threshold), 1 - (1 - probability) / (2 * (1 - threshold))
    return torch.where(probability < threshold, below, above)


def find_label(name: str, labels: Sequence[str]) -> int:
    """Place of a finding among a classifier's labels, whatever its case; ValueError listing those there are."""
    wanted = label_key(name)
    for place, label in enumerate(labels):
        if label_key(label) == wanted:
            return place
    raise ValueError(f"finding: got {name!r}, want one that the classifier reads: {', '.join(labels)}")


def label_key(label: str) -> str:
    """What makes two labels one: case and underscores do not set them apart."""
    return " ".join(label.replace("_", " ").split()).casefold()
