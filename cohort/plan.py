"""A cohort that was read and expanded: what would run, in which order, and about how long it would take."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..client import SERVER
from ..mvg.domains import BUILT_IN, Domain
from . import chains as expansion
from . import manifest
from .chains import Chain
from .manifest import Patient
from .models import Models
from .store import Store
from .workflow import Workflow

SAMPLED = 50


@dataclass(frozen=True)
class Cohort:
    """Every chain of a manifest in the order that it runs; equal rows give chains with equal ids."""

    workflow: Workflow
    patients: list[Patient]
    chains: list[Chain]

    def ids(self) -> set[str]:
        return {chain.id for chain in self.chains}

    def part(self, index: int, count: int) -> "Cohort":
        """Shard ``index`` of ``count``. Raises as ``chains.shard``."""
        return Cohort(self.workflow, self.patients, expansion.shard(self.chains, index, count))

    def todo(self, store: Store, retry_failed: bool = False) -> list[Chain]:
        """What is left to compute, one chain an id.

        Args:
            store: Knows what is done.
            retry_failed: Include chains that failed by themselves; those that failed with a host are included anyway.
        """
        finished = store.done()
        if not retry_failed:
            finished |= {chain for chain, record in store.failures().items() if record.get("kind") != SERVER}
        unique = {chain.id: chain for chain in reversed(self.chains)}
        return [chain for chain in self.chains if chain.id not in finished and unique[chain.id] is chain]

    def versions(self, store: Store) -> dict[str, str] | None:
        """What the chains that are there were computed with; None where there is none."""
        return store.record().get("versions") if store.closed() else None


def build(
    path: str | Path,
    workflow: str | Path,
    model_folders: Sequence[Path] = (),
    domains: Mapping[str, Domain] = BUILT_IN,
) -> Cohort:
    """Read a manifest and a workflow.

    Args:
        path: The manifest, CSV.
        workflow: In API format.
        model_folders: As ComfyUI/models; weights in them go into the ids by content rather than by name.
        domains: What reports are read as, by name.

    Raises:
        CohortError: With everything that is wrong.
    """
    form = Workflow.load(Path(workflow))
    patients = manifest.read(Path(path), form, domains)
    return Cohort(form, patients, expansion.expand(form, patients, Models(model_folders)))


@dataclass(frozen=True)
class Estimate:
    """seconds and bytes of one chain, from ``chains`` that are done; None and 0 where there is none."""

    chains: int
    seconds: float | None
    bytes: float | None


def estimate(store: Store) -> Estimate:
    """From the journal and some of the chains that are there."""
    times = [entry["seconds"] for entry in store.notes() if entry.get("event") == "done"]
    folders = [store.folder(chain) for chain in store.closed()[:SAMPLED]]
    sizes = [sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) for folder in folders]
    return Estimate(len(times), statistics.median(times) if times else None, statistics.mean(sizes) if sizes else None)
