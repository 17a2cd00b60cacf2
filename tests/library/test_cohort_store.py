"""The output folder: whole chains or none, one batch at a time."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock
from mvgen.cohort import store as store_module
from mvgen.cohort.normalized_output import normalize
from mvgen.cohort.pictures import BrokenPicture
from mvgen.cohort.problems import CohortError
from mvgen.cohort.store import DONE, Busy, Store
from PIL import Image

HOLD = """
import sys, time
from pathlib import Path
from mvgen.cohort.store import Store
store = Store(Path(sys.argv[1]), sys.argv[2])
with store.lock():
    (store.partial("half") / "file").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "out")


def make(store: Store, chain: str, text: str = "one"):
    partial = store.partial(chain)
    (partial / "part").mkdir()
    (partial / "scores.json").write_text(text)
    Image.new("L", (8, 8)).save(partial / "part" / "stage_00.png")
    return partial


def test_a_chain_is_there_whole_or_not_at_all(store):
    with store.lock():
        partial = make(store, "c1")
        assert store.done() == set()
        folder = store.keep("c1", partial)
        assert store.done() == {"c1"} and not partial.exists()
        assert set(json.loads((folder / DONE).read_text())["files"]) == {"scores.json", "part/stage_00.png"}
        assert store.check("c1") == []
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        store.keep("c1", make(store, "c1"))  # another has computed it meanwhile: the same
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        (folder / "scores.json").write_text("two")
        assert store.check("c1") == ["scores.json"]
    assert not store.partials.exists()


def test_a_folder_without_done_file_is_none(store):
    with store.lock():
        (store.folder("c1")).mkdir(parents=True)
        (store.folder("c1") / "left.png").touch()
        assert store.done() == set()
        folder = store.keep("c1", make(store, "c1"))
        assert store.done() == {"c1"} and not (folder / "left.png").exists()


@pytest.mark.parametrize("damage", [lambda png: png[:-20], lambda png: b"", lambda png: png[:40] + b"x" * 9 + png[49:]])
def test_no_chain_is_closed_with_a_broken_picture(store, damage):
    with store.lock():
        partial = make(store, "c1")
        picture = partial / "part" / "stage_00.png"
        picture.write_bytes(damage(picture.read_bytes()))
        with pytest.raises(BrokenPicture, match=r"^part/stage_00\.png is no whole picture: ") as error:
            store.keep("c1", partial)
        assert str(store.out) not in str(error.value) and store.done() == set()


@pytest.mark.parametrize("name", ["part/stage_00.png", "scores.json"])
def test_a_chain_whose_files_were_broken_later_is_made_again(store, name):
    with store.lock():
        folder = store.keep("c1", make(store, "c1"))
        store.keep("c2", make(store, "c2"))
        (folder / name).write_bytes(b"cut off")
        assert store.done() == {"c2"} and store.damages()["c1"] == f"{name} is not as it was written"
        (folder / name).unlink()
        assert store.done() == {"c2"} and store.damages() == {"c1": f"{name} is missing", "c2": None}
        store.fail("c1", {"error": "no"})
        assert set(store.failures()) == {"c1"}
        store.keep("c1", make(store, "c1"))
        assert store.done() == {"c1", "c2"} and store.failures() == {}
        (folder / DONE).write_text("{")
        assert store.damages()["c1"] == "done.json is damaged (JSONDecodeError)"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_what_a_kill_would_leave_is_for_its_owner_alone(store):
    mask = os.umask(0o022)
    try:
        with store.lock():
            partial = make(store, "c1")
            modes = {path.name: path.stat().st_mode & 0o777 for path in (partial.parents[1], store.work.parent)}
            assert modes == {".partial": 0o700, ".work": 0o700}
            assert store.keep("c1", partial).stat().st_mode & 0o777 == 0o755  # results are as the user's umask says
    finally:
        os.umask(mask)


def test_failures_are_recorded_and_forgotten_once_the_chain_is_there(store):
    with store.lock():
        store.fail("c1", {"error": "no"})
        assert store.failures() == {"c1": {"error": "no"}}
        folder = store.keep("c1", make(store, "c1"))
        assert store.failures() == {}
        store.fail("c1", {"error": "no"})  # killed before it could be forgotten
        assert store.failures() == {}
        (folder / DONE).unlink()
        assert store.failures() == {"c1": {"error": "no"}}


def test_a_journal_that_was_cut_off_is_read_as_far_as_it_goes(store):
    with store.lock():
        store.note(event="done", chain="c1", seconds=1.5)
        with store.journal.open("a") as file:
            file.write('{"event": "do')
        assert [note["chain"] for note in store.notes()] == ["c1"]
    with store.lock():
        store.note(event="done", chain="c2", seconds=1.5)
        assert [note["chain"] for note in store.notes()] == ["c1", "c2"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files")
def test_a_power_cut_leaves_a_whole_chain_or_none(store, monkeypatch):
    """What is on the disk for good, in this order: contents, names, the new place."""
    done, sync = [], os.fsync

    def noted(number: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{number}")).name)
        sync(number)

    monkeypatch.setattr(store_module.os, "fsync", noted)
    with store.lock():
        partial = make(store, "c1")
        store.keep("c1", partial)
    assert set(done[:2]) == {"scores.json", "stage_00.png"} and done[2].startswith(f".{DONE}.")
    assert done[3:] == ["part", partial.name, "chains"]


def test_a_damaged_record_is_named(store):
    store.out.mkdir()
    (store.out / store_module.RECORD).write_text("")
    with pytest.raises(CohortError, match=r"cohort.json: .* is damaged .* delete it"):
        store.record()


def test_a_file_system_without_locks_is_named(store, monkeypatch):
    def refused(*arguments, **options):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", refused)
    with pytest.raises(OSError, match="lies on a file system that gives no locks"), store.lock():
        pass


def test_files_that_a_killed_batch_was_writing_are_cleared(store):
    with store.lock():
        for left in (store.out / ".chains.csv.1234.tmp", store.failed / ".c1.json.1234.tmp"):
            left.touch()
    assert list(store.out.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    ("held", "wanted", "refused"),
    [
        ("all", "all", True),
        ("all", "1-of-2", True),
        ("1-of-2", "all", True),
        ("1-of-2", "1-of-3", True),
        ("1-of-2", "1-of-2", True),
        ("1-of-2", "2-of-2", False),
    ],
)
def test_a_second_batch_is_refused_unless_it_is_another_part(tmp_path, monkeypatch, held, wanted, refused):
    monkeypatch.setattr(store_module, "PROBE_SECONDS", 0.1)
    with Store(tmp_path, held).lock():
        second = Store(tmp_path, wanted).lock()
        if refused:
            with pytest.raises(Busy, match=rf"process {os.getpid()} on .* works on"), second:
                pass
        else:
            with second:
                pass
    with Store(tmp_path, wanted).lock():
        pass


def test_whoever_waits_gets_its_turn(tmp_path, monkeypatch):
    """A part and the whole, which each find the other's lock in their way."""
    monkeypatch.setattr(store_module, "PROBE_SECONDS", 0.1)
    told, ended = [], []

    def wait(shard: str) -> None:
        with Store(tmp_path, shard).lock(wait=True, on_wait=told.append):
            ended.append(shard)

    with Store(tmp_path).lock():
        waiting = [threading.Thread(target=wait, args=[shard], daemon=True) for shard in ("1-of-2", "all", "all")]
        for thread in waiting:
            thread.start()
        deadline = time.monotonic() + 60
        while len(told) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ended == [] and set(told) == {f"process {os.getpid()} on {socket.gethostname()} works on {tmp_path}"}
    for thread in waiting:
        thread.join(60)
    assert sorted(ended) == ["1-of-2", "all", "all"]


def test_parts_that_look_at_the_same_moment_whether_the_whole_runs_do_not_refuse_each_other(tmp_path):
    with Store(tmp_path).lock():
        pass
    looks = FileLock(tmp_path / ".lock-all", thread_local=False)
    looks.acquire()
    threading.Timer(0.3, looks.release).start()
    with Store(tmp_path, "1-of-2").lock():
        pass


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_what_a_killed_batch_left_half_done_is_cleared_by_the_next(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path), "all"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    store = Store(tmp_path)
    with pytest.raises(Busy, match=f"process {holder.pid} on"), store.lock():
        pass
    assert list(store.partials.iterdir())
    holder.send_signal(signal.SIGKILL)
    began = time.monotonic()
    with store.lock(wait=True):
        assert not store.partials.exists() and store.done() == set()
    assert time.monotonic() - began < 10
    holder.wait()


def test_what_is_kept_depends_on_the_chain_alone(tmp_path):
    kept = []
    for n, prefix in enumerate(("mvg_cohort/c1", "mvg_cohort/c1-7e57")):
        folder = tmp_path / str(n)
        folder.mkdir()
        header = "chain,stage,metric,value,model,settings\n"
        (folder / "scores.csv").write_text(f"{header}{prefix},1,conf,0.5,m,{{}}\nPIE,1,conf,0.25,m,{{}}\n")
        record = {"created": f"today {n}", "device": f"cuda:{n}", "files": {"scores.csv": f"{n}"}}
        record["parameters"] = {"12": {"folder_prefix": prefix, "fps": 8.0}}
        (folder / "provenance.json").write_text(json.dumps(record))
        normalize(folder, prefix, "c1")
        kept.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert kept[0] == kept[1]
    assert b"\nc1,1,conf,0.5" in kept[0]["scores.csv"] and b"\nc1/PIE,1,conf,0.25" in kept[0]["scores.csv"]
    record = json.loads(kept[0]["provenance.json"])
    assert set(record) == {"files", "parameters"} and record["parameters"]["12"]["folder_prefix"] == "c1"
    assert len(record["files"]["scores.csv"]) == 64
