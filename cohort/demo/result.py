"""output/demo-TIME: complete, or not there at all."""

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...launch.errors import LaunchError
from ...launch.paths import BASE
from ...launch.process import held_signals

NEEDED = ("video.mp4", "contact_sheet.png", "plot.png", "scores.json", "scores.csv", "provenance.json")


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


def publish(out: Path, write: Callable[[Path], None]) -> Path:
    """Write a result into a folder that appears whole.

    Args:
        out: Where demo-TIME goes; made where it is not there.
        write: Fills an empty folder.

    Returns:
        The folder of the result.

    Raises:
        LaunchError: A file of NEEDED is missing. Nothing is left behind then, nor where ``write`` raises.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    hidden = out / f".demo-{uuid.uuid4().hex[:8]}.partial"
    partial = hidden / "demo"
    try:
        out.mkdir(parents=True, exist_ok=True)
        hidden.mkdir(mode=0o700)  # a kill may leave a patient's pictures in it
        partial.mkdir()
        write(partial)
        missing = [name for name in NEEDED if not (partial / name).is_file()]
        if missing:
            raise LaunchError(f"the workflow left out {', '.join(missing)}. Restore workflows/api.")
        target = free_name(out, time.strftime("demo-%Y%m%d-%H%M%S"))
        partial.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        with suppress(OSError):  # none is empty where all went well
            for folder in made:
                folder.rmdir()
    return target


def free_name(out: Path, name: str) -> Path:
    """A path in ``out`` that is not there: the name itself, or with a number."""
    target, n = out / name, 2
    while target.exists():
        target, n = out / f"{name}-{n}", n + 1
    return target
