"""Refusal of values that are NaN or infinite."""

import torch
from torch import Tensor


def check_finite(name: str, images: Tensor) -> None:
    """Refuses pictures with values that are NaN or infinite.

    Args:
        name: of the input, for the error.
        images: [B, ...].

    Raises:
        ValueError: naming the first such picture, counted from 1.
    """
    bad = (~torch.isfinite(images)).flatten(1).any(1)
    if bad.any():
        number = int(bad.nonzero()[0])
        raise ValueError(f"{name}: got values that are not finite (NaN) in picture {number + 1} of {len(images)}")
