"""Patterns of whole words."""

import re


def any_of(*patterns: str) -> re.Pattern[str]:
    """Whole words (or runs of them) that match one of the patterns."""
    return re.compile(r"\b(?:" + "|".join(patterns) + r")\b")


def plain(words: str) -> str:
    """The pattern of words as a person writes them: spaces or hyphens between, with or without a plural s, lower case.

    "proliferative" is not found in "non-proliferative".

    Args:
        words: between spaces or hyphens.

    Returns:
        A regular expression.
    """
    parts = [re.escape(part) for part in re.split(r"[\s-]+", words.strip().lower())]
    return r"(?<!non[- ])" + "[- ]".join(parts) + "(?:e?s)?"


NOTHING = (
    r"no (?:\w+ ){0,3}(?:acute|active|significant|relevant|abnormal)\w*(?: \w+){0,3}",
    r"^(?:normal|unremarkable|within normal limits)(?: (?:study|exam(?:ination)?))?(?=[.!]?$)",
)
"""What calls an image normal, whatever it is of."""
