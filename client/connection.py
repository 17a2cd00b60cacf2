"""HTTP with one server, where every request ends within a time and every answer within a size."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from .errors import StatusError, one_line

SECONDS = 30.0  # for a request and its answer: a host that computes may be slow to speak
LEAST_RATE = 20_000.0  # bytes a second that a body may take longer for
MAX_JSON_BYTES = 2**26


class Connection:
    """An HTTP session, to be used with ``async with``. Proxies of the environment are left aside.

    A request may take SECONDS, and a second more for each LEAST_RATE bytes sent or received, so that a server that
    sends a byte a second, or never ends an answer, costs no more than that.

    Args:
        address: "http://127.0.0.1:8188", without a slash at the end.
    """

    def __init__(self, address: str):
        self.address = address

    async def __aenter__(self) -> "Connection":
        self.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(), auto_decompress=False, headers={"Accept-Encoding": "identity"}
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.session.close()

    async def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            StatusError: The server refuses.
            OSError: It is out of reach or too slow (TimeoutError).
            ValueError: It sends no JSON, or too much of it.
        """
        return await self._json("GET", path)

    async def post(self, path: str, content: Any) -> Any:
        """The JSON that a server answers to a JSON. Raises as ``get``."""
        data = json.dumps(content).encode()
        return await self._json("POST", path, data, headers={"Content-Type": "application/json"})

    async def upload(self, name: str, data: bytes) -> None:
        """Put a file into the server's input folder, over one of the same name.

        Args:
            name: "folder/name.png" or "name.png".
            data: Its content.

        Raises:
            StatusError, OSError: As ``get``.
        """
        folder, _, filename = name.rpartition("/")
        form = aiohttp.FormData({"type": "input", "subfolder": folder, "overwrite": "true"})
        form.add_field("image", data, filename=filename, content_type="application/octet-stream")
        async with self._body("POST", "/upload/image", len(data), data=form) as chunks:
            await _joined(chunks, MAX_JSON_BYTES)

    async def download(self, path: str, query: Mapping[str, str], target: Path, most: int) -> int:
        """Write what a server sends to a new file.

        Args:
            path: Of the server.
            query: Its parameters.
            target: The file, which must not exist.
            most: Bytes that the file may have.

        Returns:
            Its size in bytes.

        Raises:
            StatusError, OSError: As ``get``; also where the file cannot be written.
            ValueError: The server sends more.
        """
        size = 0
        async with self._body("GET", path, params=query) as chunks:
            with target.open("xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise ValueError(f"it sends more than {most:,} bytes")
                    file.write(chunk)
        return size

    @asynccontextmanager
    async def listening(self, client: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The websocket that tells of the prompts of a client id. OSError where the server gives none."""
        try:
            async with (
                asyncio.timeout(SECONDS) as limit,
                self.session.ws_connect(
                    f"{self.address}/ws", params={"clientId": client}, max_msg_size=MAX_JSON_BYTES
                ) as socket,
            ):
                limit.reschedule(None)
                yield socket
        except aiohttp.ClientError as error:
            raise ConnectionError(one_line(error) or type(error).__name__) from error

    async def _json(self, method: str, path: str, data: bytes = b"", **options: Any) -> Any:
        async with self._body(method, path, len(data), data=data or None, **options) as chunks:
            text = await _joined(chunks, MAX_JSON_BYTES)
        try:
            return json.loads(text or b"null")
        except RecursionError as error:
            raise ValueError("it sends JSON that is nested too deep") from error

    @asynccontextmanager
    async def _body(self, method: str, path: str, sent: int = 0, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """The parts of an answer as they come."""
        now = asyncio.get_running_loop().time
        began, received = now(), 0
        try:
            async with (
                asyncio.timeout(SECONDS + sent / LEAST_RATE) as limit,
                self.session.request(method, self.address + path, allow_redirects=False, **options) as answer,
            ):

                async def chunks() -> AsyncIterator[bytes]:
                    nonlocal received
                    async for chunk in answer.content.iter_any():
                        received += len(chunk)
                        limit.reschedule(began + SECONDS + (sent + received) / LEAST_RATE)
                        yield chunk

                if answer.status >= 300:
                    body = await _joined(chunks(), MAX_JSON_BYTES)
                    raise StatusError(answer.status, one_line(answer.reason), body)
                yield chunks()
        except TimeoutError as error:
            raise TimeoutError(f"no whole answer in {now() - began:.0f} s, {received:,} bytes of it") from error
        except aiohttp.ClientError as error:
            raise ConnectionError(one_line(getattr(error, "os_error", error)) or type(error).__name__) from error


async def _joined(chunks: AsyncIterator[bytes], most: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > most:
            raise ValueError(f"it sends more than {most:,} bytes")
    return bytes(data)
