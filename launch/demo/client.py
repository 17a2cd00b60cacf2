"""The host's HTTP API and websocket: upload, queue, follow."""

import asyncio
import json
import re
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from ..errors import LaunchError
from ..server import Server, last_line
from .graph import Graph, titles
from .result import Saved
from .timing import Timing

STAGE = re.compile(r"\bstage\.(\d+)$")
ALIVE_SECONDS = 5


class Client:
    """One run on one server, with a line for each stage and each part as they end."""

    def __init__(self, server: Server, timing: Timing):
        self.server = server
        self.timing = timing
        self.name = uuid.uuid4().hex

    async def run(self, prompt: Graph, uploads: dict[str, Path], stages: int) -> Saved:
        """Upload, queue, follow to the end; LaunchError with the node's own message where it fails."""
        async with aiohttp.ClientSession(self.server.url) as session:
            for name, path in uploads.items():
                await self._upload(session, name, path)
            self.timing.part("upload", None)
            async with session.ws_connect("/ws", params={"clientId": self.name}, max_msg_size=0) as socket:
                prompt_id = await self._queue(session, prompt)
                return await self._follow(socket, prompt_id, titles(prompt), stages)

    async def _upload(self, session: aiohttp.ClientSession, name: str, path: Path) -> None:
        form = aiohttp.FormData({"type": "input", "overwrite": "true"})
        form.add_field("image", path.read_bytes(), filename=name, content_type="application/octet-stream")
        async with session.post("/upload/image", data=form) as answer:
            if answer.status != 200:
                raise LaunchError(
                    f"ComfyUI refused the upload of {path} ({answer.status}). Its log is {self.server.log}."
                )

    async def _queue(self, session: aiohttp.ClientSession, prompt: Graph) -> str:
        async with session.post("/prompt", json={"prompt": prompt, "client_id": self.name}) as answer:
            reply = await answer.json()
        if "prompt_id" not in reply or reply.get("node_errors"):
            raise LaunchError(f"ComfyUI refused the workflow: {refusal(reply)}")
        return reply["prompt_id"]

    async def _follow(
        self, socket: aiohttp.ClientWebSocketResponse, prompt_id: str, names: dict[str, str], stages: int
    ) -> Saved:
        saved: Saved | None = None
        running: tuple[str, str] | None = None
        while True:
            kind, data = await self._next(socket)
            if data.get("prompt_id") != prompt_id:
                continue
            if kind in ("executing", "execution_success", "execution_error") and running:
                self._ended(*running, names, stages)
                running = None
            if kind == "executing" and data["node"] is not None:
                running = (data["node"], data["display_node"])
            elif kind == "executed" and data.get("output") and "mvg_trajectory" in data["output"]:
                saved = Saved(**data["output"]["mvg_trajectory"][0])
            elif kind == "execution_error":
                raise LaunchError(failure(data))
            elif kind == "execution_interrupted":
                raise LaunchError("the run was cancelled in ComfyUI. Run this again.")
            elif kind == "execution_success":
                if saved is None:
                    raise LaunchError(f"the workflow saved no trajectory. ComfyUI's log is {self.server.log}.")
                return saved

    async def _next(self, socket: aiohttp.ClientWebSocketResponse) -> tuple[str, dict[str, Any]]:
        """The next JSON message; LaunchError when the server has gone."""
        while True:
            try:
                message = await socket.receive(ALIVE_SECONDS)
            except TimeoutError:
                self._check_alive()
                continue
            if message.type == aiohttp.WSMsgType.TEXT:
                event = json.loads(message.data)
                return event["type"], event.get("data") or {}
            if message.type != aiohttp.WSMsgType.BINARY:
                await asyncio.sleep(1)
                self._check_alive()
                raise LaunchError(f"ComfyUI closed the connection. Its log is {self.server.log}.")

    def _check_alive(self) -> None:
        process = self.server.process
        if process is None or process.poll() is not None:
            raise LaunchError(
                f"ComfyUI ended during the run: {last_line(self.server.log)} Its log is {self.server.log}."
            )

    def _ended(self, node: str, display_node: str, names: dict[str, str], stages: int) -> None:
        stage = STAGE.search(node)
        name = names.get(display_node, display_node)
        line = f"stage {stage.group(1)} of {stages}" if stage else name if node == display_node else None
        self.timing.part(name, line)


def refusal(reply: dict[str, Any]) -> str:
    """The first reason that a rejected prompt's answer gives."""
    for node in reply.get("node_errors", {}).values():
        for error in node.get("errors", []):
            return f"{node.get('class_type')}: {error.get('message')} {error.get('details')}".strip()
    return str(reply.get("error", {}).get("message", reply))


def failure(data: dict[str, Any]) -> str:
    """An execution error as one line."""
    text = str(data.get("exception_message", "")).strip().splitlines()
    message = text[0] if text else str(data.get("exception_type"))
    if "No space left on device" in message:
        return f"the disk is full ({data.get('node_type')}). Free some space and run this again."
    return f"{data.get('node_type')}: {message}"
