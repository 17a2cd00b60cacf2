"""What the course of phantom patients has to reach, in one table, and whether it does, with intervals over patients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...cohort.tables import intervals

PIE, CONTROL = "PIE", "control"


@dataclass(frozen=True)
class Bar:
    """A range that the mean over patients of a figure has to lie in.

    Attributes:
        figure: of a patient's row.
        low: the least, None for none.
        high: the most, None for none.
        each: of every finding by itself; else of all together.
        findings: of these alone; empty for all.
        of: which rows, those of PIE or its control.
    """

    figure: str
    low: float | None = None
    high: float | None = None
    each: bool = True
    findings: tuple[str, ...] = ()
    of: str = PIE

    @property
    def words(self) -> str:
        return in_words(self.low, self.high)


COURSE = (
    Bar("severity_mae", high=0.08, each=False),
    Bar("severity_mae", high=0.10),
    Bar("largest_step", high=0.24),
    Bar("monotone", low=0.95),
    Bar("mae_ratio_each", high=0.50),
    Bar("mae_ratio_last", high=0.45),
    Bar("high_pass", low=0.10, high=0.25, findings=("pleural effusion", "consolidation")),
    Bar("mae_ratio_last", low=0.98, high=1.02, of=CONTROL),
    Bar("crossed", high=0.03, each=False, of=CONTROL),
)
"""Of `phantom`."""
LONGITUDINAL = (
    Bar("mae_ratio_last", high=0.45),
    Bar("mae_ratio_last", low=0.98, high=1.02, of=CONTROL),
)
"""Of `longitudinal` on phantoms."""


@dataclass(frozen=True)
class Verdict:
    """A bar, what was measured (mean and 95 % interval over so many patients), and whether that is met."""

    name: str
    bar: str
    mean: float
    low: float
    high: float
    patients: int
    met: bool

    def cells(self) -> list[str]:
        measured = [f"{self.mean:.3f}", f"{self.low:.3f} to {self.high:.3f}"]
        return [self.name, self.bar, *measured, str(self.patients), "met" if self.met else "MISSED"]


def in_words(low: float | None, high: float | None) -> str:
    if low is None:
        return f"<= {high:g}"
    return f">= {low:g}" if high is None else f"{low:g} to {high:g}"


def interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval of one value a patient; of one patient no more than its own value.

    Raises:
        ValueError: no values, or some that are not finite.
    """
    data = np.asarray(list(values), dtype=np.float64)
    if not len(data) or not np.isfinite(data).all():
        raise ValueError(f"values: got {len(data)} of which some may not be finite, want at least 1 finite one")
    mean, low, high = (float(v) for v in intervals(data[None])[0])
    return (mean, low, high) if len(data) > 1 else (mean, mean, mean)


def verdict(name: str, values: Iterable[float], low: float | None = None, high: float | None = None) -> Verdict:
    data = list(values)
    mean, lowest, highest = interval(data)
    met = (low is None or mean >= low) and (high is None or mean <= high)
    return Verdict(name, in_words(low, high), mean, lowest, highest, len(data), met)


def judge(bars: Sequence[Bar], rows: Sequence[dict]) -> list[Verdict]:
    """Every bar for which there are rows.

    Args:
        bars: the table.
        rows: one a patient, with "kind", "finding" and the figures; a figure that is None is left out.
    """
    out = []
    for bar in bars:
        part = [r for r in rows if r["kind"] == bar.of and r.get(bar.figure) is not None]
        findings = [f for f in dict.fromkeys(r["finding"] for r in part) if not bar.findings or f in bar.findings]
        groups = [[f] for f in findings] if bar.each else [findings] if findings else []
        for group in groups:
            name = f"{bar.of}, {bar.figure}, {group[0] if bar.each else 'all findings'}"
            out.append(verdict(name, [r[bar.figure] for r in part if r["finding"] in group], bar.low, bar.high))
    return out


def markdown(verdicts: Sequence[Verdict]) -> str:
    lines = ["| bar of | bar | measured | interval | patients | |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(v.cells())} |" for v in verdicts)]) + "\n"


def exit_code(verdicts: Sequence[Verdict]) -> int:
    return 0 if all(v.met for v in verdicts) else 1
