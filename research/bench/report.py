"""What becomes of scores: a row of a table, the table as CSV and Markdown beside the paper's, and the tidy table."""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...mvg.metrics.table import Row
from ...mvg.spreadsheet import escape_formula
from .bars import interval
from .evaluation import Scores

PRINTED: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {
    ("2", "chest_xray"): {"Extrapolation": (0.054, 0.972), "SD Walk": (0.389, 0.923), "PIE": (0.712, 0.978)},
    ("2", "fundus"): {"Extrapolation": (0.074, 0.991), "SD Walk": (0.121, 0.892), "PIE": (0.807, 0.992)},
    ("2", "skin"): {"Extrapolation": (0.226, 0.951), "SD Walk": (0.201, 0.886), "PIE": (0.453, 0.958)},
    ("4", "chest_xray"): {"without mask": (0.729, 0.933), "with mask": (0.712, 0.978)},
    ("4", "fundus"): {"without mask": (0.163, 0.968), "with mask": (0.807, 0.992)},
    ("4", "skin"): {"without mask": (0.666, 0.852), "with mask": (0.453, 0.958)},
    ("5", "chest_xray"): {
        "0.1": (0.120, 0.969, 0.0638), "0.2": (0.273, 0.969, 0.0885), "0.4": (0.746, 0.965, 0.1142),
        "0.6": (0.995, 0.956, 0.1549), "0.8": (0.999, 0.951, 0.1629),
    },
    ("6", "chest_xray"): {
        "1": (0.491, 0.965, 0.094), "5": (0.881, 0.963, 0.121), "10": (0.978, 0.962, 0.142),
        "50": (0.975, 0.962, 0.130), "100": (0.959, 0.962, 0.115),
    },
    ("7", "chest_xray"): {
        "0.01, 1": (0.954, 0.946, 0.133), "0.01, 0.75": (0.977, 0.948, 0.140), "0.01, 0.5": (0.554, 0.965, 0.090),
        "0.1, 1": (0.960, 0.965, 0.126), "0.1, 0.75": (0.976, 0.962, 0.140), "0.1, 0.5": (0.554, 0.962, 0.089),
        "0.2, 1": (0.963, 0.947, 0.134), "0.2, 0.75": (0.977, 0.964, 0.137), "0.2, 0.5": (0.556, 0.962, 0.089),
    },
}  # fmt: skip
"""The paper's figures: (table, domain) -> row -> Conf, CLIP-I and, where it has it, KID."""
METRICS = ("Conf", "CLIP-I", "severity", "true CLIP-I")
HEADS = {"2": "method", "4": "PIE", "5": "gamma", "6": "N", "7": "beta_1, beta_2"}


@dataclass(frozen=True)
class Line:
    """A row of a table: its label, the scores of its runs, and where the table has them KID and `true_clip_i`.

    mode: of PIE's plan, "" for others.
    """

    domain: str
    label: str
    scores: list[Scores]
    mode: str = ""
    kid: dict | None = None
    true_clip_i: list[np.ndarray] | None = None

    def values(self) -> dict[str, tuple[float, float, float]]:
        """metric -> mean, low and high; seeds of one patient are averaged first."""
        by_patient: dict[str, list[list[float]]] = {}
        for place, run in enumerate(self.scores):
            for i, name in enumerate(run.names):
                one = [float(run.conf[i, -1]), float(run.clip_i[i].mean())]
                if run.severity is not None:
                    one.append(float(run.severity[i, -1]))
                if self.true_clip_i is not None:
                    one.append(float(self.true_clip_i[place][i].mean()))
                by_patient.setdefault(f"{run.run.finding} {name}", []).append(one)
        means = np.array([np.mean(values, axis=0) for values in by_patient.values()])
        return {name: interval(column) for name, column in zip(METRICS, means.T, strict=False)}

    @property
    def patients(self) -> int:
        return len({f"{run.run.finding} {name}" for run in self.scores for name in run.names})

    @property
    def seeds(self) -> int:
        """Runs of a patient that differ."""
        return len({run.run.settings.get("seed", 0) for run in self.scores})


def as_csv(number: str, lines: list[Line]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [name.lower().replace("-", "_").replace(" ", "_") for name in lines[0].values()]
    head = [
        "domain",
        HEADS[number],
        "mode",
        "patients",
        "seeds",
        *(f"{name}{end}" for name in names for end in ("", "_low", "_high")),
    ]
    with_kid = any(line.kid for line in lines)
    writer.writerow(head + (["kid", "kid_std", "kid_n", "kid_m", "kid_subset"] if with_kid else []))
    for line in lines:
        values = line.values()
        cells = [f"{v:.5f}" for three in values.values() for v in three]
        if line.kid:
            cells += [f"{line.kid['mean']:.5f}", f"{line.kid['std']:.5f}", *(line.kid[k] for k in ("n", "m", "subset"))]
        about = [escape_formula(line.domain), escape_formula(line.label), line.mode, line.patients, line.seeds]
        writer.writerow([*about, *cells])
    return text.getvalue()


def as_markdown(number: str, lines: list[Line], about: str) -> str:
    with_kid = any(line.kid for line in lines)
    metrics = [*lines[0].values(), *(["KID"] if with_kid else [])]
    columns = ["domain", HEADS[number], "mode", *metrics, "patients", "seeds", "in the paper"]
    out = [f"# Table {number}", "", about, "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for line in lines:
        values = line.values()
        cells = [f"{m:.3f} ({low:.3f} to {high:.3f})" for m, low, high in values.values()]
        if with_kid:
            cells.append(f"{line.kid['mean']:.4f} ± {line.kid['std']:.4f}" if line.kid else "")
        printed = PRINTED.get((number, line.domain), {}).get(line.label) if line.mode in ("", "terminal") else None
        said = " / ".join(f"{v:g}" for v in printed) if printed else ""
        row = [line.domain, line.label, line.mode, *cells, str(line.patients), str(line.seeds), said]
        out.append(f"| {' | '.join(row)} |")
    return "\n".join(out) + "\n"


def tidy(lines: list[Line], models: dict[str, str]) -> list[Row]:
    """Every score as a row; what several tables share is there once."""
    rows = {}
    for line in lines:
        for run in line.scores:
            settings = json.dumps({"N": run.run.stages, "finding": run.run.finding, **run.run.settings}, sort_keys=True)
            for name, conf, near in zip(run.names, run.conf, run.clip_i, strict=True):
                chain = f"{run.run.domain}/{run.run.finding}/{name}/{run.run.method}"
                for metric, first, values in (("conf", 0, conf), ("clip_i", 1, near)):
                    for stage, value in enumerate(values, start=first):
                        row = Row(chain, stage, metric, float(value), models[metric], settings)
                        rows[row.key] = row
    return list(rows.values())


def write(path: Path, text: str) -> None:
    """In one step: a run that fails leaves the file of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
