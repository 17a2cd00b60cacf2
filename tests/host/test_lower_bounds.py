"""The oldest packages that requirements.txt allows load every node in a real ComfyUI, and make a film with scores."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from mvgen.launch.paths import REQUIREMENTS, ROOT
from mvgen.tests.host.hosting import running

UV = [sys.executable, "-m", "uv", "pip"]
OFFLINE = ("error sending request", "dns error", "tcp connect error", "network")

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the bounds are those of Python 3.11")


def uv(*arguments: str | Path) -> str:
    done = subprocess.run([*UV, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode and any(word in done.stderr.lower() for word in OFFLINE):
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    return done.stdout


def bounds() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split(">=") for line in lines if line and not line.startswith("#"))


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """An environment of the lower bounds; what they leave open, as torch, it has from the environment of the tests."""
    folder = tmp_path_factory.mktemp("lowest")
    lock = re.findall(r"^[a-z0-9].*?==[^\\\n]*", (REQUIREMENTS / "lock.txt").read_text(), re.MULTILINE)
    free = bounds().keys() | {"pydantic-core"}
    (folder / "constraints.txt").write_text("\n".join(pin for pin in lock if pin.split("==")[0] not in free))
    uv(
        *("compile", "--quiet", "--resolution", "lowest-direct", "--only-binary", ":all:", "--no-header"),
        *("--no-annotate", "--constraints", folder / "constraints.txt", "--output-file", folder / "pins.txt"),
        *(ROOT / "requirements.txt", REQUIREMENTS / "host.in"),
    )
    pins = dict(line.split("==") for line in (folder / "pins.txt").read_text().split())
    assert {name: pins[name] for name in bounds()} == bounds()
    others = [f"{name}=={pin}" for name, pin in pins.items() if installed(name) != pin]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    found = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv("install", "--quiet", "--python", found, "--no-deps", "--only-binary", ":all:", *others)
    own = next(path for path in (folder / "venv").rglob("site-packages"))
    (own / "tests.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    return found


def test_every_node_is_there_and_a_film_is_made(tmp_path, python, definitions, workflow):
    wanted = {name for name in definitions if name.startswith("MVG_")}
    with running(tmp_path / "base", python=python) as server:
        assert {name for name in server.get("/object_info") if name.startswith("MVG_")} == wanted
        assert server.run(workflow, timeout=300).error is None
    assert "MVG: the nodes of" not in (tmp_path / "base" / "server.log").read_text(errors="replace")
