"""A pool of hosts that break, hang or answer oddly: the right chain pays for it, and the batch goes on."""

import threading
from pathlib import Path

import pytest
from mvgen import cohort
from mvgen.client import DISK, PROMPT, SERVER, Client, PromptFailed, ServerInfo, connection, following, history
from mvgen.cohort import batch
from mvgen.cohort.engines import local, pool
from mvgen.cohort.engines.base import Job, NoWorkers
from mvgen.cohort.engines.pool import attempt
from mvgen.cohort.files import FOLDER
from mvgen.tests.library.cohort_files import VERSIONS, five_chains, run
from mvgen.tests.library.services import Service, serving


@pytest.fixture
def plan(tmp_path) -> cohort.Cohort:
    return five_chains(tmp_path)


@pytest.fixture
def store(tmp_path) -> cohort.Store:
    return cohort.Store(tmp_path / "out")


class Host:
    """A worker whose chains all end in the same way."""

    def __init__(self, name: str, failure: PromptFailed | None = None):
        self.name, self.failure = name, failure
        self.ran = self.kept = 0

    def ready(self, check):
        return self

    def info(self, classes):
        return ServerInfo(self.name, VERSIONS, "cpu", {name: {} for name in classes})

    def run(self, graph, uploads, into, check, limit):
        self.ran += 1
        if self.failure:
            raise self.failure
        (into / "result.txt").write_text("a result")

    def clear(self):
        self.kept += 1

    def check(self):
        pass

    restart = stop = check


def test_a_host_that_breaks_every_chain_is_left_out(plan, store, monkeypatch):
    monkeypatch.setattr(pool, "MAX_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pool, "MAX_FAILURES", 2)
    sick, well = Host("sick", PromptFailed("it answered 500", SERVER)), Host("well")
    run(plan, store, cohort.Pool([sick, well]))
    assert store.done() == plan.ids() and sick.ran <= 2 and well.kept == 5


def test_where_no_host_keeps_a_chain_the_batch_ends(plan, store, monkeypatch):
    monkeypatch.setattr(pool, "MAX_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pool, "MAX_FAILURES", 4)
    sick = Host("sick", PromptFailed("it answered 500", SERVER))
    with pytest.raises(NoWorkers, match="sick broke 4 chains in a row, the last as it answered 500"):
        run(plan, store, cohort.Pool([sick]))
    assert sick.ran == 4


def test_a_host_of_ours_keeps_nothing_of_a_chain_that_was_fetched(tmp_path):
    host = Host(tmp_path, "given")
    server = local.LocalServer(host, "cpu", tmp_path / "worker", tmp_path / "log")
    for name in ("input", "output"):
        (server.folder / name / FOLDER).mkdir(parents=True)
        (server.folder / name / FOLDER / "a.png").touch()
        (server.folder / name / "pictures").mkdir()
    server.clear()
    assert [path.name for path in server.folder.glob("*/*")] == ["pictures"] * 2


def test_a_host_whose_disk_is_full_is_named(plan, store):
    with pytest.raises(batch.DiskFull, match="node7: Save: no room"):
        run(plan, store, cohort.Pool([Host("node7", PromptFailed("Save: no room", DISK))]))


@pytest.mark.parametrize(
    ("kind", "message", "ends"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", SERVER),
        ("torch.AcceleratorError", "CUDA error: an illegal memory access was encountered", SERVER),
        ("RuntimeError", "CUDA error: unspecified launch failure", SERVER),
        ("OSError", "[Errno 28] No space left on device", DISK),
        ("ValueError", "report: says nothing of any finding", PROMPT),
    ],
)
def test_what_a_card_in_error_breaks_is_tried_again(kind, message, ends):
    told = {"node_type": "MVG_PIELoop", "exception_type": kind, "exception_message": message, "current_inputs": "text"}
    with pytest.raises(PromptFailed) as error:
        history.outputs_of({"status": {"messages": [["execution_error", told]]}})
    assert error.value.kind == ends and "text" not in str(error.value.details)
    assert ends != DISK or str(error.value) == "MVG_PIELoop: its disk is full"


def attempted(plan, address: str, into: Path) -> tuple[str, str | None]:
    """(kind, error) of a chain sent there."""
    outcome = attempt(Client(address), Job("c", {}, plan.chains[0].patient.files, "p", into), lambda: None, 9, address)
    return outcome.kind, outcome.error


class Odd(Service):
    """A service that is no ComfyUI."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"system": {}}' if self.path == "/system_stats" else b"[]")


def test_what_answers_otherwise_than_a_comfyui_is_named(plan, store):
    with serving(Odd) as address:
        one = cohort.RunningServer(address, patience=0.1)
        with pytest.raises(NoWorkers, match=f"{address} answers as no ComfyUI does"):
            run(plan, store, cohort.Pool([one]))
    assert one.patience == pool.RESTART_SECONDS  # it has answered once, and is waited for from now on


class Hanging(Service):
    """A host that takes a prompt and then says nothing any more."""

    ended = threading.Event()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path not in ("/prompt", "/upload/image"):
            self.ended.wait(10)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"prompt_id": "p"}')

    def do_GET(self):
        self.ended.wait(10)


def test_a_host_that_hangs_costs_a_chain_an_attempt_and_not_the_batch(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.1)
    monkeypatch.setattr(following, "PATIENCE", 0.2)
    with serving(Hanging) as address:
        ended = attempted(plan, address, tmp_path)
        Hanging.ended.set()
    assert ended == (SERVER, f"{address} is too slow: no whole answer in 0 s, 0 bytes of it")


class Failing(Service):
    """A host that has no room for what is sent to it."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(500)


def test_what_a_host_answers_is_told(plan, tmp_path):
    with serving(Failing) as address:
        assert attempted(plan, address, tmp_path) == (SERVER, f"{address} answered 500 (Internal Server Error)")
