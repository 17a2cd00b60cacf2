"""One demo: a cohort of one patient on a ComfyUI of its own, with a line as each part ends."""

import argparse
import secrets
import shutil
import time
from pathlib import Path

from ...client import DISK, SERVER, Client, PromptFailed, StatusError
from ...launch.arguments import check_demo
from ...launch.errors import LaunchError
from ...launch.host import ensure_host
from ...launch.paths import BASE
from ...launch.server import Server, free_port
from ..chains import graph_of, uploads_of
from ..engines.base import is_full
from ..manifest import Patient
from ..workflow import Graph
from . import inputs, result
from .progress import Progress, Timing

LEAST_ROOM = 16_000_000  # bytes: with less ComfyUI cannot take an upload


def run(options: argparse.Namespace) -> int:
    """Check, compute, publish.

    Args:
        options: Of ``run.py demo``.

    Returns:
        Exit code 0.

    Raises:
        LaunchError: In one line what went wrong, and what to do.
    """
    check_demo(options)
    token = f"demo-{secrets.token_hex(4)}"
    request = inputs.read(options, token)
    print("\n".join(request.lines), flush=True)
    patient = request.patient
    graph = graph_of(request.workflow, patient, patient.seeds[0], token)
    host = ensure_host()
    print(f"starting ComfyUI {host.version} ({host.found_by}) ...", flush=True)
    timing = Timing()

    def write(folder: Path) -> None:
        with result.scratch(token), Server(host, free_port()) as server:
            timing.line("start of ComfyUI", timing.part("start of ComfyUI"))
            compute(server, graph, patient, folder, Progress(timing, graph, options.stages))

    folder = result.publish(options.out, write)
    timing.part("end of ComfyUI, copy of the result")
    timing.table()
    print(f"result: {folder}", flush=True)
    return 0


def compute(server: Server, graph: Graph, patient: Patient, folder: Path, progress: Progress) -> None:
    """Have a server of ours compute the patient's prompt into a folder; LaunchError where it does not."""
    try:
        Client(server.url).run(
            graph,
            uploads_of(patient),
            folder,
            check=lambda: server.check_alive("during the run"),
            on_message=progress,
        )
    except PromptFailed as error:
        told = str(error)
        if error.kind == DISK:
            told = f"the disk is full ({told.partition(':')[0]}). Free some space and run this again."
        elif error.kind == SERVER:
            told += ". Run this again."
        raise LaunchError(told) from error
    except OSError as error:
        if is_full(error):
            raise
        if isinstance(error, StatusError) and shutil.disk_usage(BASE / "input").free < LEAST_ROOM:
            raise LaunchError(f"the disk is full ({BASE}). Free some space and run this again.") from error
        time.sleep(1)  # a process that ends closes its connections before it has ended
        server.check_alive("during the run")
        raise LaunchError(f"the connection to ComfyUI broke ({error}). Its log is {server.log}.") from error
