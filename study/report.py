"""The results of a study as files: CSV, JSON, a text in Markdown and plots."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ..mvg.spreadsheet import escape_formula
from . import plots
from .manifest import Study
from .results import Results, Win
from .statistics import Rate


def write(folder: Path, study: Study, results: Results) -> str:
    """Writes results.json, win_rates.csv, results.md and the plots.

    Args:
        folder: Where to; made.
        study: The study.
        results: From ``evaluate``.

    Returns:
        The text of results.md.

    Raises:
        OSError: The folder cannot be written to.
    """
    (folder / "results.json").write_text(json.dumps(_plain(asdict(results)), indent=1) + "\n", encoding="utf-8")
    rows = [
        {
            "domain": win.domain,
            "method": win.method,
            "over": win.over,
            "wins": win.rate.hits,
            "pairs": win.rate.count,
            "rate": win.rate.rate,
            "wilson_low": win.rate.low,
            "wilson_high": win.rate.high,
            "clustered_low": win.clustered[0],
            "clustered_high": win.clustered[1],
        }
        for win in results.wins
    ]
    _csv(pd.DataFrame(rows), folder / "win_rates.csv")
    text = markdown(study, results)
    (folder / "results.md").write_text(text, encoding="utf-8")
    if results.wins:
        plots.win_rates(folder / "win_rates.png", results.wins, study.methods[0])
        plots.scores(folder / "bradley_terry.png", results.scores)
    return text


def export(folder: Path, votes: pd.DataFrame) -> None:
    """Writes votes.csv and votes.json, a row a vote, into a folder that is made; OSError where that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    _csv(votes, folder / "votes.csv")
    votes.to_json(folder / "votes.json", orient="records", indent=1, force_ascii=False)


def _csv(frame: pd.DataFrame, path: Path) -> None:
    safe = frame.apply(lambda column: column.map(escape_formula, na_action="ignore") if _is_text(column) else column)
    safe.to_csv(path, index=False, encoding="utf-8")


def _is_text(column: pd.Series) -> bool:
    return column.map(lambda cell: isinstance(cell, str)).any() and column.dropna().map(type).eq(str).all()


def _plain(value: Any) -> Any:
    """Without nan, which is no JSON; and with the rate itself beside its hits and count."""
    if isinstance(value, dict):
        shown = dict(value)
        if {"hits", "count"} <= shown.keys():
            shown["rate"] = shown["hits"] / shown["count"] if shown["count"] else None
        return {str(name): _plain(part) for name, part in shown.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(study: Study, results: Results) -> str:
    """The results to read; the first table has the layout of table 3."""
    lines = [f"# {study.title}", ""]
    lines += [
        f"{results.raters} raters, {results.finished} finished, {results.votes} votes. "
        f"{results.left_out} left out, having failed more than {study.failed_checks} attention checks.",
        "",
    ]
    domains = list(dict.fromkeys(win.domain for win in results.wins))
    for method in study.methods if study.every_pair else study.methods[:1]:
        others = [other for other in study.methods if other != method]
        lines += [f"## Win rate of {method} over the others", ""]
        lines += _table(
            ["", *others],
            [[domain, *(_win(results.wins, domain, method, other) for other in others)] for domain in domains],
        )
    lines += [
        "Share of the pairs, Wilson's 95 % interval, and in brackets the one that takes votes of a rater and of a case",
        "together: trust that one, as Wilson's takes all votes for independent.",
        "",
    ]
    lines += ["## Bradley-Terry scores", ""]
    rows = [
        [domain, score.method, str(score.rank), f"{score.score:.2f}{_between(score.low, score.high)}"]
        for domain, scores in results.scores.items()
        for score in scores
    ]
    lines += _table(["domain", "method", "rank", "score (log odds)"], rows)
    lines += ["## How far to trust them", ""]
    rows = [[f"Krippendorff's alpha, {name}", _number(value)] for name, value in results.agreement.items()]
    rows += [["same answer when shown again", _rate(results.retest)], ["left film chosen", _rate(results.left_side)]]
    lines += _table(["", ""], rows)
    if results.questions:
        rows = [
            [
                *(str(row[name]) for name in ("domain", "method", "films")),
                *(_rate(row[name]) for name in ("called real", "finding named", "course as expected")),
                f"{row['realism']['mean']:.2f}{_between(row['realism']['low'], row['realism']['high'])}",
            ]
            for row in results.questions
        ]
        lines += ["## Questionnaire", "", *_table([*results.questions[0]], rows)]
    return "\n".join(lines)


def _win(found: Sequence[Win], domain: str, method: str, other: str) -> str:
    win = next((win for win in found if (win.domain, win.method, win.over) == (domain, method, other)), None)
    if win is None:
        return ""
    low, high = (min(max(end, 0.0), 1.0) for end in win.clustered)
    return f"{_rate(win.rate)}" + (f" [{low:.2f} to {high:.2f}]" if math.isfinite(low) else "")


def _rate(rate: Rate) -> str:
    return f"{rate.rate:.2f}{_between(rate.low, rate.high)}, n = {rate.count}" if rate.count else ""


def _between(low: float, high: float) -> str:
    return f" ({low:.2f} to {high:.2f})" if math.isfinite(low) else ""


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "not defined: too few answers, or all the same"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells] + [""]
