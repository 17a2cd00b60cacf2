"""An engine of threads, one a host: each takes a chain, has its host compute it, and takes the next."""

import queue
import threading
import time
from collections.abc import Callable, Sequence

from ...client import DISK, SERVER, Client, PromptFailed, ServerInfo, StatusError
from ...client.following import PATIENCE
from .base import Job, NoWorkers, Outcome, is_full

RESTART_SECONDS = 600.0  # to wait for a host that has answered before: it may be starting again
MAX_PAUSE_SECONDS = 60.0  # between chains of a host that breaks one after the other: the others take them
MAX_FAILURES = 30  # in a row, after which a host counts as gone
MALFORMED_ANSWER = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What an answer raises that is not as a ComfyUI's."""


class Stopped(Exception):
    """The batch ends."""


class Unreachable(Exception):
    """A host is out of reach, and what can be done about it was tried."""


class Worker:
    """One host, and what keeps it going."""

    name: str

    def ready(self, check: Callable[[], None]) -> Client:
        """Wait for the host; start it where that is ours to do.

        Args:
            check: Called now and then; what it raises ends the wait.

        Returns:
            A client of the host, which answers.

        Raises:
            Unreachable: It does not answer.
        """
        raise NotImplementedError

    def check(self) -> None:
        """PromptFailed (SERVER) where the host is known to have ended."""

    def restart(self) -> None:
        """A chain could not be ended properly: the host may be stuck."""

    def clear(self) -> None:
        """A chain's files are fetched: what the host keeps of it may go where that is ours to say."""

    def stop(self) -> None:
        """End the host where it is ours, and every ``ready`` that waits."""


class RunningServer(Worker):
    """A ComfyUI that somebody else runs.

    Args:
        address: As "127.0.0.1:8188".
        patience: Seconds to wait for its first answer.
    """

    def __init__(self, address: str, patience: float = PATIENCE):
        self.client = Client(address)
        self.name = self.client.address
        self.patience = patience

    def ready(self, check: Callable[[], None]) -> Client:
        deadline = time.monotonic() + self.patience
        while True:
            check()
            try:
                self.client.get("/system_stats")
                self.patience = max(self.patience, RESTART_SECONDS)
                return self.client
            except (OSError, ValueError) as error:
                if time.monotonic() > deadline:
                    raise Unreachable(f"no ComfyUI answers at {self.name} ({reason(error)})") from error
                time.sleep(min(1.0, self.patience))


class Pool:
    """An engine over workers.

    Args:
        workers: The hosts.
        limit: Seconds that a chain may take.
    """

    def __init__(self, workers: Sequence[Worker], limit: float = float("inf")):
        self.workers = list(workers)
        self.limit = limit
        self.stopping = threading.Event()
        self.jobs: queue.Queue[Job | None] = queue.Queue()
        self.outcomes: queue.Queue[Outcome] = queue.Queue()
        self.uncollected = 0  # jobs taken whose outcomes are not yet
        self.gone: dict[str, str] = {}
        self.threads: list[threading.Thread] = []

    def start(self, classes: frozenset[str]) -> list[ServerInfo]:
        facts: list[ServerInfo] = []
        failures: list[str] = []

        def ask(worker: Worker) -> None:
            try:
                facts.append(worker.ready(self._check).info(classes))
            except Stopped:
                pass
            except Unreachable as error:
                failures.append(str(error))
            except MALFORMED_ANSWER as error:
                failures.append(f"{worker.name} answers as no ComfyUI does ({reason(error)})")

        self._each(ask)
        if failures:
            raise NoWorkers("; ".join(sorted(failures)))
        self.threads = [threading.Thread(target=self._work, args=[worker], daemon=True) for worker in self.workers]
        for thread in self.threads:
            thread.start()
        return sorted(facts, key=lambda fact: fact.worker)

    def _each(self, call: Callable[[Worker], None]) -> None:
        self.threads = [threading.Thread(target=call, args=[worker], daemon=True) for worker in self.workers]
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            while thread.is_alive():
                thread.join(0.2)  # short, so that a signal is answered

    def free_slots(self) -> int:
        if len(self.gone) == len(self.workers):
            raise NoWorkers("; ".join(sorted(self.gone.values())))
        return len(self.workers) - len(self.gone) - self.uncollected

    def submit(self, job: Job) -> None:
        self.uncollected += 1
        self.jobs.put(job)

    def collect(self, timeout: float) -> Outcome | None:
        try:
            outcome = self.outcomes.get(timeout=timeout)
        except queue.Empty:
            return None
        self.uncollected -= 1
        return outcome

    def close(self) -> None:
        self.stopping.set()
        for worker in self.workers:
            worker.stop()
        for _ in self.threads:
            self.jobs.put(None)
        for thread in self.threads:
            thread.join(20)

    def _check(self) -> None:
        if self.stopping.is_set():
            raise Stopped

    def _work(self, worker: Worker) -> None:
        failures = 0  # in a row
        while not self.stopping.is_set():
            try:
                client = worker.ready(self._check)
                self.gone.pop(worker.name, None)
            except Unreachable as error:
                self.gone[worker.name] = str(error)
                self.stopping.wait(5)
                continue
            except Stopped:
                return
            try:
                job = self.jobs.get(timeout=2)
            except queue.Empty:
                continue  # and see that the host is there still
            if job is None:
                continue
            outcome = self._run(worker, client, job)
            if outcome is None:
                continue
            self.outcomes.put(outcome)
            failures = failures + 1 if outcome.kind == SERVER else 0
            if failures == MAX_FAILURES:
                self.gone[worker.name] = f"{worker.name} broke {failures} chains in a row, the last as {outcome.error}"
                return
            if failures > 1:
                self.stopping.wait(min(MAX_PAUSE_SECONDS, 2.0**failures))

    def _run(self, worker: Worker, client: Client, job: Job) -> Outcome | None:
        def check() -> None:
            self._check()
            worker.check()

        try:
            outcome = attempt(client, job, check, self.limit, worker.name)
        except Stopped:
            return None
        if outcome.kind == SERVER or "limit" in outcome.details:
            worker.restart()
        if outcome.error is None:
            worker.clear()
        return outcome


def attempt(client: Client, job: Job, check: Callable[[], None], limit: float, worker: str) -> Outcome:
    """Have a host compute a job.

    Args:
        client: Of the host.
        job: What to compute.
        check: Called now and then; what it raises passes through where it is no PromptFailed.
        limit: Seconds that the job may take.
        worker: What errors call the host.

    Returns:
        How it ended; whatever went wrong is in it.
    """
    began = time.monotonic()

    def ended(error: str | None, kind: str = SERVER, details: dict | None = None) -> Outcome:
        return Outcome(job, time.monotonic() - began, worker, error, "" if error is None else kind, details or {})

    try:
        client.run(job.graph, job.uploads, job.into, check=check, limit=limit)
    except PromptFailed as error:
        told = f"{worker}: {error}" if error.kind == DISK else str(error)
        return ended(told, error.kind, error.details)
    except StatusError as error:
        return ended(f"{worker} answered {error.status} ({error.reason})")
    except TimeoutError as error:
        return ended(f"{worker} is too slow: {error}")
    except OSError as error:
        if is_full(error):
            return ended(f"the disk of {job.into.parent} is full", DISK)
        return ended(f"{worker} could not be reached ({reason(error)})")
    except MALFORMED_ANSWER as error:
        return ended(f"{worker} answered as no ComfyUI does ({error})")
    return ended(None)


def reason(error: Exception) -> str:
    """What an error says, or its kind where it says nothing."""
    return str(error) or type(error).__name__
