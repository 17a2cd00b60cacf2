"""A ComfyUI process for each device: started, watched, started again where it ends, and always stopped."""

import contextlib
import functools
import os
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

from ...client import SERVER, Client, PromptFailed
from ...launch.device import has_nvidia_driver
from ...launch.errors import LaunchError, UsageError
from ...launch.host import Host
from ...launch.paths import BASE, PYTHON, ROOT
from ...launch.process import clean_environment
from ...launch.server import Server, free_port
from ..files import FOLDER as UPLOADS
from .pool import Unreachable, Worker

TRIES = 3
SHARED_THREADS = "OMP_NUM_THREADS"
FOLDERS = ("input", "output", "temp", "user")
COUNT_CARDS = "import torch; print(torch.cuda.device_count())"


class LocalServer(Worker):
    """A worker over a ComfyUI of its own.

    Args:
        host: The ComfyUI to start.
        device: Number of a card, "cpu" or "mps".
        folder: For its inputs and outputs, taken away in the end.
        log: Where it logs.
        threads: Of OpenMP, all where None.
    """

    def __init__(self, host: Host, device: str, folder: Path, log: Path, threads: int | None = None):
        self.name = f"{folder.name} ({device})"
        self.host = host
        self.device = device
        self.folder = folder
        self.log = log
        self.threads = threads
        self.server: Server | None = None
        self.stopped = False
        self.lock = threading.Lock()

    def ready(self, check: Callable[[], None]) -> Client:
        check()
        server = self.server
        if server is not None and server.process is not None and server.process.poll() is None:
            return Client(server.url, own_version())
        problem = ""
        for _ in range(TRIES):
            check()
            try:
                return self._start()
            except (LaunchError, OSError) as error:
                problem = str(error)
        check()
        raise Unreachable(problem)

    def _start(self) -> Client:
        self.restart()
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _link_folders(BASE / "input", self.folder / "input")
        # folders of its own: two hosts in one would clear each other's temporary files
        further = [part for name in FOLDERS for part in (f"--{name}-directory", str(self.folder / name))]
        server = Server(
            self.host,
            free_port(),
            log=self.log,
            device="cpu" if self.device == "cpu" else "cuda",
            further=further,
            environment=self._environment(),
        )
        with self.lock:
            if self.stopped:
                raise LaunchError("stopped")
            self.server = server
        server.__enter__()
        return Client(server.url, own_version())

    def _environment(self) -> dict[str, str]:
        environment = {} if self.threads is None else {SHARED_THREADS: str(self.threads)}
        if self.device not in ("cpu", "mps"):
            environment["CUDA_VISIBLE_DEVICES"] = visible_card(self.device, os.environ.get("CUDA_VISIBLE_DEVICES"))
        return environment

    def check(self) -> None:
        server = self.server
        if server is None:
            raise PromptFailed("ComfyUI was stopped", SERVER)
        try:
            server.check_alive("during the run")
        except LaunchError as error:
            raise PromptFailed(str(error), SERVER) from error

    def restart(self) -> None:
        with self.lock:
            server, self.server = self.server, None
        if server is not None:
            server.stop()

    def clear(self) -> None:
        """Drop what was sent and saved, or a long batch would take twice its room."""
        for name in ("input", "output"):
            shutil.rmtree(self.folder / name / UPLOADS, ignore_errors=True)

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
        self.restart()


@functools.cache
def own_version() -> str:
    """The version of this extension."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def _link_folders(source: Path, target: Path) -> None:
    """Folders of reference pictures, which workflows name, are seen by every host; a patient's files are sent.

    Not the folder that those are sent to, which is there once this host was a batch's ``--server``: ComfyUI loads no
    file of its input folder that truly lies elsewhere.
    """
    for folder in (entry for entry in source.iterdir() if entry.is_dir()) if source.is_dir() else ():
        link = target / folder.name
        if folder.name == UPLOADS or os.path.lexists(link):
            continue
        if os.name == "nt":
            import _winapi

            _winapi.CreateJunction(str(folder), str(link))  # type: ignore[attr-defined]
        else:
            link.symlink_to(folder, target_is_directory=True)


def visible_card(device: str, visible: str | None) -> str:
    """The card that a number means.

    Args:
        device: A number, from 0.
        visible: CUDA_VISIBLE_DEVICES: where a scheduler gave this job some cards, the number counts those.

    Raises:
        UsageError: There are fewer.
    """
    cards = [card.strip() for card in visible.split(",")] if visible else []
    if not cards:
        return device
    if int(device) >= len(cards):
        raise UsageError(f"--devices names {device}, and CUDA_VISIBLE_DEVICES has {len(cards)}: {visible}.")
    return cards[int(device)]


def devices(given: str | None, default: str) -> list[str]:
    """The devices to start a ComfyUI on.

    Args:
        given: --devices, as "0,1" or "cpu"; None for every card.
        default: The device where there is no card.

    Raises:
        UsageError: ``given`` is no such list.
    """
    if given is not None:
        wanted = [part.strip() for part in given.split(",")]
        if not wanted or not all(part in ("cpu", "mps") or part.isdigit() for part in wanted):
            raise UsageError(f"--devices is {given!r}: give numbers of cards or cpu, as 0,1 or cpu,cpu.")
        return wanted
    if not has_nvidia_driver():
        return [default]
    counted = subprocess.run(
        [str(PYTHON), "-c", COUNT_CARDS], env=clean_environment(), capture_output=True, text=True, check=False
    )
    cards = int(counted.stdout) if counted.returncode == 0 else 0
    return [str(n) for n in range(cards)] or [default]


def local_servers(host: Host, wanted: list[str], work: Path, logs: Path) -> list[LocalServer]:
    """A worker for each device; on processors they share the cores, or each would wait for the others' threads.

    Args:
        host: The ComfyUI to start.
        wanted: From ``devices``.
        work: Folder for their inputs and outputs.
        logs: Folder for their logs.
    """
    processors = wanted.count("cpu")
    threads = None
    if processors > 1 and SHARED_THREADS not in os.environ:
        threads = max(1, (os.cpu_count() or 1) // processors)
    return [
        LocalServer(host, device, work / f"worker-{n}", logs / f"worker-{n}.log", threads if device == "cpu" else None)
        for n, device in enumerate(wanted, start=1)
    ]


def clear_logs(logs: Path) -> None:
    """Delete the logs of a batch in which nothing went wrong."""
    shutil.rmtree(logs, ignore_errors=True)
    with contextlib.suppress(OSError):  # another shard's are beside it
        logs.parent.rmdir()
