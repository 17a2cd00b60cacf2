"""What the product makes of a file before anyone runs it: a picture, a DICOM film or a report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .domains import Domain, find_domain
from .film_check import film_notes
from .picture_file import read_picture
from .plan import NO_FINDING
from .recaption.deidentify import deidentify
from .recaption.english import is_english
from .recaption.offline import read_report, recaption
from .report_file import read_report_file

REPORT_SUFFIXES = (".txt",)
STAGES, MODE = 6, "ladder"
"""Of the plan that is shown: what the bundled workflows ask for."""


def inspect_file(path: Path, domain: str | Domain) -> dict[str, Any]:
    """What a node would make of one file.

    Args:
        path: a report (``.txt``), or a picture or DICOM film of any other name.
        domain: what a report is read as, and a picture looked at as.

    Returns:
        Of a picture: file, kind ("image" or "dicom"), width, height, minimum and maximum of the values in [0, 1],
        spacing (mm from row to row and from column to column, or None) and notes. Of a report: file, kind "report",
        language ("en" or "other"), findings by name with status, severity and side, the stages of its plan (None where
        nothing progresses), notes, and the text as a language model would be sent it. Of a refused file: file, error.

    Raises:
        ValueError: an unknown domain.
    """
    domain = find_domain(domain)
    try:
        if path.is_dir():
            raise ValueError(f"file: {path.name!r} is a folder, want a picture, a DICOM film or a report")
        made = _report(path, domain) if path.suffix.lower() in REPORT_SUFFIXES else _picture(path, domain)
    except ValueError as error:
        return {"file": str(path), "error": str(error)}
    return {"file": str(path), **made}


def _picture(path: Path, domain: Domain) -> dict[str, Any]:
    picture = read_picture(path)
    height, width, _ = picture.image.shape
    return {
        "kind": "dicom" if picture.dicom else "image",
        "width": width,
        "height": height,
        "minimum": float(picture.image.min()),
        "maximum": float(picture.image.max()),
        "spacing": None if picture.spacing is None else list(picture.spacing),
        "notes": [*picture.notes, *film_notes(picture.image[None], domain.name)],
    }


def _report(path: Path, domain: Domain) -> dict[str, Any]:
    text = read_report_file(path)
    findings = {
        name: {"status": seen.status, "severity": seen.severity, "side": seen.side}
        for name, seen in read_report(text, domain).items()
    }
    stages, notes = _plan(text, domain)
    return {
        "kind": "report",
        "language": "en" if is_english(text) else "other",
        "findings": findings,
        "plan": stages,
        "notes": notes,
        "sent": deidentify(text)[0],
    }


def _plan(text: str, domain: Domain) -> tuple[list[dict[str, Any]] | None, list[str]]:
    """The stages and notes of a report's plan; None and the reason where nothing would progress."""
    try:
        plan = recaption(text, domain, STAGES, MODE)
    except ValueError as error:
        return None, [str(error)]
    if plan.finding == NO_FINDING:
        return None, list(plan.notes)
    stages = [
        {
            "finding": stage.finding,
            "side": plan.side,
            "severity": round(stage.severity, 4),
            "prompt": stage.prompt,
            "region": stage.region,
        }
        for stage in plan.stages
    ]
    return stages, list(plan.notes)


def in_words(found: Mapping[str, Any]) -> str:
    """What `inspect_file` found, as lines to read.

    Args:
        found: its result.

    Returns:
        The name of the file, then what was made of it, indented.
    """
    if "error" in found:
        return f"{found['file']}: refused: {found['error']}"
    if found["kind"] != "report":
        spacing = "" if found["spacing"] is None else "; {:g} x {:g} mm".format(*found["spacing"])
        what = f"{found['width']} x {found['height']}, {found['minimum']:.3f} to {found['maximum']:.3f}{spacing}"
        return "\n".join([f"{found['file']}: {found['kind']}, {what}", *(f"  note: {note}" for note in found["notes"])])
    lines = [f"{found['file']}: report, {'English' if found['language'] == 'en' else 'not English'}"]
    for name, seen in found["findings"].items():
        words = " ".join(word for word in (seen["severity"], seen["side"]) if word)
        lines.append(f"  {name}: {seen['status']}{f' ({words})' if words else ''}")
    if found["plan"] is None:
        lines.append("  plan: nothing progresses")
    else:
        lines.append("  plan:")
        lines += [f"    {n}. {s['severity']:.2f}  {s['prompt']}" for n, s in enumerate(found["plan"], start=1)]
    lines += [f"  note: {note}" for note in found["notes"]]
    sent = [line for line in found["sent"].splitlines() if line.strip()]
    return "\n".join([*lines, "  a language model would be sent:", *(f"    {line}" for line in sent)])
