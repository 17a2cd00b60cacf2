"""Real series of images: a table of them, their reports, and the later images brought onto the first ones."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from ...mvg.metrics.plot import contact_sheet
from ...mvg.metrics.registration import red_cyan, register
from ...mvg.plan import NO_FINDING, Plan
from ...mvg.recaption.offline import recaption
from ...mvg.regions import roi_mask
from ..phantom.captions import FINDINGS
from .follow_up import Visit
from .user_images import read_image

COLUMNS = ("patient_id", "days", "files", "course")


def read_series(path: Path) -> list[dict[str, str]]:
    """The rows of SERIES.csv; ValueError naming the file and what is wrong with it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path}: got no column {missing[0]!r}, want {', '.join(COLUMNS)}")
            rows = [{name: row[name] or "" for name in COLUMNS} for row in reader]
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    for number, row in enumerate(rows, start=2):
        days, files = row["days"].split(), row["files"].split()
        if len(days) != len(files):
            raise ValueError(f"{path}, line {number}: got {len(days)} days, {len(files)} files, want as many of each")
        if len(files) < 2:
            raise ValueError(f"{path}, line {number}: got {len(files)} image, want at least 2 to compare")
    if not rows:
        raise ValueError(f"{path}: got no series")
    return rows


def reports_below(root: Path) -> dict[str, str]:
    """File -> its report, of DIR/manifest.csv."""
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        return {}
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        return {row.get("file", ""): row.get("report_text") or "" for row in csv.DictReader(file)}


def plan_for(texts: Sequence[str], domain: str, stages: int, mode: str, fallback: str | None) -> tuple[Plan, str]:
    """The plan of the first text that names a finding, else of ``fallback``; where there is none, of no finding."""
    for text in texts:
        if text.strip():
            plan = recaption(text, domain, stages, mode=mode, known=FINDINGS[domain], strict=False)
            if plan.finding != NO_FINDING:
                return plan, "finding from the report"
    if fallback:
        return recaption(f"{fallback}.", domain, stages, mode=mode), "no report names a finding; --finding taken"
    return recaption("No finding.", domain, stages, mode=mode), "no report names a finding"


def matched(later: torch.Tensor, first: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``later`` with the mean and standard deviation of ``first`` where weight [H, W] is above 0.5.

    Not by least squares: where the two hardly correlate that would take all contrast out of the later image.
    """
    where = weight > 0.5
    x, y = later.mean(-1)[where].double(), first.mean(-1)[where].double()
    if x.numel() < 2 or float(x.std()) < 1e-6:
        return later
    gain = float(y.std() / x.std())
    return (later * gain + float(y.mean() - gain * x.mean())).clamp(0, 1)


def real_visits(options, size: int, mode: str) -> tuple[list[Visit], list[torch.Tensor]]:
    """The later images of every series, and pictures of their registration."""
    reports, visits, shown = reports_below(options.root), [], []
    for row in read_series(options.series):
        files, days = row["files"].split(), row["days"].split()
        first = read_image(options.root / files[0], size)
        for file, day in zip(files[1:], days[1:], strict=True):
            texts = (reports.get(file, ""), row["course"])
            plan, note = plan_for(texts, options.domain, options.stages, mode, options.finding)
            region, _ = roi_mask(first[None], plan)
            found = register(read_image(options.root / file, size), first, "rigid")
            valid = found.valid.float()
            later = matched(found.image, first, (1 - region[0]) * valid)
            visits.append(Visit(row["patient_id"], day, first, later, region[0], valid, plan, f"{note}; {found.note}"))
        last = visits[-1]
        labels = [f"{last.patient}, first"[:26], f"day {last.day}, registered", "red: first, cyan: later", "region"]
        region = last.region[..., None].expand(-1, -1, 3)
        pair = torch.stack([last.first, last.later, red_cyan(last.first, last.later), region])
        shown.append(contact_sheet(pair, labels=labels, cell=192))
    return visits, shown
