"""Runs the chains of a cohort that are not there yet, whatever happens to those who compute them."""

import shutil
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ..client import DISK, PROMPT, SERVER
from . import normalized_output, preflight
from .chains import Chain, graph_of, uploads_of
from .engines.base import Engine, Job, NoWorkers, Outcome, is_full
from .files import FOLDER
from .plan import Cohort
from .problems import CohortError
from .store import DONE, Store

ATTEMPTS = 3


class DiskFull(RuntimeError):
    """No room for results; what was done is kept."""


@dataclass
class Event:
    """Something worth a line.

    Attributes:
        kind: "done", "failed" or "retry" (it broke and is tried once more).
        chain: The chain.
        outcome: How its attempt ended.
        remaining: How many chains are not done yet.
    """

    kind: str
    chain: Chain
    outcome: Outcome
    remaining: int


@dataclass
class Result:
    """What a run did.

    Attributes:
        before: How many chains were done already.
        done: Ids of the chains that it computed.
        failed: Id -> error.
    """

    before: int
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run(
    cohort: Cohort,
    store: Store,
    engine: Engine,
    *,
    retry_failed: bool = False,
    any_version: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Result:
    """Compute what is missing. The caller holds ``store.lock()``; the engine is closed however it ends.

    Args:
        cohort: What to compute.
        store: Where results go.
        engine: What computes.
        retry_failed: Try chains again that failed by themselves.
        any_version: Allow hosts of other versions than the results that are there.
        on_event: Takes each event as it comes.

    Returns:
        What was done.

    Raises:
        CohortError: The hosts would refuse something.
        NoWorkers: None is left that computes.
        DiskFull: There is no room. What ended before is kept, in each case.
    """
    todo = cohort.todo(store, retry_failed)
    result = Result(before=len(cohort.ids()) - len(todo))
    if not todo:
        return result
    try:
        versions = _check_hosts(cohort, store, engine, todo, any_version)
        _Batch(cohort, store, engine, on_event, result, versions, any_version).run(todo)
    except OSError as error:  # of the journal, or of a record
        if is_full(error):
            raise DiskFull(_full(store)) from error
        raise
    finally:
        engine.close()
    return result


def _full(store: Store) -> str:
    return f"the disk of {store.out} is full. Free some space and run this again: what is done is kept."


def _check_hosts(cohort: Cohort, store: Store, engine: Engine, todo: list[Chain], any_version: bool) -> dict[str, str]:
    """-> the versions that all chains shall be of."""
    facts = engine.start(preflight.node_classes(cohort.workflow))
    problems = preflight.check(cohort.workflow, todo, facts)
    recorded = None if any_version else cohort.versions(store)
    if not any_version:
        problems += preflight.versions(facts, recorded)
    if problems:
        raise CohortError(problems)
    versions = {**(recorded or {}), **facts[0].versions}
    store.begin(workflow=cohort.workflow.name, versions=versions)
    return versions


class _Batch:
    def __init__(
        self,
        cohort: Cohort,
        store: Store,
        engine: Engine,
        on_event: Callable,
        result: Result,
        versions: dict[str, str],
        any_version: bool,
    ):
        self.cohort = cohort
        self.store = store
        self.engine = engine
        self.on_event = on_event
        self.result = result
        self.versions = versions
        self.any_version = any_version
        self.attempts: dict[str, int] = {}
        self.lost_outputs: set[str] = set()

    def run(self, todo: list[Chain]) -> None:
        waiting, running = deque(todo), dict[str, Chain]()
        while waiting or running:
            while waiting and self.engine.free_slots() > 0:
                chain = waiting.popleft()
                running[chain.id] = chain
                self.engine.submit(self._job(chain))
            outcome = self.engine.collect(timeout=1.0)
            if outcome is None:
                self._check_left(running)
                continue
            chain = running.pop(outcome.job.chain)
            if self._record(chain, outcome, len(waiting) + len(running)):
                continue
            waiting.appendleft(chain)

    def _check_left(self, running: dict[str, Chain]) -> None:
        try:
            self.engine.free_slots()
        except NoWorkers:
            if running:  # theirs may come in still, all others may not
                outcome = self.engine.collect(timeout=1.0)
                if outcome is not None:
                    self._record(running.pop(outcome.job.chain), outcome, len(running))
            raise

    def _job(self, chain: Chain) -> Job:
        prefix = f"{FOLDER}/{chain.id}"
        if chain.id in self.lost_outputs:  # a host whose output folder was cleared answers from its cache
            prefix += f"-{uuid.uuid4().hex[:8]}"
        graph = graph_of(self.cohort.workflow, chain.patient, chain.seed, prefix)
        return Job(chain.id, graph, uploads_of(chain.patient), prefix, self.store.partial(chain.id))

    def _record(self, chain: Chain, outcome: Outcome, remaining: int) -> bool:
        """Keep the result or the failure, and report it; False where the chain has to be tried again."""
        error, kind = outcome.error, outcome.kind
        if error is None:
            error, kind = self._keep(outcome)
        about = {"chain": chain.id, "seconds": round(outcome.seconds, 3), "worker": outcome.worker}
        if error is None:
            self.store.note(event="done", **about)
            self.result.done.append(chain.id)
            self.on_event(Event("done", chain, outcome, remaining))
            return True
        shutil.rmtree(outcome.job.into, ignore_errors=True)
        if kind == SERVER and not self.store.has_room():
            raise DiskFull(_full(self.store))
        if kind == DISK:
            raise DiskFull(f"{error}. Free some space and run this again: what is done is kept.")
        if outcome.details.get("gone") or outcome.error is None:  # fetched, and then it could not be kept
            self.lost_outputs.add(chain.id)
        self.attempts[chain.id] = self.attempts.get(chain.id, 0) + 1
        told = Outcome(outcome.job, outcome.seconds, outcome.worker, error, kind, outcome.details)
        if kind == SERVER and self.attempts[chain.id] < ATTEMPTS:
            self.store.note(event="broken", error=error, **about)
            self.on_event(Event("retry", chain, told, remaining))
            return False
        details = {} if outcome.details.get("gone") else dict(outcome.details)
        self.store.fail(chain.id, {"chain": chain.id, "error": error, "kind": kind, "details": details})
        self.store.note(event="failed", error=error, **about)
        self.result.failed[chain.id] = error
        self.on_event(Event("failed", chain, told, remaining))
        return True

    def _keep(self, outcome: Outcome) -> tuple[str | None, str]:
        job = outcome.job
        try:
            if (job.into / DONE).exists():
                raise OSError(f"the host saved a file of the name {DONE}, which closes a chain")
            normalized_output.normalize(job.into, job.prefix, job.chain)
            if told := self._other_version(normalized_output.mvg_version(job.into)):
                return told, PROMPT
            self.store.keep(job.chain, job.into)
        except OSError as error:
            if is_full(error):
                return f"the disk of {self.store.out} is full", DISK
            return f"the result could not be kept ({error})", SERVER
        except ValueError as error:
            return f"the result could not be read ({error})", PROMPT
        return None, ""

    def _other_version(self, mvg: str | None) -> str | None:
        """Whether another version of this extension computed a chain, which a foreign host's results alone tell."""
        if mvg is None or self.any_version:
            return None
        if "mvg" not in self.versions:
            self.versions["mvg"] = mvg
            self.store.begin(workflow=self.cohort.workflow.name, versions=self.versions)
        wanted = self.versions["mvg"]
        return None if mvg == wanted else f"MVG {mvg} computed it, want {wanted} as for the others (or --any-version)"
