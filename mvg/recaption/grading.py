"""Grades and trends of a finding."""

import re

from ..domains.patterns import any_of

SEVERITIES = ("mild", "moderate", "severe")
WORSENING, IMPROVING, STABLE = "worsening", "improving", "stable"

GRADES = (
    (
        "mild",
        any_of(
            "minimal(?:ly)?",
            "minute",
            "traces?",
            "tiny",
            "small",
            "mild(?:ly)?",
            "slight(?:ly)?",
            "minor",
            "subtle",
            "faint(?:ly)?",
            "early",
            "borderline",
            "discrete",
            "low[- ]grade",
            "upper limits? of normal",
            "top[- ]normal",
        ),
    ),
    ("moderate", any_of("moderate(?:ly)?", "medium(?:[- ]sized)?")),
    (
        "severe",
        any_of(
            "large",
            "marked(?:ly)?",
            "severe(?:ly)?",
            "massive(?:ly)?",
            "extensive(?:ly)?",
            "diffuse(?:ly)?",
            "gross(?:ly)?",
            "huge",
            "wide ?spread",
            "considerabl[ey]",
            "panlobar",
            "complete",
            "dense",
            "big",
            "significant(?:ly)?",
            "substantial(?:ly)?",
            "very large",
            "pronounced",
            "advanced",
        ),
    ),
)
_CHANGE_WORD = re.compile(
    r"[- ]+(?:\w+\s+)?(?:improve\w*|regress\w*|increase\w*|decrease\w*|change\w*|resol\w+|progress\w*|recover\w*"
    r"|worsen\w*|aeration|clear\w*|larger|smaller|better|worse|reduc\w+|more|less|diminish\w*)"
)
_GRADE = "(?:" + "|".join(p.pattern for _, p in GRADES) + ")"
# A grade that no longer holds, or never did.
_FORMER = re.compile(
    rf"\bfrom (?:an? )?{_GRADE}(?:[- ]sized)?"
    rf"|\b(?:previously|formerly|initially|was|were|had been|once|earlier) (?:an? )?{_GRADE}"
    rf"|\b(?:rather than|not|instead of|no longer) (?:an? |very |as )?{_GRADE}"
)
_LATEST = re.compile(r"\b(?:now|currently|which (?:is|are)|(?:in|de)creased to|today)\s+(?P<how>.{0,30})")
_FILLER = r"(?:small|left|right|bilateral|both|sided|sized|[\w-]+ly|to|in|of|on|the|an?|very|size|or|at|amount)"

TRENDS = (
    (
        WORSENING,
        any_of(
            "wors\\w+",
            "progress(?:ive|ed|ing|ion)",
            "increas(?:ed|ing|e)",
            "enlarging",
            "larger",
            "deteriorat\\w+",
            "new",
            "developed",
            "development",
            "spread(?:ing)?",
        ),
    ),
    (
        IMPROVING,
        any_of(
            "improv\\w+",
            "decreas(?:ed|ing|e)",
            "regress\\w+",
            "resolving",
            "resol(?:ved|ution)",
            "declin\\w+",
            "smaller",
            "reced\\w+",
            "clear(?:ing|ed)",
            "residual",
        ),
    ),
    (STABLE, any_of("stable", "stability", "unchanged", "no (?:\\w+ )?change", "persist\\w*")),
)
_UNCHANGED = re.compile(
    r"\b(?:no|not|without|never)(?: \w+){0,2} (?:change|increase|decrease|improve|regress|progress|worsen|resol|growth"
    r"|accumulat|enlarg|clear)\w*|\bunchanged\b"
)


def trend(clause: str) -> str:
    """Where a clause says that its finding goes.

    Args:
        clause: in lower case.

    Returns:
        worsening, improving or stable; "" where it says nothing.
    """
    if _UNCHANGED.search(clause) and not re.search(r"\bnot (?:fully|completely|entirely)\b", clause):
        return STABLE
    return next((name for name, p in TRENDS if p.search(clause)), "")


def grade(before: str, own: str, after: str) -> str:
    """The severity word nearest to a finding, the latest first; of two joined ("mild to moderate") the higher.

    Args:
        before: the words of its clause before it, back to the finding before.
        own: its own words.
        after: the words after it, up to the next finding.

    Returns:
        One of SEVERITIES or "".
    """
    before, after = (_FORMER.sub(lambda m: "~" * len(m[0]), text) for text in (before, after))
    after = re.sub(r"^ of (?:an? )?(?=\w+ (?:size|volume|degree|extent|grade)\b)", " ", after)
    latest = _LATEST.search(after)
    near = _near(before)
    late = " ".join(re.split(r",? (?:and|with|in|at|of)\b", after)[0].split()[:6])
    to = re.search(rf"\bto (?:an? )?(?P<how>{_GRADE})", after)
    for text in (own, latest["how"] if latest else "", to["how"] if to else "", near, late):
        rest = f" {own}" if text is near else ""
        grades = [(n, m) for n, p in GRADES for m in p.finditer(text)]
        found = [n for n, m in grades if text is own or not _CHANGE_WORD.match(text[m.end() :] + rest)]
        if found:
            return max(found, key=SEVERITIES.index)
    return ""


def graded(before: str) -> bool:
    """Whether the words before a finding grade it.

    Args:
        before: in lower case.

    Returns:
        True where one of the last three does.
    """
    near = " ".join(before.rsplit(",", 1)[-1].split()[-3:])
    return any(p.search(near) for _, p in GRADES)


def _near(before: str) -> str:
    """The words that describe a finding, out of those before it."""
    text = re.split(r",|:|\band (?:an?|the)\b|\b(?:with|without|shows?|showing|reveals?|demonstrates?)\b", before)[-1]
    parts = re.split(r"\band\b", text)
    kept = [parts[-1]]
    for part in reversed(parts[:-1]):  # "mild left and moderate right effusions"
        described = re.search(rf"(?:(?:^|[\s-])(?:{_GRADE}|{_FILLER})(?=[\s-]|$))+\s*$", part)
        if described is None:
            break
        kept.append(described[0])
    return " ".join(" and ".join(reversed(kept)).split()[-7:])
