"""The checks of ``run.py bench parity``: recorded tensors of other implementations against ours.

Each module has `checks(folder)`, an iterator over `Check` for one subfolder of the fixtures; its README says what the
tensors are. What a folder does not hold is not checked.
"""

from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file
from torch import Tensor


class Check(NamedTuple):
    """A comparison: passes where error <= tolerance, so a NaN fails. note: what was compared, and how."""

    name: str
    error: float
    tolerance: float
    note: str = "max abs"

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


def distance(got: Tensor, want: Tensor) -> float:
    """Largest absolute difference; infinite where the shapes differ."""
    if got.shape != want.shape:
        return float("inf")
    return float((got.double() - want.double()).abs().max()) if want.numel() else 0.0


def relative(got: Tensor, want: Tensor) -> float:
    """Largest absolute difference over the largest value."""
    return distance(got, want) / float(want.double().abs().max())


def tensors(path: Path) -> dict[str, Tensor]:
    return load_file(path)


def count(names: dict[str, Tensor], pattern: str) -> int:
    """How many n from 0 on have pattern.format(n) among the names."""
    n = 0
    while pattern.format(n) in names:
        n += 1
    return n
