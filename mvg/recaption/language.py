"""The language of reports, whatever the domain: sections, clauses, negation, doubt, severity, side, zone and trend.

Negation follows the idea of NegEx (Chapman et al., J Biomed Inform 2001): a trigger word denies the findings after it
up to a word or a clause that ends its scope.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from ..domains import Domain
from .lexicon import (
    ASIDE,
    BOTH,
    CHANGE_WORD,
    DOUBT,
    DOUBT_AFTER,
    EARLIER,
    GRADES,
    HEADER,
    HYPOTHESIS,
    LATEST,
    LEFT,
    LIST_END,
    MAX_SENTENCE,
    NEGATION,
    NEGATION_AFTER,
    PAST,
    PSEUDO,
    RIGHT,
    SENTENCE,
    SEVERITIES,
    STABLE,
    STILL,
    SUMMARY,
    TERMINATOR,
    TOGETHER,
    TRENDS,
    UNCHANGED,
    VERB,
    ZONES,
)

PRESENT, POSSIBLE, ABSENT, HISTORY = "present", "possible", "absent", "history"


@dataclass(frozen=True)
class Mention:
    """A finding named in a report: status, severity and side ("" where unsaid), zone, trend, and where it stands.

    implied: by a diagnosis alone, see `Finding.implied`.
    """

    finding: str
    status: str
    severity: str = ""
    side: str = ""
    zone: str = ""
    trend: str = ""
    section: str = ""
    sentence: int = 0
    implied: bool = False


def normalise(report: str) -> str:
    """The report as plain text: compatible characters unified, dashes and quotes plain, spaces single; lines kept."""
    text = unicodedata.normalize("NFKC", report)
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text).replace("\u2019", "'")
    return re.sub(r"[ \t\r\f\v]+", " ", text).strip()


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of every headed section in order, the text before the first header under the name ""."""
    start, name = 0, ""
    for match in HEADER.finditer(text):
        if body := text[start : match.start()].strip():
            yield name, body
        start, name = match.end(), (match["name"] or match["line"]).lower()
    if body := text[start:].strip():
        yield name, body


def sentences(text: str) -> list[str]:
    """The sentences of a text in lower case, line wraps undone; a new line that starts like a new item ends one too.

    What runs on for more than MAX_SENTENCE characters is cut between words, as reading takes the square of its length.
    """
    parts = (" ".join(part.lower().split()) for part in SENTENCE.split(text) if part and part.strip())
    return [piece for part in parts for piece in textwrap.wrap(part, MAX_SENTENCE, break_on_hyphens=False)]


def is_aside(section: str) -> bool:
    """Whether a section tells why the image was made or what else was done, not what it shows."""
    return bool(ASIDE.search(section))


def is_summary(section: str) -> bool:
    return bool(SUMMARY.search(section))


def read_sentence(sentence: str, domain: Domain, section: str = "", index: int = 0) -> list[Mention]:
    """Every finding that a sentence (lower case, one line) names or denies, in order."""
    spans = _spans(sentence, domain)
    breaks = [m.end() for m in TERMINATOR.finditer(sentence)]
    breaks = [b for b in breaks if not any(s < b <= e for s, e, _, _ in spans)]
    out = []
    for i, (start, end, finding, denied) in enumerate(spans):
        clause = max([b for b in breaks if b <= start], default=0)
        stop = min([b for b in breaks if b > end], default=len(sentence))
        own = sentence[start:end]
        known = domain.findings[finding]
        implied = known.implied is not None and known.implied.fullmatch(own) is not None
        status = ABSENT if denied else _status(sentence, clause, start, end, stop, spans)
        if denied or status == ABSENT:
            out.append(Mention(finding, ABSENT, section=section, sentence=index, implied=implied))
            continue
        previous = max([e for s, e, _, _ in spans[:i] if e > clause], default=clause)
        following = _following(sentence, spans, i, stop)
        before, after = sentence[previous:start], _without_next(sentence[end:following], following < stop)
        next_start = spans[i + 1][0] if i + 1 < len(spans) else len(sentence)
        tail = _without_next(sentence[end : min(next_start, stop)], next_start < stop)
        latest = LATEST.search(sentence[end:next_start])
        sides = _near(before, own, after, _sides, first=previous == clause)
        zones = _near(before, own, after, _zones, first=previous == clause)
        if not sides and out and out[-1].status == PRESENT and TOGETHER.fullmatch(before):
            sides = {out[-1].side} - {""}
        out.append(
            Mention(
                finding,
                status,
                severity=_grade(before, own, tail, latest["how"] if latest else ""),
                side=_one_side(sides) if known.sided or not known.region else "",
                zone=next(iter(zones)) if len(zones) == 1 else "",
                trend=_trend(sentence[clause:stop]),
                section=section,
                sentence=index,
                implied=implied,
            )
        )
    return out


def _spans(sentence: str, domain: Domain) -> list[tuple[int, int, str, bool]]:
    """(start, end, finding, denied) of the names in a sentence, the longest where two overlap, in order.

    Two denied ones may overlap: "heart size and pulmonary vascularity are normal" denies both.
    """
    findings = domain.findings.values()
    found = [(m.start(), m.end(), f.name, False) for f in findings for m in f.present.finditer(sentence)]
    found += [(m.start(), m.end(), f.name, True) for f in findings if f.normal for m in f.normal.finditer(sentence)]
    kept: list[tuple[int, int, str, bool]] = []
    for span in sorted(found, key=lambda s: (s[0] - s[1], s[0])):
        if all(span[1] <= other[0] or span[0] >= other[1] or (span[3] and other[3]) for other in kept):
            kept.append(span)
    return sorted(kept)


def _status(sentence: str, clause: int, start: int, end: int, stop: int, spans) -> str:
    before, own, after = sentence[clause:start], sentence[start:end], sentence[end:stop]
    if DOUBT_AFTER.search(after):
        return POSSIBLE
    if re.search(r"\bnot?\b", own) or NEGATION_AFTER.search(after):
        return ABSENT
    hidden = PSEUDO.sub(lambda m: "~" * len(m[0]), DOUBT.sub(lambda m: "~" * len(m[0]), before))
    triggers = list(NEGATION.finditer(hidden))
    if triggers and _in_scope(hidden[triggers[-1].end() :], own, after):
        return ABSENT
    if HYPOTHESIS.search(before) or PAST.search(before):
        return HISTORY
    if EARLIER.search(before) and not (_trend(after) or STILL.search(after)):
        return HISTORY
    if (
        DOUBT.search(before)
        or before.rstrip().endswith("?")
        or re.search(r"\b(?:borderline|top[- ]normal|upper limit)", own)
    ):
        return POSSIBLE
    return PRESENT


def _in_scope(between: str, own: str, after: str) -> bool:
    """Whether a negation still holds after the words between it and a finding."""
    pieces = re.split(r",| and (?=(?:there|the|a|an|with)\b)", between)
    if len(pieces) == 1 and not re.search(r"\band\b", between):
        return not re.search(r"\b(?:is|are|was|were|has|have|there)\b", between) or bool(
            re.match(r"\s*(?:is|are|was|were|there)\b", between)
        )
    if VERB.search(own):
        return False
    listed = bool(LIST_END.search(re.split(r"\b(?:is|are|was|there)\b", " ".join(pieces[-1:]) + after)[0]))
    for piece in pieces[1:]:
        if VERB.search(piece):
            return False
    last = re.split(r"\band\b", pieces[-1])[-1].strip()
    starts = any(p.match(last) for _, p in (*GRADES, *TRENDS)) or any(p.match(last) for p in (LEFT, RIGHT, BOTH))
    return listed or not starts


def _following(sentence: str, spans, i: int, stop: int) -> int:
    """Where the words after a finding end: at the next one, unless the two are simply joined."""
    end = spans[i][1]
    for start, next_end, _, _ in spans[i + 1 :]:
        if start >= stop:
            break
        if not re.fullmatch(r"[\s,/]*(?:and|or|with|and/or)?(?:\s+\w+)?\s*", sentence[end:start]):
            return start
        end = next_end
    return stop


def _without_next(after: str, cut: bool) -> str:
    """The words after a finding; where the next finding cuts them, without the ones that describe that one."""
    parts = re.split(r"(,|\b(?:and|with)\b)", after)
    described = cut and len(parts) > 1 and not re.search(r"\b(?:lungs?|lobes?|zones?|bases?|sides?)\b", parts[-1])
    return "".join(parts[:-2]) if described else after


def _sides(text: str) -> set[str]:
    return {name for name, p in (("left", LEFT), ("right", RIGHT), ("bilateral", BOTH)) if p.search(text)}


def _zones(text: str) -> set[str]:
    return {name for name, p in ZONES if p.search(text)}


def _one_side(sides: set[str]) -> str:
    return "bilateral" if "bilateral" in sides or len(sides) > 1 else next(iter(sides), "")


def _near(before: str, own: str, after: str, read, *, first: bool) -> set[str]:
    """What ``read`` finds closest to a finding: in its own words, right before it, after it, further before it."""
    segment = before.rsplit(",", 1)[-1]
    direct = segment if first else re.split(r"\b(?:and|or|with)\b", segment)[-1]
    if found := read(own) | read(direct):
        return found
    for piece in re.split(r",|\band (?=the )", after):
        if re.search(r"\b(?:clear|normal|no|spared|sparing)\b", piece):
            break
        if found := read(piece):
            return found
    return read(before)


def _trend(clause: str) -> str:
    if UNCHANGED.search(clause):
        return STABLE
    return next((name for name, p in TRENDS if p.search(clause)), "")


def _grade(before: str, own: str, after: str, latest: str) -> str:
    """The severity word nearest to a finding, the ``latest`` first; of two joined ("mild to moderate") the higher."""
    near = " ".join(re.split(r",|\band (?:a|an|the)\b", before)[-1].split()[-7:])
    late = " ".join(re.split(r",? (?:and|with|in|at|of)\b", after)[0].split()[:5])
    for text in (own, latest, near, late):
        rest = f" {own}" if text is near else ""
        grades = [(n, m) for n, p in GRADES for m in p.finditer(text)]
        found = [n for n, m in grades if text is own or not CHANGE_WORD.match(text[m.end() :] + rest)]
        if found:
            return max(found, key=SEVERITIES.index)
    return ""
