"""Recognises a data set by what lies in its folder, and reads it as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...mvg.domains import BUILT_IN, Domain, find_domain
from . import chest, files, photographs
from .record import Record, Table, make_table
from .table_file import read_table_file

FRONTAL = ("AP", "PA", "frontal", "")
"""Views that are read: the domain is of frontal films. A source with views says "unknown" where it knows none."""


@dataclass(frozen=True)
class Layout:
    """How a data set lies on disk: its name, domain, what its folder holds in words, the test for it, the reader."""

    name: str
    domain: Domain
    holds: str
    is_at: Callable[[Path], bool]
    read: Callable[[Path], list[Record]]


LAYOUTS = (
    Layout("CheXpert Plus", chest.DOMAIN, chest.PLUS_TABLE, lambda r: (r / chest.PLUS_TABLE).exists(),
           chest.read_chexpert_plus),
    Layout("CheXpert", chest.DOMAIN, "train.csv with Frontal/Lateral",
           lambda r: "Frontal/Lateral" in files.header(r / "train.csv"), chest.read_chexpert),
    Layout("MIMIC-CXR", chest.DOMAIN, "mimic-cxr-2.0.0-split.csv(.gz)",
           lambda r: any(r.glob("mimic-cxr-2.0.0-split.csv*")), chest.read_mimic),
    Layout("NIH ChestX-ray14", chest.DOMAIN, "Data_Entry_2017*.csv", lambda r: any(r.glob("Data_Entry_2017*.csv")),
           chest.read_nih),
    Layout("Kaggle Diabetic Retinopathy", photographs.FUNDUS, "trainLabels.csv",
           lambda r: {"image", "level"} <= set(files.header(r / "trainLabels.csv")),
           photographs.read_kaggle_retinopathy),
    Layout("ISIC 2018", photographs.SKIN, "ISIC2018_Task3_*_GroundTruth",
           lambda r: any(r.glob("ISIC2018_Task3_*_GroundTruth")), photographs.read_isic_2018),
    Layout("HAM10000", photographs.SKIN, "HAM10000_metadata",
           lambda r: any((r / name).exists() for name in photographs.HAM_TABLES), photographs.read_ham10000),
    Layout("ISIC 2024", photographs.SKIN, photographs.ISIC_2024_TABLE,
           lambda r: "isic_id" in files.header(r / photographs.ISIC_2024_TABLE), photographs.read_isic_2024),
)  # fmt: skip


def read(
    path: Path,
    *,
    domain: str | Domain | None = None,
    labels: Sequence[str] = (),
    val_share: float = 0.1,
    seed: int = 0,
) -> Table:
    """Reads a data set as it lies on disk; pictures themselves are not opened.

    Args:
        path: a folder of one of LAYOUTS, a CSV with the columns of `table_file.COLUMNS`, or a folder of pictures alone.
        domain: the kind of image; needed for pictures alone, and where a CSV does not tell.
        labels: further columns of a CSV that hold labels.
        val_share: share of the patients in train that become val, where the source has no val.
        seed: of that draw.

    Returns:
        The table, lateral and other views left out.

    Raises:
        ValueError: one line that names the input, what it got and what it wants.
    """
    path = Path(path)
    asked = None if domain is None else find_domain(domain)
    notes: list[str] = []
    if files.is_csv(path):
        records, found, notes = read_table_file(path, asked, labels)
        name = path.name
    elif path.is_dir():
        name, found, records = _read_folder(path, asked)
    else:
        raise ValueError(f"data: got {path}, want a folder or a CSV file that exists")
    if asked and asked.name != found.name:
        raise ValueError(f"domain: got {asked.name!r}, but {name} is {found.name}")
    frontal = [record for record in records if record.view in FRONTAL]
    if left_out := len(records) - len(frontal):
        notes.append(f"{left_out} of {len(records)} pictures left out: no frontal view")
    return make_table(name, found.name, frontal, val_share=val_share, seed=seed, notes=notes)


def _read_folder(path: Path, domain: Domain | None) -> tuple[str, Domain, list[Record]]:
    for layout in LAYOUTS:
        if layout.is_at(path):
            return layout.name, layout.domain, layout.read(path)
    tables = sorted(p.name for p in path.iterdir() if files.is_csv(p))
    if not tables and (records := photographs.read_pictures(path)):
        if domain is None:
            raise ValueError(f"domain: {path} holds pictures alone, want one of {', '.join(BUILT_IN)}")
        return path.name, domain, records
    known = ", ".join(f"{layout.name} ({layout.holds})" for layout in LAYOUTS)
    hint = f"; or give one of its tables, {', '.join(tables)}" if tables else ""
    raise ValueError(f"data: {path} is no folder of {known}, nor of pictures{hint}")
