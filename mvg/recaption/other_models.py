"""The engine for a language model that runs elsewhere, in another node say: the question as one text, and what is
believed of the text that it wrote.
"""

import json
from typing import Any

from ..domains import BUILT_IN, Domain, find_domain
from ..plan import NO_FINDING, Plan
from .answer import AnswerError, objects, read_answer
from .deidentify import deidentify
from .question import Question, instructions, user_message

MAX_TEXT = 100_000
MAX_PROBLEMS = 10
TERMINAL = "severe"


def question_text(report: str, domain: str, stages: int, mode: str = "terminal", finding: str | None = None) -> str:
    """What to ask any language model for a plan: the task, the form of the answer, the report without its identifiers.

    The arguments are those of `offline.recaption`, which checks them.
    """
    question = Question(domain, stages, mode, finding, find_domain(domain).known, TERMINAL)
    stage = {"rationale": "...", "finding": "...", "severity": 0.25, "region": "...", "prompt": "..."}
    form = json.dumps({"side": "...", "stages": [stage]})
    return (
        f"{instructions(question)}"
        f"- Answer with one JSON object and nothing else, of this form, with {question.asked} members in stages:\n"
        f"{form}\n"
        f"\nThe user message:\n{user_message(deidentify(report)[0])}\n"
    )


def plan_in(text: str, like: Plan | None = None) -> Plan:
    """The plan in what a language model wrote: its last JSON object with "stages", in prose or code fences or alone.

    ``like``: a plan of the same question, whose domain, number of stages and mode the answer has to have; without it
    they are the answer's own. What is believed is what `read_answer` believes; the model's reasons are left out, as
    they may quote the report. Raises AnswerError naming the stage and what is wanted, without a word of the text.
    """
    if not isinstance(text, str):
        raise AnswerError(f"got {type(text).__name__}, want the text that a language model wrote")
    if not text.strip():
        raise AnswerError("got an empty text, want the answer of a language model")
    if len(text) > MAX_TEXT:
        raise AnswerError(f"got {len(text)} characters, want at most {MAX_TEXT}")
    answers = [(found, written) for found, written in objects(text) if "stages" in found]
    if not answers:
        raise AnswerError(
            'got no whole JSON object with the fields "side" and "stages"; was the model cut off, and was it asked '
            "with the question of Recaption Report?"
        )
    found, written = answers[-1]
    plan, problems = read_answer(written, _question(found, like), None)
    if plan is None:
        raise AnswerError(f"the answer makes no plan: {'; '.join(problems[:MAX_PROBLEMS])}")
    return plan


def _question(answer: dict[str, Any], like: Plan | None) -> Question:
    """What was asked, as far as the plan of the same question or else the answer tells."""
    items = answer["stages"] if isinstance(answer["stages"], list) else []
    prompts = [p for stage in items if isinstance(stage, dict) and isinstance(p := stage.get("prompt"), str)]
    domain = find_domain(like.domain) if like is not None else _domain(prompts)
    mode = "ladder" if len(set(prompts)) > 1 else "terminal"
    if like is not None and like.stages and like.finding != NO_FINDING:  # under no finding both modes are one
        mode = "ladder" if any(stage.source for stage in like.stages) else "terminal"
    return Question(domain.name, len(items) if like is None else len(like.stages), mode, None, domain.known, TERMINAL)


def _domain(prompts: list[str]) -> Domain:
    for domain in BUILT_IN.values():
        if prompts and prompts[0].startswith(f"{domain.prefix}, "):
            return domain
    prefixes = ", ".join(f'"{domain.prefix}"' for domain in BUILT_IN.values())
    raise AnswerError(f"stage 1, prompt: want it to begin with one of {prefixes}")
