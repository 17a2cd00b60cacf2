"""Samples of a training by their number: a picture with its caption, in an order that the seed decides."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from ..mvg.domains import Domain
from .data import Pictures, Record, caption
from .draws import rng


def balance(records: Sequence[Record]) -> torch.Tensor:
    """How often each picture is to be drawn so that every finding is seen equally often.

    A picture counts under the rarest finding that it shows, or as one that shows none.

    Args:
        records: n of them.

    Returns:
        [n] float64, positive.
    """
    counts = Counter(label for record in records for label, value in record.labels.items() if value == 1)
    shown = [[label for label, value in record.labels.items() if value == 1] for record in records]
    kinds = [min(labels, key=lambda label: (counts[label], label), default="") for labels in shown]
    sizes = Counter(kinds)
    return torch.tensor([1.0 / sizes[kind] for kind in kinds], dtype=torch.float64)


class Order:
    """Sample number -> record and visit. Every epoch is a permutation, or as many draws by weight.

    Args:
        count: of the records.
        seed: of the order.
        weights: [count], how often each is drawn; None for once an epoch.
    """

    def __init__(self, count: int, seed: int, weights: torch.Tensor | None = None):
        self.count, self.seed = count, seed
        self.shares = None if weights is None else (weights / weights.sum()).numpy()
        self.epoch, self.order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, number: int) -> tuple[int, int]:
        """Index of the record and the epoch."""
        epoch = number // self.count
        if epoch != self.epoch:
            source = rng(self.seed, epoch, 2)
            drawn = self.shares is not None
            self.order = (
                source.choice(self.count, self.count, p=self.shares) if drawn else source.permutation(self.count)
            )
            self.epoch = epoch
        return int(self.order[number % self.count]), epoch


class Captioned(Dataset):
    """Pictures in [-1, 1] with captions, by sample number.

    Args:
        pictures: they.
        domain: their kind.
        seed: of order, captions and what a picture's transform draws.
        weights: as in `Order`.
        known: the findings that captions may name; all of the domain by default.
        dropout: share of the captions that are left empty, for classifier-free guidance.
        fixed: how many samples there are, each picture once, in the order of the pictures; 0 for no end.
    """

    def __init__(
        self,
        pictures: Pictures,
        domain: Domain,
        seed: int,
        *,
        weights: torch.Tensor | None = None,
        known: Sequence[str] | None = None,
        dropout: float = 0.0,
        fixed: int = 0,
    ):
        self.pictures, self.domain, self.seed, self.dropout, self.fixed = pictures, domain, seed, dropout, fixed
        self.known = known
        self.order = Order(len(pictures), seed, weights)

    def __len__(self) -> int:
        return self.fixed or len(self.pictures)

    def __getitem__(self, number: int) -> dict:
        """A sample.

        Returns:
            "number", "image" [3, size, size] in [-1, 1], and "caption".
        """
        index, epoch = self.order(number) if not self.fixed else (number * len(self.pictures) // self.fixed, 0)
        image, index = self.pictures[index, epoch]
        source = rng(self.seed, number)
        dropped = source.random() < self.dropout
        words = "" if dropped else caption(self.pictures.records[index], self.domain, source, self.known)
        return {"number": number, "image": image.expand(3, -1, -1) * 2 - 1, "caption": words}
