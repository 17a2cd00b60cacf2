"""``run.py demo`` and ``serve`` from the outside, in the real host. What needs no host is in library/test_launch.py."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
import pytest
from mvgen.mvg.label import label_size
from mvgen.tests.host.cloning import Clone, check_one_line
from mvgen.tests.host.hosting import ROOT, free_port
from mvgen.tests.library.disks import small_disk
from PIL import Image

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
ALWAYS = {"video.mp4", "contact_sheet.png", "plot.png", "scores.json", "scores.csv", "provenance.json"}
SHORT = ("--stages", "1", "--strength", "0.1")
REPORT = "Small left pleural effusion, expected to increase. Mrs Ümläut, born in 1950."


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    return Clone(tmp_path_factory.mktemp("with a space") / "mvg")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """What a user might give, some of it by mistake."""
    pixels = np.asarray(Image.open(ROOT / "samples" / "chest_xray.png").convert("L").resize((256, 256)))
    mask = np.zeros_like(pixels)
    mask[128:, 128:] = 255
    folder = tmp_path_factory.mktemp("Bilder für alle")
    pictures = {"image": pixels, "small": pixels[:80, :100], "mask": mask, "black": np.zeros((320, 320), np.uint8)}
    for name, content in pictures.items():
        Image.fromarray(content).save(folder / f"{name}.png")
    Image.new("L", (1, 1)).save(folder / "dot.png")
    Image.new("1", (8100, 8000)).save(folder / "huge.png")
    (folder / "text.png").write_text("no picture")
    (folder / "report.txt").write_bytes(REPORT.encode("cp1252"))
    return folder


def wait_for(process: subprocess.Popen, words: str) -> None:
    assert process.stdout is not None
    while words not in (line := process.stdout.readline()):
        assert line, process.communicate()


def test_every_option_reaches_a_complete_folder_without_network(clone, files, tmp_path):
    given = ("--image", files / "image.png", "--report", files / "report.txt", "--mask", files / "mask.png")
    options = ("--stages", "1", "--strength", "0.75", "--seed", "41", "--domain", "chest_xray")
    done = clone.run("demo", *given, *options, "--out", tmp_path / "für mich" / "out", online=False)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "für mich" / "out").iterdir()
    assert folder.name.startswith("demo-") and done.stdout.endswith(f"result: {folder}\n")
    for line in ("start of ComfyUI: ", "stage 1 of 1: ", "Progression: ", "in all "):
        assert done.stdout.count(line) == 1
    names = {file.name for file in folder.iterdir()}
    assert ALWAYS | {"stage_00.png", "stage_01.png", "difference_01.png"} <= names and "stage_02.png" not in names
    with av.open(str(folder / "video.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 16

    record = json.loads((folder / "provenance.json").read_text())
    (loop,) = (node for node in record["parameters"].values() if node["class_type"] == "MVG_PIELoop")
    assert loop["gamma"] == 0.75 and loop["seed"] == 41 and record["plan"]["finding"] == "pleural effusion"
    assert record["models"] and record["versions"]["comfyui"]
    first, last = (np.asarray(Image.open(folder / f"stage_0{n}.png")).astype(int) for n in (0, 1))
    assert (first == np.asarray(Image.open(files / "image.png").convert("RGB"))).all()
    inside, change = np.asarray(Image.open(files / "mask.png")) > 0, abs(last - first).max(axis=-1)
    height, width = label_size(256, 256)
    assert change[:height, :width].max() > 100, "the label that says synthetic"
    change[:height, :width] = 0
    # eq. 6 with beta_1 = 0.01 leaves 2.55 of 255 levels outside the mask, and rounding one more
    assert change[~inside].max() <= 3.55 < change[inside].max()

    told = [REPORT[:40].encode(), b"ml\xc3\xa4ut", b"ml\xe4ut"]
    assert not [file.name for file in folder.iterdir() if any(word in file.read_bytes() for word in told)]
    clone.check_nothing_left()
    assert clone.log_files() == set()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--image", "text.png"], "text.png is no PNG, JPEG, TIFF or DICOM image"),
        (["--image", "dot.png"], "dot.png is 1 x 1 pixels, want at least 16 x 16"),
        (["--image", "huge.png"], "huge.png is 8100 x 8000 pixels, want at most 64 megapixels"),
        (["--mask", "small.png"], "small.png is 100 x 80 pixels and the image 320 x 320, want the same"),
        (["--mask", "black.png"], "black.png is black: nothing could change"),
    ],
)
def test_a_bad_picture_is_refused_before_the_server_starts(clone, files, options, words):
    option, name = options
    before = clone.log_files()
    clone.fails(2, words, "demo", option, files / name, "--finding", "edema", "--out", files / "out")
    assert not (files / "out").exists() and clone.log_files() == before


def test_missing_weights_are_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    for name in ("unet", "classifier.chest_xray"):
        (clone.weights / f"{name}.safetensors").unlink()
    clone.fails(1, "unet.safetensors, classifier.chest_xray.safetensors", "demo", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_named_before_the_run(clone, tmp_path):
    with small_disk(tmp_path / "full", "1m") as full:
        clone.fails(1, "the disk is full: the result needs 0.5 GB", "demo", "--out", full / "out")
        assert list(full.iterdir()) == []


def test_a_disk_that_gets_full_during_the_run_is_named(clone, tmp_path):
    with small_disk(clone.base / "output", "96k") as full:
        clone.fails(1, "full", "demo", *SHORT, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists() and list(full.iterdir()) == []


def test_a_disk_that_gets_full_while_the_result_is_fetched_is_named(clone, tmp_path):
    with small_disk(tmp_path / "full", "600m") as full:
        process = clone.start("demo", *SHORT, "--out", full / "a" / "b")
        wait_for(process, "start of ComfyUI")
        with (full / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, os.statvfs(full).f_bavail * os.statvfs(full).f_frsize - 8192)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        check_one_line(errors, "the disk is full. Free some space")
        assert [path.name for path in full.iterdir()] == ["filler"]
        clone.check_nothing_left()


def test_no_network_at_the_first_set_up_is_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    (clone.folder / ".venv").unlink()
    clone.fails(1, "connect it for the first set-up", "demo", "--out", tmp_path / "out", online=False)
    assert not (tmp_path / "out").exists()
    assert not (clone.folder / ".venv" / "mvg-setup.txt").exists(), "half a set-up counts as none"


def test_no_network_for_the_host_is_named(tmp_path):
    clone = Clone(tmp_path / "mvg")
    clone.fails(1, "downloading ComfyUI failed", "demo", "--out", tmp_path / "out", online=False, COMFYUI_PATH="")
    assert [entry.name for entry in (clone.folder / ".host").iterdir()] == ["lock"]


@POSIX
def test_serve_answers_until_it_is_stopped(clone):
    port = free_port()
    process = clone.start("serve", "--port", str(port))
    wait_for(process, f"http://127.0.0.1:{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/object_info/MVG_LoadReport", timeout=60) as answer:
        choices = json.load(answer)["MVG_LoadReport"]["input"]["required"]["report"]
    assert "mvg_chest_xray.txt" in json.dumps(choices), "the template's own files are there"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (0, "stopped\n", "")
    clone.check_nothing_left()


@POSIX
def test_serve_says_that_more_than_the_study_is_public(clone, studied):
    port = free_port()
    process = clone.start("serve", "--port", str(port), "--study", studied, "--listen")
    assert process.stdout is not None
    wait_for(process, f"http://127.0.0.1:{port}")
    served, public, listens = (process.stdout.readline() for _ in range(3))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert served == f"study served to who holds a link: {studied}\n"
    assert public.startswith("study this ComfyUI answers other machines (--listen 0.0.0.0): anyone who reaches it can")
    assert "That is more than the study: ComfyUI has no accounts. run.py study serve DIR --listen serves" in public
    assert listens == "It listens on all network interfaces: anyone who reaches this machine can use it.\n"


@POSIX
@pytest.mark.parametrize(
    ("sent", "code", "said", "after"),
    [("SIGINT", 130, "stopped\n", "starting"), ("SIGTERM", 143, "", "stage 1")],
)
def test_a_stopped_demo_leaves_no_server_and_no_folder(clone, tmp_path, sent, code, said, after):
    before = clone.log_files()
    process = clone.start("demo", "--stages", "9", "--strength", "0.1", "--out", tmp_path / "out")
    wait_for(process, after)
    deadline = time.monotonic() + 60
    while not clone.servers() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signal, sent))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, said)
    assert not (tmp_path / "out").exists()
    clone.check_nothing_left()
    assert clone.log_files() == before


@POSIX
def test_a_server_that_dies_is_named(clone, tmp_path):
    process = clone.start("demo", "--stages", "9", "--strength", "0.1", "--out", tmp_path / "out")
    wait_for(process, "start of ComfyUI")
    servers = clone.servers()
    if not servers:
        process.terminate()
        process.communicate(timeout=60)
        pytest.skip("this system does not tell which processes run")
    for server in servers:
        os.kill(server, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    check_one_line(errors, "ComfyUI ended during the run: SIGKILL")
    assert not (tmp_path / "out").exists()
    clone.check_nothing_left()
