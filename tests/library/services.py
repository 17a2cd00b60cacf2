"""HTTP services on this machine for the tests: what a client meets that is no well-behaved ComfyUI."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Service(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def take(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))


@contextlib.contextmanager
def serving(service: type[Service]) -> Iterator[str]:
    """-> its address. A thread a request: one that hangs must not keep the server from its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), service) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Scripted(Service):
    """Takes every prompt and says at once that it is done. outputs: its history; files: name -> content."""

    outputs: Any = None
    files: ClassVar[dict[str, bytes]] = {}
    default = b"sent by the server"

    def do_POST(self):
        self.take()
        self.answer(b'{"prompt_id": "p"}')

    def do_GET(self):
        if self.path.startswith("/history/"):
            entry = {"outputs": self.outputs, "status": {"completed": True, "messages": []}}
            self.answer(json.dumps({"p": entry}).encode())
            return
        named = self.path.partition("filename=")[2].partition("&")[0]
        self.answer(self.files.get(named, self.default))


def scripted(outputs: Any, files: dict[str, bytes] | None = None) -> type[Scripted]:
    return type("Answering", (Scripted,), {"outputs": outputs, "files": files or {}})
