"""Validates a language model's answer into a Plan, or says what is wrong with it.

A report may hold orders ("ignore the above"). So nothing that a model answers is taken as it is: findings, sides and
regions come from closed lists and a prompt is made of the domain's own words, whatever the report says. Where the
question allows another finding, its few plain words are the only ones of the model's own.
"""

import re
from typing import Any

from pydantic import ValidationError

from ..domains import Domain, find_domain
from ..domains.severity import SEVERITY_BANDS
from ..plan import NO_FINDING, Plan, Stage
from ..validation import problems as problems_of
from .deidentify import deidentify
from .grading import SEVERITIES
from .language import read_sentence
from .mention import PRESENT, Mention
from .other_finding import name_problem, with_finding
from .plan_objects import plan_objects
from .question import MAX_PROMPT, Question, allowed_words, answer_model, regions, sides_of, words_of

MAX_RATIONALE = 300
QUOTED_WORDS = 5  # that many words of the report in a row are a quotation


class AnswerError(RuntimeError):
    """A language model's answer that makes no valid plan. Names what was wrong, without a word of the answer."""


def read_answer(answer: str, question: Question, report: str | None) -> tuple[Plan | None, list[str]]:
    """Validates a language model's answer into a plan.

    Args:
        answer: what the model wrote: JSON alone, in prose, a code fence or a wrapper, after its thoughts.
        question: what it was asked.
        report: as it was sent; a rationale that quotes it is left out of the plan's notes. None: it is not known, and
            all of them are left out.

    Returns:
        (plan, []) or (None, problems). A problem names the stage and the field and what is wanted. It quotes nothing of
        the answer, which may repeat the report.
    """
    first: list[str] = []
    for data in plan_objects(answer):
        plan, problems = validate_answer(data, question, report)
        if plan is not None:
            return plan, []
        first = first or problems
    return None, first or ['the answer: want one JSON object with the fields "side" and "stages", a list']


def validate_answer(data: dict[str, Any], question: Question, report: str | None) -> tuple[Plan | None, list[str]]:
    """Validates one object of `plan_objects` into a plan.

    Args:
        data: the object.
        question: what was asked.
        report: as in `read_answer`.

    Returns:
        The plan and no problems, or None and what is wrong, a line each.
    """
    model = answer_model(question)
    try:
        answer = model.model_validate(_fill_blanks(data)).model_dump()
    except ValidationError as error:
        return None, problems_of(error, model, quote=False)
    domain = find_domain(question.domain)
    stages, side = answer["stages"], answer["side"]
    for stage in stages:
        stage["prompt"] = _normalize_prompt(stage["prompt"], domain)
    problems = _check_stages(stages, side, question, domain)
    return (None, problems) if problems else (_build_plan(stages, side, question, domain, report), [])


def _fill_blanks(data: dict[str, Any]) -> dict[str, Any]:
    """Without what models leave out or write for nothing: no rationale, null or "none" for no side and no region."""
    stages = [
        {**s, "rationale": s.get("rationale") or "", "region": _or_empty(s.get("region"))} if isinstance(s, dict) else s
        for s in data["stages"]
    ]
    side = {"side": _or_empty(data["side"])} if "side" in data else {}
    return {**data, **side, "stages": stages}


def _or_empty(value: Any) -> Any:
    return "" if value is None or (isinstance(value, str) and value.casefold() in ("none", "n/a", "null")) else value


def _normalize_prompt(prompt: str, domain: Domain) -> str:
    """The prompt with the domain's own spelling of its first words, the others in lower case, without a last period."""
    start = f"{domain.prefix}, "
    if not prompt.casefold().startswith(start.casefold()):
        return prompt
    return start + prompt[len(start) :].lower().removesuffix(".")


def _check_stages(stages: list[dict[str, Any]], side: str, question: Question, domain: Domain) -> list[str]:
    """What is wrong with the stages as a course: one finding, severities and words that rise to the terminal one."""
    finding = stages[0]["finding"]
    if any(stage["finding"] != finding for stage in stages):
        return ["finding: want the same in every stage"]
    severities = [stage["severity"] for stage in stages]
    if finding == NO_FINDING:
        return [f"severity: want 0 in every stage of {NO_FINDING!r}"] if any(severities) else []
    if problem := name_problem(finding, domain, question.findings):
        return [f"finding: {problem}"]
    out = []
    if side not in sides_of(domain, finding):
        out.append(f"side: want {' or '.join(s or 'an empty text' for s in sides_of(domain, finding))} for {finding}")
    for n in range(1, len(stages)):
        if severities[n] < severities[n - 1]:
            out.append(f"stage {n + 1}, severity: got {severities[n]:g} after {severities[n - 1]:g}; it may never fall")
    low, high = SEVERITY_BANDS[question.terminal]
    if not low <= severities[-1] <= high:
        out.append(f"stage {len(stages)}, severity: got {severities[-1]:g}, want {low:g} to {high:g} in the last stage")
    if out:
        return out
    grades = []
    readable = with_finding(domain, finding)
    for n, stage in enumerate(stages, start=1):
        if stage["region"] not in regions(domain, finding, side):
            out.append(f"stage {n}, region: want one of {'; '.join(regions(domain, finding, side))}")
        problem, grade = _read_prompt(stage["prompt"], finding, side, readable)
        grades.append(grade)
        if problem:
            out.append(f"stage {n}, prompt: {problem}")
    if out:
        return out
    if grades[-1] != question.terminal:
        out.append(f"stage {len(stages)}, prompt: want the severity word {question.terminal} in the last stage")
    ranks = [SEVERITIES.index(grade) for grade in grades]
    out += [
        f"stage {n + 1}, prompt: its severity word may never fall"
        for n in range(1, len(ranks))
        if ranks[n] < ranks[n - 1]
    ]
    if question.mode == "terminal" and len({stage["prompt"] for stage in stages}) > 1:
        out.append("prompt: want the same in every stage")
    return out


def _read_prompt(prompt: str, finding: str, side: str, domain: Domain) -> tuple[str, str]:
    """(problem or "", severity word) of a prompt, read like a sentence of a report."""
    if len(prompt) > MAX_PROMPT:
        return f"got {len(prompt)} characters, want at most {MAX_PROMPT}", ""
    if not prompt.startswith(f"{domain.prefix}, ") or not re.fullmatch(r"[A-Za-z0-9 ,-]+", prompt):
        return f'want it to begin with "{domain.prefix}, " and to hold letters, spaces, commas and hyphens only', ""
    if not allowed_words(domain).issuperset(words_of(prompt)):
        return "uses a word that is not in the list of allowed words", ""
    mentions = read_sentence(prompt[len(domain.prefix) + 2 :].lower(), domain)
    if any(m.finding not in domain.related(finding) and m.finding in domain.known for m in mentions):
        return f"names another finding than {finding}", ""
    own: list[Mention] = [m for m in mentions if m.finding == finding]
    if not own or own[0].status != PRESENT:
        return f"want it to name {finding} as present", ""
    if not own[0].severity:
        return f"want a severity word before {finding}: {', '.join(domain.severities)}", ""
    if finding in domain.sided and own[0].side != side:
        return f"want it to name {f'the side, {side},' if side else 'no side'} before {finding}", ""
    return "", own[0].severity


def _build_plan(
    stages: list[dict[str, Any]], side: str, question: Question, domain: Domain, report: str | None
) -> Plan:
    finding = stages[0]["finding"]
    nothing = f"{domain.prefix}, {NO_FINDING}"
    notes = () if report is None else _rationales(stages, report)
    if finding == NO_FINDING:  # as the rules have it: under one prompt an image comes back as it was
        stage = Stage(nothing, NO_FINDING, 0.0, source=nothing)
        return Plan(domain.name, NO_FINDING, "", (stage,) * question.stages, negative=nothing, notes=notes)
    out: list[Stage] = []
    for item in stages[: question.stages]:
        source = ""
        if question.mode == "ladder":
            before = out[-1] if out else None
            # a repeated prompt goes on from where it came from, as in the ladder of the rules
            source = nothing if before is None else before.source if before.prompt == item["prompt"] else before.prompt
        out.append(Stage(item["prompt"], finding, float(item["severity"]), item["region"], source=source))
    return Plan(domain.name, finding, side, tuple(out), notes=notes)


def _rationales(stages: list[dict[str, Any]], report: str) -> tuple[str, ...]:
    """The model's reasons as notes; equal ones once, and without those that quote the report."""
    quoted = _word_runs(report)
    notes = []
    left_out = 0
    for n, stage in enumerate(stages, start=1):
        text = " ".join("".join(c if c.isprintable() else " " for c in stage["rationale"]).split())
        if not text:
            continue
        if _word_runs(text) & quoted:
            left_out += 1
            continue
        notes.append((n, deidentify(text)[0][:MAX_RATIONALE]))
    said = {text: n for n, text in reversed(notes)}
    out = [f"the model on stage {n}: {text}" for text, n in sorted(said.items(), key=lambda item: item[1])]
    if left_out:
        out.append(f"{left_out} of the model's reasons quoted the report and are left out")
    return tuple(out)


def _word_runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + QUOTED_WORDS]) for i in range(len(words) - QUOTED_WORDS + 1)}
