"""``run.py demo`` from the outside, in the real host."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def command(out: Path, *options: str) -> list[str]:
    return [sys.executable, str(ROOT / "run.py"), "demo", "--stages", "1", "--out", str(out), *options]


def test_the_demo_leaves_one_complete_folder(tmp_path):
    done = subprocess.run(command(tmp_path, "--seed", "3"), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert f"result: {folder}" in done.stdout and "stage 1 of 1" in done.stdout
    names = {file.name for file in folder.iterdir()}
    needed = {"video.mp4", "stage_00.png", "stage_01.png", "contact_sheet.png", "plot.png", "scores.json"}
    assert needed | {"provenance.json"} <= names and "stage_02.png" not in names
    report = (ROOT / "samples" / "chest_xray.txt").read_text().strip()
    provenance = (folder / "provenance.json").read_text()
    assert json.loads(provenance) and report not in provenance
    assert not list((ROOT / ".host" / "base" / "input").glob("demo-*"))


def test_a_text_file_named_png_is_refused_before_anything_starts(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    done = subprocess.run(command(tmp_path / "out", "--image", str(text)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "text.png is no readable PNG or JPEG" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_demo_leaves_no_server_and_no_folder(tmp_path, sent, code):
    out = tmp_path / "out"
    before = set((ROOT / ".host" / "logs").glob("*.log")) if (ROOT / ".host" / "logs").is_dir() else set()
    # a shell starts its background jobs with SIGINT ignored, and a child keeps that
    process = subprocess.Popen(
        command(out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    while "starting" not in (line := process.stdout.readline()):
        assert line, process.communicate()
    deadline = time.monotonic() + 120
    while not (new := set((ROOT / ".host" / "logs").glob("*.log")) - before):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert not out.exists()
    (log,) = new
    size = log.stat().st_size
    time.sleep(2)
    assert log.stat().st_size == size
