"""Simulated courses of real pictures against the drawn ones, whose severity is known, beside control and baselines.

How near any model could come is told by another draw of the same course: what differs between two seeds is drawn by
lot, and no picture tells it.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from ....mvg.metrics.image import mae
from .. import bars, methods
from ..bars import CONTROL, PIE, Bar, Verdict
from . import reader
from .judges import folder_of
from .options import as_table, findings_of, simulator, table_of, words
from .pictures import courses_of, healthy_pictures
from .simulated import KINDS, severities

ANOTHER = "another draw of it"

BARS = (
    Bar("last", high=0.45),
    Bar("each", high=0.50),
    Bar("severity_mae", high=0.08),
    Bar("last", low=0.98, high=1.02, of=CONTROL),
)
FIGURES = {
    "last": "MAE in the region to the drawn course over that of the unchanged picture, last stage",
    "each": "the same of every stage by itself, mean of these ratios",
    "whole": "the ratio of the last stage over the whole picture",
    "severity_mae": "mean over the stages of |severity read - severity planned|",
    "severity": "of the last stage as it is read",
}
"""Figure -> what it is. The severity is read by a network that no node uses, `reader`."""


def measure(states: Tensor, truth: Tensor, region: Tensor, read: np.ndarray | None, planned: Sequence[float]) -> dict:
    """FIGURES of one course.

    Args:
        states: [N + 1, H, W, 3], simulated.
        truth: of the like, drawn.
        region: [H, W], where changes were allowed.
        read: [N + 1] severities of the states; None where nothing reads them.
        planned: N + 1 severities, 0 first.
    """
    first = states[:1].expand_as(states[1:])
    errors, unchanged = (mae(x, truth[1:], region[None]).numpy() for x in (states[1:], first))
    whole, unchanged_whole = (float(mae(x[-1:], truth[-1:])) for x in (states[1:], first))
    found = {
        "last": float(errors[-1] / unchanged[-1]),
        "each": float((errors / unchanged).mean()),
        "whole": whole / unchanged_whole,
    }
    if read is not None:
        found["severity_mae"] = float(np.abs(read[1:] - np.asarray(planned[1:])).mean())
        found["severity"] = float(read[-1])
    return found


def run(options: argparse.Namespace) -> list[Verdict]:
    """Prints FIGURES of PIE, control, baselines and of the drawn course itself, by finding."""
    table, made = table_of(options), simulator(options)
    network = None if options.unread else reader.load(folder_of(options.domain) / "reader.safetensors")
    if network is None:
        print("--unread: no severity is read, so that its bar is not judged")
    starts = healthy_pictures(table, options.of, options.count, options.size, first=options.first)
    planned, rows = severities(options.stages), []
    for finding in findings_of(options, made):
        cases = courses_of(starts, finding)
        truths = [case.truth(planned) for case in cases]
        regions = [case.region(made.known) for case in cases]

        def read(states: Tensor, finding: str = finding) -> np.ndarray | None:
            if network is None:
                return None
            return network.severity(states[0], states)[:, network.findings.index(finding)]

        for kind in (methods.TRUTH, ANOTHER, *KINDS):
            most = len(cases) if kind in (methods.TRUTH, ANOTHER, PIE) or options.beside is None else options.beside
            some = cases[:most]
            if kind == methods.TRUTH:
                courses = truths
            elif kind == ANOTHER:
                courses = [replace(case, seed=case.seed + 1000).truth(planned) for case in some]
            else:
                courses = made.states(some, kind, options.stages, table)
            for case, states, truth, region in zip(some, courses, truths, regions, strict=False):
                wanted = [0.0] * len(planned) if kind == CONTROL else planned
                figures = measure(states, truth, region, read(states), wanted)
                rows.append({"kind": kind, "finding": finding, "patient": case.start.patient, **figures})
    print(f"\n{options.domain}: {len(starts)} patients of {options.of}, N = {options.stages}, {options.size} px, "
          f"{made.settings}")  # fmt: skip
    for name, about in FIGURES.items():
        print(f"- {name}: {about}")
    lines = []
    for finding in dict.fromkeys(row["finding"] for row in rows):
        for kind in dict.fromkeys(row["kind"] for row in rows if row["finding"] == finding):
            part = [row for row in rows if (row["finding"], row["kind"]) == (finding, kind)]
            lines.append(
                [finding, kind, len(part), *(words([row[name] for row in part if name in row]) for name in FIGURES)]
            )
    print(as_table(["finding", "", "n", *FIGURES], lines))
    return bars.judge(BARS, rows)
