"""Cohorts: many patients and seeds through one workflow. From a notebook:

from pathlib import Path
from mvgen import cohort

plan = cohort.build("cohort.csv", "workflows/api/mvg_chest_xray.json", [Path("ComfyUI/models")])
store = cohort.Store(Path("out"))
with store.lock():
    cohort.run(plan, store, cohort.Pool([cohort.RunningServer("127.0.0.1:8188")]))
    cohort.write(plan, store)
cohort.read("out")           # every score of every chain as a DataFrame
"""

from typing import TYPE_CHECKING, Any

from .batch import run
from .engines.pool import Pool, RunningServer
from .plan import Cohort, build, estimate
from .problems import CohortError
from .store import Store

if TYPE_CHECKING:
    from .report import write
    from .tables import read

__all__ = ["Cohort", "CohortError", "Pool", "RunningServer", "Store", "build", "estimate", "read", "run", "write"]


def __getattr__(name: str) -> Any:
    """pandas takes a second to import: only where a table is wanted."""
    if name == "write":
        from .report import write

        return write
    if name == "read":
        from .tables import read

        return read
    raise AttributeError(name)
