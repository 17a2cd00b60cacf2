"""Comparisons of simulated and later images as a CSV, a table in Markdown, and pictures."""

import csv
import io
from pathlib import Path

import numpy as np
import torch

from ...mvg.spreadsheet import escape_formula
from .figures import same_width, save_image
from .follow_up import PERSISTENCE, ROWS
from .report import write

COMPARED = {"mae_roi": ("MAE in ROI", 4), "ratio": ("over persistence", 3), "mae": ("MAE", 4),
            "ssim_roi": ("SSIM in ROI", 3), "ssim": ("SSIM", 3)}  # fmt: skip
"""Figure of a row -> its head and its digits."""
READ = {"conf": ("Conf", 3), "conf_later": ("Conf later", 3)}
"""The same of what a classifier reads, where one does."""


def as_csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return f"{value:.5f}" if isinstance(value, float) else escape_formula(value) if isinstance(value, str) else value


def summary(rows: list[dict], group: str) -> list[dict]:
    """Per group and method the means, and the MAE in the region over that of persistence."""
    out = []
    for name in dict.fromkeys(row[group] for row in rows):
        base = np.mean([r["mae_roi"] for r in rows if r[group] == name and r["method"] == PERSISTENCE])
        for method in ROWS:
            part = [r for r in rows if r[group] == name and r["method"] == method]
            if not part:
                continue
            means = {k: float(np.mean([r[k] for r in part])) for k, v in part[0].items() if isinstance(v, float)}
            out.append({group: name, "method": method, "n": len(part), "ratio": means["mae_roi"] / base, **means})
    return out


def as_markdown(title: str, about: str, lines: list[dict], group: str) -> str:
    shown = {k: v for k, v in (COMPARED | READ).items() if k in lines[0]}
    head = [group, "method", "n", *(words for words, _ in shown.values())]
    out = [f"# {title}", "", about, "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for line in lines:
        cells = [
            str(line[group]),
            line["method"],
            str(line["n"]),
            *(f"{line[k]:.{digits}f}" for k, (_, digits) in shown.items()),
        ]
        out.append(f"| {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def finish(out: Path, name: str, rows: list[dict], text: str, sheets: list[torch.Tensor]) -> None:
    write(out / f"{name}.csv", as_csv(rows))
    write(out / f"{name}.md", text)
    save_image(same_width(sheets), out / f"{name}.png")
    print(text)
