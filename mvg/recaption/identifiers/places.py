"""Addresses, and the hospitals, wards and towns that a label announces."""

import re
from collections.abc import Iterator

from ..pieces import matches
from .spans import ADDRESS, PLACE, Span, Text, find_all, rule
from .words import NAMES_TOO, is_clinical, is_prose

_ZIP = r"(?:[A-Z]{2},? \d{5}(?:-\d{4})?\b|[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}\b|\d{5}(?:-\d{4})?\b)"
_CITY = r"[A-Z][A-Za-z.'-]{1,24}"
_KIND = (
    "street|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|terrace|circle|highway|hwy|parkway|pkwy|square"
    "|st|close|crescent|cres|gardens|gdns|grove|mews|row|walk|trail|plaza|alley|way|place|hill|rise|park|turnpike|pike"
    "|strasse|weg|ct|pl|cl|quay|wharf|view|green|common|loop"
)
_KINDS = "|".join(f"{k.capitalize()}|{k.upper()}" for k in _KIND.split("|"))
_STREET = re.compile(
    r"(?<![\w.,-])(?=[\dFAUS])(?:(?:Flat|Apt|Apartment|Unit|Suite) ?\d{1,5}[A-Za-z]?,? )?\d{1,5}[A-Za-z]?"
    r"(?:-\d{1,5})?,? "
    r"(?P<words>(?:[NSEW]\.? |North |South |East |West )?(?:[A-Z\d][\w.'-]{0,24} ){1,3})"
    rf"(?:{_KINDS})\b\.?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|No|APT|SUITE|#)\.? ?#?[\w-]{{1,6}})?"
    rf"(?P<rest>(?:,? {_CITY}){{0,3}},? {_ZIP})?"
)
_SMALL_STREET = re.compile(
    r"(?<![\w.,-])\d{1,5}[a-z]?,? (?P<words>(?:[a-z][a-z'-]{1,20} ){1,3})"
    r"(?:street|avenue|boulevard|road|lane|drive|close|crescent|court)\b"
)
_TOWN = re.compile(rf"(?:, |\n(?=[^\n]{{2,60}} {_ZIP}))(?P<town>{_CITY}(?: {_CITY}){{0,2}})(?:,? {_ZIP})?")
_RULES = (
    rule(
        ADDRESS,
        r"\b[Pp]\.? ?[Oo]\.? ?[Bb](?:ox|OX) ?(?:[Nn]o\.? ?)?#?\d{1,7}\b|\b(?:Post Office|Postal) Box ?#?\d{1,7}\b",
    ),
    rule(ADDRESS, rf"\b{_CITY}(?: {_CITY}){{0,2}},? [A-Z]{{2}},? \d{{5}}(?:-\d{{4}})?\b"),
    # no level of the spine ("L4 5TH") is a code
    rule(ADDRESS, r"(?<![\w/-])(?![TCLS]\d{1,2} ?\d(?:ST|ND|RD|TH)\b)[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b"),
    rule(
        ADDRESS,
        r"\b(?i:zip|postal|post)(?i:[ -]?code)?[:= \t]{1,3}(?P<it>[A-Za-z\d]{2,5}(?:[ -]?[A-Za-z\d]{3,5})?)"
        r"(?<=[\dA-Z])\b"
        r"(?<=\d..|..\d|.\d.)",
    ),
)
_VALUE = (
    r"(?P<it>[^\s;\[:](?:(?:(?<=\bst)|(?<=\bmt)|(?<=\bdr)|(?<=\brd)|(?<=\bapt)|(?<=\bave)|(?<=\bno)|(?<=\b[nsew]))\."
    r"|[^\n\t;.\[]|\.(?=\S)){1,100})"
)
_LABEL = re.compile(
    r"\b(?=[a-z])(?:(?P<address>(?:home |postal |mailing |street |patient |work )?address(?:es)?(?: line ?\d)?"
    r"|street|residence"
    r"|city|town|village|county|place of (?:birth|residence)|birth ?place|home ?town)"
    r"|(?:(?:name of )?(?:the )?(?:hospital|facility|institution|clinic|practice|surgery|centre|center)(?: name)?|ward"
    r"|(?:referring|requesting|ordering|admitting|sending) (?:hospital|facility|clinic|practice|ward|unit|site)"
    r"|employer|company|school|nursing home|room|bed|organi[sz]ation|trust))"
    rf"(?: name)?[ \t]?[:=][ \t]?{_VALUE}"
    rf"|\b(?:hospital|facility|institution|ward|clinic|city|town|address)\t{_VALUE.replace('<it>', '<cell>')}"
)
_LIVES = re.compile(
    rf"\b(?i:lives|living|lived|resides|residing|resident|domiciled|moved|relocated|residence)(?: (?:in|at|to|of"
    rf"|near|from)){{1,2}}"
    rf" (?:the )?(?P<it>{_CITY}(?:,? {_CITY}){{0,3}}(?:,? {_ZIP})?)"
)


_STREETS = frozenset(
    [
        "high",
        "upper",
        "lower",
        "new",
        "old",
        "great",
        "st",
        "general",
        "hospital",
        "station",
        "school",
        "college",
        "church",
        "the",
        "of",
    ]
)
_UNITS = frozenset(
    [
        "cm",
        "mm",
        "ml",
        "mg",
        "kg",
        "cc",
        "views",
        "view",
        "images",
        "image",
        "x",
        "french",
        "fr",
        "hours",
        "days",
        "weeks",
        "months",
        "years",
        "nodules",
    ]
)


def _is_no_street(word: str) -> bool:
    if word in _STREETS or word in NAMES_TOO:
        return False
    return word in _UNITS or is_prose(word) or is_clinical(word)


def find(text: Text) -> Iterator[Span]:
    """Streets, boxes, codes and towns, and what stands after the label of a place.

    Args:
        text: the report.

    Yields:
        Spans with their kinds.
    """
    for pattern, words in ((_STREET, text.plain), (_SMALL_STREET, text.low)):
        for match in matches(pattern, words):
            if any(_is_no_street(w) for w in re.findall(r"[a-z]{2,}", match["words"].lower())):
                continue
            end = match.end()
            town = _TOWN.match(text.plain, end)
            if town and not any(is_prose(w) or is_clinical(w) for w in town["town"].lower().split()):
                end = town.end()
            yield match.start(), end, ADDRESS
    yield from find_all(_RULES, text.plain)
    for match in matches(_LABEL, text.low):
        group = "it" if match["it"] else "cell"
        start, end = match.span(group)
        value = match[group].rstrip(" ,.")
        first = re.match(r"[a-z]*", value)
        if len(value) < 2 or (first and first[0] and _is_no_street(first[0])):
            continue
        yield start, start + len(value), ADDRESS if match["address"] else PLACE
    for match in matches(_LIVES, text.plain):
        if not _is_no_street(match["it"].split()[0].lower().strip(".,")):
            yield *match.span("it"), ADDRESS
