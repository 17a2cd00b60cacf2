"""The host's HTTP API and websocket: upload, queue, follow."""

import asyncio
import json
import re
import shutil
import uuid
from pathlib import Path
from typing import Any

import aiohttp

from ..cohort.demo.graph import Graph, titles
from ..cohort.demo.result import Saved
from ..cohort.demo.timing import Timing
from ..launch.errors import LaunchError
from ..launch.paths import BASE
from ..launch.server import Server

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
        try:
            async with aiohttp.ClientSession(self.server.url) as session:
                for name, path in uploads.items():
                    await self._upload(session, name, path)
                async with session.ws_connect("/ws", params={"clientId": self.name}, max_msg_size=0) as socket:
                    prompt_id = await self._queue(session, prompt)
                    self.timing.part("upload")
                    return await self._follow(socket, prompt_id, titles(prompt), stages)
        except (aiohttp.ClientError, ConnectionError) as error:
            await asyncio.sleep(1)  # a process that ends closes its connections before it has ended
            self.server.check_alive("during the run")
            raise LaunchError(f"the connection to ComfyUI broke ({error}). Its log is {self.server.log}.") from error

    async def _upload(self, session: aiohttp.ClientSession, name: str, path: Path) -> None:
        form = aiohttp.FormData({"type": "input", "overwrite": "true"})
        form.add_field("image", path.read_bytes(), filename=name, content_type="application/octet-stream")
        async with session.post("/upload/image", data=form) as answer:
            if answer.status != 200:
                if shutil.disk_usage(BASE / "input").free <= path.stat().st_size:
                    raise LaunchError(f"the disk is full ({BASE}). Free some space and run this again.")
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
        running = shown = ""  # the node that runs, and the one of the workflow that it belongs to
        seconds = 0.0  # that the latter took so far
        while True:
            kind, data = await self._next(socket)
            if data.get("prompt_id") != prompt_id:
                continue
            if kind in ("executing", "execution_success") and running:
                name = names.get(shown, shown)
                took = self.timing.part(name)
                seconds += took
                if stage := STAGE.search(running):
                    self.timing.line(f"stage {stage.group(1)} of {stages}", took)
                if data.get("display_node") != shown:
                    self.timing.line(name, seconds)
                    seconds = 0.0
            if kind == "executing":
                running, shown = data["node"] or "", data["display_node"] or ""
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
        """The next JSON message; LaunchError when the server has ended, ConnectionError when it closed the socket."""
        while True:
            try:
                message = await socket.receive(ALIVE_SECONDS)
            except TimeoutError:
                self.server.check_alive("during the run")
                continue
            if message.type == aiohttp.WSMsgType.TEXT:
                event = json.loads(message.data)
                return event["type"], event.get("data") or {}
            if message.type != aiohttp.WSMsgType.BINARY:
                raise ConnectionError("closed by ComfyUI")


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
