"""The outermost frame of a command: whatever happens becomes one line and an exit code."""

import errno
import sys
import traceback
from collections.abc import Callable

from .errors import LaunchError
from .process import debugging, exit_on_signals

INTERRUPTED = 130


def guarded(command: Callable[[], int]) -> int:
    exit_on_signals()
    try:
        return command()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except LaunchError as error:
        return _tell(str(error), error.exit_code)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _tell("the disk is full. Free some space and run this again.", 1)
        return _tell(f"{error}. Run again with --debug for the details.", 1)
    except Exception as error:
        return _tell(f"unexpected {type(error).__name__}: {error}. Run again with --debug for the details.", 1)


def _tell(message: str, exit_code: int) -> int:
    if debugging():
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    return exit_code
