"""Samples of a training by their number: a picture with its caption, in an order that the seed decides."""

from collections.abc import Sequence

from torch import Tensor
from torch.utils.data import Dataset

from ..mvg.domains import Domain
from .data import Pictures, Samples, caption
from .draws import rng


class Captioned(Dataset):
    """Pictures in [-1, 1] with captions, by sample number.

    Args:
        pictures: they.
        domain: their kind.
        seed: of order and captions.
        weights: as in `Samples`.
        known: the findings that captions may name; all of the domain by default.
        dropout: share of the captions that are left empty, for classifier-free guidance.
        fixed: how many samples there are, spread evenly over the pictures as they stand; 0 for no end.
    """

    def __init__(
        self,
        pictures: Pictures,
        domain: Domain,
        seed: int,
        *,
        weights: Tensor | None = None,
        known: Sequence[str] | None = None,
        dropout: float = 0.0,
        fixed: int = 0,
    ):
        self.samples = Samples(pictures, seed=seed, weights=weights)
        self.domain, self.seed, self.known, self.dropout, self.fixed = domain, seed, known, dropout, fixed

    def __len__(self) -> int:
        return self.fixed or len(self.samples.pictures)

    def __getitem__(self, number: int) -> dict:
        """A sample.

        Returns:
            "number", "image" [3, size, size] in [-1, 1], and "caption".
        """
        pictures = self.samples.pictures
        place = (number * len(pictures) // self.fixed, 0) if self.fixed else self.samples.place(number)
        image, index = pictures[place]
        source = rng(self.seed, number)
        dropped = source.random() < self.dropout
        words = "" if dropped else caption(pictures.records[index], self.domain, source, self.known)
        return {"number": number, "image": image.expand(3, -1, -1) * 2 - 1, "caption": words}
