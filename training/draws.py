"""Random draws that a sample's number decides, whatever batch, process or resumed run it comes in."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def rng(seed: int, number: int, purpose: int = 0) -> np.random.Generator:
    """The source of what is drawn for one sample.

    Args:
        seed: of the run.
        number: of the sample, counted from the first step on.
        purpose: keeps apart what is drawn in several places: 0 where a sample is read, 1 where its loss is formed.

    Returns:
        A generator.
    """
    return np.random.Generator(np.random.PCG64([seed, number, purpose]))


class Draws:
    """Draws for the samples of a batch, each from a stream of its own, on the CPU whatever the device.

    Args:
        seed: of the run.
        numbers: of the samples, B of them.
    """

    def __init__(self, seed: int, numbers: Sequence[int] | Tensor):
        self.streams = [rng(seed, int(number), 1) for number in numbers]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal float32 [B, *shape]."""
        return torch.from_numpy(np.stack([s.standard_normal(tuple(shape), dtype=np.float32) for s in self.streams]))

    def uniform(self) -> Tensor:
        """Float32 [B] in [0, 1)."""
        return torch.tensor([s.random() for s in self.streams], dtype=torch.float32)

    def integers(self, high: int) -> Tensor:
        """Int64 [B] in 0 .. high - 1."""
        return torch.tensor([int(s.integers(high)) for s in self.streams])
