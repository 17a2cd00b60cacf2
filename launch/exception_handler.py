"""The outermost frame of a command: whatever happens becomes one line and an exit code."""

import errno
import io
import sys
import traceback
from collections.abc import Callable

from .errors import LaunchError
from .process import debugging, exit_on_signals

INTERRUPTED = 130


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command; an error becomes a line on standard error and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold letters that the terminal lacks
    try:
        exit_on_signals()
        return command()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except LaunchError as error:
        return _tell(str(error), error.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _tell("the disk is full. Free some space and run this again.", 1)
        return _tell(f"{error}. Run again with --debug for the details.", 1)
    except Exception as error:
        return _tell(f"unexpected {type(error).__name__}: {error}. Run again with --debug for the details.", 1)


def _tell(message: str, exit_code: int) -> int:
    if debugging():
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return exit_code
