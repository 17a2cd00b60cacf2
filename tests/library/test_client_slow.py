"""A server that answers a byte at a time, or never ends an answer: every request ends within its time and size."""

import itertools
import time
from pathlib import Path

import pytest
from mvgen import cohort
from mvgen.client import SERVER, Client, client, connection, following
from mvgen.cohort.engines import pool
from mvgen.cohort.engines.base import Job, NoWorkers
from mvgen.tests.library.services import Scripted, serving

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {}}}
SAVED = {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Half a second for a request, a little for a body; seconds and megabytes in the product."""
    monkeypatch.setattr(connection, "SECONDS", 0.5)
    monkeypatch.setattr(following, "PATIENCE", 0.1)
    monkeypatch.setattr(following, "CANCEL_SECONDS", 0.2)
    monkeypatch.setattr(connection, "MAX_JSON_BYTES", 100_000)
    monkeypatch.setattr(client, "MAX_RESULT_BYTES", 100_000)


class Endless(Scripted):
    """Sends parts for ever, one each ``pause`` seconds, for paths that begin with ``where``."""

    outputs = SAVED
    where, head, part, pause = "/", HEAD, b"x", 0.0

    def do_POST(self):
        if not self.endless():
            super().do_POST()

    def do_GET(self):
        if not self.endless():
            super().do_GET()

    def endless(self) -> bool:
        if not self.path.startswith(self.where):
            return False
        try:
            self.wfile.write(self.head)
            for _ in itertools.repeat(None, 2000 if self.pause else 2_000_000):
                self.wfile.write(self.part)
                time.sleep(self.pause)
        except OSError:
            self.close_connection = True
        return True


def attempted(tmp_path: Path, service: type[Endless], uploads=()) -> tuple[str, str, float]:
    """(kind, error, seconds) of a chain at such a server."""
    began = time.monotonic()
    with serving(service) as address:
        job = Job("c", GRAPH, uploads, "p", tmp_path)
        outcome = pool.attempt(Client(address), job, lambda: None, 60, "node7")
    return outcome.kind, outcome.error or "", time.monotonic() - began


PLACES = ("/prompt", "/history", "/view")


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(HEAD + b"\r\n", id="body"),
        pytest.param(HEAD + b"Content-Length: 1000000\r\n\r\n", id="body of known length"),
        pytest.param(HEAD + b"X-Long: ", id="headers"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_byte_at_a_time_costs_an_attempt_and_no_more(tmp_path, where, head):
    service = type("Slow", (Endless,), {"where": where, "head": head, "part": b"H" if not head else b"x", "pause": 0.1})
    kind, error, seconds = attempted(tmp_path, service)
    assert kind == SERVER and seconds < 6
    assert error.startswith("node7 ") and ("too slow: no whole answer in" in error or not head)


@pytest.mark.parametrize("where", PLACES)
def test_an_answer_that_never_ends_is_cut_off(tmp_path, where):
    service = type("Large", (Endless,), {"where": where, "head": HEAD + b"\r\n", "part": b"x" * 65536})
    kind, error, seconds = attempted(tmp_path, service)
    assert kind == SERVER and "sends more than 100,000 bytes" in error and seconds < 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000


def test_all_files_of_a_prompt_share_one_limit(tmp_path):
    many = {"9": {"images": [{"filename": f"{n}.png", "type": "output"} for n in range(3)]}}
    service = type("Many", (Scripted,), {"outputs": many, "default": b"x" * 40_000})
    kind, error, _ = attempted(tmp_path, service)
    assert kind == SERVER and "sends more than 20,000 bytes" in error


def test_a_compressed_answer_is_not_unpacked(tmp_path):
    packed = type("Packed", (Endless,), {"where": "/history", "head": HEAD + b"Content-Encoding: gzip\r\n\r\n"})
    packed.part = b"\x1f\x8b" + b"\0" * 10_000
    kind, error, _ = attempted(tmp_path, packed)
    assert kind == SERVER and "sends more than 100,000 bytes" in error


class Upload:
    name = "mvg_cohort/a.png"

    def read(self) -> bytes:
        return b"x" * 30_000_000


def test_a_server_that_takes_no_upload_is_too_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "LEAST_RATE", 60_000_000.0)
    service = type("Deaf", (Endless,), {"where": "/upload", "head": b"", "part": b"", "pause": 0.1})
    kind, error, seconds = attempted(tmp_path, service, (Upload(),))
    assert kind == SERVER and "too slow: no whole answer in 1 s" in error and seconds < 3


@pytest.mark.parametrize("status", [302, 307, 413])
def test_no_redirect_is_followed(tmp_path, status):
    head = b"HTTP/1.1 %d Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n" % status
    service = type("Moved", (Endless,), {"where": "/prompt", "head": head, "part": b"", "pause": 0.001})
    assert attempted(tmp_path, service)[:2] == (SERVER, f"node7 answered {status} (Elsewhere)")


def test_a_slow_server_is_named_before_the_batch(tmp_path):
    service = type("Slow", (Endless,), {"head": HEAD + b"\r\n", "pause": 0.1})
    with serving(service) as address:
        engine = cohort.Pool([cohort.RunningServer(address, patience=0.1)])
        began = time.monotonic()
        with pytest.raises(NoWorkers, match=r"no ComfyUI answers at .*no whole answer in"):
            engine.start(frozenset())
        engine.close()
    assert time.monotonic() - began < 5


def test_words_of_a_server_do_not_steer_the_terminal(tmp_path):
    data = {"node_type": "Save\x1b]0;title\x07", "exception_message": "\x1b[2Jgone" + "x" * 10_000}
    entry = {"status": {"messages": [["execution_error", data]], "completed": False}}
    with pytest.raises(following.PromptFailed) as error:
        following.outputs_of(entry)
    assert str(error.value).startswith("Save]0;title: [2Jgone") and len(str(error.value)) < 1100
