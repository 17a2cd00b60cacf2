"""Real later films of patients, and how near to them, in pixels and in meaning, a simulation of the first one comes.

Pairs are those of a table of series and of the val split of a data set: the first film of a patient and each later one,
registered (rigid) and matched in brightness and contrast outside the region. What is simulated is the finding of the
later film, with its side where a report says it: by its label, or by the first text that names one.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ....mvg.metrics.image import compare
from ....mvg.metrics.registration import register
from ....mvg.plan import NO_FINDING, Plan
from ....mvg.recaption.offline import recaption
from ....mvg.regions import roi_mask
from ....training.data import VAL, Record, Table
from ..series import matched, named_finding, read_series, reports_below
from ..user_images import read_image
from .judges import labeled
from .pictures import findings_of


@dataclass(frozen=True)
class Pair:
    """A first film and a later one of the same patient, [H, W, 3] in [0, 1], the later on the first one's pixels.

    Attributes:
        domain: of both.
        patient: who.
        day: of the later film, or its number.
        first, later: the films.
        valid: [H, W], where the later one shows something.
        finding: that is simulated, NO_FINDING for none.
        text: of which the plan is made.
        new: whether the first film is known to be without the finding.
        views: of both, such as "PA, AP"; "" where unknown.
        sex: "F", "M" or "".
        note: on the plan and the registration.
    """

    domain: str
    patient: str
    day: str
    first: Tensor
    later: Tensor
    valid: Tensor
    finding: str
    text: str
    new: bool = False
    views: str = ""
    sex: str = ""
    note: str = ""
    labels_later: frozenset[str] | None = None

    def image(self) -> Tensor:
        return self.first

    def plan(self, stages: int, mode: str, known: Sequence[str], control: bool = False) -> Plan:
        finding = None if control or self.finding == NO_FINDING else self.finding
        text = "No finding." if finding is None else self.text
        return recaption(text, self.domain, stages, mode=mode, known=known, finding=finding)

    def region(self, known: Sequence[str]) -> Tensor:
        return region_of(self.first, self.plan(1, "terminal", known))


def region_of(first: Tensor, plan: Plan) -> Tensor:
    """[H, W], fitted to the film."""
    return roi_mask(first[None], plan)[0][0]


def _registered(
    first: Tensor, path: Path, size: int, text: str, finding: str, domain: str, known: Sequence[str]
) -> tuple[Tensor, Tensor, str]:
    """(the later film on the first one's pixels, where it shows something, what was done)."""
    found = register(read_image(path, size), first, "rigid")
    valid = found.valid.float()
    asked = None if finding == NO_FINDING else finding
    region = region_of(first, recaption(text, domain, 1, known=known, finding=asked))
    return matched(found.image, first, (1 - region) * valid), valid, found.note


def series_pairs(
    path: Path, root: Path, domain: str, size: int, known: Sequence[str], fallback: str | None
) -> Iterator[Pair]:
    """The later films of SERIES.csv; see `longitudinal`.

    Args:
        path: of SERIES.csv.
        root: folder that its files lie in.
        domain: of the films.
        size: in pixels.
        known: findings that the networks draw.
        fallback: the finding of series whose texts name none; None leaves them without.
    """
    reports = reports_below(root)
    for row in read_series(path):
        files, days = row["files"].split(), row["days"].split()
        first = read_image(root / files[0], size)
        for file, day in zip(files[1:], days[1:], strict=True):
            text, finding, note = named_finding((reports.get(file, ""), row["course"]), domain, known, fallback)
            later, valid, done = _registered(first, root / file, size, text, finding, domain, known)
            yield Pair(domain, row["patient_id"], day, first, later, valid, finding, text, note=f"{note}; {done}")


def table_pairs(table: Table, size: int, known: Sequence[str], sexes: dict[str, str]) -> Iterator[Pair]:
    """First and later films of the val patients whose films were read for labels, a pair for every finding of the
    later one that is drawn; where it has none, a pair without.

    Args:
        table: of the data.
        size: in pixels.
        known: findings that the networks draw.
        sexes: name of a file -> sex.
    """
    people: dict[str, list[Record]] = {}
    for record in table.part(VAL):
        if labeled(record) and record.order is not None:
            people.setdefault(record.patient, []).append(record)
    for patient, records in people.items():
        before, *rest = sorted(records, key=lambda r: r.order or 0.0)
        if not rest:
            continue
        first, had = read_image(before.image, size), findings_of(before, table.domain)
        for record in rest:
            has = findings_of(record, table.domain)
            for finding in [name for name in known if name in has] or [NO_FINDING]:
                text = "No finding." if finding == NO_FINDING else f"{finding.capitalize()}."
                later, valid, done = _registered(first, record.image, size, text, finding, table.domain, known)
                yield Pair(
                    table.domain, patient, f"{record.order:g}", first, later, valid, finding, text,
                    new=finding != NO_FINDING and finding not in had, views=f"{before.view}, {record.view}",
                    sex=sexes.get(before.image.name, ""), note=f"finding from the label; {done}",
                    labels_later=frozenset(has),
                )  # fmt: skip


def sexes_of(path: Path) -> dict[str, str]:
    """Name of a file -> sex, of a CSV that has such a column."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {Path(row.get("file", "")).name: row.get("sex") or "" for row in csv.DictReader(file)}


def score(pair: Pair, region: Tensor, methods: dict[str, Tensor]) -> list[dict]:
    """A row a method: MAE and SSIM to the later film, in the region and over all.

    Args:
        pair: of films.
        region: [H, W].
        methods: name -> last stage [H, W, 3].
    """
    masks = {"mask": region[None], "valid": pair.valid[None]}
    rows = []
    for method, end in methods.items():
        compared = compare(end[None], pair.later[None], **masks)
        rows.append(
            {
                "patient": pair.patient,
                "day": pair.day,
                "finding": pair.finding,
                "views": pair.views,
                "sex": pair.sex,
                "method": method,
                "mae_roi": float(compared["mae"]["inside"]),
                "mae": float(compared["mae"]["whole"]),
                "ssim_roi": float(compared["ssim"]["inside"]),
                "ssim": float(compared["ssim"]["whole"]),
                "note": pair.note,
            }
        )
    return rows


def meaning(judge, pairs: Sequence[Pair], ends: dict[str, list[Tensor]]) -> list[dict]:
    """What a judge reads where the later film has a finding that the first one has not.

    Args:
        judge: of `judges`.
        pairs: of films, all of them.
        ends: method -> last stage of every pair.

    Returns:
        A row a pair and method: whether the finding is told at the judge's threshold, Conf, and the share of the other
        findings that are read as the later film is labeled. "first film" and "later film" are rows too.
    """
    rows = []
    chosen = [i for i, p in enumerate(pairs) if p.new and p.finding in judge.thresholds]
    shown = {"first film": [p.first for p in pairs], "later film": [p.later for p in pairs], **ends}
    for method, pictures in shown.items():
        if not chosen:
            continue
        read = judge.conf(torch.stack([pictures[i] for i in chosen]))
        for i, conf in zip(chosen, read, strict=True):
            pair = pairs[i]
            told = {f: float(conf[judge.outputs.index(f)]) >= least for f, least in judge.thresholds.items()}
            others = [told[f] == (f in (pair.labels_later or ())) for f in told if f != pair.finding]
            rows.append(
                {
                    "judge": judge.name,
                    "patient": pair.patient,
                    "day": pair.day,
                    "finding": pair.finding,
                    "method": method,
                    "told": told[pair.finding],
                    "conf": float(conf[judge.outputs.index(pair.finding)]),
                    "others": sum(others) / len(others) if others else 1.0,
                }
            )
    return rows
