"""Contact sheets of simulated courses of val patients, a patient a row, for a model card."""

import argparse

import cv2
import numpy as np

from ...courses import contact_sheet
from ..bars import PIE, Verdict
from .options import findings_of, simulator, table_of
from .pictures import courses_of, healthy_pictures
from .simulated import severities

ROWS = 6


def run(options: argparse.Namespace) -> list[Verdict]:
    """Writes one PNG a finding: ROWS patients, untouched at the left; with ``--truth`` the drawn course below each."""
    if options.out is None:
        raise ValueError("--out: got none, want a folder for the sheets")
    table, made = table_of(options), simulator(options)
    starts = healthy_pictures(table, options.of, min(options.count, ROWS), options.size, first=options.first)
    options.out.mkdir(parents=True, exist_ok=True)
    for finding in findings_of(options, made):
        cases = courses_of(starts, finding)
        rows, labels = [], []
        for case, states in zip(cases, made.states(cases, PIE, options.stages), strict=True):
            rows.append([state.numpy() for state in states])
            labels.append(f"{case.side} {finding}".strip())
            if options.truth:
                rows.append([state.numpy() for state in case.truth(severities(options.stages))])
                labels.append("drawn")
        path = options.out / f"{options.domain}_{finding.replace(' ', '_')}.png"
        sheet = contact_sheet(rows, labels, options.tile)
        cv2.imwrite(str(path), np.ascontiguousarray(sheet[..., ::-1]))
        names = ", ".join(start.record.image.name for start in starts)
        print(f"{path}: {path.stat().st_size // 1000} kB, of {names}")
    return []
