"""What judges of real labels see in simulated severe stages, beside what they see in real pictures with the label."""

import argparse

import numpy as np
import torch

from ...courses import courses
from ..bars import PIE, Verdict
from ..patients import TARGET
from . import judges
from .options import as_table, findings_of, simulator, table_of, verdict_of, words
from .pictures import as_image, courses_of, healthy_pictures, read_picture

READ_AS, MOVED = 0.80, 0.10


def run(options: argparse.Namespace) -> list[Verdict]:
    """Prints, by judge and finding, the share of severe stages that is read as the finding at the judge's threshold;
    beside it the same of drawn courses, of the unchanged pictures and of real pictures of val with the label; and how
    far Conf of the other findings moves.
    """
    table, made = table_of(options), simulator(options)
    panel = judges.load(options.domain)
    if options.size < judges.SIZE:
        print(f"note: the judges learned from pictures of {judges.SIZE} px and read blurred ones, as of --size, poorly")
    starts = healthy_pictures(table, options.of, options.count, options.size, first=options.first)
    patients = [start.patient for start in starts]
    unchanged = torch.stack([start.image() for start in starts])
    positives = judges.parts(table)["val"]
    truth = judges.truth(positives, options.domain)
    before = {judge.name: judge.conf(unchanged) for judge in panel}
    lines, verdicts = [], []
    for finding in findings_of(options, made):
        cases = courses_of(starts, finding)
        last = torch.stack([states[-1] for states in made.states(cases, PIE, options.stages)])
        drawn = torch.stack([case.truth([TARGET])[0] for case in cases])
        column = courses(options.domain).FINDINGS.index(finding)
        real = [r for r, ill in zip(positives, truth[:, column], strict=True) if ill]
        shown = [as_image(read_picture(r, options.domain, options.size)) for r in real]
        for judge in panel:
            k, least = judge.outputs.index(finding), judge.thresholds[finding]
            after = judge.conf(last)
            seen = (after[:, k] >= least).astype(float)
            others = [i for i, name in enumerate(judge.outputs) if i != k and name in judge.thresholds]
            moved = np.abs(after[:, others] - before[judge.name][:, others]).mean(axis=1)
            signed = (after[:, others] - before[judge.name][:, others]).mean(axis=1)
            told = (judge.reads(torch.stack(shown), finding) >= least).astype(float) if shown else np.empty(0)
            lines.append([
                judge.name, finding, len(seen), words(seen, patients),
                words((judge.reads(drawn, finding) >= least).astype(float), patients),
                words((before[judge.name][:, k] >= least).astype(float), patients),
                f"{words(told, [r.patient for r in real]) or 'none'}, n {len(told)}",
                f"{before[judge.name][:, k].mean():.3f} -> {after[:, k].mean():.3f}",
                words(moved, patients), f"{signed.mean():+.3f}",
            ])  # fmt: skip
            name = f"{judge.name}, {finding}"
            verdicts.append(verdict_of(f"{name}: severe stages read as it", seen, patients, low=READ_AS))
            verdicts.append(verdict_of(f"{name}: other findings move", moved, patients, high=MOVED))
    head = ["judge", "finding", "n", "simulated, read as it", "drawn", "unchanged", "real with the label",
            "mean Conf", "others move", "signed"]  # fmt: skip
    print(as_table(head, lines))
    return verdicts
