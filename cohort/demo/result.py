"""From what the host saved to output/demo-TIME: complete, or not there at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...launch.errors import LaunchError
from ...launch.paths import BASE
from ...launch.process import held_signals

NEEDED = ("video.mp4", "contact_sheet.png", "plot.png", "scores.json", "scores.csv", "provenance.json")


@dataclass(frozen=True)
class Saved:
    """A folder of MVG_SaveTrajectory under the host's output folder."""

    subfolder: str
    files: list[str]


@contextmanager
def scratch(token: str) -> Iterator[None]:
    """Whatever happens, nothing that carries the token stays in the private base directory."""
    try:
        yield
    finally:
        with held_signals():  # a second Ctrl-C
            for name in ("input", "output"):
                for path in (BASE / name).glob(f"*{token}*"):
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink()


def publish(saved: Saved, out: Path, stamp: str) -> Path:
    """Copy to a temporary folder in ``out`` and rename it: the result appears whole. Returns its path."""
    source = (BASE / "output" / saved.subfolder).resolve()
    if not source.is_relative_to((BASE / "output").resolve()):
        raise LaunchError(f"the workflow saved outside its folder: {saved.subfolder}")
    missing = [name for name in NEEDED if not (source / name).is_file()]
    if missing:
        raise LaunchError(f"the workflow left out {', '.join(missing)}. Restore workflows/api.")
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    partial = out / f".demo-{stamp}-{source.name}.partial"
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, partial)
        target = free_name(out, f"demo-{stamp}")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        with suppress(OSError):  # none is empty where all went well
            for folder in made:
                folder.rmdir()
    return target


def free_name(out: Path, name: str) -> Path:
    target, n = out / name, 2
    while target.exists():
        target, n = out / f"{name}-{n}", n + 1
    return target
