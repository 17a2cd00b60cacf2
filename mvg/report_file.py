"""A clinical report from a text file. Files are read as hostile."""

import codecs
from pathlib import Path

MAX_BYTES = 1_000_000
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_report_file(path: Path, name: str = "") -> str:
    """Reads a report.

    Args:
        path: a text file in UTF-8, UTF-16 with its byte-order mark, or Windows-1252.
        name: what errors call the file; its own name by default.

    Returns:
        The text as it stands in the file.

    Raises:
        ValueError: the file cannot be read, is empty, holds more than 1,000,000 bytes, or is not text.
    """
    name = name or path.name
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"report: {name!r} cannot be opened ({error.strerror or 'input error'})") from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"report: {name!r} is larger than {MAX_BYTES} bytes, want at most that")
    text = _decoded(data, name)
    if not text.strip():
        raise ValueError(f"report: {name!r} is empty, want the clinical report as text")
    return text


def _decoded(data: bytes, name: str) -> str:
    refused = ValueError(f"report: {name!r} is no text file, want UTF-8, UTF-16 or Windows-1252")
    if data.startswith(UTF_16_MARKS):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise refused from None
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise refused
    return text
