"""Names of persons, which something announces, and the same names where they come again."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from enum import Enum

from ..pieces import matches
from .cues import (
    AFTER_DOCTOR,
    BY,
    CAPITAL_TITLES,
    CARET,
    DEGREES,
    DOTTED,
    EPONYMS,
    GRADES,
    LABEL,
    PARTICLES,
    SHORTENED,
    SURE_DEGREES,
    TITLES,
)
from .spans import NAME, Span, Text
from .words import NAMES_TOO, is_clinical, is_grammar, is_prose, is_word

_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['-](?=[^\W\d_]))*")
_NAMES_OF_GRAMMAR = frozenset(["will", "may", "do", "so", "an", "he", "you", "she", "my", "to", "her", "in"])
_SEXES = frozenset(
    [
        "man",
        "woman",
        "male",
        "female",
        "lady",
        "gentleman",
        "infant",
        "child",
        "boy",
        "girl",
        "smoker",
        "patient",
        "diabetic",
        "baby",
    ]
)
MAX_WORDS = 5


class Trust(Enum):
    """How sure it is that a name follows."""

    TITLE = 1  # "Dr. Short"
    LABEL = 2  # "Name: Short": also in small letters, also "Short, Rose"
    FREE = 3  # "CC: ...", "patient ...": what else it may be is looked at


class _Words:
    """The words of a text by number."""

    def __init__(self, text: Text):
        self.text = text.plain
        found = list(_WORD.finditer(text.plain))
        self.starts = [m.start() for m in found]
        self.ends = [m.end() for m in found]
        self.said = [m[0] for m in found]
        self.low = [word.lower() for word in self.said]

    def __len__(self) -> int:
        return len(self.said)

    def gap(self, i: int) -> str:
        """What stands before word ``i``, after the one before it; at most 8 characters."""
        before = self.ends[i - 1] if i else 0
        return self.text[max(before, self.starts[i] - 8) : self.starts[i]]

    def after(self, i: int) -> str:
        """What stands after word ``i``, before the next; at most 8 characters."""
        stop = self.starts[i + 1] if i + 1 < len(self) else len(self.text)
        return self.text[self.ends[i] : min(stop, self.ends[i] + 8)]

    def at(self, place: int) -> int:
        return bisect_left(self.starts, place)


def find(text: Text) -> Iterator[Span]:
    """Announced names, each of their words that comes again, and what has the form LAST^FIRST.

    Args:
        text: the report.

    Yields:
        Spans with their kinds.
    """
    words = _Words(text)
    runs = [run for run in _announced(words, text) if run[1] > run[0]]
    for first, end in runs:
        yield words.starts[first], words.ends[end - 1], NAME
    for match in matches(CARET, text.plain):
        yield *match.span(), NAME
    yield from _again(words, runs)


def _again(words: _Words, runs: list[tuple[int, int]]) -> Iterator[Span]:
    """A word of a name that is no English word, alone; any two in a row as they stood."""
    known = {words.low[i] for first, end in runs for i in range(first, end)}
    alone = {w for w in known if len(w) > 2 and not is_word(w) and w not in PARTICLES}
    pairs = {(words.low[i], words.low[i + 1]) for first, end in runs for i in range(first, end - 1)}
    for i, word in enumerate(words.low):
        if words.said[i][0].islower():
            continue
        if (word.removesuffix("'s") if word.endswith("'s") else word) in alone:
            yield words.starts[i], words.ends[i], NAME
        elif (
            i + 1 < len(words)
            and ((word, words.low[i + 1]) in pairs or (words.low[i + 1], word) in pairs)
            and re.fullmatch(r",? {1,2}", words.gap(i + 1))
            and not words.said[i + 1][0].islower()
            and not (is_prose(word) or is_clinical(word))
        ):
            yield words.starts[i], words.ends[i + 1], NAME


def _announced(words: _Words, text: Text) -> Iterator[tuple[int, int]]:
    for i in range(len(words)):
        if words.low[i] in TITLES or (words.low[i] in CAPITAL_TITLES and words.said[i][0].isupper()):
            yield from _titled(words, i)
        elif (degree := _degree(words, i)) and i:
            yield _before_degree(words, i, sure=degree == "sure")
    for match in matches(LABEL, text.low):
        i = words.at(match.end())
        trust = Trust.FREE if match["free"] or match["dash"] or match["sign"] == ";" else Trust.LABEL
        if match["person"] and match["sign"]:
            trust = Trust.LABEL
        wrapped = bool(match["wrap"] or match["line"])
        runs = list(_list(words, i, trust))
        if wrapped and runs and not _ends_line(words, runs[0][1]):
            continue
        yield from runs
    for match in matches(BY, text.low):
        i = words.at(match.end())
        yield from _list(words, i, Trust.LABEL if match["colon"] else Trust.FREE)


def _titled(words: _Words, i: int) -> Iterator[tuple[int, int]]:
    title, said = words.low[i], words.said[i]
    before = words.low[i - 1] if i else ""
    first = i + 1
    while first < len(words) and words.low[first] in (TITLES | {"med"}) and first - i < 4:
        if len(words.gap(first)) > 3:
            return
        first += 1
    if first >= len(words):
        return
    gap = words.gap(first)
    stop = "." in gap
    if not re.fullmatch(r"\.?[ \t]{1,2}|\.|\.\n", gap) or (gap == ".\n" and title in CAPITAL_TITLES):
        return
    name, low = words.said[first], words.low[first]
    follows = words.low[first + 1] if first + 1 < len(words) else ""
    capitals = said.isupper() and title in ("dr", "mr", "ms", "drs")
    if capitals and title == "dr" and before in ("mild", "moderate", "severe", "no", "diabetic", "background", "any"):
        return
    if capitals and (name.isupper() or not stop) and len(name) > 1:
        # "MR" and "DR" are also magnetic resonance and diabetic retinopathy
        if is_prose(low) or is_clinical(low) or low in GRADES or low in DEGREES:
            return
        if not stop and low in NAMES_TOO and (title != "dr" or follows not in AFTER_DOCTOR):
            return
        if not stop and name[0].islower():
            return
    if before in ("the", "a", "his", "her", "their", "another", "this", "any") and (is_prose(low) or is_clinical(low)):
        return
    if "\n" in gap and name[0].islower():
        return
    if name[0].islower() and follows not in AFTER_DOCTOR and re.search(r"(?:ed|ing|tion|ent|es)$", low):
        return
    yield from _list(words, first, Trust.TITLE, many=title == "drs")


def _list(words: _Words, i: int, trust: Trust, *, many: bool = True) -> Iterator[tuple[int, int]]:
    """The names of a list that begins at word ``i``: "A. Ward, Rose May and B. Short"."""
    for _ in range(4):
        if i >= len(words):
            return
        titles = 0
        while words.low[i] in TITLES:
            i += 1
            titles += 1
            if titles > 3:
                return
            if i >= len(words) or not re.fullmatch(r"\.?[ \t]{0,2}", words.gap(i)):
                return
            trust = Trust.TITLE
        end = _name(words, i, trust)
        if end == i:
            return
        yield i, end
        if not many or end >= len(words):
            return
        i = end
        while i < len(words) and (_degree(words, i) or words.low[i] == "and") and i < end + 4:
            if not re.fullmatch(r"[,;./]? ?", words.gap(i)):
                return
            i += 1
        if (
            i >= len(words)
            or not re.fullmatch(r",? ?|; ?| ?[/&] ?|\.?,? ", words.gap(i))
            or (words.gap(i) == " " == words.gap(end) and i == end)
        ):
            return
        said, low = words.said[i], words.low[i]
        doubtful = said[0].islower() or (is_word(low) and low not in TITLES)
        if doubtful and (low not in NAMES_TOO or said.isupper()):
            return
        trust = Trust.FREE


def _name(words: _Words, first: int, trust: Trust) -> int:
    """The number of the word after the name that begins at word ``first``; ``first`` where none does."""
    end = i = first
    taken = full = 0
    comma = small = False
    while i < len(words) and taken < MAX_WORDS and i - first < MAX_WORDS + 3:
        said, low = words.said[i], words.low[i]
        if i > first:
            joint = _joint(words, i, trust, comma or taken > 2)
            if joint is None:
                break
            comma = comma or joint == ","
        if _degree(words, i) and taken and not (low in DEGREES and len(said) > 2 and said[1].islower()):
            break
        if low in PARTICLES and len(low) > 1 and not is_grammar(low) and _goes_on(words, i):
            i += 1
            continue
        if low in ("o", "d") and i + 1 < len(words) and words.gap(i + 1).startswith("'"):
            i += 1
            continue
        initial = len(said) == 1 and said.isupper()
        if initial:
            if low == "a" and not words.after(i).startswith((".", "^")) and _article(words, i):
                break
            i += 1
            taken += 1
            continue
        if not _may_be(words, i, trust, taken=full, small=small):
            break
        if not taken and trust is not Trust.TITLE and _describes(words, i):
            break
        small = small or said[0].islower()
        taken += 1
        full += 1
        i += 1
        end = i
    # a middle initial at the end: "Rose May J."
    lone = full and end < len(words) and len(words.said[end]) == 1 and words.said[end].isupper()
    if lone and re.fullmatch(r",? |\^{1,3}", words.gap(end)) and not words.after(end).startswith("'"):
        end += 1
    followed = trust is not Trust.TITLE and first < end < len(words) and words.gap(end) == " "
    return first if followed and words.low[end] in EPONYMS else end


def _joint(words: _Words, i: int, trust: Trust, past_comma: bool) -> str | None:
    """How word ``i`` goes on from the one before it in a name; None where it does not."""
    gap, before = words.gap(i), words.low[i - 1]
    if gap in (" ", "  ", "-", "' ", "'", "_") or (gap.strip("^ ") == "" and "^" in gap):
        return gap
    if gap in (". ", ".", ".-") and (len(before) == 1 or before in SHORTENED):
        return gap
    if gap in (' "', '" ', " '", "' ", " (", ") "):
        return gap
    if gap in (",", ", ", " , ", " ,") and trust is Trust.LABEL and not past_comma and not _degree(words, i):
        low = words.low[i]
        return None if (is_prose(low) and low not in ("may", "will")) or is_clinical(low) else ","
    if gap in (",", ", ") and trust is Trust.FREE and not past_comma and words.said[i][0].isupper():
        return None if (is_word(words.low[i]) and words.low[i] not in NAMES_TOO) or _degree(words, i) else ","
    return None


def _may_be(words: _Words, i: int, trust: Trust, *, taken: int, small: bool) -> bool:
    """Whether word ``i`` is one of a name, after ``taken`` others; ``small``: they are in small letters."""
    said, low = words.said[i], words.low[i]
    grammar = is_grammar(low) and low not in _NAMES_OF_GRAMMAR
    if said[0].islower():
        if (taken and not small) or taken > 2 or trust is Trust.FREE:
            return False
        if low in ("may", "will") and trust is Trust.LABEL:
            return taken > 0 or _ends_segment(words, i + 1) or not is_prose(words.low[i + 1])
        if low in NAMES_TOO and trust is Trust.LABEL:
            return taken > 0 or low not in GRADES or _ends_segment(words, i + 1)
        return not (is_prose(low) or is_clinical(low) or (trust is Trust.TITLE and taken and is_word(low)))
    if grammar or small:
        return False
    capitals = said.isupper()
    if low in _NAMES_OF_GRAMMAR:
        follows = words.said[i + 1] if i + 1 < len(words) else ""
        if low in ("will", "may"):
            return True
        return not capitals and (
            taken > 0 or follows[:1].isupper() or words.low[i + 1 : i + 2] < ["a"] or trust is Trust.TITLE
        )
    if taken:
        if low in NAMES_TOO:
            return not (capitals and low in GRADES) or _ends_segment(words, i + 1)
        if is_prose(low) or is_clinical(low):
            return False
        return not (capitals and re.search(r"(?:ED|ING)$", said) and trust is not Trust.LABEL)
    if trust is Trust.TITLE:
        return capitals is False or not (is_prose(low) or (is_clinical(low) and low not in NAMES_TOO))
    if is_clinical(low):
        return low in NAMES_TOO and trust is Trust.LABEL and _ends_segment(words, i + 1)
    if is_prose(low):
        return False
    if low in NAMES_TOO and trust is Trust.FREE:
        return not capitals and low not in GRADES
    if low in NAMES_TOO and low in GRADES:
        return _ends_segment(words, i + 1) or words.said[i + 1][0].isupper()
    return True


def _goes_on(words: _Words, i: int) -> bool:
    """Whether a particle, "van" or "Le", has a name behind it."""
    if i + 1 >= len(words) or words.gap(i + 1) not in (" ", ". ", "-", "'"):
        return False
    return words.said[i][0].islower() or words.said[i + 1][0].isupper() or words.low[i + 1] in PARTICLES


def _describes(words: _Words, i: int) -> bool:
    """Whether a word goes with the finding behind it: "tiny pleural effusion"."""
    if i + 1 >= len(words) or words.gap(i + 1) != " ":
        return False
    return is_clinical(words.low[i + 1]) and words.low[i + 1] not in NAMES_TOO


def _article(words: _Words, i: int) -> bool:
    """Whether "A" before other words is the article: "A young man", "A 45-year-old"."""
    following = []
    for k in range(i + 1, min(i + 4, len(words))):
        if words.gap(k) not in (" ", "  "):
            break
        following.append(k)
    if i + 1 >= len(words) or words.gap(i + 1) not in (" ", "  "):
        return True
    if words.low[i + 1] in PARTICLES:
        return False
    return words.said[i + 1][0].islower() or any(words.low[k] in _SEXES for k in following)


def _ends_segment(words: _Words, i: int) -> bool:
    return i >= len(words) or bool(re.search(r"[\n\t.,;()\d]", words.gap(i)))


def _ends_line(words: _Words, i: int) -> bool:
    return i >= len(words) or _degree(words, i) != "" or bool(re.match(r"[ .]?[\n,;(\d]", words.gap(i)))


def _degree(words: _Words, i: int) -> str:
    """ "sure", "unsure" or "": whether word ``i`` is a degree after a name."""
    said, low = words.said[i], words.low[i]
    if low in SURE_DEGREES and said[0].isupper():
        return "sure"
    if low in DEGREES and said[0].isupper():
        return "unsure"
    if len(low) <= 2 and i + 1 < len(words) and (low, words.low[i + 1]) in DOTTED:
        return "sure" if words.gap(i + 1).startswith(".") and said[0].isupper() else ""
    return ""


def _before_degree(words: _Words, degree: int, *, sure: bool) -> tuple[int, int]:
    """The name before a degree, back from it; an empty run where none stands there."""
    gap = words.gap(degree)
    if not re.fullmatch(r",? {0,2}|\.? ", gap) or gap == "" or (not sure and "," not in gap):
        return degree, degree
    first = i = degree
    full = 0
    while i > 0 and degree - i < MAX_WORDS:
        i -= 1
        said, low = words.said[i], words.low[i]
        if i + 1 < degree:
            joint = words.gap(i + 1)
            initial = joint in (". ", ".") and (len(said) == 1 or low in SHORTENED)
            if not (joint in (" ", "-") or initial):
                break
        if len(said) == 1 and said.isupper():
            first = i
            continue
        if low in PARTICLES and not is_grammar(low):
            continue
        if said[0].islower() or _degree(words, i):
            break
        if (is_grammar(low) and low not in _NAMES_OF_GRAMMAR) or (is_prose(low) and low not in _NAMES_OF_GRAMMAR):
            break
        if is_clinical(low) and low not in NAMES_TOO:
            break
        first = i
        full += 1
    if not full or (not sure and degree - first < 2):
        return degree, degree
    return first, degree
