"""Parts of a sentence that speak of a finding named before: "none on the right, a small one on the left"."""

import re
from collections.abc import Sequence

from ..domains import Domain
from . import doubt, negation
from .grading import GRADES, grade, trend
from .mention import ABSENT, HISTORY, POSSIBLE, PRESENT, Mention
from .sides import one_side, sides

_GRADE = "|".join(p.pattern for _, p in GRADES)
_SIDE = r"left(?:[- ]sided)?|right(?:[- ]sided)?|bilateral(?:ly)?|both|either"
_DESCRIBED = re.compile(rf"(?:\s*(?:{_GRADE}|{_SIDE})\b)+\s*")
# A part of nothing but these words names no other thing.
_ELLIPTIC = re.compile(
    rf"(?:\s*(?:{_GRADE}|{_SIDE}|the|an?|ones?|is|are|was|on|in|at|of|sides?|bases?|basal|eyes?|lungs?|also|only|just"
    r"|now|still|remains?|remaining|persists?|present|seen|noted|visible|size|sized?|has|have|been|it|this|these|they"
    r"|which|there|to|and|again|no|not|none|nil|absent|resolved|gone|cleared|unchanged|stable|new|increased|decreased"
    r"|increasing|decreasing|larger|smaller|greater|more|less|than|worse|slightly|component|amount|residual|that|can|cannot"
    r"|can't|be|excluded|ruled out|suspected|possibl[ey]|probabl[ey]|likely|with|but)\b[-:.]?)+\s*"
)
_NONE = re.compile(r"\b(?:no|not|none|nil|absent|resolved|gone|cleared)\b")
_AFFIRMED = re.compile(
    r"\b(?:present|seen|noted|visible|remains?|persists?|unchanged|stable|new|ones?|increased|larger|worse)\b"
)
_PRONOUN = re.compile(r"\s*(?:it|this|these|they)\b")
_PLACED = re.compile(r"\b(?:on|in|at|is|are|remains?)\b")
_EXCEPT = re.compile(r"except|apart|aside|other")
_MARK = re.compile(
    r"[,;(]|\)|\b(?:and|but|except(?: for)?|apart from|aside from|other than|while|whereas|with|though|although|however"
    r"|which)\b"
)


def elliptic_mentions(
    text: str, named: Sequence[tuple[int, int, Mention]], last: Mention | None, domain: Domain
) -> list[Mention]:
    """What the parts of a sentence that name no finding say of one that is named.

    Args:
        text: the sentence.
        named: (start, end, mention) of each finding that it names, in order.
        last: the last mention of the sentences before, of which a sentence that names none may speak.
        domain: whose findings they are.

    Returns:
        One mention for each such part with a side, a grade or a status of its own.
    """
    out = []
    for start, end, opened, closed in _parts(text):
        part = text[start:end]
        if any(a < end and start < b for a, b, _ in named) or not _ELLIPTIC.fullmatch(part):
            continue
        before = [m for _, b, m in named if b <= start]
        after = [(a, m) for a, _, m in named if a >= end]
        if after and re.fullmatch(r"\s*(?:and|or|to|but|,)?\s*(?:[\w-]+\s+){0,2}", text[end : after[0][0]]):
            ahead = after[0][1]
            if closed == "," and _DESCRIBED.fullmatch(part) and sides(part) and ahead.status in (PRESENT, POSSIBLE):
                # "small right, large left effusion"
                out.append(
                    Mention(
                        ahead.finding, ahead.status, grade("", "", part), one_side(sides(part)), implied=ahead.implied
                    )
                )
                continue
            if _DESCRIBED.fullmatch(part) and sides(part) and re.match(r"\s*no\b", text[end + len(closed) :]):
                # "mild right but no left effusion"
                out.append(
                    Mention(ahead.finding, PRESENT, grade("", "", part), one_side(sides(part)), implied=ahead.implied)
                )
                continue
            if closed != "," and not _PLACED.search(part):
                continue  # "small right and large left effusion" is read as one
        if before or (last is not None and not named):
            mention = _speaking_of(before[-1] if before else last, part, opened, domain, near=bool(before))
            out += [] if mention is None else [mention]
    return out


def _speaking_of(parent: Mention | None, part: str, opened: str, domain: Domain, *, near: bool) -> Mention | None:
    """What a part says of the finding before it, ``near`` in its own sentence; None where it says nothing."""
    if parent is None:
        return None
    known = domain.findings[parent.finding]
    found = sides(part) if known.sided or domain.paired or not known.region else set()
    severity = grade("", "", part)
    denies = bool(_NONE.search(negation.hidden(part)))
    says = bool(severity or _NONE.search(part) or _AFFIRMED.search(part))
    pronoun = bool(_PRONOUN.match(part)) or opened == "which"
    if not near and not (says and (found or pronoun)):
        return None
    if found and denies:
        status = ABSENT
    elif parent.status in (PRESENT, POSSIBLE):
        status = parent.status if found or severity else ""
    elif pronoun and not found:
        status = "" if parent.status != HISTORY or not says else ABSENT if denies else PRESENT
    elif parent.status == ABSENT and _EXCEPT.match(opened):
        status = PRESENT
    else:
        status = PRESENT if found and (severity or _AFFIRMED.search(part)) else ""
    if not status:
        return None
    if status == PRESENT and doubt.DOUBT.search(part):
        status = POSSIBLE
    return Mention(parent.finding, status, severity, one_side(found), trend=trend(part), implied=parent.implied)


def _parts(text: str) -> list[tuple[int, int, str, str]]:
    """(start, end, the mark before, the mark after) of the parts of a sentence between commas and conjunctions."""
    out, start, before = [], 0, ""
    for match in _MARK.finditer(text):
        out.append((start, match.start(), before, match[0]))
        start, before = match.end(), match[0]
    out.append((start, len(text), before, ""))
    return [part for part in out if text[part[0] : part[1]].strip(" .")]
