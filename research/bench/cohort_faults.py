"""Cohorts that survive: killed processes, a disk that fills, a server that slows down to a byte a second."""

import argparse
import contextlib
import importlib.util
import itertools
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ... import cohort
from ...launch.errors import LaunchError
from ...launch.host import ensure_host
from ...launch.server import Server, free_port
from .cohort_setup import RUN, environment, half_written, saved_files, write_cohort

DISK_BYTES = 700_000_000  # a batch starts where 0.5 GB are free
LEFT_BYTES = 50_000  # less than a chain


def processes() -> dict[int, bytes]:
    """Process id -> command line, of all that run."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[int(file.parent.name)] = file.read_bytes()
    return found


def hosts(out: Path) -> list[int]:
    """ComfyUI processes whose folders lie in an output folder."""
    return [number for number, line in processes().items() if f"{out}/.work/".encode() in line]


def actors(out: Path) -> list[int]:
    """Ray's actors around them."""
    found = []
    for number in hosts(out):
        with contextlib.suppress(OSError, ValueError):
            parent = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
            if Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"ray::"):
                found.append(parent)
    return found


def of_ray() -> set[int]:
    marks = (b"ray::", b"/raylet/raylet", b"/gcs/gcs_server", b"/ray/_private/", b"/ray/dashboard/")
    return {number for number, line in processes().items() if any(mark in line for mark in marks)}


class Foreign:
    """A ComfyUI that no batch started, with folders of its own; what watches over it starts it again once killed."""

    def __init__(self, folder: Path):
        self.host, self.port = ensure_host(), free_port()
        names = ("input", "output", "temp", "user")
        self.further = [part for name in names for part in (f"--{name}-directory", str(folder / name))]
        for name in names:
            (folder / name).mkdir(parents=True)
        self.ended = False
        self.again = threading.Thread(target=self._again, daemon=True)
        self.server = Server(self.host, self.port, further=self.further)
        self.server.__enter__()

    def _again(self) -> None:
        while not self.ended:
            with contextlib.suppress(LaunchError):  # where it is killed before it answers
                self.server.__enter__()
                return

    def process(self) -> int | None:
        process = self.server.process
        return None if process is None or process.poll() is not None else process.pid

    def killed(self) -> None:
        """Starts it again, and does not wait for it."""
        if self.again.is_alive():  # it sees that itself
            return
        self.server.stop()
        self.again = threading.Thread(target=self._again, daemon=True)
        self.again.start()

    def stop(self) -> None:
        self.ended = True
        self.server.stop()


def kill(folder: Path, options: argparse.Namespace) -> dict:
    """Batches that end although they are killed begin anew in another folder, until all kills were spent."""
    arguments = short_cohort(folder, options)
    calm, outs = folder / "calm", [folder / "out1"]
    began = time.monotonic()
    subprocess.run([*RUN, *arguments, str(calm)], check=True, env=environment())
    chain_times = [note["seconds"] for note in cohort.Store(calm).notes()]
    starting = time.monotonic() - began - sum(chain_times)
    few = 4 * sum(chain_times) / len(chain_times)
    chance, rays = random.Random(options.seed), of_ray()
    foreign = Foreign(folder / "foreign")
    kinds: dict[str, list[str]] = {
        "local": [],
        "server": ["--server", foreign.server.url],
        **({"ray": ["--engine", "ray", "--workers", "1"]} if importlib.util.find_spec("ray") else {}),
    }
    engines = itertools.cycle(kinds)
    killed: dict[str, int] = dict.fromkeys(("driver", "worker", "server"), 0)
    drivers = 0

    def start() -> tuple[str, subprocess.Popen]:
        nonlocal drivers
        drivers += 1
        engine = next(engines)
        return engine, subprocess.Popen([*RUN, *arguments, str(outs[-1]), *kinds[engine]], env=environment())

    engine, process = start()
    try:
        while sum(killed.values()) < options.kills:
            # while a host starts, or in one of the first chains after that
            time.sleep(chance.uniform(0, few if engine == "server" else starting + few))
            if process.poll() is not None:
                if process.returncode == 0:
                    outs.append(folder / f"out{len(outs) + 1}")
                engine, process = start()
                continue
            victims = {"driver": [process.pid], "worker": [*hosts(outs[-1]), *actors(outs[-1])]}
            if engine == "server" and (number := foreign.process()):
                victims["server"] = [number]
            kind = chance.choice([kind for kind, numbers in victims.items() if numbers])
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims[kind]), signal.SIGKILL)
                killed[kind] += 1
                print(f"killed {sum(killed.values())} of {options.kills}: {kind}, engine {engine}", flush=True)
            if kind == "driver":
                process.wait()
                engine, process = start()
            elif kind == "server":
                foreign.killed()
    finally:
        process.kill()
        process.wait()
        foreign.stop()
    orphans = remaining_after_wait(lambda: sum(len(hosts(out)) for out in outs) + len(of_ray() - rays))
    for out in outs:
        subprocess.run([*RUN, *arguments, str(out)], check=True, env=environment())
    want = saved_files(calm)
    tables = [cohort.read(out, "chains") for out in outs]
    return {
        "chains": 2 * options.patients,
        "killed": killed,
        "engines": list(kinds),
        "drivers": drivers + len(outs),
        "chains_present": [len(cohort.Store(out).done()) for out in outs],
        "rows_done": [int((table["status"] == "done").sum()) for table in tables],
        "identical": [saved_files(out) == want for out in outs],
        "half_written": [str(path.relative_to(folder)) for out in outs for path in half_written(out)],
        "orphans": orphans + remaining_after_wait(lambda: sum(len(hosts(out)) for out in outs)),
    }


def remaining_after_wait(count: Callable[[], int], seconds: float = 60) -> int:
    """What is left once it had time to end: Ray's agents look for their dead raylet only now and then."""
    deadline = time.monotonic() + seconds
    while (number := count()) and time.monotonic() < deadline:
        time.sleep(1)
    return number


def short_cohort(folder: Path, options: argparse.Namespace) -> list[str]:
    """-> arguments of a batch of two seeds a patient, without its output folder."""
    return write_cohort(folder, options.patients, "0 1", stages=1, steps=options.steps, refine=0)[:-1]


def disk(folder: Path, options: argparse.Namespace) -> dict:
    """The disk of the results fills up once the first chain is done; then there is room again."""
    arguments = short_cohort(folder, options)
    calm, small = folder / "calm", folder / "small"
    subprocess.run([*RUN, *arguments, str(calm)], check=True, env=environment())
    with mounted(small, DISK_BYTES) as refusal:
        if refusal:
            return {"disk": f"not measured: {refusal}"}
        out = small / "out"
        store = cohort.Store(out)
        process = subprocess.Popen([*RUN, *arguments, str(out)], env=environment(), stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not store.done():
            time.sleep(0.1)
        fill_disk(small / "filler")
        _, errors = process.communicate()
        done = store.done()
        result = {
            "disk": errors.strip().replace(str(folder), ""),
            "done_when_full": len(done),
            "damaged": [name for chain in done for name in store.check(chain)],
            "half_written": [str(path.relative_to(out)) for path in half_written(out)],
            "processes_left": remaining_after_wait(lambda: len(hosts(out))),
        }
        (small / "filler").unlink()
        subprocess.run([*RUN, *arguments, str(out)], check=True, env=environment())
        return {**result, "chains": 2 * options.patients, "identical": saved_files(out) == saved_files(calm)}


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[str]:
    """A file system of a given size at a folder -> why there is none, "" where there is."""
    folder.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        yield "this system has no mount"
        return
    if done.returncode:
        yield f"mounting is not permitted here ({done.stderr.strip()})"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(filler: Path) -> None:
    """Leave LEFT_BYTES free, whatever else is written meanwhile."""
    with filler.open("wb") as file, contextlib.suppress(OSError):
        free = os.statvfs(filler).f_bavail * os.statvfs(filler).f_frsize
        os.posix_fallocate(file.fileno(), 0, free - LEFT_BYTES)


def slow(folder: Path, options: argparse.Namespace) -> dict:
    """Two hosts, one of which answers a byte a second as soon as it has been given a chain."""
    arguments = short_cohort(folder, options)
    calm, out = folder / "calm", folder / "out"
    subprocess.run([*RUN, *arguments, str(calm)], check=True, env=environment())
    foreign = Foreign(folder / "foreign")
    relay = type("Relay", (SlowRelay,), {"behind": foreign.server.url, "slow": threading.Event()})
    try:
        with ThreadingHTTPServer(("127.0.0.1", 0), relay) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            addresses = [f"http://127.0.0.1:{server.server_port}", foreign.server.url]
            began = time.monotonic()
            servers = [part for address in addresses for part in ("--server", address)]
            subprocess.run([*RUN, *arguments, str(out), *servers], check=True, env=environment())
            seconds = time.monotonic() - began
            server.shutdown()
    finally:
        foreign.stop()
    notes = cohort.Store(out).notes()
    return {
        "slow": [note["error"].replace(addresses[0], "the slow host") for note in notes if note["event"] == "broken"],
        "seconds": round(seconds),
        "chains": 2 * options.patients,
        "chains_present": len(cohort.Store(out).done()),
        "identical": saved_files(out) == saved_files(calm),
        "half_written": [str(path.relative_to(out)) for path in half_written(out)],
    }


class SlowRelay(BaseHTTPRequestHandler):
    """A ComfyUI that answers as the one behind it does, but a byte a second once it was given a prompt."""

    behind = ""
    slow: threading.Event

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.relay(None)

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/prompt":
            self.slow.set()
        self.relay(data)

    def relay(self, data: bytes | None) -> None:
        if self.path == "/prompt":  # which nobody computes
            body = b'{"prompt_id": "none", "node_errors": {}}'
        else:
            headers = {"Content-Type": self.headers["Content-Type"]} if data is not None else {}
            with urllib.request.urlopen(urllib.request.Request(self.behind + self.path, data, headers)) as answer:
                body = answer.read()
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        with contextlib.suppress(OSError):  # nobody waits for it any more
            if not self.slow.is_set():
                self.wfile.write(head + body)
                return
            for byte in head + body:
                self.wfile.write(bytes([byte]))
                time.sleep(1)
