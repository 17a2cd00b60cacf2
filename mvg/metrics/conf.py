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
    """Pictures as a classifier takes them: bilinear (antialiased) to its size, normalized.

    Args:
        images: [B, H, W, 1 or 3] in [0, 1].
        size: height and width of the result, in pixels.
        mean: a number a channel, 3 or 1: gray is repeated for three, color is averaged for one.
        std: as many.

    Returns:
        [B, C, size, size] float32, C being the number of means.

    Raises:
        ValueError: images has another shape.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images: got {tuple(images.shape)}, want [B, H, W, C] with C = 1 or 3")
    x = images.float().movedim(-1, 1)
    x = x.expand(-1, 3, -1, -1) if len(mean) == 3 else x.mean(dim=1, keepdim=True)
    if x.shape[-2:] != (size, size):
        x = interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return (x - x.new_tensor(mean).reshape(-1, 1, 1)) / x.new_tensor(std).reshape(-1, 1, 1)


def check_pictures(images: Tensor) -> None:
    """Refuses pictures that no classifier can read: a network answers to them, and means nothing by it.

    Args:
        images: [B, H, W, C].

    Raises:
        ValueError: the batch is empty, or naming the first picture with values that are not finite or one color all
            over.
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
    """Confidence in each finding (section 5).

    Args:
        logits: [B, K].
        activation: "sigmoid" (the paper), or "softmax" over classes that exclude each other.
        op_threshs: K thresholds, see `operating_point`; the result is then no probability but torchxrayvision's scale.

    Returns:
        [B, K] in [0, 1], float32.
    """
    probability = torch.softmax(logits.float(), dim=-1) if activation == "softmax" else torch.sigmoid(logits.float())
    return probability if op_threshs is None else operating_point(probability, op_threshs)


def operating_point(probability: Tensor, op_threshs: Sequence[float]) -> Tensor:
    """Moves each threshold to 0.5, linear to either side: torchxrayvision's op_norm (section 2.5 of arXiv:2111.00595).

    Args:
        probability: [B, K] in [0, 1].
        op_threshs: K thresholds in (0, 1).

    Returns:
        [B, K] in [0, 1].
    """
    threshold = probability.new_tensor(op_threshs)
    below, above = probability / (2 * threshold), 1 - (1 - probability) / (2 * (1 - threshold))
    return torch.where(probability < threshold, below, above)


def find_label(name: str, labels: Sequence[str]) -> int:
    """The place of a finding among a classifier's labels, whatever its case.

    Args:
        name: of the finding.
        labels: the classifier's.

    Returns:
        Its index.

    Raises:
        ValueError: it is none of them; the message lists those there are.
    """
    wanted = label_key(name)
    for place, label in enumerate(labels):
        if label_key(label) == wanted:
            return place
    raise ValueError(f"finding: got {name!r}, want one that the classifier reads: {', '.join(labels)}")


def label_key(label: str) -> str:
    """What makes two labels one: case and underscores do not set them apart.

    Args:
        label: as a classifier or a user writes it.

    Returns:
        A text that is equal for equal labels.
    """
    return " ".join(label.replace("_", " ").split()).casefold()
