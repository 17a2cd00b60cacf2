"""Patterns of whole words."""

import re


def any_of(*patterns: str) -> re.Pattern[str]:
    """Whole words (or runs of them) that match one of the patterns."""
    return re.compile(r"\b(?:" + "|".join(patterns) + r")\b")


NOTHING = (
    r"no (?:\w+ ){0,3}(?:acute|active|significant|relevant|abnormal)\w*(?: \w+){0,3}",
    r"^(?:normal|unremarkable|within normal limits)(?: (?:study|exam(?:ination)?))?(?=[.!]?$)",
)
"""What calls an image normal, whatever it is of."""
