"""CSV as spreadsheets write it, read so that no row is ever lost in another one."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .problems import CohortError, Problem, refuse

SEPARATORS = ",;\t"
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Table:
    """header: column names. rows: (line in the file, name -> cell). problems: rows of a wrong length."""

    header: list[str]
    rows: list[tuple[int, dict[str, str]]]
    problems: list[Problem]


def read_table(path: Path, file_column: str) -> Table:
    """Reads a CSV separated by comma, semicolon or tab.

    UTF-8 or, with its byte order mark, UTF-16; line ends of any system; Excel's first line ``sep=;`` is obeyed. Blank
    rows, and columns without a name that are empty throughout, are passed over. Cells are stripped.

    Args:
        path: The file.
        file_column: A column that names a file in every row, by which a row inside a quoted cell is recognized.

    Returns:
        The table; cells are text, so that leading zeros stay.

    Raises:
        CohortError: The file cannot be read, or quotes make it unclear where a row ends; names the row.
    """
    text = _text(path)
    first, *_ = text.splitlines() or [""]
    separator = _declared_separator(first)
    skipped = 0
    if separator is not None:
        text, skipped = text[len(first) :], 1
        text = text.removeprefix("\r").removeprefix("\n")
    else:
        separator = _guessed_separator(text)
    records = [(number + skipped, cells) for number, cells in _records(path, text, separator)]
    header = [name.strip() for name in records[0][1]] if records else []
    if file_column in header:
        spaced = f"{separator} " in _header_line(text)
        _check_line_breaks(records, len(header), header.index(file_column), separator, spaced)
    return _aligned(header, records[1:])


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise refuse("manifest", f"there is no file {path}") from error
    except OSError as error:
        raise refuse("manifest", f"{path} cannot be read ({error.strerror})") from error
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        told = f"{path} is no UTF-8 text ({error.reason} in line {line}): save it as CSV UTF-8"
        raise refuse("manifest", told) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise refuse("manifest", f"{path} is no UTF-8 text (a zero byte in line {line}): save it as CSV UTF-8")
    return text


def _declared_separator(line: str) -> str | None:
    """The separator of Excel's first line, as ``sep=;``; None where the line is none of that kind."""
    match = re.fullmatch(rf'"?sep=([{SEPARATORS}])"?[{SEPARATORS}\s]*', line, re.IGNORECASE)
    return match[1] if match else None


def _guessed_separator(text: str) -> str:
    """The one that parts the most column names, quoted names left aside."""
    return max(SEPARATORS, key=re.sub('"[^"]*"', "", _header_line(text)).count)


def _header_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip(SEPARATORS + " ")), "")


def _records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of every row that is not blank; CohortError where a quote is not as it should be."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    begin = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise refuse(f"row {begin + 1}", _quote_problem(str(error), path, reader.line_num)) from error
        raw = "".join(lines[begin : reader.line_num])
        if any('"' in cell and '"' + cell.replace('"', '""') + '"' not in raw for cell in cells):
            raise refuse(
                f"row {begin + 1}", "a quote stands in the middle of a cell: quote the whole cell, and double it"
            )
        if any(cell.strip() for cell in cells):
            yield begin + 1, cells
        begin = reader.line_num


def _quote_problem(told: str, path: Path, line: int) -> str:
    if "unexpected end" in told:
        return "a quote is never closed, so that the rest of the file would be one cell"
    if "expected after" in told:
        return f"a quoted cell goes on after its closing quote in line {line}: a quote is missing, or has to be doubled"
    return f"{path.name} cannot be read as a table: {told}"


def _check_line_breaks(
    records: list[tuple[int, list[str]]], width: int, place: int, separator: str, spaced: bool
) -> None:
    """CohortError where a quoted cell of several lines holds what looks like rows: two quotes that do not belong
    together make one cell of all that lies between them, and the patients in it would be lost without a word.

    place: of the column that names a file, among ``width``. spaced: whether a blank follows each separator.
    """
    problems = []
    for number, cells in records:
        for n, cell in enumerate(cells):
            first, *further = re.split(r"\r\n|\r|\n", cell)
            if not further:
                continue
            *middle, last = (line.split(separator) for line in further)
            swallowed = [_holds_file(parts, {place, place - width}, width, spaced) for parts in middle]
            if place < n:
                swallowed.append(_holds_file(last, {place}, n + 1, spaced))
            else:  # the file of the row that the quote begins in
                _, *ends = first.split(separator)
                swallowed.append(_holds_file(ends, {place - n - 1, place - width}, width - n - 1, spaced))
            if any(swallowed):
                told = (
                    "a quoted cell runs over several lines that look like rows: close its quote, or use a report file"
                )
                problems.append(Problem(f"row {number}", told))
                break
    if problems:
        raise CohortError(problems)


def _holds_file(parts: list[str], places: set[int], least: int, spaced: bool) -> bool:
    """Whether the parts of a line may be cells of a row with a file: one ends as files do, or there are at least
    ``least`` and one of ``places`` is not as words after a comma are."""
    if any(re.search(r"\.[A-Za-z]\w{1,4}$", part.strip(' "')) for part in parts):
        return True
    cells = [parts[n] for n in places if -len(parts) <= n < len(parts)]
    return len(parts) >= least and any(_may_be_file(cell, spaced) for cell in cells)


def _may_be_file(cell: str, spaced: bool) -> bool:
    name = cell.strip(' "')
    return " " not in name if spaced else not cell.startswith(" ") or "/" in name or "\\" in name


def _aligned(header: list[str], records: list[tuple[int, list[str]]]) -> Table:
    """Cells by the name of their column. Rows may go on with empty cells, as those of spreadsheets do, where all have
    as many; one that alone is longer, or has a cell of several lines, has lost or gained a separator."""
    rows, problems = [], []
    alike = len({len(cells) for _, cells in records}) == 1
    for number, cells in records:
        surplus = cells[len(header) :]
        one_line = not any("\n" in cell or "\r" in cell for cell in cells)
        empty = alike and one_line and not any(cell.strip() for cell in surplus)
        if len(cells) < len(header) or (surplus and not empty):
            problems.append(Problem(f"row {number}", f"it has {len(cells)} cells, want {len(header)}, one a column"))
            continue
        rows.append((number, [cell.strip() for cell in cells]))
    used = [n for n, name in enumerate(header) if name or any(cells[n] for _, cells in rows)]
    named = [(number, {header[n]: cells[n] for n in used}) for number, cells in rows]
    return Table([header[n] for n in used], named, problems)
