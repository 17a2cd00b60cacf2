"""Runs a script that ends as soon as whoever started it does, however that ends.

die_with_parent.py SCRIPT ARGUMENTS: standard input is a pipe of which the starter holds the other end. A starter
that is killed cannot stop its children, but the system closes its end of the pipe.
"""

import os
import runpy
import signal
import sys
import threading


def end_when_closed(pipe: int) -> None:
    """Waits until the pipe breaks, then ends this process and all that it started."""
    while os.read(pipe, 1):
        pass
    if os.name != "nt" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    pipe = os.dup(0)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # nothing the script reads hides the end of the parent
    threading.Thread(target=end_when_closed, args=[pipe], daemon=True).start()
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
