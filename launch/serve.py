"""ComfyUI with our extension, for the browser."""

import os
from pathlib import Path

from .errors import UsageError
from .host import prepare
from .server import LOOPBACK, Server, free_port, is_free
from .study_arguments import VARIABLE, check_studies

PORT = 8188
LISTENS = "It listens on all network interfaces: anyone who reaches this machine can use it."


def serve(port: int | None, listen: bool, studies: list[Path]) -> int:
    """Run until Ctrl-C. Without ``port`` it is 8188, or a free one where that is in use. studies: folders of them."""
    check_studies(studies)
    address = "0.0.0.0" if listen else LOOPBACK
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port is {port}: give 1 to 65535.")
    if port is not None and not is_free(port, address):
        raise UsageError(f"port {port} is in use. Stop what uses it, or choose another with --port.")
    host = prepare()
    if port is None:
        port = PORT if is_free(PORT, address) else free_port()
    print(f"starting ComfyUI {host.version} ({host.found_by}) ...", flush=True)
    environment = {VARIABLE: os.pathsep.join(str(folder.absolute()) for folder in studies)} if studies else {}
    with Server(host, port, address, environment=environment) as server:
        print(f"ComfyUI with MVG: {server.url}   (Ctrl-C stops it; log: {server.log})", flush=True)
        for line in study_lines(server.log) if studies else ():
            print(f"study {line}", flush=True)
        if listen:
            print(LISTENS, flush=True)
        assert server.process is not None
        try:
            server.process.wait()
            server.check_alive("by itself")
        except KeyboardInterrupt:
            print("stopped", flush=True)
        return 0


def study_lines(log: Path) -> list[str]:
    """What the log of the server says of studies: which are served, why another is not, and what is public."""
    mark = "MVG study: "
    return [line.partition(mark)[2] for line in log.read_text(errors="replace").splitlines() if mark in line]
