"""A cohort's results as tables: the chains, every score of every chain, and means with intervals."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from ..mvg.metrics.table import COLUMNS, read_csv
from ..mvg.spreadsheet import as_text
from .plan import Cohort
from .store import Store

RESAMPLES = 10_000
FEWER_RESAMPLES = 2_000  # from MANY patients on: the interval is narrow, and 10,000 would take minutes
MANY = 500
SERIES = ["series", "metric", "model", "settings", "stage"]
NAMES = ("chains", "scores", "summary")


def chains(cohort: Cohort, store: Store) -> pd.DataFrame:
    """A row a chain of the manifest: patient_id, seed, chain, status, seconds, error, and what the row sets.

    status: done, failed, damaged or missing. seconds: of the run that gave the chain.
    """
    done, failures, damaged = store.done(), store.failures(), store.damaged()
    seconds = {note["chain"]: note["seconds"] for note in store.notes() if note.get("event") == "done"}
    columns = sorted({slot for p in cohort.patients for slot in p.values if not cohort.workflow.is_file(slot)})
    rows = []
    for chain in cohort.chains:
        failure = None if chain.id in done else failures.get(chain.id, {}).get("error")
        damage = damaged.get(chain.id)
        rows.append(
            {
                "patient_id": chain.patient.patient_id,
                "seed": chain.seed,
                "chain": chain.id,
                "status": _status(chain.id in done, failure, damage),
                "seconds": seconds.get(chain.id),
                "error": failure or damage,
                **{str(slot): chain.patient.values.get(slot, cohort.workflow.value(slot)) for slot in columns},
            }
        )
    frame = pd.DataFrame(rows)
    frame["seed"] = frame["seed"].astype("uint64")
    frame["seconds"] = frame["seconds"].astype("float64")
    frame["error"] = frame["error"].astype("string")
    return frame


def _status(done: bool, failure: str | None, damage: str | None) -> str:
    return "done" if done else "failed" if failure else "damaged" if damage else "missing"


def counted(table: pd.DataFrame) -> str:
    """How many chains of ``chains`` are in which state, in words."""
    states = table["status"].value_counts()
    told = [f"{states.get(state, 0)} {state}" for state in ("done", "failed", "missing")]
    return ", ".join([*told, f"{states['damaged']} damaged"] if "damaged" in states else told)


def failed(table: pd.DataFrame) -> pd.DataFrame:
    """The chains that gave nothing or are damaged: patient_id, seed and error."""
    return table[table["status"].isin(["failed", "damaged"])][["patient_id", "seed", "error"]]


def scores(store: Store, table: pd.DataFrame) -> pd.DataFrame:
    """Every score of the chains of ``table`` that are done: patient_id, seed, chain, series, stage, metric, value, ...

    series: "" for the chain itself, else the name that a Score Table of the workflow gave. stage: <NA> for a figure
    of the whole chain.
    """
    rows = []
    for done in table[table["status"] == "done"].itertuples():
        for path in sorted(store.folder(done.chain).rglob("scores.csv")):
            for row in read_csv(path):
                series = row.chain.removeprefix(done.chain).strip("/")
                values = (row.stage, row.metric, row.value, row.model, row.settings)
                rows.append((done.patient_id, done.seed, done.chain, series, *values))
    frame = pd.DataFrame(rows, columns=["patient_id", "seed", "chain", "series", *COLUMNS[1:]])
    return frame.astype({"seed": "uint64", "stage": "Int64", "value": "float64"}).drop_duplicates()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over patients, and its bootstrap 95 % interval, of every metric at every stage.

    A patient's seeds are averaged first: patients are what is drawn again, seeds of one patient are not independent.
    low and high are NaN for one patient. Percentile method, 10,000 resamples (2,000 from 500 patients on), seed 0.
    """
    rows = []
    for key, group in table.groupby(SERIES, dropna=False, sort=True):
        values = group.groupby("patient_id", sort=True)["value"].mean().to_numpy()
        rows.append((*key, len(values), group["chain"].nunique(), *interval(values)))
    frame = pd.DataFrame(rows, columns=[*SERIES, "patients", "chains", "mean", "low", "high"])
    return frame.astype({"stage": "Int64"})


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) of [n] values: the percentile bootstrap's 95 % interval of the mean.

    low and high are NaN for n = 1, and where a value is infinite, as the PSNR of equal images is.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return float(values.mean()), float("nan"), float("nan")
    low, high = np.percentile(_weights(len(values)) @ values, [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


@functools.lru_cache(maxsize=2)
def _weights(n: int) -> np.ndarray:
    """[resamples, n]: how often each value is drawn, divided by n; the same for every table."""
    draw = np.random.default_rng(0)
    weights = np.empty((RESAMPLES if n < MANY else FEWER_RESAMPLES, n), np.float32)
    for row in weights:
        row[:] = np.bincount(draw.integers(0, n, n), minlength=n)
    weights /= n
    return weights


def markdown(table: pd.DataFrame, cells: list[list[str]] | None = None) -> str:
    """A table as Markdown."""
    rows = [
        list(map(str, table.columns)),
        *(cells or [[show(v) for v in row] for row in table.itertuples(index=False)]),
    ]
    lines = ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def _markdown_cell(cell: str) -> str:
    return " ".join(as_text(cell).replace("\\", "\\\\").replace("|", "\\|").splitlines())


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, in which no text is a formula to a spreadsheet."""
    safe = table.rename(columns=as_text)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            cells = [as_text(cell) if isinstance(cell, str) else cell for cell in table.iloc[:, place]]
            safe.isetitem(place, pd.Series(cells, index=table.index, dtype=object))
    return safe.to_csv(index=False, lineterminator="\n")


def show(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read(out: str | Path, table: str = "scores") -> pd.DataFrame:
    """A table of a cohort's output folder: "scores" (with what each row sets), "chains" or "summary".

    ValueError for another name, FileNotFoundError where no batch has ended there yet.
    """
    if table not in NAMES:
        raise ValueError(f"table: got {table!r}, want one of {', '.join(NAMES)}")
    frame = pd.read_parquet(Path(out) / f"{table}.parquet")
    if table != "scores":
        return frame
    set_by_rows = pd.read_parquet(Path(out) / "chains.parquet").drop(columns=["status", "seconds", "error"])
    return frame.merge(set_by_rows, on=["patient_id", "seed", "chain"], how="left")


def plain(settings: str) -> str:
    """Settings of a score in words: {"finding": "edema"} -> "finding edema"."""
    return ", ".join(
        f"{name} {value}"
        for name, value in json.loads(settings or "{}").items()
        if name != "synthetic" and value not in (None, "")
    )


def shown(means: pd.DataFrame) -> pd.DataFrame:
    """The summary for people: settings in words, the interval in one cell, no column that is empty throughout.

    A figure of the whole chain has the stage "all".
    """
    table = means.assign(
        settings=[plain(text) for text in means["settings"]],
        stage=["all" if stage is pd.NA else str(stage) for stage in means["stage"]],
    )
    ends = zip(means["low"], means["high"], strict=True)
    table["95 %"] = [f"{show(low)} to {show(high)}" if low == low else "" for low, high in ends]
    table = table.drop(columns=["low", "high"])
    empty = [name for name in table.columns if not any(show(value) for value in table[name])]
    return table.drop(columns=empty)
