"""Elements of a DICOM header that an image can do without: their value, or nothing where it is not usable."""

import math

import pydicom
from pydicom.multival import MultiValue


def decimals(header: pydicom.Dataset, keyword: str) -> list[float] | None:
    """The numbers of an element.

    Args:
        header: the data set.
        keyword: the element's.

    Returns:
        Its values; [] where it is absent or empty; None where one of them is no finite number.
    """
    try:
        value = header.get(keyword)
        values = value if isinstance(value, MultiValue | list | tuple) else [value]
        if value is None or all(str(part).strip() in ("", "None") for part in values):
            return []
        numbers = [float(part) for part in values]
    except Exception:  # pydicom parses a value when it is asked for, and raises many kinds of errors
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def text(header: pydicom.Dataset, keyword: str) -> str:
    """A single value of an element, as text.

    Args:
        header: the elements.
        keyword: of the element.

    Returns:
        The text, "" where it has no value or several.
    """
    try:
        value = header.get(keyword)
    except Exception:  # as above
        return ""
    return "" if value is None or isinstance(value, MultiValue | list | tuple) else str(value).strip()
