"""Cells that a spreadsheet would run as a formula, and the same cells as plain text."""

import re

MARK = "'"
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def escape_formula(cell: str) -> str:
    """A cell with an apostrophe before it where a spreadsheet would run it; numbers stay as they are.

    Args:
        cell: Any text.

    Returns:
        The text; with the apostrophe where it begins with ``= + - @``, a tab or a line end, and is no number (OWASP,
        "CSV Injection").
    """
    return MARK + cell if is_formula(cell) else cell


def unescape_formula(cell: str) -> str:
    """Undoes ``escape_formula``.

    Args:
        cell: what ``escape_formula`` returned.

    Returns:
        The cell as it was.
    """
    return cell[1:] if cell.startswith(MARK) and is_formula(cell[1:]) else cell


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would take a cell for a formula.

    Args:
        cell: any text.

    Returns:
        True where it begins with ``= + - @``, a tab or a line end, and is no number.
    """
    bare = cell.lstrip(MARK)  # an apostrophe of its own is kept apart from the one that is added
    return bare.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and not NUMBER.fullmatch(bare)
