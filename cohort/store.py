"""The output folder of a cohort: a folder a chain that is whole or not there, and what happened on the way.

chains/ID/        what a chain gave; done.json closes it and holds the hash of every other file
failed/ID.json    why a chain gave nothing
journal/*.jsonl   a line a chain that ended: when, where, how long
.partial/, .work/ of a batch that runs, for its owner alone, cleared by the next
"""

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .pictures import check_pictures
from .problems import refuse

DONE = "done.json"
RECORD = "cohort.json"
ALL = "all"
PROBE_SECONDS = 1.0  # others that look whether a lock is free hold it for a moment
LEAST_ROOM = 16_000_000  # bytes: with less a host fails in ways that do not speak of the disk
LOCKLESS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


class Busy(RuntimeError):
    """Another batch works on the output folder."""


class Store:
    """The output folder of a cohort.

    Args:
        out: The folder; made by ``lock``.
        shard: "3-of-8" where several batches share the folder, each with a part of its own.
    """

    def __init__(self, out: Path, shard: str = ALL):
        self.out = out.absolute()
        self.shard = shard
        self.chains = self.out / "chains"
        self.failed = self.out / "failed"
        self.partials = self.out / ".partial" / shard
        self.work = self.out / ".work" / shard
        self.journal = self.out / "journal" / f"{shard}.jsonl"

    @contextlib.contextmanager
    def lock(self, wait: bool = False, on_wait: Callable[[str], None] = lambda holder: None) -> Iterator[None]:
        """The right to write; the system drops it with its holder. Clears what a killed batch left half done.

        Shards of one count go together, others do not.

        Args:
            wait: Whether to wait while another batch has it.
            on_wait: Told who has it, once each.

        Raises:
            Busy: Another batch has it, and ``wait`` is False.
            OSError: The folder cannot be written to, or its file system gives no locks.
        """
        for folder in (self.chains, self.failed, self.journal.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with self._taken(wait, on_wait):
            note = self._lock_file(self.shard).with_suffix(".holder")
            note.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            self._clear()
            for folder in (self.partials.parent, self.work.parent):  # a kill may leave pictures of patients in them
                folder.mkdir(mode=0o700, exist_ok=True)
                folder.chmod(0o700)
            self._end_line()
            try:
                yield
            finally:
                self._clear()
                note.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _taken(self, wait: bool, on_wait: Callable[[str], None]) -> Iterator[None]:
        lock = FileLock(self._lock_file(self.shard))
        told = ""
        while rival := self._rival_of(lock):
            holder = self._holder(rival)
            if not wait:
                raise Busy(holder)
            if holder != told:
                on_wait(told := holder)
            time.sleep(random.uniform(0.5, 1.5))  # not in step with others that wait
        try:
            yield
        finally:
            lock.release()

    def _rival_of(self, lock: FileLock) -> str | None:
        """None, and the lock is ours; else who is in the way, and it is not: two that waited for each other with
        their own locks in hand would wait for ever."""
        try:
            lock.acquire(timeout=PROBE_SECONDS)
        except Timeout:
            return self.shard
        except OSError as error:
            if error.errno not in LOCKLESS:
                raise
            told = f"{self.out} lies on a file system that gives no locks: choose a folder on another"
            raise OSError(error.errno, told) from error
        rival = self._rival()
        if rival:
            lock.release()
        return rival

    def _lock_file(self, shard: str) -> Path:
        return self.out / f".lock-{shard}"

    def _rival(self) -> str | None:
        """A shard of another count, or a batch of the whole, that runs now."""
        for file in self.out.glob(".lock-*"):
            shard = file.name.removeprefix(".lock-")
            together = ALL not in (shard, self.shard) and shard.split("-")[-1] == self.shard.split("-")[-1]
            if file.suffix or shard == self.shard or together:
                continue
            probe = FileLock(file)
            try:
                probe.acquire(timeout=PROBE_SECONDS)
            except Timeout:
                return shard
            probe.release()
        return None

    def _holder(self, shard: str) -> str:
        try:
            holder = self._lock_file(shard).with_suffix(".holder").read_text(encoding="utf-8")
        except OSError:
            holder = "another batch"
        return f"{holder} works on {self.out}"

    def _clear(self) -> None:
        for folder in (self.partials, self.work):
            # of the whole: what killed shards left, too
            shutil.rmtree(folder.parent if self.shard == ALL else folder, ignore_errors=True)
        if self.shard == ALL:
            for left in (*self.out.glob(".*.tmp"), *self.failed.glob(".*.tmp")):
                left.unlink(missing_ok=True)

    def _end_line(self) -> None:
        """A line of the journal that was cut off does not take the next one with it."""
        written = self.journal.read_bytes() if self.journal.is_file() else b""
        if written and not written.endswith(b"\n"):
            with self.journal.open("a", encoding="utf-8") as file:
                file.write("\n")

    def done(self) -> set[str]:
        """Returns the ids of the chains that are whole, with every file as it was written."""
        return {chain for chain, damage in self.damages().items() if damage is None}

    def damages(self) -> dict[str, str | None]:
        """Looks at the files of every chain that was closed.

        Returns:
            Id -> None where it is whole, else what is wrong with it; the next run makes such a chain again.
        """
        return {chain: self._damage(chain) for chain in self.closed()}

    def closed(self) -> list[str]:
        """Returns the ids of the chains that were whole once, sorted; quicker than ``done``."""
        try:
            with os.scandir(self.chains) as entries:
                return sorted(entry.name for entry in entries if os.path.exists(os.path.join(entry.path, DONE)))
        except FileNotFoundError:
            return []

    def _damage(self, chain: str) -> str | None:
        """Only files that are not older than done.json, which is written last, are read through."""
        folder = os.path.join(self.chains, chain)  # strings: there may be 100,000s of files
        try:
            with open(os.path.join(folder, DONE), encoding="utf-8") as file:
                closed = os.fstat(file.fileno()).st_mtime_ns
                files = json.load(file)["files"]
            for name, digest in files.items():
                path = os.path.join(folder, name)
                if os.stat(path).st_mtime_ns >= closed and _sha256(Path(path)) != digest:
                    return f"{name} is not as it was written"
        except FileNotFoundError as error:
            return f"{os.path.relpath(error.filename, folder)} is missing"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"{DONE} is damaged ({type(error).__name__})"
        return None

    def is_done(self, chain: str) -> bool:
        """Whether a chain is whole."""
        return (self.folder(chain) / DONE).is_file() and self._damage(chain) is None

    def reopen(self, chain: str) -> None:
        """Takes back that a chain is whole: the next run makes it again."""
        (self.folder(chain) / DONE).unlink(missing_ok=True)

    def folder(self, chain: str) -> Path:
        """Returns where a chain is, or will be."""
        return self.chains / chain

    def partial(self, chain: str) -> Path:
        """Makes a new empty folder for what a chain gives, on the file system of the results."""
        folder = self.partials / f"{chain}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder

    def keep(self, chain: str, partial: Path) -> Path:
        """Closes a partial folder with done.json and moves it to its place in one step.

        Where the chain is there already, which is then the same, the partial folder is dropped; one that is damaged
        is replaced.

        Args:
            chain: Its id.
            partial: From ``partial``, with all files in it.

        Returns:
            The chain's folder.

        Raises:
            BrokenPicture: A picture cannot be decoded; nothing was kept.
            OSError: The folder cannot be written to.
        """
        check_pictures(partial)
        inside = list(partial.rglob("*"))
        names = sorted(path.relative_to(partial).as_posix() for path in inside if path.is_file())
        hashes = {name: _sealed(partial / name) for name in names}
        write_json(partial / DONE, {"chain": chain, "files": hashes})
        # in this order a power cut leaves the whole chain or none: contents, names, then the new place
        for folder in (*(path for path in inside if path.is_dir()), partial):
            _sync_folder(folder)
        target = self.folder(chain)
        if target.is_dir() and not self.is_done(chain):  # damaged, or emptied by hand
            shutil.rmtree(target)
        try:
            os.rename(partial, target)
        except OSError:
            if not (target / DONE).is_file():
                raise
            shutil.rmtree(partial)
        _sync_folder(self.chains)
        self.forget(chain)
        return target

    def fail(self, chain: str, record: dict[str, Any]) -> None:
        """Records why a chain gave nothing, under ``error``, ``kind`` and ``details``."""
        write_json(self.failed / f"{chain}.json", record)

    def forget(self, chain: str) -> None:
        """Forgets that a chain failed."""
        (self.failed / f"{chain}.json").unlink(missing_ok=True)

    def failures(self) -> dict[str, dict[str, Any]]:
        """Returns id -> record of the chains that failed, and are not there since."""
        found = {}
        for path in sorted(self.failed.glob("*.json")):
            if self.is_done(path.stem):
                continue  # a batch that was killed had no time to forget it
            with contextlib.suppress(OSError, ValueError):
                found[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def note(self, **entry: Any) -> None:
        """Writes a line of the journal, with the time."""
        line = json.dumps({"time": round(time.time(), 3), **entry}, ensure_ascii=False)
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def notes(self) -> list[dict[str, Any]]:
        """Returns the lines of the journals of all shards, without those that a killed batch left unfinished."""
        entries = []
        for path in sorted(self.journal.parent.glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                with contextlib.suppress(ValueError):
                    entries.append(json.loads(line))
        return entries

    def record(self) -> dict[str, Any]:
        """Returns what the folder was begun with, {} where nothing was.

        Raises:
            CohortError: cohort.json is damaged.
        """
        path = self.out / RECORD
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise refuse(RECORD, f"{path} is damaged ({error}): delete it, and no versions are compared") from error
        return content if isinstance(content, dict) else {}

    def begin(self, **record: Any) -> None:
        """Records what the chains of the folder are computed with: ``workflow`` and ``versions``."""
        write_json(self.out / RECORD, record)

    def has_room(self) -> bool:
        """Whether the disk has enough left for a host to work."""
        return shutil.disk_usage(self.out).free >= LEAST_ROOM

    def check(self, chain: str) -> list[str]:
        """Reads every file of a chain through.

        Returns:
            Names of the files that are not as they were written.
        """
        folder = self.folder(chain)
        files = json.loads((folder / DONE).read_text(encoding="utf-8"))["files"]
        return [n for n, h in files.items() if not (folder / n).is_file() or _sha256(folder / n) != h]


def _sealed(path: Path) -> str:
    """The hash of a file, once it is on the disk for good."""
    with path.open("rb+") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _sync_folder(folder: Path) -> None:
    """The names in a folder are on the disk for good; Windows and some shared file systems cannot be asked for it."""
    if os.name == "nt":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Writes JSON that is there whole or not at all."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text that is there whole or not at all."""
    write_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def write_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file that is there whole or not at all, also after a power cut.

    Args:
        path: The file, replaced where there is one.
        write: Given the path of a temporary file beside it.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        _sealed(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
