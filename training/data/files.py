"""What the readers share: rows of CSV files, pictures by name, and errors that say what is wrong with a data set."""

import csv
import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...mvg.picture_header import DICOM_SUFFIXES, PICTURE_SUFFIXES

CSV_SUFFIXES = (".csv", ".csv.gz")


def is_csv(path: Path) -> bool:
    """Whether a file is a CSV by its name."""
    return path.name.lower().endswith(CSV_SUFFIXES)


def header(path: Path) -> list[str]:
    """The columns of a CSV; [] where it is none that can be read."""
    try:
        with _opened(path) as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def rows(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV, plain or gzipped, in UTF-8 with line ends of any system.

    Args:
        path: the file.
        columns: those that it must have.

    Yields:
        The number of the line that a row ends in, and its cells by column, stripped.

    Raises:
        ValueError: the file cannot be read, has no row, lacks a column, or a row has more or fewer cells than columns.
    """
    csv.field_size_limit(1 << 24)  # reports
    number = 0
    try:
        with _opened(path) as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            if missing := [name for name in columns if name not in names]:
                raise ValueError(
                    f"{path.name}: columns {', '.join(missing)} are missing, got {', '.join(names) or 'none'}"
                )
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                while len(cells) > len(names) and not cells[-1].strip():
                    cells.pop()  # as spreadsheets end rows, and NIH's table does
                if len(cells) != len(names):
                    raise ValueError(f"{path.name}: line {reader.line_num} has {len(cells)} cells, want {len(names)}")
                number += 1
                yield reader.line_num, dict(zip(names, map(str.strip, cells), strict=True))
    except FileNotFoundError as error:
        raise ValueError(f"data: there is no file {path}") from error
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name}: cannot be read as CSV in UTF-8 ({error})") from error
    if not number:
        raise ValueError(f"{path.name}: has no row, want one a picture")


def number(text: str, where: str) -> float:
    """A whole or decimal number.

    Raises:
        ValueError: naming ``where`` it stands.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: got {text!r}, want a number") from None


def pictures(folder: Path) -> Iterator[Path]:
    """The picture files in a folder and its sub-folders, in the order of their names."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith((*PICTURE_SUFFIXES, *DICOM_SUFFIXES)):
                yield Path(place, name)


def pictures_by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Stem of the file -> its path, over several folders."""
    return {path.stem: path for folder in folders for path in pictures(folder)}


def _opened(path: Path):
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")
