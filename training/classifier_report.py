"""What `train classifier` writes beside the weights: figures, reliability plot and model card."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .classifier_scores import LEAST, Auroc, auroc_draws, auroc_table, cross_calibrated, mean_of, plot_reliability
from .data import Table

SCORES, CARD, PLOT = "scores.json", "model_card.md", "reliability.png"


@dataclass(frozen=True)
class Answers:
    """What a network says of a split, and what is so.

    Attributes:
        logits: [n, k].
        targets: [n, k] in [0, 1].
        known: bool [n, k].
        patients: n names.
    """

    logits: np.ndarray
    targets: np.ndarray
    known: np.ndarray
    patients: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """Figures of one network on one split: AUROC of every finding, their mean with its interval, their draws."""

    table: list[Auroc]
    mean: tuple[float, float, float]
    draws: np.ndarray


def score(answers: Answers, findings: Sequence[str], draws: int = 1000) -> Score:
    """AUROC of every finding with intervals over patients.

    Args:
        answers: of a network on a split.
        findings: the names of its logits.
        draws: of the bootstrap.

    Returns:
        The figures.
    """
    told = (answers.logits, answers.targets, answers.known, answers.patients)
    table = auroc_table(*told, findings, draws=draws)
    drawn = auroc_draws(*told, draws=draws, seed=0)
    return Score(table, mean_of(table, drawn), drawn)


def difference(first: Score, second: Score) -> tuple[float, float, float]:
    """Mean AUROC of the second less that of the first, with its 95 % interval over the same draws of patients.

    Args:
        first, second: of the same split.

    Returns:
        Value, low, high.
    """
    places = [k for k, row in enumerate(first.table) if math.isfinite(row.value)]
    if not places:
        return (math.nan,) * 3
    gain = np.nanmean(second.draws[:, places] - first.draws[:, places], axis=1)
    low, high = np.nanpercentile(gain, (2.5, 97.5))
    return second.mean[0] - first.mean[0], float(low), float(high)


def write_report(
    folder: Path,
    answers: Mapping[str, Answers],
    findings: Sequence[str],
    table: Table,
    told: Mapping[str, Any],
) -> str:
    """Writes SCORES, CARD and PLOT.

    Args:
        folder: of the run.
        answers: name of the stage ("BCE", "AUCM") -> what its network says of val; the last is the one that is saved.
        findings: the names of the logits.
        table: the data set.
        told: what else the card is to say, a line each.

    Returns:
        The figures as a table to read.
    """
    scores = {stage: score(given, findings) for stage, given in answers.items()}
    *_, last = answers.values()
    after = cross_calibrated(last.logits, last.targets, last.known, last.patients)
    before = 1 / (1 + np.exp(-last.logits))
    errors = plot_reliability(before, after, last.targets, last.known, folder / PLOT)
    text = _markdown(scores)
    written = {
        "auroc": {stage: [_plain(asdict(row)) for row in found.table] for stage, found in scores.items()},
        "mean": {
            stage: _plain(dict(zip(("value", "low", "high"), found.mean, strict=True)))
            for stage, found in scores.items()
        },
        "calibration_error": {"as trained": errors[0], "calibrated": errors[1]},
    }
    (folder / SCORES).write_text(json.dumps(written, indent=1), encoding="utf-8")
    (folder / CARD).write_text(_card(text, findings, table, told, errors), encoding="utf-8")
    return text


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """None for NaN, which JSON lacks."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def _markdown(scores: Mapping[str, Score]) -> str:
    """A row a finding, a column a stage."""
    stages = list(scores)
    lines = ["| finding | with / without | " + " | ".join(f"AUROC, {stage}" for stage in stages) + " |",
             "|---|---|" + "---|" * len(stages)]  # fmt: skip
    first = scores[stages[0]].table
    for k, row in enumerate(first):
        cells = [_interval(found.table[k].value, found.table[k].low, found.table[k].high) for found in scores.values()]
        lines.append(f"| {row.finding} | {row.positives} / {row.negatives} | {' | '.join(cells)} |")
    lines.append("| mean | | " + " | ".join(_interval(*found.mean) for found in scores.values()) + " |")
    if len(stages) > 1:
        gain = difference(scores[stages[0]], scores[stages[-1]])
        lines += ["", f"{stages[-1]} less {stages[0]}, mean over findings: {_interval(*gain, sign='+')}"]
    return "\n".join(lines)


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})" if math.isfinite(value) else "too few"


def _card(
    text: str, findings: Sequence[str], table: Table, told: Mapping[str, Any], errors: tuple[float, float]
) -> str:
    patients = {split: len({r.patient for r in table.records if r.split == split}) for split in ("train", "val")}
    lines = [
        "# Classifier",
        "",
        f"Reads {', '.join(findings)} in pictures of the kind {table.domain}. For research: no medical device.",
        "",
        f"Trained on {table.name}: {table.count('train')} pictures of {patients['train']} patients; judged on "
        f"{table.count('val')} of {patients['val']} others.",
        *(f"- {note}" for note in table.notes),
        "",
        *(f"- {name}: {value}" for name, value in told.items()),
        "",
        "## AUROC on val",
        "",
        "95 % intervals by bootstrap over patients. Val took no part in the training; the weights are those of the last"
        f" step. A finding with fewer than {LEAST} pictures of a kind has no figure.",
        "",
        text,
        "",
        "## Calibration",
        "",
        "Scale and offset of every logit are fitted on val and stand in the last layer. Expected calibration error over"
        f" all findings: {errors[0]:.3f} as trained, {errors[1]:.3f} calibrated, each picture by the fit on other "
        f"patients ({PLOT}).",
        "",
        "## Data",
        "",
        *(f"- {line}" for line in table.licences),
    ]
    return "\n".join(lines).rstrip() + "\n"
