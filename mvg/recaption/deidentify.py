"""Identifiers out of a report, by rules: what a person could be told by is replaced by its kind in brackets.

The kinds are those of the HIPAA safe harbor (45 CFR 164.514(b)(2)) that turn up in reports: names, dates, numbers,
contacts, addresses and ages over 89. A name is known by what stands before or after it (a title, "Patient:", "dictated
by", "MD"), and then wherever it comes again; a name that nothing announces stays. So do years alone, and hospitals and
towns without a label.
"""

from collections import Counter

from .fold import fold
from .identifiers import dates, names, numbers, places
from .identifiers.spans import (
    AGE,
    KINDS,
    Text,
    merged,
)

__all__ = [
    *("ADDRESS", "AGE", "DATE", "EMAIL", "KINDS", "NAME", "NUMBER", "PHONE", "PLACE", "SSN", "WEB"),
    *("MAX_TEXT", "deidentify", "describe"),
]
MAX_TEXT = 200_000  # characters


def deidentify(text: str) -> tuple[str, list[tuple[str, int]]]:
    """A text without the identifiers that the rules know.

    Measurements, spans of time, levels of the spine, stages and ages to 89 stay as they are. The time is that of the
    length: less than a second for 100,000 characters, whatever they are.

    Args:
        text: Any text, of at most MAX_TEXT characters once it is folded.

    Returns:
        (clean, removed): the folded text (see `fold`) with its identifiers replaced by "[kind]", and (kind, count) of
        those there were, in the order of KINDS. Rules miss what nothing announces: see the module.

    Raises:
        ValueError: for what is no text or too long.
    """
    if not isinstance(text, str):
        raise ValueError(f"text: got {type(text).__name__}, want text")
    folded = fold(text)
    if max(len(text), len(folded)) > MAX_TEXT:
        raise ValueError(f"text: got {max(len(text), len(folded))} characters, want at most {MAX_TEXT}")
    looked_at = Text(folded)
    spans = merged(span for part in (names, dates, numbers, places) for span in part.find(looked_at))
    counts: Counter[str] = Counter(kind for *_, kind in spans)
    out, at = [], 0
    for start, end, kind in spans:
        out += [folded[at:start], f"[{kind}]"]
        at = end
    clean = "".join([*out, folded[at:]])
    return clean, [(kind, counts[kind]) for kind in KINDS if counts[kind]]


def describe(removed: list[tuple[str, int]]) -> str:
    """What was removed in words.

    Args:
        removed: (kind, count) as `deidentify` gives them.

    Returns:
        Kinds and counts alone: "2 names, 1 date".
    """
    return ", ".join(f"{n} {_plural(kind) if n > 1 else kind}" for kind, n in removed)


def _plural(kind: str) -> str:
    if kind == AGE:
        return "ages over 89"
    return kind + ("es" if kind.endswith("s") else "s")
