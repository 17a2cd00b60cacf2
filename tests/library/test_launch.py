"""The runner: arguments, bad input, set-up stamps, choice of host, the lock, the demo's graph and result."""

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path

import pytest
from mvgen.launch import alone, arguments, browser, doctor, host, paths, server, setup
from mvgen.launch.demo import client, graph, images, result, timing
from mvgen.launch.errors import LaunchError, UsageError
from mvgen.models.embedded import architecture, loader
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    env = {**os.environ, "MVG_DEBUG": "", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


def png(path: Path, width: int, height: int) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["demo", "--stages", "0"], "--stages is 0"),
        (["demo", "--stages", "many"], "--stages"),
        (["demo", "--strength", "1.5"], "--strength is 1.5"),
        (["demo", "--strength", "nan"], "--strength is nan"),
        (["demo", "--seed", "-1"], "--seed is -1"),
        (["demo", "--domain", "knee"], "--domain is 'knee'"),
        (["demo", "--image", "no-such.png"], "no file no-such.png"),
        (["demo", "--image", "."], ". is a folder"),
        (["demo", "--image", "x" * 300], "cannot be read"),
        (["demo", "--out", os.path.abspath(__file__)], "test_launch.py is no folder"),
        (["demo", "--out", os.path.join(os.path.abspath(__file__), "inside")], "test_launch.py is no folder"),
        (["demo", "--image"], "--image"),
        (["demo", "--colour"], "--colour"),
        (["serve", "--port", "70000"], "--port is 70000"),
        (["bench", "nothing"], "'nothing'"),
        (["train"], "no name"),
        (["dance"], "dance"),
        ([], "COMMAND"),
    ],
)
def test_a_wrong_command_line_ends_in_one_line_and_exit_2(given, named):
    done = run(*given)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert named in done.stderr
    assert done.stdout == ""


def test_a_busy_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 2
    assert f"port {port} is in use" in done.stderr and done.stderr.count("\n") == 1


def test_debug_shows_the_traceback():
    assert "Traceback" in run("demo", "--stages", "0", "--debug").stderr


def test_help_lists_every_command():
    out = run("--help").stdout
    assert all(name in out for name in ("demo", "test", "serve", "doctor", "bench", "train"))


@pytest.mark.parametrize(("content", "named"), [(b"", "empty"), (b" \n\t", "empty"), (b"a\0b", "no text file")])
def test_a_report_without_text_is_refused(tmp_path, content, named):
    report = tmp_path / "report.txt"
    report.write_bytes(content)
    with pytest.raises(UsageError, match=named):
        arguments.check_report(report)


def test_the_launcher_and_the_extension_want_the_same_weights():
    for domain in architecture.DOMAINS:
        wanted = {architecture.file_name(part, domain) for part in loader.LOADED}
        assert {file.name for file in arguments.weight_files(domain)} == wanted


def test_only_ci_is_given_a_browser(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    tool = tmp_path / "apt-get"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(browser, "find_browser", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.delenv("CI", raising=False)
    browser.provide_browser()
    assert not calls.exists()
    monkeypatch.setenv("CI", "true")
    browser.provide_browser()
    assert calls.read_text().splitlines() == ["update -qq", "install -y -qq chromium"]


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "WEIGHTS", tmp_path)
    report = tmp_path / "report.txt"
    report.write_text("Cardiomegaly.")
    parser = arguments.Parser()
    arguments.add_demo_options(parser)
    options = parser.parse_args(["--image", str(png(tmp_path / "x.png", 16, 16)), "--report", str(report)])
    with pytest.raises(LaunchError, match=r"unet\.grey\.safetensors.*classifier\.chest_xray\.safetensors"):
        arguments.check_demo(options)

    assert doctor.weights().state == "missing" and "unet.grey.safetensors" in doctor.weights().found


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is open to this user")
def test_files_and_folders_without_permission_are_named(tmp_path):
    report = tmp_path / "report.txt"
    report.write_text("Cardiomegaly.")
    report.chmod(0)
    with pytest.raises(UsageError, match=r"--report: .*Permission denied"):
        arguments.check_file(report, "--report")
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match=r"--out: .*cannot be written to"):
        arguments.check_folder(tmp_path / "out", "--out")
    tmp_path.chmod(0o700)


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(LaunchError, match="disk is full"):
        setup.check_disk(tmp_path / "not" / "yet", 1e9, "the result")


def test_a_good_image_gives_the_suffix_of_its_content(tmp_path):
    assert images.check_image(png(tmp_path / "x.jpg", 16, 20), "--image") == ".png"


def test_bad_images_are_named(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    cut = png(tmp_path / "cut.png", 64, 64)
    cut.write_bytes(cut.read_bytes()[:50])
    for path in (text, cut):
        with pytest.raises(UsageError, match="no readable PNG or JPEG"):
            images.check_image(path, "--image")
    with pytest.raises(UsageError, match="1 x 1 pixels"):
        images.check_image(png(tmp_path / "dot.png", 1, 1), "--image")


def test_an_image_larger_than_the_node_reads_is_named(tmp_path, recwarn):
    for side in (8001, 10_000, 14_000):  # Pillow warns from 9,460 on, and refuses from 13,378 on
        with pytest.raises(UsageError, match="64 megapixels"):
            images.check_image(png(tmp_path / "large.png", side, side), "--image")
    assert not recwarn.list


def test_a_black_mask_is_named(tmp_path):
    image = png(tmp_path / "image.png", 32, 32)
    Image.new("L", (32, 32)).save(tmp_path / "mask.png")
    with pytest.raises(UsageError, match=r"mask\.png is black"):
        images.check_mask(tmp_path / "mask.png", image)


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path):
    image, mask = png(tmp_path / "image.png", 32, 32), png(tmp_path / "mask.png", 16, 32)
    with pytest.raises(UsageError, match="16 x 32 pixels and the image 32 x 32"):
        images.check_mask(mask, image)
    images.check_mask(image, image)


def test_the_stamp_follows_the_lock(tmp_path):
    python, lock, bootstrap = tmp_path / "python", tmp_path / "lock.txt", tmp_path / "bootstrap.txt"
    for file in (python, lock, bootstrap):
        file.write_text(file.name)

    def ready() -> bool:
        return setup.is_ready(tmp_path, python, lock, bootstrap)

    assert not ready()
    setup.stamp_file(tmp_path).write_text(setup.expected_stamp(lock, bootstrap))
    assert ready()
    lock.write_text("changed")
    assert not ready()


def test_the_lock_has_hashes_and_no_addresses():
    for name in ("lock.txt", "bootstrap.txt", "comfyui.txt"):
        text = (paths.REQUIREMENTS / name).read_text()
        assert "://" not in text and "--index" not in text and "--find-links" not in text
        pins = re.findall(r"^[A-Za-z0-9][\w.\[\]-]*==.*$", text, re.MULTILINE)
        assert pins and all("\\" in pin or "--hash=sha256:" in pin for pin in pins)


def test_users_requirements_are_the_runtime_ones():
    def packages(path: Path) -> set[str]:
        return {line for line in path.read_text().split("\n") if line and not line.startswith("#")}

    assert packages(ROOT / "requirements.txt") == packages(paths.REQUIREMENTS / "runtime.in")


def comfyui(folder: Path, version: str = "0.30.0") -> Path:
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return folder


def test_the_order_of_hosts(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    around, pinned, named = (comfyui(tmp_path / name) for name in ("around", "pinned", "named"))
    inside = around / "custom_nodes" / "anyname"
    assert host.find_host(tmp_path, tmp_path / "nothing") is None
    assert host.find_host(tmp_path, pinned) == host.Host(pinned, "0.30.0", "pinned")
    assert host.find_host(inside, pinned).path == around
    monkeypatch.setenv("COMFYUI_PATH", str(named))
    assert host.find_host(inside, pinned).path == named


def test_a_wrong_comfyui_path_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(UsageError, match="COMFYUI_PATH"):
        host.find_host()
    monkeypatch.setenv("COMFYUI_PATH", str(comfyui(tmp_path / "old", "0.18.2")))
    with pytest.raises(UsageError, match=r"0\.18\.2.*too old"):
        host.find_host()


def archive(path: Path, members: dict[str, bytes | None]) -> Path:
    """A tar.gz; None makes a link."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info, io.BytesIO(content or b""))
    return path


def test_only_the_vendored_folder_is_unpacked(tmp_path):
    members = {"a-1/vendor/ComfyUI/comfy/x.py": b"1", "a-1/vendor/other.py": b"2", "a-1/setup.py": b"3"}
    host.unpack(archive(tmp_path / "a.tar.gz", members), tmp_path / "out")
    assert [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.py")] == ["comfy/x.py"]


@pytest.mark.parametrize("member", [{"a/vendor/ComfyUI/../../../evil": b""}, {"a/vendor/ComfyUI/link": None}])
def test_a_hostile_archive_is_refused(tmp_path, member):
    with pytest.raises(LaunchError):
        host.unpack(archive(tmp_path / "a.tar.gz", member), tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_an_archive_with_another_hash_is_refused(tmp_path):
    with pytest.raises(LaunchError, match="not the pinned archive"):
        host.check_archive(archive(tmp_path / "a.tar.gz", {"a/x": b""}))


REQUEST = graph.Request("i.png", "r.txt", None, 3, 0.25, 7, "chest_xray", "demo-1")


def test_the_graph_takes_the_request():
    filled = graph.fill(graph.load(paths.WORKFLOWS / "mvg_chest_xray.json"), REQUEST)
    values = {(node["class_type"], name): value for node in filled.values() for name, value in node["inputs"].items()}
    assert values["MVG_LoadMedicalImage", "image"] == "i.png"
    assert values["MVG_LoadReport", "report"] == "r.txt"
    assert values["MVG_Recaption", "stages"] == 3
    assert values["MVG_PIELoop", "gamma"] == 0.25
    assert values["MVG_PIELoop", "seed"] == 7
    assert values["MVG_SaveTrajectory", "folder_prefix"] == "demo-1"


def test_a_mask_is_connected_wherever_one_is_used():
    template = graph.load(paths.WORKFLOWS / "mvg_chest_xray.json")
    filled = graph.fill(template, graph.Request(**{**vars(REQUEST), "mask": "m.png"}))
    users = {key for key, node in template.items() if "mask" in node["inputs"]}
    assert users
    assert all(filled[key]["inputs"]["mask"] == ["mask_channel", 0] for key in users)
    image = next(node for node in template.values() if node["class_type"] == "MVG_LoadMedicalImage")
    assert filled["mask_file"]["inputs"] == {**image["inputs"], "image": "m.png"}


def test_a_refused_prompt_and_a_failed_node_become_one_line():
    errors = [{"message": "Value not in list", "details": "domain: 'knee'"}]
    reply = {"node_errors": {"1": {"class_type": "MVG_LoadEmbedded", "errors": errors}}}
    assert client.refusal(reply) == "MVG_LoadEmbedded: Value not in list domain: 'knee'"
    data = {"node_type": "MVG_PIEStep", "exception_message": "stage 2, step 3: NaN\nmore\n"}
    assert client.failure(data) == "MVG_PIEStep: stage 2, step 3: NaN"


def saved(base: Path, names: tuple[str, ...]) -> result.Saved:
    folder = base / "output" / "demo-1"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("{}")
    return result.Saved("demo-1", list(names))


def test_a_result_appears_whole_under_a_free_name(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    run_folder = saved(tmp_path, result.NEEDED)
    first, second = (result.publish(run_folder, tmp_path / "out", "20260101-000000") for _ in range(2))
    assert (first.name, second.name) == ("demo-20260101-000000", "demo-20260101-000000-2")
    assert json.loads((first / "scores.json").read_text()) == {}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [first.name, second.name]


def test_an_incomplete_or_foreign_result_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    with pytest.raises(LaunchError, match=r"scores\.json"):
        result.publish(saved(tmp_path, ("video.mp4",)), tmp_path / "out", "1")
    with pytest.raises(LaunchError, match="outside"):
        result.publish(result.Saved("../..", []), tmp_path / "out", "1")
    assert not (tmp_path / "out").exists()


def test_scratch_files_go_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    saved(tmp_path, ("video.mp4",))
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "demo-1.txt").write_text("report")
    with pytest.raises(KeyboardInterrupt), result.scratch("demo-1"):
        raise KeyboardInterrupt
    assert not list((tmp_path / "input").iterdir()) and not list((tmp_path / "output").iterdir())


def test_a_part_takes_the_time_since_the_one_before(capsys):
    clock = timing.Timing()
    time.sleep(0.2)
    first = clock.part("a")
    time.sleep(0.1)
    second = clock.part("b")
    assert first >= 0.2 and second >= 0.1 and list(clock.seconds.values()) == [first, second]
    clock.line("short", 0.01)
    clock.line("long", 2.04)
    clock.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  long: 2.0 s" and [line.split()[0] for line in lines[1:]] == ["a", "b", "in"]


HOLDER = "from mvgen.launch.alone import alone\nwith alone(): print('held', flush=True); input()"


def test_one_run_sets_up_and_the_others_wait_for_it():
    environment = {**os.environ, "PYTHONPATH": str(paths.PACKAGE_PATH)}
    command = [sys.executable, "-c", HOLDER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        told = {first: first.stdout.readline(), second: second.stdout.readline()}
        assert sorted(told.values()) == ["held\n", "waiting for another run.py that sets this folder up ...\n"]
        holder, waiting = sorted(told, key=told.get)
        holder.kill()  # its end gives the lock back, however it ends
        assert waiting.stdout.readline() == "held\n"
        waiting.communicate("\n")
    with alone.alone():
        pass


STARTING = """
import time
print("starting", flush=True)
time.sleep(0.5)
from mvgen.launch.guard import guarded
raise SystemExit(guarded(lambda: time.sleep(60)))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code", "said"), [("SIGINT", 130, "stopped\n"), ("SIGTERM", 143, "")])
def test_a_signal_waits_until_the_second_process_can_answer_it(sent, code, said):
    call = f"continue_in(Path(sys.executable), ['-c', {STARTING!r}], dict(os.environ), is_guarded=True)"
    command = f"import os, sys; from pathlib import Path; from mvgen.launch.process import continue_in; {call}"
    environment = {**os.environ, "PYTHONPATH": str(paths.PACKAGE_PATH)}
    run = subprocess.Popen(
        [sys.executable, "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # a shell starts its background jobs with SIGINT ignored, and a child keeps that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdout is not None and run.stdout.readline() == "starting\n"
    run.send_signal(getattr(signal, sent))
    _, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (code, said)


def test_a_free_port_is_free():
    assert server.is_free(server.free_port())
