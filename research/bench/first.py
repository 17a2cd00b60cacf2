"""Whether PIE is first in table 2: its scores less those of each baseline, of the same patients."""

from collections.abc import Callable, Sequence

import numpy as np

from ...mvg.domains.severity import SEVERITY_BANDS
from . import methods
from .bars import Verdict, verdict
from .evaluation import Scores
from .report import Line

LEAST = SEVERITY_BANDS["mild"][0]
Score = Callable[[Scores, int], float]
COMPARED: dict[str, Score] = {
    "Conf": lambda run, i: float(run.conf[i, -1]),
    "severity": lambda run, i: float(severities(run)[i, -1]),
}


def severities(run: Scores) -> np.ndarray:
    """[B, N + 1]; ValueError where nothing has read them."""
    if run.severity is None:
        raise ValueError("scores: got no severity, want those of phantoms")
    return run.severity


def compared(lines: Sequence[Line]) -> list[Verdict]:
    """For every domain, mode of PIE and baseline: Conf, severity, and CLIP-I at equal severity; the bar is 0."""
    out = []
    for mine in (line for line in lines if line.label == methods.PIE):
        for other in (line for line in lines if line.domain == mine.domain):
            if other.label not in (methods.EXTRAPOLATION, methods.WALK):
                continue
            a, b = by_patient(mine), by_patient(other)
            name = f"{mine.domain}, {mine.label} {mine.mode} less {other.label}, "
            for score, value in COMPARED.items():
                differences = [mean(value, a[patient]) - mean(value, b[patient]) for patient in a]
                out.append(verdict(name + score, differences, low=0.0))
            at = [equal_severity(a[patient], b[patient]) for patient in a]
            if comparable := [difference for difference in at if difference is not None]:
                out.append(verdict(name + "CLIP-I at equal severity", comparable, low=0.0))
    return out


def by_patient(line: Line) -> dict[str, list[tuple[Scores, int]]]:
    """Patient -> the runs, one a seed, and the row of each that is the patient's."""
    out: dict[str, list[tuple[Scores, int]]] = {}
    for run in line.scores:
        for i, name in enumerate(run.names):
            out.setdefault(f"{run.run.finding} {name}", []).append((run, i))
    return out


def mean(value: Score, runs: Sequence[tuple[Scores, int]]) -> float:
    return float(np.mean([value(run, i) for run, i in runs]))


def equal_severity(mine: Sequence[tuple[Scores, int]], other: Sequence[tuple[Scores, int]]) -> float | None:
    """How much nearer to the input image mine is (cosine) where both are read to have one severity.

    That severity is the lowest of those that the courses reach; between stages CLIP-I is taken as straight. None where
    it is below LEAST: a course on which nothing is to be seen keeps any identity.
    """
    shared = min(float(severities(run)[i].max()) for run, i in [*mine, *other])
    if shared < LEAST:
        return None
    near = [np.mean([clip_i_at(run, i, shared) for run, i in runs]) for runs in (mine, other)]
    return float(near[0] - near[1])


def clip_i_at(run: Scores, row: int, severity: float) -> float:
    """CLIP-I of a course where its severity has first come so far."""
    read = np.maximum.accumulate(severities(run)[row])
    near = np.concatenate([[1.0], run.clip_i[row]])
    after = int(np.argmax(read >= severity))
    if after == 0:
        return 1.0
    low, high = read[after - 1], read[after]
    share = (severity - low) / (high - low) if high > low else 1.0
    return float(near[after - 1] + share * (near[after] - near[after - 1]))
