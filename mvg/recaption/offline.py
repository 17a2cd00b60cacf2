"""The offline engine: rules that turn a report into a progression plan (section 4.1 without a language model)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domains import Domain, find_domain
from ..domains.severity import SEVERITY_BANDS, band_center
from ..plan import NO_FINDING, Grade, Plan, Stage
from .english import is_english
from .grading import IMPROVING, SEVERITIES, STABLE
from .language import normalize, read_sentence
from .mention import ABSENT, HISTORY, POSSIBLE, PRESENT, Mention
from .sections import is_addendum, is_aside, is_summary, sections, sentences
from .sides import one_side

MODES = ("terminal", "ladder", "severity")
MAX_STAGES = 1000
MAX_REPORT = 100_000
MAX_MENTIONS = 1000  # of findings in a report: each is looked at in its surroundings
NOT_ENGLISH = "the report is not in English, the only language that the rules read"


class UnreadReport(ValueError):
    """A report that says nothing a plan could be made of.

    Attributes:
        reason: why, as a clause whose subject is the report.
        findings: those that could be asked for instead.
    """

    def __init__(self, reason: str, findings: Sequence[str]):
        super().__init__(f"report: {reason}; pass finding=... ({', '.join(findings)})")
        self.reason = reason
        self.findings = tuple(findings)


@dataclass(frozen=True)
class Observation:
    """What a report says of one finding as a whole.

    Attributes:
        finding: its name in the domain.
        status: present, possible or absent.
        severity: mild, moderate, severe, or "" where unsaid.
        side: left, right, bilateral, or "" where unsaid; of what is absent always "".
        zone: upper, middle, lower, or "".
        trend: worsening, improving, stable, or "".
        in_summary: whether the impression names it.
        contradicted: whether the report both names and denies it, not of two sides.
        uneven: whether each side has a severity of its own.
        unclear: whether it is absent by a negation of which only a comma tells that it reaches so far.
    """

    finding: str
    status: str
    severity: str = ""
    side: str = ""
    zone: str = ""
    trend: str = ""
    in_summary: bool = False
    contradicted: bool = False
    uneven: bool = False
    unclear: bool = False

    def words(self) -> str:
        """The finding as a phrase, such as "possible mild left edema"."""
        doubt = "possible" if self.status == POSSIBLE else ""
        return " ".join(word for word in (doubt, self.severity, self.side, self.finding) if word)


def read_report(report: str, domain: str | Domain) -> dict[str, Observation]:
    """What a report says of each finding.

    Sections that tell why the image was made or what was seen before (indication, history, comparison) count only where
    the report has nothing else. Mentions of the past, of others' illness and of what is to be ruled out do not count.
    A finding that any other section affirms is present, also where the impression denies it: an opacity that is no
    pneumonia stays an opacity. Only what an addendum denies is absent whatever stands before it.
    Nothing is read in a report that is not in English: "sin edema" would be an edema.

    Args:
        report: its text, of at most MAX_REPORT characters.
        domain: the kind of image, or its name.

    Returns:
        finding -> what is said of it, in the order of first mention; findings that are not mentioned are left out.

    Raises:
        ValueError: for an unknown domain and for a report that is no text, empty, too long or names findings more than
            MAX_MENTIONS times.
    """
    domain = find_domain(domain)
    text = _checked(report)
    mentions = _mentions(text, domain) if is_english(text) else []
    return {
        name: _observe([m for m in mentions if m.finding == name])
        for name in dict.fromkeys(m.finding for m in mentions)
    }


def recaption(
    report: str,
    domain: str | Domain,
    stages: int,
    mode: str = "terminal",
    finding: str | None = None,
    known: Sequence[str] | None = None,
    *,
    terminal: str = "severe",
    strict: bool = True,
) -> Plan:
    """The plan of a report's finding getting worse (section 4.1).

    A report that says that all is normal gives a plan of "no finding". The severity of stage n of N rises evenly from
    the middle of the band of the report's word, or from 0 where it has none, to that of the terminal word, or to its
    upper end where both are one.

    Args:
        report: the text, in English.
        domain: the kind of image, or its name.
        stages: N, from 0.
        mode: "terminal" (the paper) gives every stage the prompt of the terminal state. "ladder" lets the words worsen
            stage by stage from what the report says, each stage going from the word before (its source; "no finding"
            for the first) to its own; where N is more than the words on the way, a step is taken more than once.
            "severity" draws every stage at its severity between the domain's words, from the image as it is.
        finding: what progresses; None takes the most definite and most severe of the report among ``known``.
        known: the findings that the model draws, by default those of the domain; one that it does not draw is drawn as
            its parent, where there is one.
        terminal: mild, moderate or severe.
        strict: refuse a report that says nothing of the image, is not in English or names only findings that are not
            known; else it gives "no finding" with a note.

    Returns:
        The plan, with notes on how the report was read.

    Raises:
        ValueError: naming the argument.
    """
    domain = find_domain(domain)
    known = tuple(domain.known if known is None else known)
    if not known or not set(known) <= set(domain.known):
        raise ValueError(f"known: got {', '.join(known) or 'none'}, want some of {', '.join(domain.known)}")
    if isinstance(stages, bool) or not isinstance(stages, int) or not 0 <= stages <= MAX_STAGES:
        raise ValueError(f"stages: got {stages!r}, want a whole number in 0..{MAX_STAGES}")
    if mode not in MODES:
        raise ValueError(f"mode: got {mode!r}, want one of {', '.join(MODES)}")
    if terminal not in SEVERITY_BANDS:
        raise ValueError(f"terminal: got {terminal!r}, want one of {', '.join(SEVERITY_BANDS)}")
    asked = None if finding is None else drawn_as(domain, finding, known)
    text = _checked(report)
    observed = read_report(report, domain)
    english = is_english(text)
    present = [
        o for o in observed.values() if o.status in (PRESENT, POSSIBLE) and not domain.findings[o.finding].benign
    ]
    candidates = [o for o in present if o.finding in known]
    notes = [
        f"the report names {o.words()}, which the {domain.name} model does not draw; it is left out of the plan"
        for o in present
        if not {o.finding, domain.findings[o.finding].parent} & set(known)
    ]
    notes += [
        f"it is unclear whether the report denies {o.finding}; it is taken as denied"
        for o in observed.values()
        if o.unclear and o.finding in known
    ]
    if asked is not None:
        chosen = observed.get(asked, Observation(asked, ""))
        if chosen.status not in (PRESENT, POSSIBLE):
            said = "denies it" if chosen.status == ABSENT else "does not mention it"
            notes.append(f"{asked} was asked for; {f'the report {said}' if english else NOT_ENGLISH}")
            chosen = Observation(asked, chosen.status)
    elif candidates:
        names = {o.finding for o in candidates}
        chosen = max((o for o in candidates if domain.findings[o.finding].parent not in names), key=_weight)
    else:
        nothing = _no_finding(text, domain, observed, present, known, stages, notes, strict)
        # one inversion for all stages: a chain of them adds their errors up
        return replace(nothing, scale=(Grade(0.0, nothing.negative),)) if mode == "severity" else nothing
    narrower = {o.finding for o in present if o.finding not in known} | {finding}
    for name in (child.name for child in domain.children(chosen.finding) if child.name in narrower):
        notes.append(f"{name} is drawn as {chosen.finding}, as the model knows no narrower word for it")

    side = ""
    if chosen.finding in domain.sided:
        side = chosen.side or "bilateral"
        if not chosen.side:
            notes.append(f"the report gives no side for the {chosen.finding}; both sides are taken")
    if domain.paired and chosen.side in ("left", "right"):
        notes.append(f"the report finds {chosen.finding} on the {chosen.side}; the image is taken as of that side")
    if chosen.status == POSSIBLE:
        notes.append(f"the report is not sure of the {chosen.finding}")
    if chosen.uneven:
        notes.append(f"the report grades the {chosen.finding} of each side by itself; both get the worse")
    if chosen.contradicted:
        notes.append(f"the report both names and denies {chosen.finding}; it is taken as {chosen.status}")
    if chosen.trend in (IMPROVING, STABLE):
        notes.append(f"the report calls the {chosen.finding} {chosen.trend}; the plan simulates it getting worse")
    if chosen.severity and SEVERITIES.index(chosen.severity) > SEVERITIES.index(terminal):
        notes.append(f"the report already calls the {chosen.finding} {chosen.severity}, beyond the terminal {terminal}")
    told = {chosen.finding, *(o.finding for o in candidates)}
    others = [
        o.words() for o in candidates if o.finding != chosen.finding and domain.findings[o.finding].parent not in told
    ]
    if others:
        notes.append(f"also in the report and not progressed: {', '.join(others)}")

    last = band_center(terminal)
    first = min(band_center(chosen.severity), last) if chosen.severity else 0.0
    if first == last:  # already there: on to the far end of the band
        last = SEVERITY_BANDS[terminal][1]
    severities = [first + (last - first) * n / stages for n in range(1, stages + 1)]
    region = region_of(domain, chosen, side)

    def prompt(severity: float) -> str:
        said = domain.phrase(chosen.finding, severity, side) if severity else NO_FINDING
        return f"{domain.prefix}, {said}"

    worst = domain.severities[domain.severity_word(band_center(terminal))]
    steps = [("", prompt(worst))] * stages
    if mode == "ladder":
        ladder = _steps(list(domain.severities.values()), first, worst, stages)
        steps = [(prompt(source), prompt(drawn)) for source, drawn in ladder]
    scale: tuple[Grade, ...] = ()
    if mode == "severity":
        reach = [severity for severity in domain.severities.values() if severity <= max(worst, last)]
        scale = tuple(Grade(severity, prompt(severity)) for severity in (0.0, *reach))
        steps = [(prompt(0.0), prompt(max(severity, reach[0]))) for severity in severities]
    plan = tuple(
        Stage(drawn, chosen.finding, severity, region, source=shown)
        for severity, (shown, drawn) in zip(severities, steps, strict=True)
    )
    return Plan(domain.name, chosen.finding, side, plan, notes=tuple(notes), scale=scale)


def drawn_as(domain: Domain, finding: str, known: Sequence[str]) -> str:
    """What a model draws for a finding: itself or its parent.

    Args:
        domain: the kind of image.
        finding: of the domain.
        known: the findings that the model draws.

    Returns:
        One of ``known``.

    Raises:
        ValueError: where it draws neither; the message names what it draws.
    """
    parent = domain.findings[finding].parent if finding in domain.findings else ""
    drawn = next((name for name in (finding, parent) if name in known), None)
    if drawn is None:
        raise ValueError(f"finding: got {finding!r}, want one of {', '.join(known)}")
    return drawn


def _checked(report: str) -> str:
    if not isinstance(report, str):
        raise ValueError(f"report: got {type(report).__name__}, want text")
    if len(report) > MAX_REPORT:
        raise ValueError(f"report: got {len(report)} characters, want at most {MAX_REPORT}")
    text = normalize(report)
    if len(text) > MAX_REPORT:
        raise ValueError(f"report: got {len(text)} characters in plain letters, want at most {MAX_REPORT}")
    if not text:
        raise ValueError("report: got an empty text, want the words of a clinical report")
    return text


def _mentions(text: str, domain: Domain) -> list[Mention]:
    parts = list(sections(text))
    if any(not is_aside(name) for name, _ in parts):
        parts = [(name, body) for name, body in parts if not is_aside(name)]
    out: list[Mention] = []
    # (section, sentence) -> the last mention in it; what is said twice is read once
    last: dict[tuple[str, str], Mention | None] = {}
    before: Mention | None = None
    for name, body in parts:
        for sentence in sentences(body):
            if (name, sentence) not in last:
                found = read_sentence(sentence, domain, name, len(last), before)
                out += found
                last[name, sentence] = found[-1] if found else before
                if len(out) > MAX_MENTIONS:
                    raise ValueError(f"report: names findings more than {MAX_MENTIONS} times, want that of one patient")
            before = last[name, sentence]
    out = [m for m in out if m.status != HISTORY]
    amended = {m.finding for m in out if is_addendum(m.section)}
    amended -= {m.finding for m in out if is_addendum(m.section) and m.status != ABSENT}
    out = [m for m in out if is_addendum(m.section) or m.finding not in amended]
    explained = {name for m in out if m.status == PRESENT for name in domain.findings[m.finding].explains}
    said = {m.finding for m in out if not m.implied}
    out = [m for m in out if not (m.implied and m.status != ABSENT and m.finding in explained)]
    return [m for m in out if not m.implied or m.finding not in said]


def _observe(mentions: list[Mention]) -> Observation:
    """One reading of all mentions of a finding: the most definite status wins; its mentions alone say how and where."""
    status = next(s for s in (PRESENT, POSSIBLE, ABSENT) if any(m.status == s for m in mentions))
    own = [m for m in mentions if m.status == status]
    sides = {m.side for m in own if m.side}
    grades = [{m.severity for m in own if m.side == side and m.severity} for side in ("left", "right")]
    zones = {m.zone for m in own if m.zone}
    side = one_side(sides)
    against = [m for m in mentions if m.status == ABSENT]
    return Observation(
        finding=own[0].finding,
        status=status,
        severity=max((m.severity for m in own if m.severity), key=SEVERITIES.index, default=""),
        side=side if status != ABSENT else "",
        zone=next(iter(zones)) if len(zones) == 1 else "",
        trend=next((m.trend for m in reversed(own) if m.trend), ""),
        in_summary=any(is_summary(m.section) for m in own),
        contradicted=status != ABSENT and any(not m.side or m.side in (side, "bilateral") for m in against),
        uneven=all(grades) and grades[0] != grades[1],
        unclear=status == ABSENT and all(m.unclear for m in own),
    )


def _weight(observation: Observation) -> tuple[bool, int, bool]:
    grade = SEVERITIES.index(observation.severity) if observation.severity else 1
    return observation.status == PRESENT, grade, observation.in_summary


def _no_finding(text, domain: Domain, observed, present, known, stages: int, notes: list[str], strict: bool) -> Plan:
    """A plan that leaves the image as it is, or the reason why the report gives none."""
    if present:
        if strict:
            names = ", ".join(o.finding for o in present)
            raise UnreadReport(f"names only {names}, which the {domain.name} model does not draw", known)
    elif not is_english(text):
        if strict:
            raise UnreadReport("is not in English, the only language that the rules read", known)
        notes.append(f"{NOT_ENGLISH}; nothing in it was read")
    elif not observed and not any(domain.clear.search(s) for _, body in sections(text) for s in sentences(body)):
        if strict:
            raise UnreadReport(f"says nothing of any finding of {domain.name} that the rules know", known)
        notes.append(f"the report says nothing of any finding of {domain.name} that the rules know")
    else:
        notes.append(f"the report names no finding that the {domain.name} model draws as present")
    prompt = f"{domain.prefix}, {NO_FINDING}"
    # inverted and denoised under one prompt, an image comes back as it was
    stage = Stage(prompt, NO_FINDING, 0.0, source=prompt)
    return Plan(domain.name, NO_FINDING, "", (stage,) * stages, negative=prompt, notes=tuple(notes))


def region_of(domain: Domain, observation: Observation, side: str) -> str:
    """Where an observed finding lies, in words.

    Args:
        domain: the kind of image.
        observation: of one of its findings.
        side: left, right, bilateral or "".

    Returns:
        Side and zone, such as "left lung, upper zone".
    """
    both = side == "bilateral"
    finding = domain.findings[observation.finding]
    place = finding.region.replace("{side}", "both" if both else side)
    if "{side}" in finding.region:
        if observation.zone and finding.zoned:
            place += f"{'s' if both else ''}, {observation.zone} zone"
        elif both:
            place += "s"
    return place


def _steps(scale: list[float], first: float, terminal: float, stages: int) -> list[tuple[float, float]]:
    """(severity of the source, severity of the stage) of every stage, over those of ``scale`` above ``first`` up to
    ``terminal``, or the terminal one alone. 0 is no finding.
    """
    first = max(first, scale[0])  # hardly shows: that stage is better spent on the last word
    ladder = [severity for severity in scale if first < severity <= terminal] or [terminal]
    reached = [math.ceil(n * len(ladder) / stages) - 1 for n in range(1, stages + 1)]
    steps: list[tuple[float, float]] = []
    for severity in (ladder[i] for i in reached):
        before, at = steps[-1] if steps else (0.0, 0.0)
        # the image may show less than the report says: from no finding it arrives either way
        steps.append((before if at == severity else at, severity))
    return steps
