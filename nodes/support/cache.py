"""Keeps the stages of past runs, so that a run that needs them again does not compute them again.

The host's default cache drops every result that the prompt has not touched yet as soon as one node has run: a plan
for more stages would lose the stages it is going to ask for. A stage is a small latent, so hundreds are kept through
the host's interface for cache providers, and what PIE Loop draws from them (pictures, encoded texts) as far as there
is room; hosts without that interface go by their own cache alone.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from comfy_api import latest

MEGABYTE = 2**20

Provider: Any = latest.Caching.CacheProvider if hasattr(latest, "Caching") else object


class StageCache(Provider):
    """Results of the nodes of some classes, or whose id matches; the least recently used go first.

    Pictures have a cache of their own, so that they never push out a stage, which takes far longer to make.
    """

    def __init__(self, max_bytes: int, classes: tuple[str, ...] = (), ids: str = r"(?!)"):
        self.max_bytes = max_bytes
        self.classes = classes
        self.ids = re.compile(ids)
        self.values: OrderedDict[str, tuple[int, list]] = OrderedDict()
        self.bytes = 0

    def should_cache(self, context, value=None) -> bool:
        return context.class_type in self.classes or self.ids.search(context.node_id) is not None

    async def on_lookup(self, context):
        if context.cache_key_hash not in self.values:
            return None
        self.values.move_to_end(context.cache_key_hash)
        return latest.Caching.CacheValue(outputs=list(self.values[context.cache_key_hash][1]))

    async def on_store(self, context, value) -> None:
        if context.cache_key_hash in self.values:
            return
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors(value.outputs))
        self.values[context.cache_key_hash] = size, value.outputs
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (dropped, _) = self.values.popitem(last=False)
            self.bytes -= dropped


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def stage_caches() -> list[StageCache]:
    """One for stages, one for the other parts of PIE Loop's expansion."""
    return [
        StageCache(256 * MEGABYTE, classes=("MVG_PIEStep", "MVG_SeverityStage", "MVG_DDIMInvert")),
        StageCache(512 * MEGABYTE, ids=r"\.pie\.(encode|decode\.\d+|blend\.\d+|grade\.\d+|scale\.\d+|text\.\w+)$"),
    ]


async def register() -> None:
    """Offers the caches to the host, where the host takes them."""
    api = latest.ComfyAPI()
    if hasattr(latest, "Caching") and hasattr(api, "caching"):
        for cache in stage_caches():
            await api.caching.register_provider(cache)
