"""Every score in one tidy table: a row a value, with chain, stage, metric, value, model and settings."""

import contextlib
import csv
import io
import json
import math
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..spreadsheet import escape_formula, unescape_formula

FIRST_STAGE = {"conf": 0, "severity": 0, "clip_i": 1, "change": 1}
"""The stage of a score's first value; a score that is not here names it as first_stage, or has no stage."""
_RESULTS = {"metric", "model", "values", "mean", "std", "note", "stopped", "first_stage"}


@dataclass(frozen=True)
class Row:
    """One value. stage: None for a figure of the whole chain or set. settings: a JSON object with sorted keys."""

    chain: str
    stage: int | None
    metric: str
    value: float
    model: str
    settings: str

    @property
    def key(self) -> tuple:
        """What tells a row from all others of a table."""
        return self.chain, self.stage, self.metric, self.model, self.settings


COLUMNS = tuple(field.name for field in fields(Row))


def rows_of(scores: str | Mapping[str, Any], chain: str) -> list[Row]:
    """The rows of a score.

    Args:
        scores: the JSON text, or its object, of a score node: "metric", "values", "model" and settings. "all" holds a
            list of values a finding, "parts" further scores that share the settings, "severity" the values that the
            classifier of Conf reads beside it.
        chain: the name of this patient and seed.

    Returns:
        A row a value; "mean" and "std" are rows without a stage.

    Raises:
        ValueError: chain is empty, it is no such score, or a value is NaN.
    """
    if not chain.strip():
        raise ValueError("chain: got no name, want one that tells this patient and seed from others")
    if isinstance(scores, str):
        scores = json.loads(scores)
    if not isinstance(scores, Mapping) or "metric" not in scores:
        raise ValueError("scores: got something that is no score, want an object with metric and values")
    return list(_rows(scores, chain))


def _rows(scores: Mapping[str, Any], chain: str) -> Iterator[Row]:
    shared = {k: v for k, v in scores.items() if v is None or isinstance(v, str | int | float)}
    if "parts" in scores:
        for part in scores["parts"]:
            yield from _rows({**shared, **part}, chain)
        return
    metric, model = str(scores["metric"]), str(scores.get("model") or "")
    settings = {k: v for k, v in shared.items() if k not in _RESULTS}
    first = scores.get("first_stage", FIRST_STAGE.get(metric))

    def row(stage: int | None, value: Any, settings: Mapping[str, Any], name: str = metric) -> Row:
        return _checked(Row(chain, stage, name, _number(name, value), model, _json(settings)))

    series = {scores.get("finding"): scores["values"], **scores.get("all", {})}
    for finding, values in series.items():
        own = settings if finding is None else {**settings, "finding": finding}
        if first is None and len(values) > 1:
            raise ValueError(
                f"scores: got {len(values)} values of {metric} without first_stage, want the stage they begin at"
            )
        for n, value in enumerate(values):
            yield row(None if first is None else first + n, value, own)
    if "severity" in scores:
        yield from _rows({**shared, "scale": "severity", **scores["severity"], "metric": "severity"}, chain)
    if "mean" in scores:
        yield row(None, scores["mean"], settings)
    if "std" in scores:
        yield row(None, scores["std"], settings, f"{metric}_std")


def _number(metric: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{metric}: got {value!r}, want a number") from error


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _checked(row: Row) -> Row:
    if math.isnan(row.value):
        where = "" if row.stage is None else f" at stage {row.stage}"
        raise ValueError(f"{row.metric}: got NaN{where} of chain {row.chain!r}; nothing was written")
    return row


def merge(*tables: Iterable[Row]) -> list[Row]:
    """All rows in order, one a key (chain, stage, metric, model, settings); the last value of a key wins."""
    return list({row.key: row for table in tables for row in table}.values())


def to_csv(rows: Iterable[Row]) -> str:
    """The table as CSV with a header; names that a spreadsheet would run get an apostrophe, see ``spreadsheet``.

    Args:
        rows: the table.

    Returns:
        The text.

    Raises:
        ValueError: a value is NaN, or a key is there twice.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _all_checked(rows):
        chain, metric, model, settings = map(escape_formula, (row.chain, row.metric, row.model, row.settings))
        writer.writerow([chain, row.stage, metric, repr(float(row.value)), model, settings])
    return text.getvalue()


def _all_checked(rows: Iterable[Row]) -> list[Row]:
    rows = [_checked(row) for row in rows]
    seen: set[tuple] = set()
    for row in rows:
        if row.key in seen:
            raise ValueError(f"rows: got two of {row.metric}, stage {row.stage}, chain {row.chain!r}; merge them first")
        seen.add(row.key)
    return rows


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Writes the table, replacing one that is there only once all is on the disk.

    Args:
        rows: the table.
        path: the file.

    Raises:
        ValueError: as `to_csv`.
    """
    text = to_csv(rows)
    _replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def from_csv(text: str, name: str = "table") -> list[Row]:
    """Reads the text of `to_csv`.

    Args:
        text: CSV.
        name: what errors call it.

    Returns:
        The rows.

    Raises:
        ValueError: it is no such table; the message names the line.
    """
    lines = csv.reader(io.StringIO(text))
    if tuple(next(lines, ())) != COLUMNS:
        raise ValueError(f"{name}: got no score table, want the columns {', '.join(COLUMNS)}")
    rows = []
    try:
        for line in lines:
            chain, stage, metric, value, model, settings = map(unescape_formula, line)
            rows.append(Row(chain, int(stage) if stage else None, metric, float(value), model, settings))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{name}: line {lines.line_num} is no row of a score table ({error})") from error
    return rows


def read_csv(path: Path) -> list[Row]:
    """Reads the file of `write_csv`.

    Args:
        path: the file.

    Returns:
        The rows.

    Raises:
        ValueError: as `from_csv`.
    """
    return from_csv(path.read_text(encoding="utf-8"), path.name)


def write_parquet(rows: Iterable[Row], path: Path) -> None:
    """Writes the table as Parquet with the same columns, typed.

    Args:
        rows: the table.
        path: the file.

    Raises:
        ValueError: as `to_csv`, or the package pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{path.name}: Parquet needs the package pyarrow (pip install pyarrow); CSV does not"
        ) from error
    types = {"stage": pyarrow.int32(), "value": pyarrow.float64()}
    rows = _all_checked(rows)
    table = pyarrow.table(
        {
            name: pyarrow.array([getattr(row, name) for row in rows], types.get(name, pyarrow.string()))
            for name in COLUMNS
        }
    )
    _replace(path, lambda temporary: pyarrow.parquet.write_table(table, temporary))


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
