"""From a submitted prompt to its end: by the history, and by the websocket where somebody looks on."""

import asyncio
import json
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import aiohttp

from .connection import Connection
from .errors import PROMPT, SERVER, PromptFailed
from .history import outputs_of

LOST_SECONDS = 5.0
PATIENCE = 60.0  # seconds without an answer after which a host counts as gone
CANCEL_SECONDS = 10.0
ENDS = ("execution_success", "execution_error", "execution_interrupted")

Check = Callable[[], None]
OnMessage = Callable[[str, dict[str, Any]], None]


async def outputs_when_done(connection: Connection, prompt: str, check: Check, limit: float) -> dict[str, Any]:
    """The outputs of a prompt, by node id. Polls, so that a broken connection, a proxy or a slow host cost only time.

    Args:
        connection: To the server that has the prompt.
        prompt: Its id.
        check: Called before each question; what it raises passes through.
        limit: Seconds that the prompt may take.

    Raises:
        PromptFailed: It failed, took too long or was forgotten.
        OSError: The server was out of reach for PATIENCE seconds.
    """
    began = asked = answered = time.monotonic()
    path = f"/history/{urllib.parse.quote(prompt, safe='')}"
    while True:
        check()
        now = time.monotonic()
        if now - began > limit:
            await cancel(connection, prompt)
            raise PromptFailed("it took longer than the limit", PROMPT, {"limit": True})
        try:
            entry = (await connection.get(path)).get(prompt)
            if entry is None and now - asked > LOST_SECONDS:
                asked = now
                if not await _is_queued(connection, prompt):
                    entry = (await connection.get(path)).get(prompt)
                    if entry is None:
                        raise PromptFailed("ComfyUI forgot the prompt: it was restarted, or its queue cleared", SERVER)
            answered = now
        except OSError:
            if now - answered > PATIENCE:
                raise
            await asyncio.sleep(1)
            continue
        if entry:
            return outputs_of(entry)
        # seldom: asked every 50 ms, a host on two cores computes 8 % slower
        await asyncio.sleep(min(0.5, 0.1 + 0.01 * (now - began)))


async def _is_queued(connection: Connection, prompt: str) -> bool:
    queue = await connection.get("/queue")
    return any(item[1] == prompt for part in queue.values() for item in part)


async def follow(socket: aiohttp.ClientWebSocketResponse, prompt: str, check: Check, on_message: OnMessage) -> None:
    """Pass on the messages of a prompt until it ends or the socket closes; how it ended is in the history.

    Args:
        socket: Opened before the prompt was submitted.
        prompt: Its id.
        check: Called once a second at least; what it raises passes through.
        on_message: Takes kind and data of each message.
    """
    while True:
        check()
        try:
            message = await socket.receive(1.0)
        except TimeoutError:
            continue
        if message.type == aiohttp.WSMsgType.TEXT:
            event = json.loads(message.data)
            data = event.get("data") or {}
            if data.get("prompt_id") == prompt:
                on_message(event["type"], data)
                if event["type"] in ENDS:
                    return
        elif message.type != aiohttp.WSMsgType.BINARY:
            return


async def cancel(connection: Connection, prompt: str) -> None:
    """Take a prompt out of the queue, or interrupt it where it runs; says nothing where the server is gone."""
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            await connection.post("/queue", {"delete": [prompt]})
            await connection.post("/interrupt", {"prompt_id": prompt})
    except (OSError, ValueError):
        return
