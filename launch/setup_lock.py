"""One set-up of this folder at a time."""

import contextlib
import os
import time
from collections.abc import Iterator

from .errors import LaunchError
from .paths import HOST, ROOT

if os.name == "nt":
    import msvcrt
else:
    import fcntl


@contextlib.contextmanager
def setup_lock() -> Iterator[None]:
    """Wait until no other run.py sets this folder up. The system drops the lock when its holder ends, however it ends.

    Raises LaunchError when this folder cannot be written to.
    """
    try:
        HOST.mkdir(exist_ok=True)
        file = (HOST / "lock").open("wb")
    except PermissionError as error:
        raise LaunchError(f"{ROOT} cannot be written to. Put it where you may write, and run this again.") from error
    with file:
        if not _take(file.fileno()):
            print("waiting for another run.py that sets this folder up ...", flush=True)
            while not _take(file.fileno()):
                time.sleep(0.5)
        yield


def _take(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # what POSIX and Windows raise where another holds it
        return False
    return True
