"""A ComfyUI server of our own: started, waited for, and always stopped."""

import http.client
import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .device import device_name
from .errors import LaunchError
from .host import Host
from .paths import BASE, LOGS, PACKAGE, PYTHON
from .process import clean_environment, held_signals, new_process_group, stop_group

LOOPBACK = "127.0.0.1"
START_SECONDS = 600
DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
KEEP_MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""Of glibc: large blocks are not handed back and taken anew, page by page, which is two fifths of decoding a film."""
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def is_free(port: int, address: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


class Server:
    """ComfyUI with this extension on ``port``; a context manager that stops it however the block ends.

    It ends too when this process is killed. further: more of its arguments; environment: on top of this process's.
    """

    def __init__(
        self,
        host: Host,
        port: int,
        address: str = LOOPBACK,
        *,
        log: Path | None = None,
        device: str | None = None,
        further: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ):
        self.host = host
        self.port = port
        self.address = address
        self.url = f"http://{LOOPBACK}:{port}"
        self.log = log or LOGS / f"server-{port}.log"
        self.device = device or device_name()
        self.further = list(further)
        self.environment = dict(environment or {})
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        arguments = [str(PYTHON), str(DIE_WITH_PARENT), str(self.host.path / "main.py")]
        arguments += ["--listen", self.address, "--port", str(self.port)]
        arguments += ["--disable-auto-launch", "--disable-api-nodes", "--base-directory", str(BASE)]
        arguments += ["--preview-method", "latent2rgb"]
        arguments += ["--database-url", "sqlite:///:memory:"]
        return [*arguments, *self.further, *(["--cpu"] if self.device == "cpu" else [])]

    def __enter__(self) -> "Server":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # PASSIVE: OpenMP's threads wait by spinning otherwise, and where another program has a core they wait for
        # each other most of the time (a stage took 425 s in place of 31)
        environment = (
            {"OMP_WAIT_POLICY": "PASSIVE"}
            | KEEP_MEMORY
            | clean_environment()
            | {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
            | self.environment
        )
        command = self.command()
        try:
            with self.log.open("wb") as log, held_signals():
                self.process = subprocess.Popen(
                    command,
                    cwd=self.host.path,
                    env=environment,
                    stdin=subprocess.PIPE,  # it ends when this end closes
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **new_process_group(),  # type: ignore[call-overload]
                )
            self._wait()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.stop()
        if kind is None or not issubclass(kind, Exception):
            self.log.unlink(missing_ok=True)  # kept only where it may say what went wrong

    def stop(self) -> None:
        if self.process is not None:
            stop_group(self.process)
            if self.process is not None and self.process.stdin is not None:
                self.process.stdin.close()
            self.process = None

    def get(self, path: str) -> Any:
        with _direct.open(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def _wait(self) -> None:
        """Return once the server answers and knows our nodes; LaunchError when it ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check_alive("while starting")
            try:
                known = self.get("/object_info/MVG_PIELoop")
                break
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.2)
        else:
            raise LaunchError(f"ComfyUI did not answer within {START_SECONDS} s. Its log is {self.log}.")
        if not known:
            raise LaunchError(f"ComfyUI could not load the MVG nodes: {load_failure(self.log)} Its log is {self.log}.")

    def check_alive(self, when: str) -> None:
        """Raise LaunchError, which says how, when the server has ended."""
        process = self.process  # another thread may stop it
        status = process.poll() if process is not None else None
        if status is None:
            return
        why = last_line(self.log)
        if status < 0:
            why = f"{signal.Signals(-status).name}, perhaps because memory ran out. Run this again."
        raise LaunchError(f"ComfyUI ended {when}: {why} Its log is {self.log}.")


def last_line(log: Path, marker: str = "") -> str:
    """The last line of a log that holds ``marker``, as a sentence."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip() and marker in line]
    line = lines[-1] if lines else "it says nothing more"
    return line if line.endswith(".") else line + "."


def load_failure(log: Path) -> str:
    """What the host says of our import: it names the folder before the error."""
    return last_line(log, f"{PACKAGE}: ").partition(f"{PACKAGE}: ")[2] or "it says nothing more."
