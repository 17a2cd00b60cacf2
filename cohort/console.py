"""What a batch says: the plan of a dry run, progress, failures, and where the results are."""

import argparse
import math
import shutil
import sys
import time
from collections import Counter

from . import Cohort, estimate, notes
from .batch import Event
from .chains import Chain
from .models import UNSEEN
from .plan import Estimate
from .store import Store

ASSUMED_SECONDS = 60.0  # a guess: a chain's time is not known before one is done
SHOWN = 20


def duration(seconds: float) -> str:
    """75 -> "1 min 15 s"; two parts at most."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    told = [f"{n} {unit}" for n, unit in parts if n]
    return " ".join(told[:2]) or "0 s"


def plan(cohort: Cohort, store: Store, todo: list[Chain], workers: int) -> str:
    """The plan of a dry run in words.

    Args:
        cohort: What would be computed.
        store: Where results are.
        todo: The chains that would run.
        workers: How many run at once.
    """
    failures = store.failures()
    ids = cohort.ids()
    done = len(ids & store.done())
    lines = [
        f"workflow: {cohort.workflow.name}",
        f"patients: {len({chain.patient.row for chain in cohort.chains})}, chains: {len(cohort.chains)}"
        + (f", {len(cohort.chains) - len(ids)} of them equal to another" if len(ids) < len(cohort.chains) else ""),
        f"done: {done}, failed: {len(ids & failures.keys())}, to run: {len(todo)}, {workers} at a time",
    ]
    for models, count in Counter(chain.models for chain in todo).items():
        lines.append(f"  {count} with {', '.join(models) or 'no model files'}")
    lines += [
        f"  {chain.where}: {chain.id}" if n < SHOWN else f"  and {len(todo) - SHOWN} more"
        for n, chain in enumerate(todo[: SHOWN + 1])
    ]
    lines += notes.plans(cohort)
    known = estimate(store)
    seconds = (known.seconds or ASSUMED_SECONDS) * math.ceil(len(todo) / workers)
    basis = (
        f"from the {known.chains} that were run so far"
        if known.seconds
        else f"guessing {ASSUMED_SECONDS:.0f} s a chain: none is done yet"
    )
    lines.append(f"time: about {duration(seconds)}, {basis}")
    if known.bytes:
        need, free = room(store, known, len(todo))
        lines.append(f"disk: about {need:.0f} MB, {free:.0f} MB are free")
    return "\n".join(lines)


def room(store: Store, known: Estimate, count: int) -> tuple[float, float]:
    """MB that so many chains may take, and MB that are free; there is a folder once anything is known."""
    return (known.bytes or 0) * count / 1e6, shutil.disk_usage(store.out).free / 1e6


def too_little_room(store: Store, count: int) -> str | None:
    """A note where ``count`` more chains may not fit on the disk."""
    need, free = room(store, estimate(store), count)
    if need <= free:
        return None
    return f"note: the results may take {need:.0f} MB, and {free:.0f} MB are free"


def unseen(names: list[str]) -> str:
    """A note on weights that are not on this machine."""
    return (
        f"note: {', '.join(names)} {'is' if len(names) == 1 else 'are'} not on this machine: chains go by the name of "
        "these models, not by their content"
    )


class Progress:
    """A bar where a person looks on, else a line a chain."""

    def __init__(self, total: int):
        self.total = total
        self.began: float | None = None  # when the first chain did: the start of a host is no chain's time
        self.bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=total, unit="chain", smoothing=0.1, dynamic_ncols=True)

    def __call__(self, event: Event) -> None:
        if self.began is None:
            self.began = time.time() - event.outcome.seconds
            if self.bar is not None:
                self.bar.start_t = self.bar.last_print_t = self.began
        done = self.total - event.remaining
        what = event.chain.where
        took = f"{event.outcome.seconds:.1f} s"
        if event.kind == "done":
            line = f"{done} of {self.total}: {what}: {took}"
        elif event.kind == "failed":
            line = f"{done} of {self.total}: {what}: FAILED: {event.outcome.error}"
        else:
            line = f"{what}: again, as {event.outcome.error}"
        if self.bar is None:
            remaining = (time.time() - self.began) / max(done, 1) * event.remaining
            print(
                line + (f" ({duration(remaining)} left)" if event.remaining and event.kind != "retry" else ""),
                flush=True,
            )
            return
        if event.kind == "done":
            self.bar.set_postfix_str(what)
        else:
            self.bar.write(line, file=sys.stderr)
        if event.kind != "retry":
            self.bar.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def failures(cohort: Cohort, store: Store) -> list[str]:
    """A line a chain that failed."""
    records = store.failures()
    return [f"{chain.where}: {records[chain.id]['error']}" for chain in cohort.chains if chain.id in records]


def unseen_models(cohort: Cohort, hashes) -> list[str]:
    """Weights that are not on this machine. hashes: as ``Models.hashes``."""
    names = {name for models in {chain.models for chain in cohort.chains} for name in models}
    return sorted(name for name in names if UNSEEN in hashes((name,)).values())


def stop_hint(options: argparse.Namespace) -> str:
    """Where what was done is kept; "" for a dry run."""
    if options.dry_run:
        return ""
    return f" (what is done is kept in {options.out}: the same command goes on from there)"
