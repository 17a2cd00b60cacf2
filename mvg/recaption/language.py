"""What a sentence of a report says of each finding: status, grade, side, zone and trend."""

import re
from dataclasses import dataclass, replace

from ..domains import Domain
from . import doubt, negation
from .abbreviations import spelt_out, without_boxes
from .ellipsis import elliptic_mentions
from .fold import fold
from .grading import grade, graded, trend
from .mention import ABSENT, HISTORY, POSSIBLE, PRESENT, Mention
from .sides import compared, one_side, sides, zones

MAX_REACH = 300  # characters: how far a word of a sentence is looked for from a finding
MAX_JOINED = 12  # findings that one word after them speaks of


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    finding: str
    denied: bool = False


def normalize(report: str) -> str:
    """A report folded (see `fold`), spaces single; lines kept.

    Args:
        report: as the user gave it.

    Returns:
        The text that the rules read.
    """
    return re.sub(r"[ \t]+", " ", fold(report)).strip()


def read_sentence(
    sentence: str, domain: Domain, section: str = "", index: int = 0, last: Mention | None = None
) -> list[Mention]:
    """Every finding that a sentence names or denies.

    Args:
        sentence: in lower case, one line.
        domain: whose findings are read.
        section: the heading it stands under.
        index: its number in the report.
        last: the last mention before it, which "a moderate one on the left" speaks of.

    Returns:
        Mentions in order, first those of narrower findings ("pneumonia" is one of pneumonia and of its parent,
        consolidation); one more for each side or grade of its own ("small on the right, large on the left").
    """
    text = spelt_out(without_boxes(sentence, domain.naming), domain.short_forms)
    spans = _spans(text, domain)
    if not spans and last is None:
        return []
    breaks = [m.span() for m in negation.TERMINATOR.finditer(text)]
    breaks = [b for b in breaks if not any(s.start < b[1] <= s.end for s in spans)]
    out: list[Mention] = []
    for i, span in enumerate(spans):
        clause = max([b for _, b in breaks if b <= span.start], default=0)
        clause = max(clause, span.start - MAX_REACH)
        stop = min([a for a, _ in breaks if a >= span.end], default=len(text))
        stop = min(stop, span.end + MAX_REACH)
        out.append(_mention(text, spans, i, clause, stop, domain, out))
    named = [(span.start, span.end, mention) for span, mention in zip(spans, out, strict=True)]
    narrower = [
        replace(mention, finding=child.name)
        for start, end, mention in named
        for child in domain.children(mention.finding)
        if child.present.search(text[start:end])
    ]
    out = [*narrower, *out, *elliptic_mentions(text, named, last, domain)]
    return [replace(mention, section=section, sentence=index) for mention in out]


def _mention(
    text: str, spans: list[_Span], i: int, clause: int, stop: int, domain: Domain, out: list[Mention]
) -> Mention:
    span = spans[i]
    own = text[span.start : span.end]
    known = domain.findings[span.finding]
    implied = known.implied is not None and known.implied.fullmatch(own) is not None
    following = _following(text, spans, i, stop)
    if span.denied:
        status, unclear = ABSENT, False
    else:
        status, unclear = _status(text, clause, spans, i, following, stop)
    previous = max([s.end for s in spans[:i] if s.end > clause], default=clause)
    before, after = text[previous : span.start], _without_next(text[span.end : following], following < stop)
    next_start = spans[i + 1].start if i + 1 < len(spans) else len(text)
    tail = _without_next(text[span.end : min(next_start, stop)], next_start < stop)
    found_sides = _near(before, own, after, sides, first=previous == clause)
    found_zones = _near(before, own, after, zones, first=previous == clause)
    together = re.fullmatch(
        r"\s*(?:and|with|and/or|/|,)\s*|.*\b(?:associated|adjacent|accompanying|underlying|ipsilateral)\b.*", before
    )
    if compared(tail):
        found_sides = {"bilateral"}
    if not found_sides and out and out[-1].status == PRESENT and together:
        found_sides = {out[-1].side} - {""}
    side = one_side(found_sides) if known.sided or domain.paired or not known.region else ""
    if status in (ABSENT, HISTORY):
        return Mention(span.finding, status, side=side, implied=implied, unclear=unclear)
    return Mention(
        span.finding,
        status,
        severity=grade(before, own, tail if next_start >= stop else tail.split(",")[0] + _joined_grade(tail)),
        side=side,
        zone=next(iter(found_zones)) if len(found_zones) == 1 else "",
        trend=trend(text[clause:stop]),
        implied=implied,
    )


def _joined_grade(tail: str) -> str:
    """The part of the words after a finding behind a comma, where it is no more than a grade."""
    parts = tail.split(",")[1:2]
    return "".join(f",{p}" for p in parts if len(p.split()) <= 3)


def _spans(text: str, domain: Domain) -> list[_Span]:
    """The names in a sentence, the longest where two overlap, in order, without those that only look like one.

    Two denied ones may overlap: "heart size and pulmonary vascularity are normal" denies both.
    """
    findings = domain.findings.values()
    found = [_Span(m.start(), m.end(), f.parent or f.name) for f in findings for m in f.present.finditer(text)]
    found += [_Span(m.start(), m.end(), f.name, True) for f in findings if f.normal for m in f.normal.finditer(text)]
    if domain.lookalikes:
        found += [_Span(m.start(), m.end(), "") for m in domain.lookalikes.finditer(text)]
    kept: list[_Span] = []
    for span in sorted(found, key=lambda s: (s.start - s.end, s.start)):
        if all(span.end <= o.start or span.start >= o.end or (span.denied and o.denied) for o in kept):
            kept.append(span)
    return sorted((s for s in kept if s.finding), key=lambda s: (s.start, s.end))


def _status(text: str, clause: int, spans: list[_Span], i: int, following: int, stop: int) -> tuple[str, bool]:
    """(status, unclear) of a name in a sentence."""
    start, end = spans[i].start, spans[i].end
    before, own, after = text[clause:start], text[start:end], text[end:stop]
    close = text[end:following] + (" ~" if following < stop else "")  # "~" stands for the next finding
    alone = text[end : spans[i + 1].start] if i + 1 < len(spans) and spans[i + 1].start < stop else after
    if re.fullmatch(r"\s*:", text[end:]) or doubt.NOT_THE_THING.search(after) or doubt.NOT_QUITE.search(before):
        return HISTORY, False
    if doubt.ANOTHER_BEFORE.search(before) or doubt.ANOTHER_AFTER.search(after):
        return HISTORY, False
    value = negation.value_after(alone)
    shared = [s.end for s in spans[i + 1 :] if s.start < following]  # "effusion, edema: none"
    if value is None and shared and not graded(before) and negation.value_after(text[shared[-1] : stop]) is False:
        return ABSENT, False
    if value is False or negation.row_ends(after):
        return ABSENT, False
    if negation.left_open(alone):
        return HISTORY, False
    if value is None and doubt.DOUBT_AFTER.search(close):
        return POSSIBLE, False
    joined = following > len(text) or any(end <= s.start < following for s in spans[i + 1 :])
    described = re.search(r"\bthere (?:is|are|was|were)\b", before) is not None and joined
    if re.search(r"\bnot?\b", own) and not re.search(r"\b(?:remains|still)\b", own):
        return ABSENT, False
    if not described and negation.denied_after(close, joined):
        return ABSENT, False
    shown = negation.hidden(before, doubt.DOUBT)
    repeated = any(s.finding == spans[i].finding and clause <= s.start for s in spans[:i])
    if value is None:
        denied, unclear = negation.denied_before(shown, own, alone + after[len(alone) :], repeated)
        if denied:
            return ABSENT, unclear
    if doubt.HYPOTHESIS.search(shown) or doubt.PAST.search(before):
        return HISTORY, False
    if _is_earlier(before, after):
        return HISTORY, False
    listed = [text[s.end : stop] for s in spans[i + 1 :] if re.fullmatch(r"\s*,\s*(?:\w+\s+)?", text[end : s.start])]
    if _is_doubted(before, own, alone, after) or any(doubt.LIST_OR.search(rest) for rest in listed[:3]):
        return POSSIBLE, False
    return PRESENT, False


def _is_earlier(before: str, after: str) -> bool:
    """Whether a finding is one of an earlier image or time, of which nothing is said today."""
    goes_on = bool(trend(after) or doubt.STILL.search(after))
    if doubt.EARLIER_FILM.search(before):
        return not goes_on
    if doubt.ON_EARLIER_FILM.search(before) and re.match(r"[^.;,]{0,40}?\b(?:was|were)\b", after):
        return not goes_on
    if doubt.EARLIER.search(before) and not goes_on:
        return True
    match = doubt.EARLIER_AFTER.search(after)
    if match is None or goes_on or trend(before) or doubt.STILL.search(before):
        return False
    return not re.search(r"\b(?:than|compar\w+|since|from|as)\b", match[0])


def _is_doubted(before: str, own: str, alone: str, after: str) -> bool:
    words = list(doubt.DOUBT.finditer(before))
    if words and negation.reaches(before[words[-1].end() :], own, alone):
        return True
    if re.search(r"\?\s*(?:[\w-]+\s+){0,3}$", before) or doubt.UNCERTAIN_NAME.search(own):
        return True
    if negation.PSEUDO.search(before):
        return False
    return bool(doubt.OR_AFTER.search(after) or doubt.OR_BEFORE.search(before))


def _following(text: str, spans: list[_Span], i: int, stop: int) -> int:
    """Where the words after a finding end: at the next one, unless the two are simply joined."""
    end = spans[i].end
    for span in spans[i + 1 : i + MAX_JOINED]:
        if span.start >= stop:
            break
        if not re.fullmatch(r"[\s,/]*(?:and|or|with|and/or)?(?:\s+(?!no\b)\w+)?\s*", text[end : span.start]):
            return span.start
        end = span.end
    return stop


def _without_next(after: str, cut: bool) -> str:
    """The words after a finding; where the next finding cuts them, without the ones that describe that one."""
    parts = re.split(r"(,|\b(?:and|with)\b)", after)
    described = cut and len(parts) > 1 and not re.search(r"\b(?:lungs?|lobes?|zones?|bases?|sides?)\b", parts[-1])
    return "".join(parts[:-2]) if described else after


def _near(before: str, own: str, after: str, read, *, first: bool) -> set[str]:
    """What ``read`` finds closest to a finding: in its own words, right before it, after it, further before it."""
    segment = before.rsplit(",", 1)[-1]
    direct = segment if first else re.split(r"\b(?:and|or|with)\b", segment)[-1]
    if found := read(own) | read(direct):
        return found
    for piece in re.split(r",|\band (?=the |resolved|absent|cleared|none|no |not |normal|clear)", after):
        if re.search(r"\b(?:clear|normal|no|not|spared|sparing|absent|none)\b", piece):
            break
        if found := read(piece):
            return found
    return read(before)
