"""The folder of a training run: its configuration, lock, checkpoints and loss curve.

run.json          what the run is; a checkpoint of another configuration is refused
checkpoints/N/    the state after step N; written under a temporary name, so that it is whole or not there
best.safetensors  the averaged weights with the lowest validation loss
loss.csv          a line a step
tensorboard/      the same, and sample pictures
"""

import contextlib
import csv
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..launch.errors import LaunchError, UsageError

PARTIAL = ".partial"


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; made by `open`.
    """

    def __init__(self, path: Path):
        self.path = path.absolute()
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best.safetensors"
        self.curve = self.path / "loss.csv"
        self.config = self.path / "run.json"
        self._lock = FileLock(self.path / ".lock")

    def _take(self) -> None:
        """The right to write; the system drops it with its holder."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise LaunchError(
                f"--out: {self.path} is in use by another process. Wait for it, or give another."
            ) from error
        except OSError as error:
            raise LaunchError(f"--out: {self.path} cannot be written to ({error.strerror}). Give another.") from error

    def close(self) -> None:
        """Gives the folder back."""
        self._lock.release()

    def open(self, config: Mapping[str, Any], resume: bool) -> int:
        """Begins a run, or goes on with one. The folder is this process's until `close` or its end.

        Args:
            config: what makes this run what it is, as JSON holds it.
            resume: go on where the last checkpoint is.

        Returns:
            The step of the last checkpoint, 0 for none.

        Raises:
            UsageError: there is a run and ``resume`` is off, or there is none and it is on.
            LaunchError: the run there is of another configuration, or another process has the folder.
        """
        self._take()
        config = json.loads(json.dumps(config))
        if not self.config.is_file():
            if resume:
                raise UsageError(f"--resume: {self.path} holds no run. Leave the option away to begin one.")
            self._write_config(config)
            return 0
        if not resume:
            raise UsageError(f"--out: {self.path} holds a run already. Add --resume to go on, or give another folder.")
        try:
            held = json.loads(self.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise LaunchError(f"{self.config}: is damaged ({error}). Begin a run in another folder.") from error
        for name in dict.fromkeys((*held, *config)):
            if held.get(name) != config.get(name):
                raise LaunchError(
                    f"--resume: {name} is {config.get(name)!r}, and the run in {self.path} has {held.get(name)!r}. "
                    "Give the same, or another --out."
                )
        step = self.last_step()
        self._cut_curve(step)
        return step

    def _write_config(self, config: Mapping[str, Any]) -> None:
        temporary = self.config.with_suffix(PARTIAL)
        temporary.write_text(json.dumps(config, indent=1), encoding="utf-8")
        temporary.replace(self.config)

    def last_step(self) -> int:
        """The step of the last whole checkpoint, 0 for none."""
        return max((int(folder.name) for folder in self.checkpoints.glob("*") if folder.name.isdigit()), default=0)

    def checkpoint(self, step: int) -> Path:
        """Where the state after a step is."""
        return self.checkpoints / f"{step:08d}"

    @contextlib.contextmanager
    def writing(self, step: int) -> Iterator[Path]:
        """A new checkpoint's folder under a temporary name; renamed at the end, after which older ones go.

        Yields:
            The folder to write into.

        Raises:
            LaunchError: it could not be written; the last good one is kept.
        """
        partial = self.checkpoints / f"{step:08d}{PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        before = self.last_step()
        try:
            partial.mkdir(parents=True)
            yield partial
        except Exception as error:  # torch, safetensors and Python each have their own for a full disk
            shutil.rmtree(partial, ignore_errors=True)
            kept = f"that of step {before} is kept" if before else "there is none before it"
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LaunchError(
                f"the checkpoint of step {step} could not be written to {self.path} ({reason}); {kept}. "
                "Free some space and go on with --resume."
            ) from error
        partial.replace(self.checkpoint(step))
        for folder in self.checkpoints.iterdir():
            if folder != self.checkpoint(step):
                shutil.rmtree(folder, ignore_errors=True)

    def append(self, row: Mapping[str, float]) -> None:
        """Adds a line to the loss curve; numbers are written exactly."""
        new = not self.curve.exists()
        with self.curve.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({name: repr(value) for name, value in row.items()})

    def losses(self) -> list[dict[str, float]]:
        """The loss curve, a dictionary a step."""
        with self.curve.open(encoding="utf-8", newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def _cut_curve(self, step: int) -> None:
        """Forgets what came after a checkpoint: those steps are made again."""
        if self.curve.exists():
            head, *lines = self.curve.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.partition(",")[0].isdigit() and int(line.partition(",")[0]) <= step]
            temporary = self.curve.with_suffix(PARTIAL)
            temporary.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
            temporary.replace(self.curve)
