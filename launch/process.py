"""Child processes: none outlives the command that started it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .errors import LaunchError

STOP_SECONDS = 10
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def clean_environment() -> dict[str, str]:
    """The environment without what would make another Python import or install somewhere else.

    Nor what keeps Python from storing bytecode: compiling torch and the host again takes half of every start.
    """
    unwanted = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def exit_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into SystemExit, so that every ``finally`` runs; SIGINT is KeyboardInterrupt already.

    Signals that ``continue_in`` held back take effect here.
    """

    def exit_on(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    for number in SIGNALS:
        if number != signal.SIGINT:
            signal.signal(number, exit_on)
    if os.name != "nt":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextlib.contextmanager
def held_signals() -> Iterator[None]:
    """Signals that arrive inside take effect at the end, so that no child is started and then forgotten.

    A thread cannot hold them, and need not: the main thread alone answers them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: arrived.append(number)) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in arrived[:1]:
            signal.raise_signal(number)


def new_process_group() -> dict[str, object]:
    """Popen arguments that put the child into a process group of its own."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
    return {"start_new_session": True}


def stop_group(process: subprocess.Popen) -> None:
    """End a process started with ``new_process_group`` and everything it started."""
    if os.name == "nt":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        process.wait()
        return
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def run_logged(
    command: Sequence[str | Path], what: str, advice: str, environment: Mapping[str, str], show: Callable[[str], bool]
) -> None:
    """Run a command and print those of its lines that ``show`` picks.

    Raises LaunchError with ``what``, the last line that the command wrote and ``advice`` when it fails.
    """
    process: subprocess.Popen | None = None
    lines: list[str] = []
    try:
        with held_signals():
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=dict(environment),
                **new_process_group(),  # type: ignore[call-overload]
            )
        assert process.stdout is not None
        for line in process.stdout:
            line = line.rstrip()
            if line:
                lines.append(line)
            if show(line):
                print(f"  {line.strip()}", flush=True)
        status = process.wait()
    finally:
        if process is not None:
            stop_group(process)
    if status:
        if debugging():
            print("\n".join(lines), file=sys.stderr)
        raise LaunchError(f"{what} failed ({_reason(lines) or f'exit code {status}'}). {advice}")


def _reason(lines: list[str]) -> str:
    """The line that most likely says why: the last one that calls itself an error or a cause, else the last."""
    told = [line for line in lines if line.strip().lower().startswith(("error", "cause"))]
    return (told or lines or [""])[-1].strip()


def debugging() -> bool:
    """Whether --debug was given; carried to the second process by the environment."""
    return os.environ.get("MVG_DEBUG") == "1"


def continue_in(
    python: Path, arguments: Sequence[str], environment: Mapping[str, str], handles_signals: bool = False
) -> int:
    """Go on in another Python. On POSIX this process becomes that one, so signals reach it; returns its exit code.

    ``handles_signals``: that one calls ``exit_code_of`` first thing, so signals can wait until it does. A Python that
    is starting answers them with a traceback.
    """
    command = [str(python), *arguments]
    sys.stdout.flush()
    if os.name != "nt":
        if handles_signals:
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        os.execve(command[0], command, dict(environment))
    process = subprocess.Popen(command, env=dict(environment))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the console sent Ctrl-C to the child too, and it is cleaning up
