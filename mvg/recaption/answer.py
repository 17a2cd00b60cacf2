"""What is believed of a language model's answer: a plan of the domain's words, or what is wrong with it.

A report may hold orders ("ignore the above"). So nothing that a model answers is taken as it is: findings, sides and
regions come from closed lists and a prompt is made of the domain's own words, whatever the report says.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ..domains import Domain, find_domain
from ..domains.severity import SEVERITY_BANDS
from ..plan import NO_FINDING, SIDES, Plan, Stage
from .deidentify import deidentify
from .grading import SEVERITIES
from .language import PRESENT, Mention, read_sentence
from .question import MAX_PROMPT, Question, allowed_words, regions, sides_of, words_of

MAX_ANSWER = 100_000  # characters
MAX_RATIONALE = 300
MAX_TRIES = 1000  # braces that begin no JSON
QUOTE = 5  # that many words of the report in a row are a quotation


class AnswerError(RuntimeError):
    """A language model's answer that makes no valid plan. Names what was wrong, without a word of the answer."""


def read_answer(answer: str | None, question: Question, report: str | None) -> tuple[Plan | None, list[str]]:
    """(plan, []) of a valid answer, in prose or a code fence or alone, (None, problems) of any other.

    A problem names the stage and the field and what is wanted. It quotes nothing of the answer, which may repeat the
    report. ``report``: as it was sent; a rationale that quotes it is left out of the plan's notes. None: it is not
    known, and all of them are left out.
    """
    data = _parse(answer)
    if data is None:
        return None, ["the answer: want one JSON object and nothing else"]
    if set(data) != {"side", "stages"} or not isinstance(data["stages"], list):
        return None, ['the answer: want an object with the fields "side" and "stages", a list']
    stages, side = data["stages"], data["side"]
    if len(stages) != question.asked:
        return None, [f"stages: got {len(stages)}, want {question.asked}"]
    if side not in SIDES:
        return None, ["side: want left, right, bilateral or an empty text"]
    problems = [p for n, stage in enumerate(stages, start=1) for p in _shape(f"stage {n}", stage, question)]
    if problems:
        return None, problems
    domain = find_domain(question.domain)
    problems = _course(stages, side, question, domain)
    if problems:
        return None, problems
    return _plan(stages, side, question, domain, report), []


def _parse(answer: str | None) -> dict[str, Any] | None:
    """The last object with stages: a server that does not know the schema lets its model think aloud before."""
    found = [data for data, _ in objects(answer)] if answer and len(answer) <= MAX_ANSWER else []
    return next((data for data in reversed(found) if "stages" in data), found[-1] if found else None)


def objects(text: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The JSON objects of a text that lie in no other one, and how each is written."""
    decoder = json.JSONDecoder()
    at, tries = text.find("{"), 0
    while at >= 0 and tries < MAX_TRIES:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end, tries = at + 1, tries + 1
        else:
            yield found, text[at:end]
        at = text.find("{", end)


def _shape(name: str, stage: object, question: Question) -> list[str]:
    fields = ("prompt", "finding", "severity", "region", "rationale")
    if not isinstance(stage, dict) or set(stage) != set(fields):
        return [f"{name}: want an object with the fields {', '.join(fields)}"]
    out = [f"{name}, {f}: want a text" for f in fields if f != "severity" and not isinstance(stage[f], str)]
    severity = stage["severity"]
    number = isinstance(severity, int | float) and not isinstance(severity, bool)
    if not number or not 0 <= severity <= 1 or not math.isfinite(severity):
        out.append(f"{name}, severity: want a number in [0, 1]")
    if not out and stage["finding"] not in question.findings:
        out.append(f"{name}, finding: want one of {', '.join(question.findings)}")
    return out


def _course(stages: list[dict[str, Any]], side: str, question: Question, domain: Domain) -> list[str]:
    finding = stages[0]["finding"]
    if any(stage["finding"] != finding for stage in stages):
        return ["finding: want the same in every stage"]
    severities = [stage["severity"] for stage in stages]
    if finding == NO_FINDING:
        return [f"severity: want 0 in every stage of {NO_FINDING!r}"] if any(severities) else []
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
    for n, stage in enumerate(stages, start=1):
        if stage["region"] not in regions(domain, finding, side):
            out.append(f"stage {n}, region: want one of {'; '.join(regions(domain, finding, side))}")
        problem, grade = _read_prompt(stage["prompt"], finding, side, question, domain)
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


def _read_prompt(prompt: str, finding: str, side: str, question: Question, domain: Domain) -> tuple[str, str]:
    """(problem or "", severity word) of a prompt, read like a sentence of a report."""
    if len(prompt) > MAX_PROMPT:
        return f"got {len(prompt)} characters, want at most {MAX_PROMPT}", ""
    if not prompt.startswith(f"{domain.prefix}, ") or not re.fullmatch(r"[A-Za-z ,-]+", prompt):
        return f'want it to begin with "{domain.prefix}, " and to hold letters, spaces, commas and hyphens only', ""
    if not allowed_words(domain).issuperset(words_of(prompt)):
        return "uses a word that is not in the list of allowed words", ""
    mentions = read_sentence(prompt[len(domain.prefix) + 2 :].lower(), domain)
    if any(m.finding != finding and m.finding in domain.known for m in mentions):
        return f"names another finding than {finding}", ""
    own: list[Mention] = [m for m in mentions if m.finding == finding]
    if not own or own[0].status != PRESENT:
        return f"want it to name {finding} as present", ""
    if not own[0].severity:
        return f"want a severity word before {finding}: {', '.join(domain.severities)}", ""
    if side and own[0].side != side:
        return f"want it to name the side, {side}, before {finding}", ""
    return "", own[0].severity


def _plan(stages: list[dict[str, Any]], side: str, question: Question, domain: Domain, report: str | None) -> Plan:
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
    quoted = _runs(report)
    notes = []
    left_out = 0
    for n, stage in enumerate(stages, start=1):
        text = " ".join("".join(c if c.isprintable() else " " for c in stage["rationale"]).split())
        if not text:
            continue
        if _runs(text) & quoted:
            left_out += 1
            continue
        notes.append((n, deidentify(text)[0][:MAX_RATIONALE]))
    said = {text: n for n, text in reversed(notes)}
    out = [f"the model on stage {n}: {text}" for text, n in sorted(said.items(), key=lambda item: item[1])]
    if left_out:
        out.append(f"{left_out} of the model's reasons quoted the report and are left out")
    return tuple(out)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + QUOTE]) for i in range(len(words) - QUOTE + 1)}
