"""One batch: read, check, compute what is missing, write the tables."""

import argparse
import sys

from .. import cohort
from ..launch.batch_arguments import check_batch
from ..launch.device import device_name
from ..launch.errors import LaunchError, UsageError
from ..launch.host import domain_folders, ensure_host
from ..launch.paths import BASE
from ..mvg.domains.files import load_domains
from ..mvg.file_names import is_reserved
from . import Cohort, CohortError, Pool, RunningServer, Store, console, notes, preflight
from .batch import DiskFull
from .engines import local
from .engines.base import Engine, NoWorkers
from .models import Models
from .seeds import DEFAULT, seed_note
from .store import ALL, Busy

MODEL_FOLDERS = (BASE / "models",)


def run(options: argparse.Namespace) -> int:
    """Exit code 0 where every chain is done, 1 where one is not."""
    check_batch(options)
    if bad := next((part for part in options.out.parts if part not in (".", "..") and is_reserved(part)), None):
        raise UsageError(f"--out: {bad!r} is no name for a folder on Windows. Give another.")
    try:
        whole = cohort.build(options.cohort, options.workflow, MODEL_FOLDERS, load_domains(domain_folders()).domains)
        part = whole.part(*options.part) if options.part else whole
        if options.dry_run:
            return dry_run(options, part)
        return batch(options, whole, part)
    except CohortError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        raise UsageError(
            f"{count} thing{'s' if count > 1 else ''} to correct, named above; nothing was run."
        ) from error
    except Busy as error:
        raise LaunchError(f"{error}. Wait for it, or run this with --wait.") from error
    except DiskFull as error:
        raise LaunchError(str(error)) from error
    except NoWorkers as error:
        raise LaunchError(f"{error}{console.stop_hint(options)}") from error


def store_of(options: argparse.Namespace) -> Store:
    """The output folder, or this shard's part in it."""
    return Store(options.out, f"{options.part[0]}-of-{options.part[1]}" if options.part else ALL)


def dry_run(options: argparse.Namespace, part: Cohort) -> int:
    """Print the plan. CohortError where servers that run already would refuse something."""
    store = store_of(options)
    workers = len(options.server) or options.workers or len(_devices(options))
    if options.server:  # they run already: what they would refuse can be said now
        engine = Pool([RunningServer(address, 5) for address in options.server])
        try:
            facts = engine.start(preflight.node_classes(part.workflow))
        finally:
            engine.close()
        problems = preflight.check(part.workflow, part.chains, facts)
        if not options.any_version:
            problems += preflight.versions(facts, part.versions(store))
        if problems:
            raise CohortError(problems)
    print(console.plan(part, store, part.todo(store, options.retry_failed), workers))
    _tell_notes(part)
    return 0


def _tell_notes(part: Cohort) -> None:
    """What is worth knowing before anything runs: seeds without effect, weights on another machine."""
    rows = [patient.values for patient in part.patients if patient.seeds != DEFAULT]
    if line := seed_note(part.workflow, rows):
        print(line, flush=True)
    for line in (*notes.idle_plans(part), *notes.image_notes(part), *notes.film_notes(part)):
        print(line, flush=True)
    if names := console.unseen_models(part, Models(MODEL_FOLDERS).hashes):
        print(console.unseen(names))


def _devices(options: argparse.Namespace) -> list[str]:
    return local.devices(options.devices, device_name())


def batch(options: argparse.Namespace, whole: Cohort, part: Cohort) -> int:
    """Compute what is missing of a part, and write the tables.

    Args:
        options: Of ``run.py batch``, checked.
        whole: The cohort.
        part: What this batch computes of it.

    Returns:
        Exit code, as ``run``.
    """
    store = store_of(options)
    with store.lock(options.wait, lambda holder: print(f"{holder}: waiting for it to end", flush=True)):
        todo = part.todo(store, options.retry_failed)
        ids = part.ids()
        print(f"{len(ids)} chains, {len(ids & store.done())} done, {len(todo)} to run", flush=True)
        _tell_notes(part)
        if todo and (note := console.too_little_room(store, len(todo))):
            print(note, flush=True)
        if todo:
            compute(options, store, part, len(todo))
        return finish(options, store, whole, part)


def compute(options: argparse.Namespace, store: Store, part: Cohort, count: int) -> None:
    """Run the chains that are missing, ``count`` of them, with progress. Raises as ``cohort.run``."""
    engine = engine_of(options, store)
    progress = console.Progress(count)
    try:
        cohort.run(
            part,
            store,
            engine,
            retry_failed=options.retry_failed,
            any_version=options.any_version,
            on_event=progress,
        )
        local.clear_logs(store.out / "logs" / store.shard)
    finally:
        progress.close()


def engine_of(options: argparse.Namespace, store: Store) -> Engine:
    """The engine that the options name; LaunchError or UsageError where it cannot be made."""
    limit = float("inf") if options.limit is None else options.limit * 60
    if options.engine == "server":
        return Pool([RunningServer(address) for address in options.server], limit)
    host = ensure_host()
    if options.engine == "ray":
        from .engines.ray_engine import RayEngine

        return RayEngine(host, store, options.address, options.workers, limit)
    wanted = _devices(options)
    print(f"starting ComfyUI {host.version} ({host.found_by}) on {', '.join(wanted)} ...", flush=True)
    servers = local.local_servers(host, wanted, store.work, store.out / "logs" / store.shard)
    return Pool(servers, limit)


def finish(options: argparse.Namespace, store: Store, whole: Cohort, part: Cohort) -> int:
    """Tables and page, of all chains that are there; a shard leaves them to whoever ends last or runs the whole."""
    failed = console.failures(part, store)
    if failed:
        print(f"{len(failed)} failed (run again with --retry-failed):")
        print("\n".join(f"  {line}" for line in failed[: console.SHOWN]))
        if len(failed) > console.SHOWN:
            print(f"  and {len(failed) - console.SHOWN} more, in {store.out / 'chains.csv'}")
    if not options.part or whole.ids() <= store.done() | store.failures().keys():
        from . import report, tables

        means = report.write(whole, store)
        print(tables.markdown(tables.shown(means)), end="")
        for line in tables.left_out(tables.read(store.out, "chains")):
            print(f"note: {line}")
    print(f"result: {store.out}", flush=True)
    return 1 if part.ids() - store.done() else 0
