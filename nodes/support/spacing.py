"""The distance of an image's pixels as it travels between nodes: readable text, "0.143 x 0.143 mm"."""

import re

FORM = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]\d+)?) x (\d+(?:\.\d+)?(?:e[+-]\d+)?) mm")


def to_text(spacing: tuple[float, float]) -> str:
    """mm from row to row and from column to column, to six digits."""
    return f"{spacing[0]:.6g} x {spacing[1]:.6g} mm"


def from_text(text: str) -> tuple[float, float] | None:
    """What ``to_text`` wrote, None for an empty text; ValueError for any other."""
    if not text:
        return None
    found = FORM.fullmatch(text)
    if not found or not all(float(number) > 0 for number in found.groups()):
        raise ValueError(f"spacing: got {text!r}, want the spacing of Load Medical Image, such as '0.143 x 0.143 mm'")
    return float(found[1]), float(found[2])
