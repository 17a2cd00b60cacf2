"""The end of a batch in files: CSV, Parquet, Markdown and one HTML page that needs nothing beside it."""

import functools

import pandas as pd

from ..mvg.disclaimer import STATEMENT
from . import page, tables
from .plan import Cohort
from .store import Store, write_file, write_text


def write(cohort: Cohort, store: Store) -> pd.DataFrame:
    """Writes chains, scores and summary as CSV and Parquet, summary.md and report.html; each is replaced whole.

    Args:
        cohort: What was to be computed.
        store: What is there; the caller holds its lock.

    Returns:
        The summary, see ``tables.summary``.

    Raises:
        OSError: The folder cannot be written to.
    """
    frame = tables.chains(cohort, store)
    scores = tables.scores(store, frame)
    means = tables.summary(scores)
    for name, table in (("chains", frame), ("scores", scores), ("summary", means)):
        write_text(store.out / f"{name}.csv", tables.csv_text(table))
        write_file(store.out / f"{name}.parquet", functools.partial(table.to_parquet, index=False))
    write_text(store.out / "summary.md", _markdown(cohort, frame, means))
    write_text(store.out / "report.html", page.html(cohort.workflow.name, store, frame, scores, means))
    return means


def _markdown(cohort: Cohort, frame: pd.DataFrame, means: pd.DataFrame) -> str:
    failed = tables.failed(frame)
    parts = [
        f"# Cohort: {cohort.workflow.name}\n",
        f"{STATEMENT}\n",
        f"{frame['patient_id'].nunique()} patients, {len(frame)} chains: {tables.counted(frame)}.\n",
        "Mean over patients with its bootstrap 95 % interval.\n",
        *(f"{line}\n" for line in tables.left_out(frame)),
        tables.markdown(tables.shown(means)),
    ]
    if len(failed):
        parts += ["## Failed\n", tables.markdown(failed)]
    return "\n".join(parts)
