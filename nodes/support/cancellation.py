"""Work that a node waits for beside the host's own loop, so that Cancel ends it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import comfy.model_management

POLL = 0.1  # seconds; the host's flag can only be asked

T = TypeVar("T")


async def cancellable(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``; raises the host's InterruptProcessingException soon after the user pressed Cancel.

    It also keeps a node's inputs out of the host's history: of a node that fails at once the host keeps every input's
    text, a report say, and of one that it waited for it keeps none.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            comfy.model_management.throw_exception_if_processing_interrupted()
            await asyncio.wait({task}, timeout=POLL)
        return task.result()
    finally:
        task.cancel()
