"""A copy of this folder in which run.py can be started without touching what is shared with other runs."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from mvgen.tests.host.hosting import HOST, ROOT, link

LEFT_OUT = (".git", ".venv", ".host", "output", "runs", "__pycache__", ".*_cache")
NO_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
DEAD_PROXY = {
    name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
}


class Clone:
    """run.py in a copy of this folder that has this machine's .venv and host, and a base directory of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        link(folder / ".venv", Path(sys.prefix))
        (folder / ".host").mkdir()
        link(folder / ".host" / "ComfyUI", HOST)
        self.base = folder / ".host" / "base"
        self.logs = folder / ".host" / "logs"

    def start(self, *arguments: str | Path, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.Popen:
        command = [*prefix, sys.executable, str(self.folder / "run.py"), *map(str, arguments)]
        kept = {name: value for name, value in os.environ.items() if name not in ("COMFYUI_PATH", "MVG_DEBUG")}
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder.parent,
            env={"OMP_NUM_THREADS": "1", **kept, **environment},
        )

    def run(self, *arguments: str | Path, timeout: float = 400, **options) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **options)
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=60)
            raise AssertionError(f"{arguments} took more than {timeout} s:\n{out}\n{errors}") from None
        return subprocess.CompletedProcess(arguments, process.returncode, out, errors)

    def processes(self) -> list[str]:
        """Command lines of what still runs for this copy; [] where the system does not tell."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in line:
                found.append(line)
        return found

    def check_nothing_left(self) -> None:
        """No server, and no file of a user's run in the base directory."""
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []
        for name in ("input", "output"):
            if (self.base / name).is_dir():
                assert [entry.name for entry in (self.base / name).iterdir() if "demo" in entry.name] == []

    def fails(self, code: int, words: str, *arguments: str | Path, **options) -> None:
        """The command ends with one line that holds ``words``, and leaves nothing."""
        done = self.run(*arguments, **options)
        assert done.returncode == code, done.stdout + done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
        assert words in done.stderr
        self.check_nothing_left()


def can_cut_the_network() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode == 0
