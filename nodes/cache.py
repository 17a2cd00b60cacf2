"""Keeps the stages of past runs, so that a run that needs them again does not compute them again.

The host's default cache drops every result that the prompt has not touched yet as soon as one node has run: a plan
for more stages would lose the stages it is going to ask for. A stage is a small latent, so a few hundred are kept
through the host's interface for cache providers; hosts without it go by their own cache alone.
"""

from collections import OrderedDict
from typing import Any

import torch
from comfy_api import latest

STAGE_NODES = ("MVG_PIEStep",)
MAX_BYTES = 256 * 2**20

Provider: Any = latest.Caching.CacheProvider if hasattr(latest, "Caching") else object


class StageCache(Provider):
    """Least recently used latents go first once ``max_bytes`` are exceeded."""

    def __init__(self, max_bytes: int = MAX_BYTES):
        self.max_bytes = max_bytes
        self.values: OrderedDict[str, tuple[int, list]] = OrderedDict()
        self.bytes = 0

    def should_cache(self, context, value=None) -> bool:
        return context.class_type in STAGE_NODES

    async def on_lookup(self, context):
        if context.cache_key_hash not in self.values:
            return None
        self.values.move_to_end(context.cache_key_hash)
        return latest.Caching.CacheValue(outputs=list(self.values[context.cache_key_hash][1]))

    async def on_store(self, context, value) -> None:
        if context.cache_key_hash in self.values:
            return
        size = sum(tensor_bytes(latent) for output in value.outputs for latent in output)
        self.values[context.cache_key_hash] = size, value.outputs
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (dropped, _) = self.values.popitem(last=False)
            self.bytes -= dropped


def tensor_bytes(latent: dict) -> int:
    tensors = [value for value in latent.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


async def register() -> None:
    """Offers the cache to the host, where the host takes one."""
    api = latest.ComfyAPI()
    if hasattr(latest, "Caching") and hasattr(api, "caching"):
        await api.caching.register_provider(StageCache())
