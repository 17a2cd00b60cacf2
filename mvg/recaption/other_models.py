"""A language model of another node: the question as one text, and the plan in the text that it wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..domains import BUILT_IN, Domain, find_domain
from ..plan import NO_FINDING, Plan
from .answer import AnswerError, validate_answer
from .deidentify import deidentify
from .offline import drawn_as
from .plan_objects import MAX_TEXT, plan_objects
from .question import Question, answer_form, instructions, user_message

MAX_PROBLEMS = 10
TERMINAL = "severe"


def question_text(
    report: str,
    domain: str | Domain,
    stages: int,
    mode: str = "terminal",
    finding: str | None = None,
    known: Sequence[str] | None = None,
) -> str:
    """What to ask any language model for a plan.

    Args:
        report, domain, stages, mode, finding, known: those of `offline.recaption`, which checks them.

    Returns:
        The task, the form of the answer, and the report without its identifiers.
    """
    domain = find_domain(domain)
    known = domain.known if known is None else tuple(known)
    asked = None if finding is None else drawn_as(domain, finding, known)
    question = Question(domain, stages, mode, asked, known, TERMINAL)
    return (
        f"{instructions(question)}{answer_form(question)}\nThe user message:\n{user_message(deidentify(report)[0])}\n"
    )


def plan_in(text: str, like: Plan | None = None, domains: Mapping[str, Domain] = BUILT_IN) -> Plan:
    """The plan in what a language model wrote.

    Args:
        text: the answer alone, in prose, a code fence or a wrapper. The model's reasons are left out, as they may quote
            the report.
        like: a plan of the same question, whose domain, number of stages and mode the answer has to have; without it
            they are the answer's own.
        domains: those there are, by name.

    Returns:
        The plan, validated as by `answer.read_answer`.

    Raises:
        AnswerError: naming the stage and what is wanted, without a word of the text.
    """
    if not isinstance(text, str):
        raise AnswerError(f"got {type(text).__name__}, want the text that a language model wrote")
    if not text.strip():
        raise AnswerError("got an empty text, want the answer of a language model")
    if len(text) > MAX_TEXT:
        raise AnswerError(f"got {len(text)} characters, want at most {MAX_TEXT}")
    answers = plan_objects(text)
    if not answers:
        raise AnswerError(
            'got no whole JSON object with the fields "side" and "stages"; was the model cut off, and was it asked '
            "with the question of Recaption Report?"
        )
    first: list[str] = []
    for answer in answers:
        question = _question(answer, like, domains)
        plan, problems = validate_answer(answer, question, None) if question else (None, [_prefixes(domains)])
        if plan is not None:
            return plan
        first = first or problems
    raise AnswerError(f"the answer makes no plan: {'; '.join(first[:MAX_PROBLEMS])}")


def _question(answer: dict[str, Any], like: Plan | None, domains: Mapping[str, Domain]) -> Question | None:
    """What was asked, as far as the plan of the same question or else the answer tells; None for no domain."""
    stages = answer["stages"]
    prompts = [p.lower() for s in stages if isinstance(s, dict) and isinstance(p := s.get("prompt"), str)]
    domain = find_domain(like.domain, domains) if like is not None else _domain(prompts, domains)
    if domain is None:
        return None
    mode = "ladder" if len(set(prompts)) > 1 else "terminal"
    if like is not None and like.stages and like.finding != NO_FINDING:  # under no finding both modes are one
        mode = "ladder" if any(stage.source for stage in like.stages) else "terminal"
    return Question(domain, len(stages) if like is None else len(like.stages), mode, None, domain.known, TERMINAL)


def _domain(prompts: list[str], domains: Mapping[str, Domain]) -> Domain | None:
    return next((d for d in domains.values() if prompts and prompts[0].startswith(f"{d.prefix}, ".lower())), None)


def _prefixes(domains: Mapping[str, Domain]) -> str:
    prefixes = ", ".join(f'"{domain.prefix}"' for domain in domains.values())
    return f"stage 1, prompt: want it to begin with one of {prefixes}"
