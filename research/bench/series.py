"""Real series of images: a table of them, what their reports name, and brightness that compares."""

import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from ...mvg.domains import find_domain
from ...mvg.plan import NO_FINDING
from ...mvg.recaption.offline import drawn_as, recaption

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


def named_finding(
    texts: Sequence[str], domain: str, known: Sequence[str], fallback: str | None
) -> tuple[str, str, str]:
    """What the first text names that the networks draw, else ``fallback``, else NO_FINDING.

    Args:
        texts: reports, the one to look at first first.
        domain: of the image.
        known: findings that the networks draw.
        fallback: a finding, or None.

    Returns:
        The text of which a plan is to be made, the finding, and where it is from.
    """
    for text in texts:
        if text.strip():
            plan = recaption(text, domain, 1, known=known, strict=False)
            if plan.finding != NO_FINDING:
                return text, plan.finding, "finding from the report"
    if fallback:
        finding = drawn_as(find_domain(domain), fallback, known)
        return f"{fallback.capitalize()}.", finding, "no report names a finding; --finding taken"
    return "No finding.", NO_FINDING, "no report names a finding"


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
