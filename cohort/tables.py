"""A cohort's results as tables: the chains, every score of every chain, and means with intervals."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from ..mvg.metrics.table import COLUMNS, read_csv
from ..mvg.plan import NO_FINDING
from ..mvg.spreadsheet import escape_formula
from .chain_plan import ChainPlan, read_plan
from .plan import Cohort
from .store import Store

RESAMPLES = 10_000
FEWER_RESAMPLES = 2_000  # from MANY patients on: the interval is narrow, and 10,000 would take minutes
MANY = 500
DRAWN_AT_ONCE = 4_000_000  # values: 32 MB
PLANNED = ["finding", "notes"]
SERIES = ["finding", "series", "metric", "model", "settings", "stage"]
NAMES = ("chains", "scores", "summary")


def chains(cohort: Cohort, store: Store) -> pd.DataFrame:
    """A row a chain of the manifest, in its order.

    Args:
        cohort: What was to be computed.
        store: What is there.

    Returns:
        patient_id, seed, chain (its id), status (done, failed, damaged or missing), seconds (of the run that gave the
        chain), error, finding and notes (of its plan), and a column for every input that the rows set.
    """
    damages, failures = store.damages(), store.failures()
    seconds = {note["chain"]: note["seconds"] for note in store.notes() if note.get("event") == "done"}
    columns = sorted({slot for p in cohort.patients for slot in p.values if not cohort.workflow.is_file(slot)})
    rows = []
    for chain in cohort.chains:
        damage = damages.get(chain.id)
        done = chain.id in damages and damage is None
        failure = None if done else failures.get(chain.id, {}).get("error")
        plan = read_plan(store.folder(chain.id)) if done else ChainPlan()
        rows.append(
            {
                "patient_id": chain.patient.patient_id,
                "seed": chain.seed,
                "chain": chain.id,
                "status": _status(done, failure, damage),
                "seconds": seconds.get(chain.id),
                "error": failure or damage,
                "finding": plan.finding,
                "notes": plan.notes,
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
    """Every score of every chain that is done.

    Args:
        store: What is there.
        table: From ``chains``.

    Returns:
        patient_id, seed, chain, finding and notes (of its plan), series ("" for the chain itself, else the name that a
        Score Table of the workflow gave), stage (<NA> for a figure of the whole chain), metric, value, model, settings.
    """
    about = ["patient_id", "seed", "chain", *PLANNED]
    rows = []
    for done in table[table["status"] == "done"][about].itertuples(index=False):
        for path in sorted(store.folder(done.chain).rglob("scores.csv")):
            for row in read_csv(path):
                series = row.chain.removeprefix(done.chain).strip("/")
                rows.append((*done, series, row.stage, row.metric, row.value, row.model, row.settings))
    frame = pd.DataFrame(rows, columns=[*about, "series", *COLUMNS[1:]])
    return frame.astype({"seed": "uint64", "stage": "Int64", "value": "float64"}).drop_duplicates()


def without_finding(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``chains`` or ``scores`` whose chain shows no disease: they count in no mean."""
    return table[table["finding"] == NO_FINDING]


def left_out(table: pd.DataFrame) -> list[str]:
    """A sentence on the chains of ``chains`` that count in no mean, [] where all do."""
    count = len(without_finding(table))
    if not count:
        return []
    what = "chain shows no disease, as its plan has" if count == 1 else "chains show no disease, as their plans have"
    return [f"{count} {what} no finding, and {'is' if count == 1 else 'are'} left out of the means."]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over patients, and its bootstrap 95 % interval, of every metric at every stage of every finding.

    A patient's seeds are averaged first: patients are what is drawn again, seeds of one patient are not independent.
    Chains whose plan has no finding are left out.

    Args:
        table: From ``scores``.

    Returns:
        finding, series, metric, model, settings, stage, patients, chains, mean, low, high; see ``intervals``.
    """
    table = table[table["finding"] != NO_FINDING]
    rows, by_count = [], dict[int, list[int]]()
    values: list[np.ndarray] = []
    for n, (key, group) in enumerate(table.groupby(SERIES, dropna=False, sort=True)):
        values.append(group.groupby("patient_id", sort=True)["value"].mean().to_numpy())
        by_count.setdefault(len(values[-1]), []).append(n)
        rows.append((*key, len(values[-1]), group["chain"].nunique()))
    ends = np.empty((len(rows), 3))
    for places in by_count.values():
        ends[places] = intervals(np.stack([values[n] for n in places]))
    frame = pd.DataFrame(rows, columns=[*SERIES, "patients", "chains"]).astype({"stage": "Int64"})
    return frame.assign(mean=ends[:, 0], low=ends[:, 1], high=ends[:, 2])


def intervals(values: np.ndarray) -> np.ndarray:
    """Means and the 95 % intervals of their percentile bootstrap (Efron 1979), by scipy.

    Args:
        values: [G, n] of G groups with n patients each.

    Returns:
        [G, 3]: mean, low, high. low and high are NaN for n = 1, and where a value is infinite, as the PSNR of equal
        images is. 10,000 resamples, 2,000 from n = 500 on; the same draws every time.
    """
    means = values.mean(axis=1)
    ends = np.full((len(values), 2), np.nan)
    finite = np.isfinite(values).all(axis=1)
    count = values.shape[1]
    if count > 1 and finite.any():
        drawn = stats.bootstrap(
            (values[finite],),
            np.mean,
            axis=1,
            method="percentile",
            n_resamples=RESAMPLES if count < MANY else FEWER_RESAMPLES,
            batch=max(1, DRAWN_AT_ONCE // (count * int(finite.sum()))),
            rng=0,
        ).confidence_interval
        ends[finite] = np.stack([drawn.low, drawn.high], axis=1)
    return np.concatenate([means[:, None], ends], axis=1)


def markdown(table: pd.DataFrame, cells: list[list[str]] | None = None) -> str:
    """A table as Markdown, in which no cell is a formula to a spreadsheet.

    Args:
        table: What to show.
        cells: Texts in place of the table's own cells, a list a row.
    """
    rows = [
        list(map(str, table.columns)),
        *(cells or [[show(v) for v in row] for row in table.itertuples(index=False)]),
    ]
    lines = ["| " + " | ".join(map(_markdown_cell, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def _markdown_cell(cell: str) -> str:
    return " ".join(escape_formula(cell).replace("\\", "\\\\").replace("|", "\\|").splitlines())


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, in which no text is a formula to a spreadsheet."""
    safe = table.rename(columns=escape_formula)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            cells = [escape_formula(cell) if isinstance(cell, str) else cell for cell in table.iloc[:, place]]
            safe.isetitem(place, pd.Series(cells, index=table.index, dtype=object))
    return safe.to_csv(index=False, lineterminator="\n")


def show(value: object) -> str:
    """A value for people: four digits of a fraction, nothing for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read(out: str | Path, table: str = "scores") -> pd.DataFrame:
    """Reads a table of a cohort's output folder.

    Args:
        out: The folder.
        table: "scores" (with what each row sets), "chains" or "summary".

    Raises:
        ValueError: There is no table of that name.
        FileNotFoundError: No batch has ended in the folder yet.
    """
    if table not in NAMES:
        raise ValueError(f"table: got {table!r}, want one of {', '.join(NAMES)}")
    frame = pd.read_parquet(Path(out) / f"{table}.parquet")
    if table != "scores":
        return frame
    set_by_rows = pd.read_parquet(Path(out) / "chains.parquet").drop(columns=["status", "seconds", "error", *PLANNED])
    return frame.merge(set_by_rows, on=["patient_id", "seed", "chain"], how="left")


def plain(settings: str) -> str:
    """Settings of a score in words: {"finding": "edema"} -> "finding edema"."""
    return ", ".join(
        f"{name} {value}"
        for name, value in json.loads(settings or "{}").items()
        if name != "synthetic" and value not in (None, "")
    )


def targeted(means: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``summary`` but those of other findings than the one that progresses."""
    others = [
        bool(finding) and json.loads(settings or "{}").get("finding", finding) != finding
        for finding, settings in zip(means["finding"], means["settings"], strict=True)
    ]
    return means[~np.array(others, dtype=bool)]


def shown(means: pd.DataFrame) -> pd.DataFrame:
    """The summary for people.

    Args:
        means: From ``summary``.

    Returns:
        Rows of the findings that progress, settings in words, the interval in one cell, no column that is empty
        throughout. A figure of the whole chain has the stage "all".
    """
    means = targeted(means)
    table = means.assign(
        settings=[plain(text) for text in means["settings"]],
        stage=["all" if stage is pd.NA else str(stage) for stage in means["stage"]],
    )
    table["95 %"] = [between(low, high) for low, high in zip(means["low"], means["high"], strict=True)]
    table = table.drop(columns=["low", "high"])
    empty = [name for name in table.columns if not any(show(value) for value in table[name])]
    return table.drop(columns=empty)


def between(low: float, high: float) -> str:
    """An interval in words, "" where there is none."""
    return f"{show(low)} to {show(high)}" if low == low else ""
