"""Set-up: stamps, the lock, the choice of host, its archive, and one set-up at a time."""

import io
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from mvgen.launch import host, paths, setup
from mvgen.launch.errors import LaunchError, UsageError
from mvgen.launch.setup_lock import setup_lock

ROOT = Path(__file__).resolve().parents[2]

HOLDER = "from mvgen.launch.setup_lock import setup_lock\nwith setup_lock(): print('held', flush=True); input()"


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
    with setup_lock():
        pass
