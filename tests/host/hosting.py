"""A real ComfyUI server with this extension linked into a private base folder, for the tests."""

import asyncio
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from mvgen.launch.host import copy_samples
from mvgen.research.phantom import chest_xray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HOST = Path(os.environ.get("COMFYUI_PATH", ROOT / ".host" / "ComfyUI"))
EXTENSION = "mvg_under_test"
TEXT_EVENT = 3  # BinaryEventTypes.TEXT of the host
REPORT = "Frontal chest radiograph. Mild cardiomegaly, expected to progress. No pleural effusion."


@dataclass
class Run:
    """What the websocket told of one prompt."""

    prompt_id: str
    executed: list[str] = field(default_factory=list)  # ids of the nodes that ran, in order
    cached: set[str] = field(default_factory=set)
    outputs: dict[str, dict] = field(default_factory=dict)
    progress: list[tuple[str, int, int]] = field(default_factory=list)  # node, value, of how many
    previews: list[Image.Image] = field(default_factory=list)  # of what is being computed
    texts: list[str] = field(default_factory=list)  # shown under nodes of the page
    interrupted: bool = False
    error: dict | None = None

    def stages_run(self) -> list[int]:
        return [int(node.rsplit(".", 1)[1]) for node in self.executed if ".stage." in node]


class Server:
    def __init__(self, address: str, base: Path):
        self.address = address
        self.base = base

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as answer:
            return json.load(answer)

    def refuse(self, prompt: dict) -> dict:
        """Posts a prompt that must be refused -> the server's answer."""
        data = json.dumps({"prompt": prompt}).encode()
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(urllib.request.Request(f"http://{self.address}/prompt", data=data), timeout=30)
        assert error.value.code == 400
        return json.load(error.value)

    def post(self, path: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"http://{self.address}{path}", method="POST"), timeout=30)

    def run(
        self,
        prompt: dict,
        timeout: float = 120,
        watch: Callable[[str, dict], None] = lambda kind, data: None,
    ) -> Run:
        """``watch`` is called with every message of the run as it comes."""
        return asyncio.run(asyncio.wait_for(self._run(prompt, watch), timeout))

    async def _run(self, prompt: dict, watch: Callable[[str, dict], None]) -> Run:
        import aiohttp

        client = uuid.uuid4().hex
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://{self.address}/ws?clientId={client}") as ws,
        ):
            async with session.post(
                f"http://{self.address}/prompt", json={"prompt": prompt, "client_id": client}
            ) as answer:
                body = await answer.json()
                assert answer.status == 200, json.dumps(body, indent=1)
            run = Run(body["prompt_id"])
            async for message in ws:
                if message.type is aiohttp.WSMsgType.BINARY:  # event, then its data (protocol.py of the host)
                    event, content = int.from_bytes(message.data[:4]), message.data[4:]
                    if event == TEXT_EVENT:  # length of the node's id, the id, text
                        run.texts.append(content[4 + int.from_bytes(content[:4]) :].decode())
                    else:  # format, picture
                        run.previews.append(Image.open(io.BytesIO(content[4:])))
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                event = json.loads(message.data)
                data = event.get("data", {})
                if data.get("prompt_id") != run.prompt_id:
                    continue
                if event["type"] == "executing" and data["node"] is not None:
                    run.executed.append(data["node"])
                elif event["type"] == "execution_cached":
                    run.cached.update(data["nodes"])
                elif event["type"] == "progress":
                    run.progress.append((data["node"], data["value"], data["max"]))
                elif event["type"] == "executed" and data["output"] is not None:  # None of a part that was cached
                    run.outputs[data["node"]] = data["output"]
                elif event["type"] == "execution_error":
                    run.error = data
                    return run
                elif event["type"] == "execution_interrupted":
                    run.interrupted = True
                    return run
                elif event["type"] == "execution_success":
                    return run
                watch(event["type"], data)
        raise AssertionError("the server closed the websocket")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def link(target: Path, source: Path) -> None:
    if os.name == "nt":
        import _winapi

        _winapi.CreateJunction(str(source), str(target))
    else:
        target.symlink_to(source, target_is_directory=True)


def prepare(base: Path) -> None:
    for folder in ("custom_nodes", "input", "output", "models/mvg/embedded"):
        (base / folder).mkdir(parents=True)
    link(base / "custom_nodes" / EXTENSION, ROOT)
    shutil.copy(Path(__file__).with_name("plan_node.py"), base / "custom_nodes" / "plan_node.py")
    draw_inputs(base / "input")
    copy_samples(base / "input")


def draw_inputs(folder: Path) -> None:
    """A picture with the shape of a chest film, a phantom with a severe effusion, and files that are none."""
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    lungs = sum(np.exp(-(((x - side * 0.42) / 0.28) ** 4) - ((y + 0.05) / 0.62) ** 4) for side in (-1, 1))
    film = np.clip(0.85 - 0.7 * lungs - 0.5 * (np.abs(x) > 0.92), 0, 1)
    Image.fromarray((film * 255).astype(np.uint8)).save(folder / "film.png")
    Image.fromarray((film * 65535).astype(np.uint16)).save(folder / "film16.png")
    gray = Image.fromarray((film * 255).astype(np.uint8)).convert("RGBA")
    gray.resize((200, 150)).save(folder / "film_rgba.png")
    Image.fromarray((film * 255).astype(np.uint8)).save(folder / "film.jpg", quality=95)
    Image.new("L", (1, 1)).save(folder / "dot.png")
    Image.fromarray((film[:100, :77] * 255).astype(np.uint8)).save(folder / "odd.png")
    phantom = chest_xray.render(chest_xray.sample_patient(16), {"pleural effusion": 0.85})
    Image.fromarray(np.round(phantom * 255).astype(np.uint8)).save(folder / "effusion.png")
    (folder / "renamed.png").write_text("this is text")
    (folder / "report.txt").write_text(REPORT, encoding="utf-8")
    (folder / "empty.txt").write_text(" \n", encoding="utf-8")
    (folder.parent / "secret.txt").write_text("outside", encoding="utf-8")


@contextlib.contextmanager
def running(
    base: Path, api_nodes: bool = False, python: str | Path = sys.executable, further: Sequence[str] = ()
) -> Iterator[Server]:
    """A server over ``base``, which has to be empty or absent; it is stopped however the block ends.

    api_nodes: with the host's nodes that send pictures to companies, which a ComfyUI has and ``run.py serve`` has not.
    further: arguments of the host's.
    """
    if not (HOST / "main.py").is_file():
        pytest.fail("no ComfyUI: set COMFYUI_PATH, or run run.py test once, which fetches it")
    prepare(base)
    port = free_port()
    log = base / "server.log"
    command = [
        *(str(python), str(HOST / "main.py"), "--cpu", "--listen", "127.0.0.1", "--port", str(port)),
        *("--disable-auto-launch", "--base-directory", str(base), "--database-url", "sqlite:///:memory:"),
        *("--preview-method", "latent2rgb"),
        *(() if api_nodes else ("--disable-api-nodes",)),
        *further,
    ]
    with open(log, "wb") as output:
        # one thread: these networks are small, and OpenMP's threads crawl where another job has a core
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=base, env=environment)
    server = Server(f"127.0.0.1:{port}", base)
    try:
        for _ in range(360):
            if process.poll() is not None:
                pytest.fail("ComfyUI ended:\n" + log.read_text(errors="replace")[-4000:])
            try:
                server.get("/system_stats")
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail("ComfyUI does not answer:\n" + log.read_text(errors="replace")[-4000:])
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
