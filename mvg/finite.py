"""Refusal of values that are NaN or infinite."""

import torch
from torch import Tensor


def check_finite(name: str, images: Tensor) -> None:
    """ValueError naming the first picture of [B, ...] with a value that is NaN or infinite."""
    bad = (~torch.isfinite(images)).flatten(1).any(1)
    if bad.any():
        number = int(bad.nonzero()[0])
        raise ValueError(f"{name}: got values that are not finite (NaN) in picture {number + 1} of {len(images)}")
