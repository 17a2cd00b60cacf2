"""Where identifiers stand in a text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..fold import without_accents
from ..pieces import matches

NAME, DATE, NUMBER, PHONE = "name", "date", "record number", "phone number"
EMAIL, WEB, ADDRESS, PLACE = "e-mail address", "web address", "address", "place"
AGE, SSN = "age over 89", "social security number"
KINDS = (NAME, DATE, NUMBER, PHONE, EMAIL, WEB, ADDRESS, PLACE, AGE, SSN)

Span = tuple[int, int, str]
Rule = tuple[str, re.Pattern[str]]


@dataclass(frozen=True)
class Text:
    """A folded text; ``plain`` is without accents, ``low`` in small letters too. All three are of one length."""

    said: str

    @cached_property
    def plain(self) -> str:
        """The text without accents."""
        return without_accents(self.said)

    @cached_property
    def low(self) -> str:
        """The text without accents, in small letters."""
        return self.plain.lower()


def rule(kind: str, *parts: str) -> Rule:
    """A kind of identifier and the pattern that finds it.

    Args:
        kind: its name.
        *parts: of a regular expression, joined; with a group "it" only that group is the identifier.

    Returns:
        Both.
    """
    return kind, re.compile("".join(parts))


def find_all(rules: Iterable[Rule], text: str) -> Iterator[Span]:
    """The spans that rules find, rule by rule.

    Every quantifier of a rule is bounded, so that the time is that of the length of the text.

    Args:
        rules: kinds with their patterns.
        text: what they are looked for in.

    Yields:
        Start, end and kind.
    """
    for kind, pattern in rules:
        group: int | str = "it" if "it" in pattern.groupindex else 0
        for match in matches(pattern, text):
            start, end = match.span(group)
            if start < end:
                yield start, end, kind


def merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those that overlap as one, of the kind of the first given of them.

    Args:
        spans: the most trusted first.

    Returns:
        Spans that do not overlap.
    """
    out: list[tuple[int, int, int, str]] = []
    for start, end, rank, kind in sorted((s, e, rank, kind) for rank, (s, e, kind) in enumerate(spans)):
        if out and start < out[-1][1]:
            first, last, old, old_kind = out[-1]
            out[-1] = (first, max(last, end), *min((old, old_kind), (rank, kind)))
        else:
            out.append((start, end, rank, kind))
    return [(start, end, kind) for start, end, _, kind in out]
