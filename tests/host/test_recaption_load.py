"""While the slowest report is read, the real server answers others and heeds Cancel."""

import threading
import time

import pytest

UNITS = {"numbers": "1 ", "lines": "A\n", "words": "van der effusion. "}


def graph(report):
    asked = {"domain": "chest_xray", "stages": 3, "mode": "ladder", "finding": "auto", "strict": False}
    return {
        "report": {"class_type": "MVG_LoadReport", "inputs": {"report": report}},
        "recaption": {"class_type": "MVG_Recaption", "inputs": {"report": ["report", 0], **asked}},
        "words": {"class_type": "PreviewAny", "inputs": {"source": ["recaption", 2]}},
    }


@pytest.fixture
def slow(server):
    def write(name, end):
        """A new file each time, as the host keeps what it has read."""
        text = (UNITS[name] * 100_000)[: 100_000 - len(end)] + end
        (server.base / "input" / f"slow_{name}.txt").write_text(text, encoding="utf-8")
        return f"slow_{name}.txt"

    return write


@pytest.mark.parametrize("name", UNITS)
def test_the_server_answers_meanwhile(server, slow, name):
    waits, reading, done = [], threading.Event(), threading.Event()

    def ask():
        reading.wait(60)
        while not done.is_set():
            start = time.monotonic()
            server.get("/system_stats")
            waits.append(time.monotonic() - start)

    def watch(kind, data):
        if kind == "executing":
            (reading if data["node"] == "recaption" else done if reading.is_set() else threading.Event()).set()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        server.run(graph(slow(name, " mild edema")), watch=watch)
    finally:
        reading.set()
        done.set()
        asking.join()
    assert len(waits) > 3 and max(waits) < 0.5, (len(waits), max(waits))


@pytest.mark.parametrize("name", UNITS)
def test_cancel_is_heeded_within_a_second(server, slow, name):
    pressed = []

    def press(kind, data):
        if kind == "executing" and data["node"] == "recaption":
            pressed.append(time.monotonic())
            server.post("/interrupt")

    run = server.run(graph(slow(name, " severe edema")), watch=press)
    assert run.interrupted
    assert time.monotonic() - pressed[0] < 1
