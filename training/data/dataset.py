"""Streams the pictures of a table to torch, read as the nodes read them, and counts those that cannot be read."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...mvg.picture_file import read_picture
from ...mvg.picture_fit import fit_square
from .record import Record

Transform = Callable[[Tensor, torch.Generator], Tensor]
MAX_UNREADABLE = 0.01
CACHE_BYTES = 1 << 29


class Pictures(Dataset):
    """The pictures of some records, one at a time.

    An item is asked for by its index, or by (index, draw) where a transform is to draw anew at each visit: equal pairs
    give equal tensors in every process. In the place of a file that cannot be read stands the next one that can.

    Args:
        records: of a table.
        size: side of the result in pixels.
        fit: as in `mvg.picture_fit.fit_square`.
        gray: one channel, the mean of the three, in place of three.
        transform: of a picture [C, size, size] in [0, 1] with a generator of its own.
        seed: of the generators.
        max_unreadable: the share of the records above which unreadable files are an error.
        cache_bytes: memory, of each process, in which the first squares that are read are kept.
    """

    def __init__(
        self,
        records: Sequence[Record],
        size: int,
        *,
        fit: str = "crop",
        gray: bool = False,
        transform: Transform | None = None,
        seed: int = 0,
        max_unreadable: float = MAX_UNREADABLE,
        cache_bytes: int = CACHE_BYTES,
    ):
        self.records, self.size, self.fit, self.gray = records, size, fit, gray
        self.transform, self.seed, self.max_unreadable = transform, seed, max_unreadable
        self._kept: dict[int, Tensor] = {}
        self._most = cache_bytes // (size * size * (1 if gray else 3) * 4)
        self._failed = torch.zeros(len(records), dtype=torch.uint8).share_memory_()  # workers count together

    def __len__(self) -> int:
        return len(self.records)

    @property
    def unreadable(self) -> tuple[Record, ...]:
        """Those of the records asked for so far whose files could not be read."""
        return tuple(self.records[i] for i in self._failed.nonzero().flatten().tolist())

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, int]:
        """A picture.

        Args:
            key: index, or (index, draw).

        Returns:
            float32 [C, size, size] in [0, 1], and the index of the record that it is of.

        Raises:
            ValueError: more files than the stated share cannot be read.
        """
        index, draw = key if isinstance(key, tuple) else (key, 0)
        while True:
            try:
                image = self._square(index)
                break
            except ValueError as error:
                self._count(index, error)
            index = (index + 1) % len(self)
        if self.transform is not None:
            image = self.transform(image, _generator(self.seed, index, draw))
        return image, index

    def _square(self, index: int) -> Tensor:
        """[C, size, size] of a record, which nobody may write into."""
        if index in self._kept:
            return self._kept[index]
        path = self.records[index].image
        image = fit_square(read_picture(path, name=str(path)).image[None], self.size, self.fit)[0][0].movedim(-1, 0)
        image = (image.mean(dim=0, keepdim=True) if self.gray else image).contiguous()
        if len(self._kept) < self._most:
            self._kept[index] = image
        return image

    def _count(self, index: int, error: ValueError) -> None:
        self._failed[index] = 1
        count = int(self._failed.sum())
        if count > self.max_unreadable * len(self) or count == len(self):
            raise ValueError(
                f"pictures: {count} of {len(self)} cannot be read, more than the {self.max_unreadable:.1%} that is "
                f"allowed; the last: {error}"
            ) from error


class Samples(Dataset):
    """The samples of a training by number, without end: which picture a number is of depends on the seed alone.

    Every epoch is a permutation of the records or, with weights, as many draws with replacement.

    Args:
        pictures: what is drawn from; its transform draws anew in every epoch.
        seed: of the order; None takes the records as they stand.
        weights: one a record, how often it is drawn.

    Raises:
        ValueError: there are no pictures.
    """

    def __init__(self, pictures: Pictures, *, seed: int | None = 0, weights: Tensor | None = None):
        if not len(pictures):
            raise ValueError("pictures: got none, want at least one")
        self.pictures, self.seed, self.weights = pictures, seed, weights
        self._epoch, self._order = -1, torch.empty(0)

    def __getitem__(self, number: int) -> dict[str, Tensor | int]:
        """number: of the sample. -> it, "image" [C, size, size], and the "index" of the record that the image is of."""
        image, index = self.pictures[self.place(number)]
        return {"number": number, "image": image, "index": index}

    def place(self, number: int) -> tuple[int, int]:
        """The index of the record that a sample is of, and the epoch."""
        count = len(self.pictures)
        epoch = number // count
        if self.seed is None:
            return number % count, epoch
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._permutation(_generator(self.seed, epoch))
        return int(self._order[number % count]), epoch

    def _permutation(self, generator: torch.Generator) -> Tensor:
        if self.weights is not None:
            return torch.multinomial(self.weights, len(self.pictures), replacement=True, generator=generator)
        return torch.randperm(len(self.pictures), generator=generator)


def _generator(*key: int) -> torch.Generator:
    """A generator whose numbers are a function of the key in every process."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
