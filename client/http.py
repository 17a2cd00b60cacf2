"""A running ComfyUI over its HTTP API: one prompt from upload to the files that it saved."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..cohort.engines.base import BROKEN, FULL, WRONG, Facts, Job
from ..cohort.files import FOLDER, InputFile
from .outputs import SavedFile, saved_files, target_paths

SECONDS = 30.0  # to wait for one answer: a host that computes may be slow to speak
LOST_SECONDS = 5.0
PATIENCE = 60.0  # seconds without an answer after which a host counts as gone
CHUNK = 2**20
NO_ROOM = ("No space left on device", "Disk quota exceeded", "not enough space on the disk")
NO_MEMORY = ("OutOfMemoryError", "MemoryError", "AcceleratorError")
"""What a host may have only now: others use its card too, and a card in error is in error until it starts again."""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """A chain that gave nothing; kind as in engine."""

    def __init__(self, message: str, kind: str = WRONG, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.kind = kind
        self.details = details or {}


class Comfy:
    """A host at ``address``, as "127.0.0.1:8188" or "http://node7:8188".

    mvg: the version of this extension there, where it is known; a host does not say it.
    """

    def __init__(self, address: str, mvg: str | None = None):
        self.mvg = mvg
        self.address = address if "://" in address else f"http://{address}"
        self.address = self.address.rstrip("/")

    def facts(self, classes: Iterable[str]) -> Facts:
        """OSError or ValueError where it does not answer as a ComfyUI does."""
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
        return Facts(self.address, versions, device, nodes)

    def get(self, path: str) -> Any:
        return json.loads(self._send(urllib.request.Request(self.address + path)))

    def post(self, path: str, content: Any) -> Any:
        data = json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})
        return json.loads(self._send(request) or b"null")

    def _send(self, request: urllib.request.Request) -> bytes:
        try:
            with _direct.open(request, timeout=SECONDS) as answer:
                return answer.read()
        except http.client.HTTPException as error:  # it ended in the middle of an answer
            raise ConnectionError(str(error)) from error

    def upload(self, file: InputFile) -> None:
        """Into its input folder. Failed where the file is gone, OSError where the host does not take it."""
        try:
            data = file.read()
        except ValueError as error:
            raise Failed(str(error)) from error
        border = uuid.uuid4().hex
        name = file.name.removeprefix(f"{FOLDER}/")
        parts = [("type", "input"), ("subfolder", FOLDER), ("overwrite", "true")]
        head = "".join(f'--{border}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in parts)
        head += f'--{border}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + data + f"\r\n--{border}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
        self._send(urllib.request.Request(f"{self.address}/upload/image", body, kind))

    def run(self, job: Job, check: Callable[[], None], limit: float = float("inf")) -> None:
        """Computes a job; its files are then in job.into.

        check: called now and then, raises where the run shall end or cannot go on; the prompt is then taken back.
        limit: seconds. Failed, with what the host says, or OSError where it is out of reach.
        """
        for file in job.uploads:
            self.upload(file)
        prompt = self._queue(job)
        try:
            outputs = self._outcome(prompt, check, time.monotonic() + limit)
        except Failed:
            raise  # it has ended
        except BaseException:
            self.cancel(prompt)
            raise
        self._fetch(outputs, job)

    def _queue(self, job: Job) -> str:
        try:
            return self.post("/prompt", {"prompt": job.graph, "client_id": job.chain})["prompt_id"]
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                raise
            reply = json.loads(error.read() or b"{}")
            raise Failed(f"ComfyUI refused the workflow: {refusal(reply)}", WRONG, reply) from error

    def _outcome(self, prompt: str, check: Callable[[], None], deadline: float) -> dict[str, Any]:
        """Polls, so that a broken connection, a proxy or a slow host cost nothing but time."""
        began = asked = answered = time.monotonic()
        while True:
            check()
            now = time.monotonic()
            if now > deadline:
                self.cancel(prompt)
                raise Failed("it took longer than the limit", WRONG, {"limit": True})
            try:
                entry = self.get(f"/history/{prompt}").get(prompt)
                if entry is None and now - asked > LOST_SECONDS:
                    asked = now
                    entry = self._forgotten(prompt)
                answered = now
            except OSError:
                if now - answered > PATIENCE:
                    raise
                time.sleep(1)
                continue
            if entry:
                return finished(entry)
            # seldom: asked every 50 ms, a host on two cores computes 8 % slower
            time.sleep(min(0.5, 0.1 + 0.01 * (now - began)))

    def _forgotten(self, prompt: str) -> dict[str, Any] | None:
        """Failed where a prompt is neither in the queue nor in the history, which is asked last."""
        queue = self.get("/queue")
        if any(item[1] == prompt for part in queue.values() for item in part):
            return None
        entry = self.get(f"/history/{prompt}").get(prompt)
        if entry is None:
            raise Failed("ComfyUI forgot the prompt: it was restarted, or its queue was cleared", BROKEN)
        return entry

    def cancel(self, prompt: str) -> None:
        """Takes a prompt out of the queue, or stops it where it runs; says nothing where the host is gone."""
        for path, content in (("/queue", {"delete": [prompt]}), ("/interrupt", {"prompt_id": prompt})):
            try:
                self.post(path, content)
            except (OSError, ValueError):
                return

    def _fetch(self, outputs: dict[str, Any], job: Job) -> None:
        try:
            files = saved_files(outputs, job.graph)
            paths = target_paths(files, job.into)
        except ValueError as error:
            raise Failed(f"{self.address} is not trusted: {error}", BROKEN) from error
        if not files:
            raise Failed("the workflow saved nothing", WRONG)
        for file, path in zip(files, paths, strict=True):
            self._download(file, path)

    def _download(self, file: SavedFile, path: Path) -> None:
        query = urllib.parse.urlencode({"filename": file.filename, "subfolder": file.subfolder, "type": "output"})
        try:
            with _direct.open(f"{self.address}/view?{query}", timeout=SECONDS) as answer, path.open("xb") as target:
                while block := answer.read(CHUNK):
                    target.write(block)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            raise Failed(f"{file.filename} is gone from ComfyUI's output folder", BROKEN, {"gone": True}) from error
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error


def finished(entry: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a history entry; Failed with the node's own words where the prompt ended in an error."""
    status = entry.get("status") or {}
    for kind, data in status.get("messages", []):
        if kind == "execution_interrupted":
            raise Failed("the run was cancelled in ComfyUI", BROKEN)
        if kind == "execution_error":
            told = {name: data.get(name) for name in ("node_id", "node_type", "exception_type", "traceback")}
            message = str(data.get("exception_message") or data.get("exception_type")).strip()
            full = any(words in message for words in NO_ROOM) or ("disk" in message and "full" in message)
            short = str(told["exception_type"]).endswith(NO_MEMORY) or "CUDA error" in message
            line = message.splitlines()[0] if message else "error"
            raise Failed(f"{data.get('node_type')}: {line}", FULL if full else BROKEN if short else WRONG, told)
    if status and not status.get("completed", True):
        raise Failed("ComfyUI ended the run without saying why", BROKEN)
    return entry.get("outputs", {})


def refusal(reply: dict[str, Any]) -> str:
    """The first reason that a rejected prompt's answer gives."""
    for node in (reply.get("node_errors") or {}).values():
        for error in node.get("errors", []):
            return f"{node.get('class_type')}: {error.get('message')} {error.get('details')}".strip()
    return str((reply.get("error") or {}).get("message", reply))
