"""A running ComfyUI: one prompt from upload to the files that it saved."""

import asyncio
import json
import urllib.parse
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .connection import Connection
from .errors import PROMPT, SERVER, PromptFailed, StatusError
from .following import Check, OnMessage, cancel, follow, outputs_when_done
from .history import refusal
from .outputs import saved_files, target_paths

MAX_RESULT_BYTES = 2**33  # of all files of a prompt

Graph = Mapping[str, Any]


class Upload(Protocol):
    """A file for the server's input folder. name: "folder/name.png" or "name.png"."""

    @property
    def name(self) -> str: ...

    def read(self) -> bytes:
        """Its content; ValueError where it is gone."""


@dataclass(frozen=True)
class ServerInfo:
    """A host as it says of itself. nodes: class -> its entry in /object_info, None where it knows no such class."""

    worker: str
    versions: dict[str, str]
    device: str
    nodes: dict[str, dict[str, Any] | None]


class Client:
    """A host. Its methods block; a thread may have one of its own.

    Args:
        address: As "127.0.0.1:8188" or "http://node7:8188".
        mvg: The version of this extension there, where it is known; a host does not say it.
    """

    def __init__(self, address: str, mvg: str | None = None):
        self.mvg = mvg
        self.address = (address if "://" in address else f"http://{address}").rstrip("/")

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises as ``Connection.get``."""
        return asyncio.run(self._once(lambda connection: connection.get(path)))

    def post(self, path: str, content: Any) -> Any:
        """Post JSON.

        Args:
            path: Of the server.
            content: What JSON can hold.

        Returns:
            The JSON that it answers.

        Raises:
            StatusError, OSError, ValueError: As ``Connection.get``.
        """
        return asyncio.run(self._once(lambda connection: connection.post(path, content)))

    def upload(self, file: Upload) -> None:
        """Put a file into the server's input folder. Raises as ``run``."""
        asyncio.run(self._once(lambda connection: _send(connection, file)))

    async def _once(self, call: Callable[[Connection], Awaitable[Any]]) -> Any:
        async with Connection(self.address) as connection:
            return await call(connection)

    def info(self, classes: Iterable[str]) -> ServerInfo:
        """Versions, device and the entries of node classes.

        Args:
            classes: Names of node classes.

        Raises:
            OSError, ValueError: The server is out of reach, or does not answer as a ComfyUI does.
        """
        stats = self.get("/system_stats")
        if not isinstance(stats, dict) or not isinstance(system := stats.get("system"), dict):
            raise ValueError("it tells nothing of its system")
        versions = {
            "comfyui": str(system.get("comfyui_version", "unknown")),
            "torch": str(system.get("pytorch_version", "unknown")),
            "python": str(system.get("python_version", "unknown")).partition(" ")[0],
        }
        if self.mvg:
            versions["mvg"] = self.mvg
        device = ", ".join(str(device.get("name")) for device in stats.get("devices", []))
        nodes = {name: self.get(f"/object_info/{urllib.parse.quote(name)}").get(name) for name in sorted(classes)}
        if not all(entry is None or isinstance(entry, dict) for entry in nodes.values()):
            raise ValueError("it tells nothing of its nodes")
        return ServerInfo(self.address, versions, device, nodes)

    def run(
        self,
        graph: Graph,
        uploads: Sequence[Upload],
        into: Path,
        *,
        check: Check = lambda: None,
        limit: float = float("inf"),
        on_message: OnMessage | None = None,
    ) -> None:
        """Compute a prompt and fetch its files.

        Args:
            graph: The prompt in API format.
            uploads: Files that it loads.
            into: An empty folder for the files that it saves; a folder a node in it where several nodes save.
            check: Called now and then; raises where the run shall end, and the prompt is then taken back.
            limit: Seconds that computing may take.
            on_message: Takes kind and data of every websocket message of the prompt as it comes.

        Raises:
            PromptFailed: The prompt gave nothing; says why.
            OSError: The server is out of reach, too slow (TimeoutError), or the disk is full.
            ValueError: The server answers as no ComfyUI does.
        """
        asyncio.run(self._run(graph, uploads, into, check, limit, on_message))

    async def _run(
        self,
        graph: Graph,
        uploads: Sequence[Upload],
        into: Path,
        check: Check,
        limit: float,
        on_message: OnMessage | None,
    ) -> None:
        name = uuid.uuid4().hex
        async with Connection(self.address) as connection:
            for file in uploads:
                await _send(connection, file)
            async with connection.listening(name) if on_message else nullcontext() as socket:
                prompt = await _submit(connection, graph, name)
                try:
                    if on_message is not None and socket is not None:
                        await follow(socket, prompt, check, on_message)
                    outputs = await outputs_when_done(connection, prompt, check, limit)
                except PromptFailed:
                    raise  # it has ended
                except BaseException:
                    await cancel(connection, prompt)
                    raise
            await self._fetch(connection, outputs, graph, into)

    async def _fetch(self, connection: Connection, outputs: Mapping[str, Any], graph: Graph, into: Path) -> None:
        try:
            files = saved_files(outputs, graph)
            paths = target_paths(files, into)
        except ValueError as error:
            raise PromptFailed(f"{self.address} is not trusted: {error}", SERVER) from error
        if not files:
            raise PromptFailed("the workflow saved nothing", PROMPT)
        room = MAX_RESULT_BYTES
        for file, path in zip(files, paths, strict=True):
            query = {"filename": file.filename, "subfolder": file.subfolder, "type": "output"}
            try:
                room -= await connection.download("/view", query, path, room)
            except StatusError as error:
                if error.status != 404:
                    raise
                told = f"{file.filename} is gone from ComfyUI's output folder"
                raise PromptFailed(told, SERVER, {"gone": True}) from error


async def _send(connection: Connection, file: Upload) -> None:
    try:
        data = file.read()
    except ValueError as error:
        raise PromptFailed(str(error)) from error
    await connection.upload(file.name, data)


async def _submit(connection: Connection, graph: Graph, name: str) -> str:
    """-> the id of the prompt."""
    try:
        reply = await connection.post("/prompt", {"prompt": graph, "client_id": name})
    except StatusError as error:
        if error.status != 400:
            raise
        reply = json.loads(error.body or b"{}")
        raise PromptFailed(f"ComfyUI refused the workflow: {refusal(reply)}", PROMPT, reply) from error
    prompt = reply["prompt_id"]
    if not isinstance(prompt, str):
        raise ValueError(f"it gave the prompt the id {prompt!r:.100}, want a text")
    return prompt
