"""``run.py demo`` and ``serve`` from the outside, in the real host."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import pytest
from mvgen.tests.host.cloning import DEAD_PROXY, NO_NETWORK, Clone, can_cut_the_network
from mvgen.tests.host.hosting import ROOT, free_port
from PIL import Image

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
ALWAYS = {"video.mp4", "contact_sheet.png", "plot.png", "scores.json", "provenance.json"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone") / "mvg")


@pytest.fixture
def files(tmp_path) -> Path:
    """Files that a user might give by mistake."""
    pixels = np.asarray(Image.open(ROOT / "samples" / "chest_xray.png").convert("L"))
    Image.fromarray(pixels).save(tmp_path / "image.png")
    Image.fromarray(pixels[:80, :100]).save(tmp_path / "small.png")
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "binary.txt").write_bytes(b"report\0")
    return tmp_path


def stages_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("stage_*.png"))


def test_the_demo_leaves_one_complete_folder_and_needs_no_network(clone, tmp_path):
    prefix = NO_NETWORK if can_cut_the_network() else ()
    done = clone.run("demo", "--stages", "2", "--out", tmp_path, prefix=prefix, **DEAD_PROXY)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("demo-") and done.stdout.endswith(f"result: {folder}\n")
    for line in ("start of ComfyUI: ", "stage 1 of 2: ", "stage 2 of 2: ", "in all "):
        assert line in done.stdout
    names = {file.name for file in folder.iterdir()}
    pictures = {f"stage_{n:02d}.png" for n in range(3)} | {f"difference_{n:02d}.png" for n in (1, 2)}
    assert names == ALWAYS | pictures

    with av.open(str(folder / "video.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 2 * (16 - 1) + 1
    original = np.asarray(Image.open(ROOT / "samples" / "chest_xray.png").convert("RGB"))
    stages = [np.asarray(Image.open(file)) for file in stages_of(folder)]
    assert (stages[0] == original).all()
    assert (stages[2] != original).any()

    scores = json.loads((folder / "scores.json").read_text())
    assert len(scores["conf"]["values"]) == 3 and all(0 <= value <= 1 for value in scores["conf"]["values"])
    record = json.loads((folder / "provenance.json").read_text())
    assert record["stages"] == 2 and record["models"] and record["seeds"] and record["versions"]["comfyui"]
    report = (ROOT / "samples" / "chest_xray.txt").read_text()
    words = [line.encode() for line in report.splitlines() if len(line) > 20]
    assert words and not [file for file in folder.iterdir() if any(word in file.read_bytes() for word in words)]
    assert not list(clone.logs.glob("*.log"))
    clone.check_nothing_left()


def test_every_option_reaches_the_run(clone, files, tmp_path):
    (files / "report.txt").write_text("Small left pleural effusion, increasing.")
    mask = np.zeros((128, 128), dtype=np.uint8)
    mask[64:, 64:] = 255
    Image.fromarray(mask).save(files / "mask.png")
    given = ("--image", files / "image.png", "--report", files / "report.txt", "--mask", files / "mask.png")
    options = ("--stages", "1", "--strength", "0.25", "--seed", "41", "--domain", "chest_xray")
    done = clone.run("demo", *given, *options, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "out").iterdir()
    record = json.loads((folder / "provenance.json").read_text())
    (loop,) = (node for node in record["parameters"].values() if node["class_type"] == "MVG_PIELoop")
    assert loop["gamma"] == 0.25 and loop["seed"] == 41 and record["plan"]["finding"] == "pleural effusion"
    first, last = (np.asarray(Image.open(file)).astype(int) for file in stages_of(folder))
    change = abs(last - first).max(axis=-1)
    assert change[mask > 0].mean() > 5 * change[mask == 0].mean(), "the picture changed outside the mask"
    clone.check_nothing_left()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--image", "nothing.png"], "--image: there is no file"),
        (["--image", "text.png"], "text.png is no readable PNG or JPEG"),
        (["--image", "dot.png"], "1 x 1 pixels"),
        (["--report", "nothing.txt"], "--report: there is no file"),
        (["--report", "empty.txt"], "empty.txt is empty"),
        (["--report", "binary.txt"], "binary.txt is no text file"),
        (["--image", "image.png", "--mask", "small.png"], "100 x 80 pixels and the image 128 x 128"),
        (["--mask", "text.png"], "--mask"),
        (["--stages", "0"], "--stages is 0: give 1 to 99"),
        (["--strength", "1.01"], "--strength is 1.01: give a number from 0 to 1"),
        (["--strength", "-0.1"], "--strength is -0.1"),
        (["--domain", "knee"], "--domain is 'knee': known are chest_xray"),
        (["--out", "dot.png"], "dot.png is no folder"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(clone, files, options, words):
    given = [files / option if "." in option and not option[-1].isdigit() else option for option in options]
    out = () if "--out" in options else ("--out", files / "out")
    clone.fails(2, words, "demo", *given, *out)
    assert (not (files / "out").exists() and not clone.logs.exists()) or not list(clone.logs.glob("*.log"))


def test_debug_adds_the_traceback(clone, files):
    done = clone.run("demo", "--image", files / "text.png", "--debug")
    assert done.returncode == 2 and "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: --image")


def test_missing_weights_are_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    for name in ("unet", "classifier.chest_xray"):
        (clone.folder / "models" / "embedded" / "weights" / f"{name}.safetensors").unlink()
    missing = "unet.safetensors, classifier.chest_xray.safetensors"
    clone.fails(1, missing, "demo", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert missing in " ".join(clone.run("doctor").stdout.split()) or "unet.safetensors" in clone.run("doctor").stdout


def test_broken_weights_are_named_by_the_node(tmp_path):
    clone = Clone(tmp_path / "mvg")
    (clone.folder / "models" / "embedded" / "weights" / "unet.safetensors").write_bytes(b"no weights")
    clone.fails(1, "unet.safetensors", "demo", "--stages", "1", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a file system of a given size."""
    mounted = []

    def mount(folder: Path, size: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("this system has no mount")
        if done.returncode:
            pytest.skip(f"mounting a small disk is not permitted here ({done.stderr.strip()})")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_before_the_run(clone, small_disk, tmp_path):
    full = small_disk(tmp_path / "full", "1m")
    clone.fails(1, "the disk is full: the result needs 0.5 GB", "demo", "--out", full / "out")
    assert list(full.iterdir()) == []


def test_a_disk_that_gets_full_during_the_run_is_named(clone, small_disk, tmp_path):
    (clone.base / "output").mkdir(parents=True, exist_ok=True)
    full = small_disk(clone.base / "output", "96k")
    clone.fails(1, "disk", "demo", "--stages", "1", "--strength", "0.1", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists() and list(full.iterdir()) == []


def test_no_network_at_the_first_set_up_is_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    (clone.folder / ".venv").unlink()
    prefix = NO_NETWORK if can_cut_the_network() else ()
    clone.fails(1, "connect it for the first set-up", "demo", "--out", tmp_path / "out", prefix=prefix, **DEAD_PROXY)
    assert not (tmp_path / "out").exists()
    assert not (clone.folder / ".venv" / "mvg-setup.txt").exists(), "half a set-up counts as none"


def test_no_network_for_the_host_is_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    (clone.folder / ".host" / "ComfyUI").unlink()
    prefix = NO_NETWORK if can_cut_the_network() else ()
    clone.fails(1, "downloading ComfyUI failed", "demo", "--out", tmp_path / "out", prefix=prefix, **DEAD_PROXY)
    assert not (clone.folder / ".host" / "ComfyUI").exists() and not list((clone.folder / ".host").glob("fetch-*"))


def test_a_busy_port_is_named(clone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        clone.fails(2, f"port {port} is in use", "serve", "--port", str(port))


@POSIX
def test_serve_answers_until_it_is_stopped(clone):
    port = free_port()
    process = clone.start("serve", "--port", str(port))
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    assert f"http://127.0.0.1:{port}" in lines[1], lines + [process.stderr.read() if process.poll() else ""]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/object_info/MVG_LoadReport", timeout=30) as answer:
        choices = json.load(answer)["MVG_LoadReport"]["input"]["required"]["report"]
    assert "mvg_chest_xray.txt" in json.dumps(choices), "the template's own files are there"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and errors == ""
    clone.check_nothing_left()


@POSIX
@pytest.mark.parametrize(
    ("sent", "code", "after"), [(signal.SIGINT, 130, "starting"), (signal.SIGTERM, 143, "stage 1")]
)
def test_a_stopped_demo_leaves_no_server_and_no_folder(clone, tmp_path, sent, code, after):
    out = tmp_path / "out"
    process = clone.start("demo", "--stages", "9", "--strength", "0.1", "--out", out)
    assert process.stdout is not None
    while after not in (line := process.stdout.readline()):
        assert line, process.communicate()
    deadline = time.monotonic() + 120
    while not clone.processes() or not list(clone.logs.glob("*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert not out.exists()
    clone.check_nothing_left()
    for log in clone.logs.glob("*.log"):
        log.unlink()
