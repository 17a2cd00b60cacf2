"""``run.py batch`` from the outside, in the real host: killed on the way, it ends as if nothing had happened."""

import csv
import filecmp
import json
import os
import signal
import time
from pathlib import Path

import pytest
from mvgen import cohort
from mvgen.study.films import read_frames
from mvgen.study.sources import find
from mvgen.tests.host.cloning import Clone, check_one_line
from mvgen.tests.host.hosting import ROOT
from mvgen.tests.library.cohort_files import REPORT, workflow

QUICK = {
    "MVG_Recaption": {"stages": 1},
    "MVG_PIELoop": {"steps": 4, "gamma": 0.5, "refine": 0},
    "MVG_SEINETransition": {"frames": 3, "steps": 1},
}
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone(tmp_path_factory.mktemp("batch") / "mvg")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two patients of one seed; the second has a prompt in place of a report, and a mask."""
    folder = tmp_path_factory.mktemp("cohort")
    workflow(folder, **QUICK)
    (folder / "report.txt").write_text(REPORT)
    sample = ROOT / "samples" / "chest_xray.png"
    rows = [
        ["patient_id", "image", "report", "prompt", "mask", "seeds", "guidance"],
        ["P1", sample, "report.txt", "", "", "1", ""],
        ["P2", sample, "", "Mild cardiomegaly, expected to progress.", sample, "1", "2.0"],
    ]
    with (folder / "cohort.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def arguments(files: Path, out: Path) -> tuple:
    return "batch", files / "cohort.csv", "--workflow", files / "workflow.json", "--out", out


def kill_server(clone: Clone, number: int = signal.SIGKILL) -> None:
    for process in clone.servers():
        os.kill(process, number)


def wait_until(true, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def same(left: Path, right: Path) -> bool:
    names = sorted(path.relative_to(left) for path in left.rglob("*") if path.is_file())
    if names != sorted(path.relative_to(right) for path in right.rglob("*") if path.is_file()):
        return False
    return all(filecmp.cmp(left / name, right / name, shallow=False) for name in names)


def running(clone: Clone) -> bool:
    """A server has taken a prompt."""
    logs = clone.folder.parent.rglob("worker-1.log")
    return any("got prompt" in log.read_text(errors="replace") for log in logs)


@pytest.fixture(scope="module")
def quiet(server, clone, files) -> Path:
    """The cohort as a server that runs undisturbed computes it."""
    out = clone.folder.parent / "quiet"
    done = clone.run(*arguments(files, out), "--server", server.address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2: row 3 (P2), seed 1" in done.stdout and "| conf |" in done.stdout
    return out


def test_tables_and_page_tell_the_finding_of_each_chain_and_no_word_of_its_report(quiet):
    chains = cohort.read(quiet, "chains")
    assert dict(zip(chains["patient_id"], chains["finding"], strict=True)) == {
        "P1": "pleural effusion",
        "P2": "cardiomegaly",
    }
    for chain in chains.itertuples():
        plan = json.loads((quiet / "chains" / chain.chain / "provenance.json").read_text())["plan"]
        assert chain.notes == "; ".join(plan["notes"])
    assert set(cohort.read(quiet, "summary")["finding"]) == {"pleural effusion", "cardiomegaly"}
    html = (quiet / "report.html").read_text()
    assert "<h3>cardiomegaly</h3>" in html and "video.mp4" in html and REPORT not in html


def test_its_films_are_found_for_a_study(quiet):
    found = find(f"PIE={quiet}")
    assert [(clip.method, clip.domain, clip.patient, clip.labelled) for clip in found] == [
        ("PIE", "chest_xray", "P1", True),
        ("PIE", "chest_xray", "P2", True),
    ]
    assert [clip.finding for clip in found] == ["pleural effusion", "cardiomegaly"]
    assert len(read_frames(found[0].file, "P1")) == 3


@POSIX
def test_killed_servers_and_drivers_change_nothing(clone, files, quiet):
    hard = clone.folder.parent / "hard"
    driver = clone.start(*arguments(files, hard))  # the server dies in the middle of a chain, then the driver
    wait_until(lambda: running(clone))
    kill_server(clone)
    wait_until(lambda: list((hard / "journal").glob("*")))
    wait_until(clone.servers)
    driver.kill()
    driver.communicate()
    clone.check_nothing_left()
    dry = clone.run(*arguments(files, hard), "--dry-run")
    assert dry.returncode == 0 and "chains: 2" in dry.stdout and "time: about" in dry.stdout

    done = clone.run(*arguments(files, hard))
    assert done.returncode == 0, done.stdout + done.stderr
    assert same(quiet / "chains", hard / "chains")
    assert not [path for path in hard.iterdir() if path.name in (".partial", ".work", "logs")]
    clone.check_nothing_left()

    again = clone.run(*arguments(files, hard))
    assert again.returncode == 0 and "2 done, 0 to run" in again.stdout
    scores = cohort.read(hard)
    assert set(scores["patient_id"]) == {"P1", "P2"} and {"conf", "clip_i"} <= set(scores["metric"])
    record = json.loads(next(hard.rglob("provenance.json")).read_text())
    assert "created" not in record and "mvg_cohort" not in json.dumps(record["parameters"]["12"])
    leaked = [path for path in hard.rglob("*") if path.is_file() and REPORT.encode() in path.read_bytes()]
    assert leaked == []


@POSIX
def test_a_batch_that_is_stopped_stops_its_servers(clone, files):
    driver = clone.start(*arguments(files, clone.folder.parent / "stopped"))
    wait_until(clone.servers)
    driver.send_signal(signal.SIGTERM)
    driver.communicate(timeout=60)
    assert driver.returncode == 143
    clone.check_nothing_left()


def test_what_a_server_would_refuse_is_said_before_anything_runs(server, clone, files, quiet):
    graph = json.loads((files / "workflow.json").read_text())
    graph["6"]["inputs"]["scheduler"] = "none such"
    (files / "wrong.json").write_text(json.dumps(graph))
    wrong = ("batch", files / "cohort.csv", "--workflow", files / "wrong.json", "--out", quiet)
    for further in ([], ["--dry-run"]):
        refused = clone.run(*wrong, "--server", server.address, *further)
        assert refused.returncode == 2
        assert "workflow: scheduler: got 'none such', want one of: " in refused.stderr
        assert refused.stderr.endswith("error: 1 thing to correct, named above; nothing was run.\n")


def test_what_is_wrong_with_the_options_is_one_line(clone, files):
    for words, further in (
        ("--shard is '9/8'", ("--shard", "9/8")),
        ("go together", ("--engine", "server")),
        ("--devices is for --engine local", ("--server", "x", "--devices", "0")),
    ):
        done = clone.run(*arguments(files, clone.folder.parent / "never"), *further)
        assert done.returncode == 2
        check_one_line(done.stderr, words)
