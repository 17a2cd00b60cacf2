"""What the measurements on real pictures share: their options, and figures as tables with intervals over patients."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ....mvg.severity import SPACINGS
from ....training.common import RUNS
from ....training.data import VAL, Table, read
from ...courses import MODULES, courses
from ..bars import Verdict, interval, verdict
from ..workflow import workflow_settings
from .pictures import PARTS
from .simulated import Simulator

KEPT = RUNS.parents[1] / "research" / "bench" / "results" / "runs" / "real"
SIZE = 256
Values = Sequence[float] | np.ndarray


def add(parser: argparse.ArgumentParser) -> None:
    """--domain, --data, --size, --count, --first and what changes the settings of the bundled workflow."""
    parser.add_argument("--domain", choices=list(MODULES), default="chest_xray")
    parser.add_argument("--data", type=Path, required=True, help="a data set as `run.py train classifier` takes it")
    parser.add_argument("--of", choices=PARTS[:2], default=VAL, help="whose pictures: val, or the judges' (settings)")
    parser.add_argument("--size", type=int, default=SIZE, help="side in pixels (default: 256)")
    parser.add_argument("--count", type=int, default=20, help="patients at most (default: 20)")
    parser.add_argument("--first", type=int, default=0, help="how many of them to leave out first")
    parser.add_argument("--stages", type=int, default=6, help="N (default: 6)")
    parser.add_argument("--findings", nargs="+", help="(default: all that the networks draw)")
    parser.add_argument("--batch", type=int, default=4, help="courses that advance together (default: 4)")
    parser.add_argument("--checkpoint", type=Path, help="Stable Diffusion 1.x or 2.x in place of the embedded networks")
    parser.add_argument("--spacing", choices=SPACINGS, help="in place of the workflow's")
    parser.add_argument("--steps", type=int, help="in place of the workflow's T")
    parser.add_argument("--refine", type=int, help="in place of the workflow's")
    parser.add_argument("--guidance", type=float, help="in place of the workflow's")
    parser.add_argument("--gamma", type=float, help="in place of the workflow's")
    parser.add_argument("--out", type=Path, help="folder for pictures of real patients, which are never committed")


def check(options: argparse.Namespace) -> None:
    """ValueError naming the option that is out of range."""
    for name in ("count", "stages", "batch"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise ValueError(f"--{name}: got {getattr(options, name)}, want 1 or more")
    if options.size < 64 or options.size % 8:
        raise ValueError(f"--size: got {options.size}, want a multiple of 8 from 64 on")


def simulator(options: argparse.Namespace) -> Simulator:
    """Of the domain, with the settings of its bundled workflow as the options change them."""
    changed = {name: getattr(options, name) for name in ("spacing", "steps", "refine", "guidance", "gamma")}
    settings = workflow_settings(options.domain)
    if options.checkpoint is not None:
        settings["spacing"] = SPACINGS[0]  # the others ask the embedded classifier, or a model that knows severities
    settings |= {k: v for k, v in changed.items() if v is not None}
    return Simulator(options.domain, options.size, settings, KEPT, options.batch, options.checkpoint)


def table_of(options: argparse.Namespace) -> Table:
    return read(options.data, domain=options.domain)


def findings_of(options: argparse.Namespace, made: Simulator) -> list[str]:
    """Those asked for that can be drawn with truth and simulated; what is left out is told.

    Raises:
        ValueError: for a finding that nothing draws.
    """
    drawable = courses(options.domain).FINDINGS
    asked = options.findings or list(drawable)
    if unknown := [finding for finding in asked if finding not in drawable]:
        raise ValueError(f"--findings: got {unknown[0]!r}, want some of {', '.join(drawable)}")
    if without := [finding for finding in asked if finding not in made.known]:
        print(f"not drawn by these networks, so left out: {', '.join(without)}")
    found = [finding for finding in asked if finding in made.known]
    if not found:
        raise ValueError(f"--findings: got {', '.join(asked)}, of which these networks draw none")
    return found


def by_patient(values: Values, patients: Sequence[str]) -> list[float]:
    """Means of the values of each patient."""
    data = np.asarray(values, float)
    return [float(data[np.asarray(patients) == name].mean()) for name in dict.fromkeys(patients)]


def words(values: Values, patients: Sequence[str] | None = None, digits: int = 3) -> str:
    """Mean and 95 % interval over patients, "" for none."""
    data = [float(v) for v in values] if patients is None else by_patient(values, patients)
    if not data:
        return ""
    mean, low, high = interval(data)
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def verdict_of(
    name: str, values: Values, patients: Sequence[str], low: float | None = None, high: float | None = None
) -> Verdict:
    """A bar on the mean over patients."""
    return verdict(name, by_patient(values, patients), low, high)


def as_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])
