"""Score tables for people: rounded, a row a stage or a method, each figure with its unit."""

import json
from collections.abc import Iterable, Mapping

from .table import Row

UNITS = {
    "conf": "Conf (0 to 1)",
    "severity": "severity (0 to 1)",
    "clip_i": "CLIP-I (cosine)",
    "change": "change (RMS of latents)",
    "mae": "MAE (0 to 1)",
    "ssim": "SSIM (0 to 1)",
    "psnr": "PSNR (dB)",
    "kid": "KID (x 1)",
}


AT_THE_END = ("conf", "severity", "change")
"""Metrics of which a comparison shows the last stage; of others it shows the mean over the stages."""


def by_stage(rows: Iterable[Row]) -> list[list[str]]:
    """A row a stage; figures of the whole chain stand in a last row, "all".

    Args:
        rows: of one chain; of several the last one with the same metric, settings and stage is shown.

    Returns:
        The cells, the head first; figures to three digits.
    """
    titles: dict[str, None] = {}
    cells: dict[int | None, dict[str, str]] = {}
    for row in rows:
        title = _title(row)
        titles[title] = None
        cells.setdefault(row.stage, {})[title] = _figure(row.value)
    stages = sorted(cells, key=lambda stage: (stage is None, stage or 0))
    lines = [["all" if n is None else str(n), *(cells[n].get(title, "") for title in titles)] for n in stages]
    return [["stage", *titles], *lines]


def by_method(tables: Mapping[str, Iterable[Row]]) -> list[list[str]]:
    """A row a method: Conf, severity and change at the last stage, other metrics as their mean over stages 1 to N.

    Args:
        tables: the rows of each method by its name.

    Returns:
        The cells, the head first; figures to three digits.
    """
    found: dict[str, dict[str, str]] = {}
    titles: dict[str, None] = {}
    for name, rows in tables.items():
        series: dict[tuple[str, str], dict[int, float]] = {}
        for row in rows:
            if row.stage:
                series.setdefault((row.metric, _title(row)), {})[row.stage] = row.value
        found[name] = {}
        for (metric, title), values in series.items():
            last = metric in AT_THE_END
            value = values[max(values)] if last else sum(values.values()) / len(values)
            title = f"{title}, {'last stage' if last else 'mean'}"
            titles[title] = None
            found[name][title] = _figure(value)
    lines = [[name, *(cells.get(title, "") for title in titles)] for name, cells in found.items()]
    return [["method", *titles], *lines]


def of_target(rows: Iterable[Row]) -> list[Row]:
    """Without the findings beside the one that progresses, which Conf and severity have first."""
    first: dict[str, str] = {}
    kept = []
    for row in rows:
        finding = json.loads(row.settings or "{}").get("finding")
        if finding is None or first.setdefault(row.metric, finding) == finding:
            kept.append(row)
    return kept


def _title(row: Row) -> str:
    settings = json.loads(row.settings or "{}")
    of = " ".join(str(settings[name]) for name in ("finding", "region") if settings.get(name))
    name = UNITS.get(row.metric, row.metric)
    return f"{of}: {name}" if of else name


def _figure(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 0.001 else f"{value:.3f}".rstrip("0").rstrip(".") if value else "0"


def markdown(rows: list[list[str]]) -> str:
    """Cells, the head first, as a Markdown table whose columns stand below each other in plain text too."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]) + "\n"
