"""Set-up: a .venv that holds exactly requirements/lock.txt."""

import hashlib
import platform
import shutil
import sys
import time
from pathlib import Path

from .errors import LaunchError
from .paths import PYTHON, REQUIREMENTS, ROOT, VENV
from .process import clean_environment, run_logged
from .setup_lock import setup_lock

LOCK = REQUIREMENTS / "lock.txt"
BOOTSTRAP = REQUIREMENTS / "bootstrap.txt"
NEWEST_PYTHON = (3, 14)
DISK_GB = 8
NETWORK_ADVICE = (
    "If this machine has no network, connect it for the first set-up; then run the same command again: "
    "nothing half-installed is ever used."
)
_SHOWN = ("Resolved", "Prepared", "Installed", "Downloading")


def stamp_file(venv: Path = VENV) -> Path:
    return venv / "mvg-setup.txt"


def expected_stamp(lock: Path = LOCK, bootstrap: Path = BOOTSTRAP) -> str:
    """What a finished .venv says of itself: the Python version and the hashes of the two requirement files."""
    lines = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    lines += [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in (lock, bootstrap)]
    return "\n".join(lines) + "\n"


def is_ready(venv: Path = VENV, python: Path = PYTHON, lock: Path = LOCK, bootstrap: Path = BOOTSTRAP) -> bool:
    stamp = stamp_file(venv)
    return python.exists() and stamp.is_file() and stamp.read_text() == expected_stamp(lock, bootstrap)


def same_python(venv: Path = VENV) -> bool:
    """Whether .venv was once finished, with this version of Python: then it can be updated in place."""
    stamp = stamp_file(venv)
    return stamp.is_file() and stamp.read_text().splitlines()[:1] == expected_stamp().splitlines()[:1]


def ensure_environment() -> None:
    """Make .venv right. Does nothing, and needs no network, when its stamp says that it is."""
    if is_ready():
        return
    with setup_lock():
        if not is_ready():
            set_up()


def set_up() -> None:
    if sys.version_info[:2] > NEWEST_PYTHON:
        have, newest = platform.python_version(), ".".join(map(str, NEWEST_PYTHON))
        raise LaunchError(f"Python {have} is newer than the locked packages know: use 3.11 to {newest}.")
    check_disk(ROOT, DISK_GB, "the set-up")
    started = time.monotonic()
    environment = clean_environment()
    if same_python() and PYTHON.exists():
        print("set-up: updating .venv to requirements/lock.txt", flush=True)
    else:
        print(f"set-up 1/3: .venv for Python {sys.version_info.major}.{sys.version_info.minor}", flush=True)
        create_venv(environment)
    stamp_file().unlink(missing_ok=True)
    print("set-up 2/3: uv, the package installer", flush=True)
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "1"]
    pip += ["--require-hashes", "--only-binary", ":all:", "-r", BOOTSTRAP]
    run_logged(pip, "installing uv", NETWORK_ADVICE, environment, lambda line: False)
    print(f"set-up 3/3: packages of requirements/lock.txt (about {DISK_GB - 2} GB on disk)", flush=True)
    uv: list[str | Path] = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "--require-hashes", "-r", LOCK]
    install_packages(uv, environment)
    write_stamp()
    print(f"set-up done in {time.monotonic() - started:.0f} s", flush=True)


def install_packages(uv: list[str | Path], environment: dict[str, str]) -> None:
    """Run uv; where a network inspects TLS with a certificate of its own, again with this system's certificates."""
    arguments = "installing the packages", NETWORK_ADVICE, environment, lambda line: line.lstrip().startswith(_SHOWN)
    try:
        run_logged(uv, *arguments)
    except LaunchError as error:
        if "certificate" not in str(error):
            raise
        print("  once more, with the certificates of this system", flush=True)
        run_logged([*uv, "--system-certs"], *arguments)


def create_venv(environment: dict[str, str]) -> None:
    """Start .venv from nothing; what an interrupted set-up left goes, its downloads stay in uv's cache."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    advice = "On Debian and Ubuntu install the package python3-venv, then run this again."
    run_logged([base, "-m", "venv", "--clear", VENV], "making .venv", advice, environment, lambda line: False)


def write_stamp() -> None:
    temporary = stamp_file().with_suffix(".tmp")
    temporary.write_text(expected_stamp())
    temporary.replace(stamp_file())


def check_disk(folder: Path, need_gb: float, what: str) -> None:
    """Raise LaunchError unless ``need_gb`` GB are free where ``folder`` lies."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < need_gb:
        raise LaunchError(
            f"the disk is full: {what} needs {need_gb:g} GB in {folder}, and {free:.2f} GB are free. "
            "Free some space and run this again."
        )
