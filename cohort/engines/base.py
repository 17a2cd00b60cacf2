"""What computes chains: the one small interface that the rest of a batch knows."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...client import PROMPT, ServerInfo
from ..files import InputFile
from ..workflow import Graph


def is_full(error: OSError) -> bool:
    """Whether a disk has no room left, or its owner's quota on a shared one is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Job:
    """A chain to compute. into: an empty folder that its files go to; prefix: where the host saves meanwhile."""

    chain: str
    graph: Graph
    uploads: tuple[InputFile, ...]
    prefix: str
    into: Path


@dataclass(frozen=True)
class Outcome:
    """How a job ended. error: None, or one line; kind: as a PromptFailed's; details: what the host said of it."""

    job: Job
    seconds: float
    worker: str
    error: str | None = None
    kind: str = PROMPT
    details: Mapping[str, Any] = field(default_factory=dict)


class NoWorkers(RuntimeError):
    """Nothing is left that could compute."""


class Engine(Protocol):
    """Several chains at once. ``start`` comes first, ``close`` last, however it ends."""

    def start(self, classes: frozenset[str]) -> list[ServerInfo]:
        """Wait until the hosts answer.

        Args:
            classes: Node classes to ask them for.

        Returns:
            What each says of itself.

        Raises:
            NoWorkers: One does not answer.
        """

    def free_slots(self) -> int:
        """How many more chains it takes now; NoWorkers where it never will again."""

    def submit(self, job: Job) -> None:
        """Take a job; its outcome comes from ``collect``."""

    def collect(self, timeout: float) -> Outcome | None:
        """The next outcome, in any order; None where there is none within ``timeout`` seconds."""

    def close(self) -> None:
        """Stop what still runs, and what it started itself."""
