"""ComfyUI with our extension, for the browser."""

from .errors import UsageError
from .host import prepare
from .server import LOOPBACK, Server, free_port, is_free

PORT = 8188


def serve(port: int | None, listen: bool) -> int:
    """Run until Ctrl-C. Without ``port`` it is 8188, or a free one where that is in use."""
    address = "0.0.0.0" if listen else LOOPBACK
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"--port is {port}: give 1 to 65535.")
    if port is not None and not is_free(port, address):
        raise UsageError(f"port {port} is in use. Stop what uses it, or choose another with --port.")
    host = prepare()
    if port is None:
        port = PORT if is_free(PORT, address) else free_port()
    print(f"starting ComfyUI {host.version} ({host.found_by}) ...", flush=True)
    with Server(host, port, address) as server:
        print(f"ComfyUI with MVG: {server.url}   (Ctrl-C stops it; log: {server.log})", flush=True)
        if listen:
            print("It listens on all network interfaces: anyone who reaches this machine can use it.", flush=True)
        assert server.process is not None
        try:
            server.process.wait()
            server.check_alive("by itself")
        except KeyboardInterrupt:
            print("stopped", flush=True)
        return 0
