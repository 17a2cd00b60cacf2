"""A copy of this folder in which run.py can be started without touching what other runs share."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from mvgen.tests.host.hosting import HOST, ROOT, link

LEFT_OUT = (".git", ".venv", ".host", "output", "runs", "__pycache__", ".*_cache")
NOT_INHERITED = ("PYTHONPATH", "MVG_DEBUG", "OMP_WAIT_POLICY", "PIP_FIND_LINKS", "PIP_CACHE_DIR", "UV_CACHE_DIR")
DEAD_PROXY = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}


class Clone:
    """run.py in a copy of this folder that has the tests' .venv and host, and a base directory of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        link(folder / ".venv", Path(sys.prefix))
        self.base = folder / ".host" / "base"
        self.weights = folder / "models" / "embedded" / "weights"

    def start(self, *arguments: str | Path, online: bool = True, **environment: str) -> subprocess.Popen:
        """``online`` False takes the network away, as far as this system lets us."""
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        settings = {"COMFYUI_PATH": str(HOST), "OMP_NUM_THREADS": "1", **environment}
        if not online:
            empty = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
            settings = {**DEAD_PROXY, **empty, **settings}
        return subprocess.Popen(
            [*([] if online else cut_off()), sys.executable, str(self.folder / "run.py"), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder.parent,
            env=inherited | settings,
            # a shell starts its background jobs with SIGINT ignored, and a child keeps that
            **({} if os.name == "nt" else {"preexec_fn": answer_interrupts}),
        )

    def run(self, *arguments: str | Path, timeout: float = 900, **options) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **options)
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, errors = process.communicate(timeout=60)
            raise AssertionError(f"{arguments} took more than {timeout} s:\n{out}\n{errors}") from None
        return subprocess.CompletedProcess(arguments, process.returncode, out, errors)

    def fails(self, code: int, words: str, *arguments: str | Path, **options) -> None:
        """The command ends with one line that holds ``words``, and leaves nothing."""
        done = self.run(*arguments, **options)
        assert done.returncode == code, done.stdout + done.stderr
        check_one_line(done.stderr, words)
        self.check_nothing_left()

    def servers(self) -> dict[int, str]:
        """Process id -> command line of the ComfyUI processes of this copy; {} where the system does not tell."""
        found = {}
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"--base-directory {self.base} " in line:
                found[int(file.parent.name)] = line
        return found

    def log_files(self) -> set[str]:
        """Logs of servers: one that started leaves its own where something failed."""
        folder = self.folder / ".host" / "logs"
        return {file.name for file in folder.iterdir()} if folder.is_dir() else set()

    def check_nothing_left(self) -> None:
        """No server, and no file of a user's run in the base directory."""
        deadline = time.monotonic() + 5
        while self.servers() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.servers() == {}
        for name in ("input", "output"):
            if (self.base / name).is_dir():
                assert [entry.name for entry in (self.base / name).iterdir() if "demo" in entry.name] == []


def check_one_line(errors: str, words: str) -> None:
    assert errors.startswith("error: ") and errors.count("\n") == 1, errors
    assert words in errors


def answer_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def cut_off() -> list[str]:
    """What to put before a command that shall see no network but its own loopback; [] where that is not permitted."""
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    possible = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if possible else []
