"""A report's parts: headed sections, which of them tell what the image shows, and sentences."""

import re
import textwrap
from collections.abc import Iterator

from .abbreviations import without_titles
from .pieces import matches

MAX_SENTENCE = 600

_STUDY = (
    r"(?:stud(?:y|ies)|exam\w*|films?|reports?|imaging|images?|cxrs?|radiographs?|x-?rays?|procedure|test|visits?"
    r"|photographs?|findings?|results?|impressions?)"
)
# Headings that may follow any word: they are hardly ever anything else.
_STRONG_ASIDE = (
    r"(?:(?:clinical|brief|relevant|pertinent|past|medical|patient|present(?:ing)?|referr(?:al|ing)|admi(?:tting|ssion)"
    r"|pre-?op(?:erative)?|provisional|working|family|social|surgical|drug|ocular) ){1,2}"
    r"(?:history|data|information|info|details?|indications?|notes?|background|context|problems?|questions?"
    r"|diagnos[ei]s|presentation|summary|complaints?|symptoms?|concerns?|reasons?|status|suspicion|hx|dx)"
    rf"|indications?(?: (?:for|of) (?:the )?(?:this )?{_STUDY})?"
    rf"|reasons? for (?:the )?(?:this )?(?:{_STUDY}|referral|request|consult\w*|order(?:ing)?)"
    r"|(?:chief|presenting|main) complaints?"
    rf"|comparison {_STUDY}|(?:previous|prior|earlier|old|last) {_STUDY}"
)
# Headings that are words of sentences too: only at the start of a line or a sentence.
_WEAK_ASIDE = (
    r"history(?: of present(?:ing)? (?:illness|complaint))?|[pf]?mhx?|[pfs]hx?|hx|hpi|cc|reasons?|complaints?|symptoms?"
    r"|request(?:ed)?(?: for)?|questions?(?: to be answered)?|query|referral|referred for|background|context"
    r"|comparisons?|compar(?:ed|ison) (?:with|to) [^:\n.]{1,60}|priors?|previous(?:ly)?"
    r"|technique|procedure|protocol|views?|details?|medications?|meds|allergies|recommendations?|plan|advice|rule out"
    r"|r/o|co-?morbidities|risk factors"
)
_STRONG = r"findings?|impressions?|conclusions?|interpretation"
_WEAK = (
    r"exam(?:ination)?|results?|report|summary|assessment|opinion|comments?|(?:final )?diagnos[ei]s|dx|addend(?:um|a)"
    rf"|today|now|current(?: {_STUDY})?|this {_STUDY}|description|observations?|narrative"
)
_ANY_ASIDE = f"{_STRONG_ASIDE}|{_WEAK_ASIDE}"
_ANY = f"{_ANY_ASIDE}|{_STRONG}|{_WEAK}"
_LINE = r"^[ #*]{0,8}"
_START = r"(?:^[ #*]{0,8}|(?<=[.;?!*#] )(?:\*\*)?|(?<=[.;?!*#]))(?=[A-Za-z])"
_HEADING = re.compile(
    rf"(?:{_START}|(?<=\s)(?=[A-Za-z]))(?P<strong>{_STRONG_ASIDE}|{_STRONG})\s?\*{{0,2}}:"
    rf"|{_START}(?P<weak>{_WEAK_ASIDE}|{_WEAK})\s?\*{{0,2}}:"
    rf"|{_START}(?P<dashed>{_ANY}) --? "
    rf"|{_LINE}(?P<line>{_ANY})[ *]{{0,8}}$"
    # in capitals, before a line that is not
    r"|^ *(?P<capitals>(?-i:INDICATION|HISTORY|REASON|COMPARISON|TECHNIQUE|FINDINGS|IMPRESSION|CONCLUSION|REPORT))"
    r" (?=(?-i:[^\n:]{0,200}?[a-z]))",
    re.IGNORECASE | re.MULTILINE,
)
_ASIDE = re.compile(_ANY_ASIDE, re.IGNORECASE)
_SUMMARY = re.compile(r"impression|conclusion|summary|opinion|assessment|diagnos[ei]s|addend", re.IGNORECASE)
_DIAGNOSIS = re.compile(r"diagnos[ei]s|dx")
_REPORTED = re.compile(r"findings?|report|impressions?|conclusions?|results?")
_FIRST = re.compile(r"[^\n]*?[.?!](?=\s|$)|[^\n]+")

_ITEM = re.compile(
    r"(?<![^\s.;:])(?<!grade )(?<!stage )(?<!level )(?<!ratio )[1-9]\d?[.)](?= ?[A-Za-z])"
    r"|(?:^|(?<=\s))\((?:[a-h]|i{1,3}|iv|vi?|\d{1,2})\)(?=\s?[A-Za-z])",
    re.IGNORECASE,
)
_LIST = re.compile(r"(?<![^\s:])(?:1[.)] ?[A-Za-z][^\0]*?(?<!\d)2[.)]|\([a1i]\)) ?[A-Za-z]", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[a-z])\.(?=[A-Z][a-z])")
_SENTENCE = re.compile(
    r"(?<=[.!])(?<!\.\.)\s+(?=\S)|(?<=[^\s(]\?)\s+(?=\S)(?!(?i:no|yes|none|nil)\b\s*(?:[.,;]|$))|;\s*(?!(?:none|no|nil|yes|absent|present|negative|positive|mild|moderate|severe|small|large)\s*(?:;|$|\n))|\n\s*(?=[A-Z\d*•|\[(-])|\n\s*\n"
)


def sections(text: str) -> Iterator[tuple[str, str]]:
    """The headed parts of a report.

    Args:
        text: a report as plain text.

    Yields:
        (name, text) in order, the text before the first heading under the name "". A section that is an aside and has
        no heading after it ends with its first sentence or line.
    """
    parts = []
    start, name = 0, ""
    for match in matches(_HEADING, text):
        parts.append((name, text[start : match.start()].strip()))
        start, name = match.end(), str(next(group for group in match.groups() if group)).lower()
    parts.append((name, text[start:].strip()))
    reported = max((i for i, (name, _) in enumerate(parts) if _REPORTED.fullmatch(name)), default=0)
    # a diagnosis before the findings is the one that the patient came with
    parts = [(f"referring {n}" if i < reported and _DIAGNOSIS.fullmatch(n) else n, b) for i, (n, b) in enumerate(parts)]
    for i, (name, body) in enumerate(parts):
        if is_aside(name) and all(is_aside(later) for later, _ in parts[i + 1 :]) and (first := _FIRST.match(body)):
            yield name, first[0]
            name, body = "", body[first.end() :].strip()
        if body:
            yield name, body


def is_aside(section: str) -> bool:
    """Whether a section tells why the image was made or what was seen before, not what it shows.

    Args:
        section: its heading in lower case, "" for none.

    Returns:
        True for such a section.
    """
    return bool(section and _ASIDE.fullmatch(section))


def is_addendum(section: str) -> bool:
    """Whether a section amends the report.

    Args:
        section: its heading in lower case.

    Returns:
        True for an addendum.
    """
    return section.startswith("addend")


def is_summary(section: str) -> bool:
    """Whether a section sums the report up.

    Args:
        section: its heading in lower case.

    Returns:
        True for an impression and the like.
    """
    return bool(_SUMMARY.search(section)) and not is_aside(section)


def sentences(text: str) -> list[str]:
    """The sentences of a text in lower case.

    Args:
        text: of one section.

    Returns:
        One line each: wraps are undone, a new line that starts like a new item ends a sentence, list numbers are gone.
        What runs on for more than MAX_SENTENCE characters is cut between words, as reading takes the square of its
        length.
    """
    text = _GLUED.sub(". ", without_titles(text))
    if _LIST.search(text):  # a numbered list
        text = _ITEM.sub("\n\n", text)
    parts = (" ".join(part.lower().split()) for part in _SENTENCE.split(text) if part and part.strip())
    return [
        piece
        for part in parts
        for piece in (
            [part] if len(part) <= MAX_SENTENCE else textwrap.wrap(part, MAX_SENTENCE, break_on_hyphens=False)
        )
    ]
