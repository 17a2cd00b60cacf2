"""The runner: its command line, bad input, and the processes it starts."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mvgen.cohort.engines.local import _link_folders
from mvgen.launch import arguments, browser, doctor, paths, server, setup
from mvgen.launch.errors import LaunchError, UsageError
from mvgen.models.embedded import architecture, loader
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    env = {**os.environ, "MVG_DEBUG": "", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


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
        (["demo", "--image", os.path.abspath(__file__)], "Add --report FILE, --finding NAME or --prompt TEXT"),
        (["demo", "--finding", " "], "--finding is empty"),
        (["demo", "--report", os.path.abspath(__file__), "--prompt", "x"], "--report and --prompt"),
        (["demo", "--colour"], "--colour"),
        (["serve", "--port", "70000"], "--port is 70000"),
        (["bench", "nothing"], "'nothing'"),
        (["train", "nothing"], "'nothing'"),
        (["train", "embedded", "nothing"], "'nothing'"),
        (["train", "--processes", "0", "vae"], "--processes is 0"),
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


@pytest.mark.parametrize(
    "command, folder",
    [("bench", "research/bench"), ("train", "training"), ("train embedded", "research/training")],
)
def test_every_name_of_a_command_has_a_line(command, folder):
    named, helped = run(*command.split()), run(*command.split(), "--help")
    assert named.returncode == helped.returncode == 0 and named.stdout == helped.stdout
    for file in (ROOT / folder).glob("*.py"):
        if '__name__ == "__main__"' in file.read_text():
            assert re.search(rf"^  {file.stem} +[A-Z]\w+", helped.stdout, re.MULTILINE), file.stem


def test_run_py_needs_the_standard_library_alone():
    done = subprocess.run([sys.executable, "-S", "run.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_command():
    out = run("--help").stdout
    assert all(
        name in out for name in ("demo", "test", "serve", "doctor", "bench", "train", "batch", "convert", "inspect")
    )


def test_the_domains_of_a_demo_are_those_of_the_embedded_networks():
    """Not those workflows that are for the page."""
    assert arguments.domains() == list(architecture.DOMAINS)
    for domain in arguments.domains():
        assert (paths.SAMPLES / f"{domain}.png").is_file()
        assert (paths.SAMPLES / f"{domain}.txt").read_text(encoding="utf-8").strip()


def test_the_launcher_and_the_extension_want_the_same_weights():
    for domain in architecture.DOMAINS:
        wanted = {architecture.file_name(part, domain) for part in loader.LOADED}
        assert {file.name for file in arguments.weight_files(domain)} == wanted
    assert arguments.DOMAINS == architecture.DOMAINS


def fake_tool(folder: Path, name: str, script: str) -> Path:
    tool = folder / name
    tool.parent.mkdir(parents=True, exist_ok=True)
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    return tool


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """No browser anywhere, and a folder for tools that is the whole search path."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cp", "sleep"):
        (tools / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    return tools


@pytest.mark.skipif(os.name == "nt", reason="apt-get is Debian's")
def test_root_is_given_debians_browser(bare_machine, tmp_path):
    calls = tmp_path / "calls"
    blank = fake_tool(tmp_path, "blank", "")
    script = f'echo "$@" >> {calls}; case "$*" in *install*) cp {blank} {bare_machine}/chromium;; esac'
    fake_tool(bare_machine, "apt-get", script)
    assert browser.provide_browser() is None
    update, install = calls.read_text().splitlines()
    assert update.endswith("update -qq") and install.endswith("install -y -qq chromium")
    assert browser.provide_browser() is None
    assert len(calls.read_text().splitlines()) == 2, "there is a browser now"


@pytest.mark.skipif(os.name == "nt", reason="apt-get is Debian's")
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo E: no network >&2; exit 100", "no Chromium was found, and apt-get update failed: E: no network"),
        ('case "$*" in *install*) exit 3;; esac', "no Chromium was found, and apt-get install failed with status 3"),
        ("exec sleep 60", "no Chromium was found, and apt-get update took too long"),
        ("exit 0", "Debian's package chromium brought no browser"),
    ],
)
def test_a_browser_that_cannot_be_installed_is_left_out_with_the_reason(bare_machine, monkeypatch, script, why):
    fake_tool(bare_machine, "apt-get", script)
    monkeypatch.setattr(browser, "APT_SECONDS", {"update": 0.5, "install": 0.5})
    assert browser.provide_browser() == why


@pytest.mark.skipif(os.name == "nt", reason="apt-get is Debian's")
def test_nothing_is_installed_without_leave(bare_machine, tmp_path, monkeypatch):
    assert "was found" in browser.provide_browser()
    fake_tool(bare_machine, "apt-get", f"echo called > {tmp_path}/called")
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert "sudo apt-get install chromium" in browser.provide_browser()
    assert not (tmp_path / "called").exists()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_playwrights_newest_browser_is_found(bare_machine, tmp_path):
    folder = tmp_path / "playwright"
    assert browser.find_browser() is None
    shell = fake_tool(folder, "chromium_headless_shell-1200/chrome-headless-shell-linux64/chrome-headless-shell", "")
    assert browser.find_browser() == str(shell)
    fake_tool(folder, "chromium-999/chrome-linux/chrome", "")
    newest = fake_tool(folder, "chromium-1187/chrome-linux/chrome", "")
    (folder / "chromium-1300" / "chrome-linux").mkdir(parents=True)
    (folder / "chromium-1300" / "chrome-linux" / "chrome").write_text("an install that was cut off")
    assert browser.find_browser() == str(newest)
    on_path = fake_tool(bare_machine, "chromium", "")
    assert browser.find_browser() == str(on_path)


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(arguments, "WEIGHTS", tmp_path)
    report = tmp_path / "report.txt"
    report.write_text("Cardiomegaly.")
    parser = arguments.Parser()
    arguments.add_demo_options(parser)
    Image.new("L", (16, 16)).save(tmp_path / "x.png")
    options = parser.parse_args(["--image", str(tmp_path / "x.png"), "--report", str(report)])
    with pytest.raises(LaunchError, match=r"unet\.safetensors.*classifier\.chest_xray\.safetensors"):
        arguments.check_demo(options)

    assert doctor.weights().state == "missing" and "unet.safetensors" in doctor.weights().found


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


STARTING = """
import time
print("starting", flush=True)
time.sleep(0.5)
from mvgen.launch.exception_handler import exit_code_of
raise SystemExit(exit_code_of(lambda: time.sleep(60)))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("sent", "code", "said"), [("SIGINT", 130, "stopped\n"), ("SIGTERM", 143, "")])
def test_a_signal_waits_until_the_second_process_can_answer_it(sent, code, said):
    call = f"continue_in(Path(sys.executable), ['-c', {STARTING!r}], dict(os.environ), handles_signals=True)"
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


def test_a_worker_sees_folders_of_references_and_has_its_own_for_what_it_is_sent(tmp_path):
    source, target = tmp_path / "input", tmp_path / "worker"
    for name in ("references", "mvg_cohort"):  # as after a batch with this host as --server
        (source / name).mkdir(parents=True)
    target.mkdir()
    _link_folders(source, target)
    assert [entry.name for entry in target.iterdir()] == ["references"]
