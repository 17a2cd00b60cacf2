"""``run.py bench longitudinal SERIES.csv --data CSV``: real later films, by pixels and by meaning, with bars."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from ....mvg.metrics.plot import contact_sheet
from ....mvg.plan import NO_FINDING
from ....training.data import Table, read
from .. import bars, methods
from ..bars import PIE, Verdict
from ..follow_up import PERSISTENCE, ROWS
from ..longitudinal_table import as_markdown, finish, summary
from . import judges
from .later import Pair, meaning, region_of, score, series_pairs, sexes_of, table_pairs
from .options import as_table, check, simulator, verdict_of, words

BASELINES = (methods.WALK, methods.EXTRAPOLATION)
FIRST, LATER = "first film", "later film"


def pairs_of(options: argparse.Namespace, known: tuple[str, ...], table: Table | None) -> list[Pair]:
    """Those of the series and of the val split, of patients and films in both once."""
    pairs: list[Pair] = []
    if options.series:
        pairs += series_pairs(options.series, options.root, options.domain, options.size, known, options.finding)
    if table is not None:
        pairs += table_pairs(table, options.size, known, sexes_of(options.data))
    if options.count:
        people = list(dict.fromkeys(pair.patient for pair in pairs))[options.first : options.first + options.count]
        pairs = [pair for pair in pairs if pair.patient in people]
    return pairs


def run(options: argparse.Namespace) -> int:
    """Writes longitudinal_real.{csv,md,png}; the exit code, 1 where a bar is missed."""
    check(options)
    table = None if options.data is None else read(options.data, domain=options.domain)
    made = simulator(options)
    pairs = pairs_of(options, made.known, table)
    some = ROWS if table is not None else tuple(name for name in ROWS if name != methods.EXTRAPOLATION)
    if table is None:
        print("no --data, from which the extrapolation learns its direction: it is left out")
    ends: dict[str, list[Tensor]] = {PERSISTENCE: [pair.first for pair in pairs]}
    for method in some[1:]:
        ends[method] = [states[-1] for states in made.states(pairs, method, options.stages, table)]
    rows = []
    for i, pair in enumerate(pairs):
        region = region_of(pair.first, pair.plan(1, "terminal", made.known))
        rows += score(pair, region, {method: ends[method][i] for method in some})
    panel = judges.load(options.domain) if table is not None and judges.judged(options.domain) else []
    read_as = [row for judge in panel for row in meaning(judge, pairs, ends)]
    people = len({pair.patient for pair in pairs})
    about = (
        f"{len(pairs)} comparisons with later films of {people} patients, N = {options.stages}, {options.size} px, "
        f"the networks {options.checkpoint.name if options.checkpoint else 'that are embedded'}, {made.settings}."
    )
    lines = [{**line, "group": "all"} for line in summary([row | {"all": "all"} for row in rows], "all")]
    for name in ("finding", "views", "sex"):
        if len({row[name] for row in rows}) > 1:
            lines += [{**line, "group": line[name] or f"{name} unknown"} for line in summary(rows, name)]
    verdicts = pixel_bars(rows) + meaning_bars(read_as)
    text = as_markdown("Longitudinal comparison, real films", about, lines, "group")
    if read_as:
        text += "\nWhere the later film has a finding that the first one has not, as judges read it:\n\n"
        text += meaning_table(read_as) + "\n"
    text += "\n" + bars.markdown(verdicts)
    finish(options.out, "longitudinal_real", rows, text, [sheet(pairs, ends, i) for i in first_of_each(pairs)])
    return bars.exit_code(verdicts)


def first_of_each(pairs: list[Pair]) -> list[int]:
    """A pair a patient."""
    people = [pair.patient for pair in pairs]
    return [people.index(name) for name in dict.fromkeys(people)]


def sheet(pairs: list[Pair], ends: dict[str, list[Tensor]], i: int) -> Tensor:
    """A pair and what every method makes of its first film, side by side."""
    pictures = [pairs[i].later, *(end[i] for end in ends.values())]
    labels = [f"{pairs[i].patient}, {pairs[i].day}"[:26], *ends]
    return contact_sheet(torch.stack(pictures), labels=labels, cell=160)


def pixel_bars(rows: list[dict]) -> list[Verdict]:
    """PIE's MAE in the region over that of persistence, and less that of each baseline, over patients."""
    by = {(r["patient"], r["day"], r["finding"], r["method"]): r["mae_roi"] for r in rows}
    pie = [r for r in rows if r["method"] == PIE and r["finding"] != NO_FINDING]  # else nothing is simulated
    if not pie:
        return []
    people = [r["patient"] for r in pie]

    def against(method: str) -> list[float]:
        return [by[r["patient"], r["day"], r["finding"], method] for r in pie]

    mine = against(PIE)
    ratios = [a / b for a, b in zip(mine, against(PERSISTENCE), strict=True)]
    out = [verdict_of("PIE, MAE in the region over persistence", ratios, people, high=1.0)]
    for name in BASELINES:
        if any(r["method"] == name for r in rows):
            less = [a - b for a, b in zip(mine, against(name), strict=True)]
            out.append(verdict_of(f"PIE, MAE less that of {name}", less, people, high=0.0))
    return out


def meaning_bars(rows: list[dict]) -> list[Verdict]:
    """The finding of the later film told more often of PIE's than of the first film, others no worse, by judge."""
    out = []
    for judge in dict.fromkeys(row["judge"] for row in rows):
        part = {m: [r for r in rows if (r["judge"], r["method"]) == (judge, m)] for m in (PIE, FIRST, *BASELINES)}
        people = [row["patient"] for row in part[PIE]]
        for name in (FIRST, *BASELINES):
            more = [float(a["told"]) - float(b["told"]) for a, b in zip(part[PIE], part[name], strict=True)]
            out.append(verdict_of(f"{judge}: told of PIE's less of {name}", more, people, low=1e-6))
        worse = [a["others"] - b["others"] for a, b in zip(part[PIE], part[FIRST], strict=True)]
        out.append(verdict_of(f"{judge}: other findings right, PIE less {FIRST}", worse, people, low=0.0))
    return out


def meaning_table(rows: list[dict]) -> str:
    """By judge and picture: how often the finding is told, Conf, and how many of the others are right."""
    lines = []
    for judge, method in dict.fromkeys((row["judge"], row["method"]) for row in rows):
        part = [row for row in rows if (row["judge"], row["method"]) == (judge, method)]
        people = [row["patient"] for row in part]
        cells = [words([float(row[name]) for row in part], people) for name in ("told", "conf", "others")]
        lines.append([judge, method, f"{len(part)} of {len(set(people))} patients", *cells])
    return as_table(["judge", "of", "n", "told", "Conf", "others right"], lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those of real films alone."""
    parser.add_argument("--data", type=Path, metavar="CSV", help="a data set whose val patients are compared too")
    parser.add_argument("--size", type=int, default=256, help="side of real films in pixels (default: 256)")
    parser.add_argument("--checkpoint", type=Path, help="Stable Diffusion 1.x or 2.x in place of the embedded networks")
    parser.add_argument("--count", type=int, help="of real films: patients at most")
    parser.add_argument("--first", type=int, default=0, help="how many of them to leave out first")
    parser.add_argument("--batch", type=int, default=4, help="courses that advance together (default: 4)")
    for name, kind in (("spacing", str), ("steps", int), ("refine", int), ("guidance", float)):
        parser.add_argument(f"--{name}", type=kind, help="in place of the workflow's, of real films")
