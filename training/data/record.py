"""One picture of a data set with what is known of it, and a data set as a table of them, split by patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...mvg.report_file import read_report_file

TRAIN, VAL, TEST, UNLABELLED = SPLITS = ("train", "val", "test", "unlabelled")
UNCERTAIN = -1.0
"""The value of a label that the source calls uncertain, as CheXpert and MIMIC-CXR write it."""


@dataclass(frozen=True)
class Record:
    """One picture.

    Attributes:
        image: its file.
        patient: whom it shows, unique in the data set; where a source names no patients, what it keeps apart by.
        labels: finding -> 1 present, 0 absent, -1 uncertain, None where the source says nothing.
        order: sorts the pictures of one patient in time; its unit is that of the source. None where unknown.
        view: "AP", "PA", "lateral", "frontal" or "".
        report: the text, its file, or "".
        split: one of SPLITS; "" where the source has none and none is drawn yet.
        licence: the line that the source asks to be repeated.
        severities: finding -> severity in [0, 1], where the source grades it.
    """

    image: Path
    patient: str
    labels: Mapping[str, float | None] = field(default_factory=dict)
    order: float | None = None
    view: str = ""
    report: str | Path = ""
    split: str = ""
    licence: str = ""
    severities: Mapping[str, float] = field(default_factory=dict)

    def report_text(self) -> str:
        """The report, "" for none.

        Raises:
            ValueError: its file cannot be read.
        """
        return read_report_file(self.report) if isinstance(self.report, Path) else self.report


@dataclass(frozen=True)
class Table:
    """A data set.

    Attributes:
        name: of the source.
        domain: the kind of image, of `mvg.domains`.
        records: one a picture; no picture twice, no patient in two splits.
        notes: what was left out and why, a line each.
    """

    name: str
    domain: str
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Every finding that a record has a label for, in the order of the source."""
        return tuple(dict.fromkeys(label for record in self.records for label in record.labels))

    @property
    def licences(self) -> tuple[str, ...]:
        """The lines that the sources ask to be repeated."""
        return tuple(dict.fromkeys(record.licence for record in self.records if record.licence))

    def part(self, split: str) -> tuple[Record, ...]:
        """The records of a split.

        Args:
            split: one of SPLITS.

        Returns:
            At least one.

        Raises:
            ValueError: there is none.
        """
        found = tuple(record for record in self.records if record.split == split)
        if not found:
            told = ", ".join(f"{name} {self.count(name)}" for name in SPLITS if self.count(name)) or "none"
            raise ValueError(f"split: got no picture in {split!r} of {self.name} ({told}), want at least one")
        return found

    def count(self, split: str) -> int:
        """How many records a split has."""
        return sum(record.split == split for record in self.records)


def make_table(
    name: str, domain: str, records: Sequence[Record], *, val_share: float, seed: int, notes: Sequence[str] = ()
) -> Table:
    """A table whose patients are each in one split.

    Records without a split go to train. Where no record is in val, ``val_share`` of the patients in train (at least
    one, where there are two) are drawn for it.

    Args:
        name, domain, notes: as in `Table`.
        records: of the source.
        val_share: in [0, 1).
        seed: of the draw.

    Returns:
        The table.

    Raises:
        ValueError: there are no records, one picture is listed twice, or a patient is in two splits.
    """
    if not 0 <= val_share < 1:
        raise ValueError(f"val_share: got {val_share}, want a share from 0 to below 1")
    if not records:
        raise ValueError(f"data: {name} lists no picture, want at least one")
    records = [record if record.split else replace(record, split=TRAIN) for record in records]
    _check_pictures(records)
    _check_patients(records)
    if val_share and not any(record.split == VAL for record in records):
        patients = sorted({record.patient for record in records if record.split == TRAIN})
        count = max(round(val_share * len(patients)), 1) if len(patients) > 1 else 0
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(patients))
        chosen = {patients[i] for i in order[:count]}
        records = [
            replace(record, split=VAL) if record.split == TRAIN and record.patient in chosen else record
            for record in records
        ]
        notes = [*notes, f"{count} of {len(patients)} patients drawn for val by seed {seed}"]
        _check_patients(records)
    return Table(name, domain, tuple(records), tuple(notes))


def _check_pictures(records: Sequence[Record]) -> None:
    seen: set[Path] = set()
    for record in records:
        if record.image in seen:
            raise ValueError(f"data: {record.image} is listed twice, want each picture once")
        seen.add(record.image)


def _check_patients(records: Sequence[Record]) -> None:
    """ValueError naming a patient that a network would be trained and judged on."""
    splits: dict[str, str] = {}
    for record in records:
        if record.split == UNLABELLED:
            continue
        if splits.setdefault(record.patient, record.split) != record.split:
            raise ValueError(
                f"patient: {record.patient!r} is in the splits {splits[record.patient]} and {record.split}, want each "
                "patient in one"
            )
