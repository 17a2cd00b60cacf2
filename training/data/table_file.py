"""A CSV with named columns: the table of a data set that has no layout of its own."""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...mvg.domains import BUILT_IN, Domain
from . import files
from .labels import NO_FINDING, label_value, labels_of_list, standard_name
from .record import SPLITS, UNLABELLED, Record

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "file", "path", "filename"),
    "patient": ("patient", "patient_id"),
    "order": ("order", "offset", "date"),
    "view": ("view",),
    "labels": ("labels", "label"),
    "report": ("report",),
    "split": ("split",),
    "licence": ("licence", "license"),
}
"""What a column tells -> the names that it may have. Every other column that is named as a finding holds its label."""
SPLIT_WORDS = {"training": "train", "valid": "val", "validate": "val", "validation": "val", "dev": "val", "": ""}
SEPARATORS = ("|", ";")


def read_table_file(
    path: Path, domain: Domain | None = None, labels: Sequence[str] = ()
) -> tuple[list[Record], Domain, list[str]]:
    """Reads a CSV with one row a picture.

    ``image`` is a path from the CSV's folder on. ``labels`` lists what is present, between "|" or ";"; a finding may
    have a column of its own instead (1, 0, -1 or nothing). ``report`` is the text, or a .txt file from the CSV's
    folder on. ``order`` is a number or an ISO date. Without ``patient`` each picture is a patient of its own. Rows of
    the split "unlabelled" have no labels, whatever stands there.

    Args:
        path: the file.
        domain: the kind of image; by default the one whose findings the labels name.
        labels: further columns that hold labels.

    Returns:
        The records, their domain, and notes.

    Raises:
        ValueError: naming the column or the line, what it holds and what is wanted.
    """
    read = list(files.rows(path))
    names = list(read[0][1])
    columns = {what: next((n for n in names if n.lower() in known), "") for what, known in COLUMNS.items()}
    if not columns["image"]:
        want = " or ".join(COLUMNS["image"])
        raise ValueError(f"{path.name}: columns {want} are missing, got {', '.join(names)}; want one with the picture")
    listed = [_listed(cells.get(columns["labels"], "")) for _, cells in read]
    others = [name for name in names if name and name not in columns.values()]
    if domain is None:
        domain = _guess(path, {label for labels in listed for label in labels} | set(others))
    wanted = {standard_name(label, domain) for label in labels}
    own = {n: standard_name(n, domain) for n in others}
    own = {n: label for n, label in own.items() if label in domain.findings or label == NO_FINDING or label in wanted}
    vocabulary = list(dict.fromkeys(standard_name(label, domain) for row in listed for label in row))
    records = []
    for (line, cells), words in zip(read, listed, strict=True):
        where = f"{path.name} line {line}"
        told = {what: cells.get(column, "") for what, column in columns.items()}
        if not told["image"]:
            raise ValueError(f"{where}, {columns['image']}: is empty, want a picture")
        split = _split(told["split"], where)
        held = labels_of_list((standard_name(word, domain) for word in words), vocabulary, domain) if words else {}
        held |= {label: label_value(cells[n], f"{where}, {n}") for n, label in own.items()}
        records.append(
            Record(
                image=path.parent / told["image"],
                patient=told["patient"] or told["image"],
                labels={} if split == UNLABELLED else held,
                order=_order(told["order"], where),
                view=told["view"],
                report=_report(told["report"], path.parent),
                split=split,
                licence=told["licence"],
            )
        )
    return records, domain, []


def _listed(cell: str) -> list[str]:
    for separator in SEPARATORS[1:]:
        cell = cell.replace(separator, SEPARATORS[0])
    return [word.strip() for word in cell.split(SEPARATORS[0]) if word.strip()]


def _guess(path: Path, words: set[str]) -> Domain:
    """The domain of which most words are findings."""
    counts = {
        name: sum(standard_name(word, domain) in domain.findings for word in words) for name, domain in BUILT_IN.items()
    }
    best = max(counts, key=counts.__getitem__)
    if not counts[best] or list(counts.values()).count(counts[best]) > 1:
        raise ValueError(f"domain: {path.name} does not tell it, want one of {', '.join(BUILT_IN)}")
    return BUILT_IN[best]


def _split(text: str, where: str) -> str:
    split = SPLIT_WORDS.get(text.lower(), text.lower())
    if split and split not in SPLITS:
        raise ValueError(f"{where}, split: got {text!r}, want one of {', '.join(SPLITS)}")
    return split


def _order(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        return float(datetime.date.fromisoformat(text[:10]).toordinal())
    except ValueError:
        return files.number(text, f"{where}, order")


def _report(text: str, folder: Path) -> str | Path:
    return folder / text if text.lower().endswith(".txt") and "\n" not in text else text
