"""Keeps finished clips, so that a run that failed, was cancelled or had one stage changed makes only what is missing.

The host caches whole nodes, and a trajectory is one node for the sake of batches; so its clips are kept here, as
latents, by their content, beside the model that made them. They go when the host lets go of the model, oldest first
when there are too many.
"""

from collections import OrderedDict
from weakref import WeakKeyDictionary

import torch

MAX_BYTES = 256 * 2**20


class Kept:
    """Clips of one model; the least recently used go first once `max_bytes` are exceeded."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.clips: OrderedDict[str, torch.Tensor] = OrderedDict()

    def get(self, key: str) -> torch.Tensor | None:
        if key in self.clips:
            self.clips.move_to_end(key)
        return self.clips.get(key)

    def put(self, key: str, clip: torch.Tensor) -> None:
        self.clips[key] = clip.clone()  # its own memory, not a part of the batch
        while sum(held.nbytes for held in self.clips.values()) > self.max_bytes:
            self.clips.popitem(last=False)


class ClipStore:
    def __init__(self, max_bytes: int = MAX_BYTES):
        self.max_bytes = max_bytes
        self.models: WeakKeyDictionary[object, Kept] = WeakKeyDictionary()

    def of(self, model: object) -> Kept:
        """A model is one MODEL object: a patched copy is another."""
        return self.models.setdefault(model, Kept(self.max_bytes))


STORE = ClipStore()
