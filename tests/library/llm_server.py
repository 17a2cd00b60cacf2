"""A real HTTP server that speaks the little of OpenAI's protocol that the recaption client needs."""

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mvgen.mvg.recaption.endpoints import Endpoint

KEY, KEY_ENV = "sk-very-secret-0123456789", "MVG_TEST_KEY"


def completion(content):
    text = content if isinstance(content, str) else json.dumps(content)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


class Server(ThreadingHTTPServer):
    """Speaks /v1/chat/completions: each call takes the next of ``turns``, the last one again and again.

    A turn is an answer (dict or text), (status, headers, body), a float to hang for, or "cut".
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, *turns):
        super().__init__(("127.0.0.1", 0), Handler)
        self.turns, self.requests, self.released = turns, [], threading.Event()

    @property
    def endpoint(self):
        return Endpoint("local", f"http://127.0.0.1:{self.server_port}/v1", "tiny", KEY_ENV)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turn = server.turns[min(len(server.requests), len(server.turns) - 1)]
        server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if turn == "cut":
            self.connection.close()
            return
        if isinstance(turn, float):
            server.released.wait(turn)
            return
        status, headers, data = turn if isinstance(turn, tuple) else (200, {}, json.dumps(completion(turn)))
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data.encode())

    def finish(self):
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *args):
        pass


@contextmanager
def serving(*turns):
    server = Server(*turns)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
