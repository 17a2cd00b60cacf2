"""Conf, the classifier's confidence in the disease (section 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def classifier_input(
    images: Tensor,
    size: int = 224,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensor:
    """Images [B, H, W, 1 or 3] in [0, 1] -> [B, 3, size, size]: gray to RGB, bilinear (antialiased), normalised."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"images: got {tuple(images.shape)}, want [B, H, W, C] with C = 1 or 3")
    x = images.float().movedim(-1, 1).expand(-1, 3, -1, -1)
    if x.shape[-2:] != (size, size):
        x = interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=True)
    return (x - x.new_tensor(mean).reshape(3, 1, 1)) / x.new_tensor(std).reshape(3, 1, 1)


def conf(logits: Tensor) -> Tensor:
    """Confidence in [0, 1] a logit: sigmoid (section 5)."""
    return torch.sigmoid(logits.float())
