"""The engine for OpenAI-compatible endpoints: a report without identifiers goes out, a validated plan comes back."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..domains import Domain, find_domain
from ..plan import NO_FINDING, Plan
from . import offline
from .answer import AnswerError, read_answer
from .chat import Chat, Limits, connect
from .deidentify import deidentify, describe
from .endpoints import Endpoint
from .english import is_english
from .kept_answers import answer_file, keep, read_kept
from .other_finding import note_on
from .question import Question

MAX_STAGES = 50
MAX_PROBLEMS = 10
MAX_ECHO = 20_000  # characters of a refused answer that go back for repair


async def recaption(
    report: str,
    domain: str | Domain,
    stages: int,
    mode: str = "terminal",
    finding: str | None = None,
    known: Sequence[str] | None = None,
    *,
    endpoint: Endpoint,
    terminal: str = "severe",
    other: bool = False,
    cache: str | Path | None = None,
    timeout: float = 120.0,
    attempts: int = 4,
    backoff: float = 1.0,
) -> Plan:
    """The plan of a report's finding getting worse over ``stages`` stages, by a language model.

    The rules also read the report; where they find something else, a note says so. Findings, sides, regions and the
    words of the prompts are the domain's, whatever is answered, but for the name of another finding. Cancelling the
    task ends the request.

    Args:
        report, domain, stages, mode, finding, known, terminal: those of `offline.recaption`.
        endpoint: whom to ask.
        other: whether the plan may be about a finding that the domain does not know, where ``finding`` is None. It lies
            in the region of the domain.
        cache: the folder of the kept answers, made where it is missing; an equal question to the same url and model is
            answered from there, without a call. None keeps nothing.
        timeout: seconds for one whole request.
        attempts: requests at most for one answer, tried again after 429, a status of 500 and more and a broken
            connection.
        backoff: seconds before the second attempt, doubled each time, or what the endpoint asks for, up to a minute.

    Returns:
        The plan. Notes say which model made it and what identifiers were taken out of the report before it was sent.

    Raises:
        ValueError: naming the argument, before any call; also for a report that is not in English and an endpoint on
            another machine that may not have it. After the call where the answer's finding is none of ``known``, which
            takes ``other``.
        EndpointError: where the key is not set.
        CallError: where the endpoint gives no answer.
        AnswerError: after the second answer that makes no plan.
    """
    if isinstance(stages, int) and not 0 <= stages <= MAX_STAGES:
        raise ValueError(f"stages: got {stages!r}, want a whole number in 0..{MAX_STAGES}")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ValueError(f"attempts: got {attempts!r}, want a whole number from 1")
    if not timeout > 0 or not backoff >= 0:
        raise ValueError(f"timeout, backoff: got {timeout!r}, {backoff!r}, want seconds above 0 and from 0")
    _check_text(report)
    english = await asyncio.to_thread(is_english, report)
    if not (english or endpoint.is_loopback or endpoint.any_language):
        raise ValueError(
            "report: is not in English, the only language in which the rules know names and dates, so it does not "
            f"leave this machine; want an endpoint here, or any_language for {endpoint.name!r} in the server's file"
        )
    # In threads, as the rules take a second on the longest reports. They check the arguments as well.
    clean, removed = await asyncio.to_thread(deidentify, report)
    rules = await asyncio.to_thread(
        offline.recaption, clean, domain, stages, mode, finding, known, terminal=terminal, strict=False
    )
    domain = find_domain(domain)
    drawn, known = known, tuple(known or domain.known)
    asked = None if finding is None else offline.drawn_as(domain, finding, known)
    question = Question(domain, stages, mode, asked, known, terminal, other and asked is None)
    path = answer_file(cache, clean, endpoint, question) if cache is not None else None
    plan = read_kept(path) if path else None
    if plan is None:
        async with connect(endpoint, Limits(timeout, attempts, backoff), report) as chat:
            plan = await _ask(chat, question, clean)
        if path:
            keep(path, plan)
    if drawn is not None and plan.finding not in (*known, NO_FINDING):
        raise ValueError(
            f"finding: got {plan.finding} from the language model, which the connected model does not draw, want one "
            f"of {', '.join(known)}"
        )
    where = "on this machine" if endpoint.is_loopback else "on another machine"
    notes = [f"the prompts are by the language model {endpoint.model} at the endpoint {endpoint.name}, {where}"]
    if removed:
        notes.append(f"taken out of the report before it was sent: {describe(removed)}")
    else:
        notes.append("the rules found no identifier to take out of the report before it was sent")
    if note := note_on(plan, domain):
        notes.append(note)
    if not english:
        notes.append("the report is not in English: the rules may have left names in it and did not check the finding")
    elif rules.finding != plan.finding:
        read = "no finding that the model draws" if rules.finding == NO_FINDING else rules.finding
        notes.append(f"the rules read {read} in the report, the language model {plan.finding}; check which is right")
    elif rules.side != plan.side:
        notes.append(f"the rules read the side {rules.side or 'none'}, the language model {plan.side or 'none'}")
    return replace(plan, notes=(*plan.notes, *notes))


def _check_text(report: object) -> None:
    """ValueError for what is no text or over-long, before the work of taking identifiers out."""
    if not isinstance(report, str):
        raise ValueError(f"report: got {type(report).__name__}, want text")
    if len(report) > offline.MAX_REPORT:
        raise ValueError(f"report: got {len(report)} characters, want at most {offline.MAX_REPORT}")
    if not report.strip():
        raise ValueError("report: got an empty text, want the words of a clinical report")
    odd = sum(not (c.isprintable() or c.isspace()) or c == "\ufffd" for c in report)
    if "\0" in report or odd > 0.05 * len(report) or not any(c.isalpha() for c in report):
        raise ValueError("report: got bytes or symbols, want the words of a clinical report")


async def _ask(chat: Chat, question: Question, clean: str) -> Plan:
    """The plan of an answer, of the second one where the first makes none; ``clean``: what is sent of the report."""
    where = f"endpoint {chat.endpoint.name!r}"
    repair: list[dict[str, str]] = []
    for _ in range(2):
        completion = await chat.ask(question, clean, repair)
        plan, problems = read_answer(completion.text, question, clean)
        if plan is not None:
            return plan
        if completion.cut:  # as the next one would be
            raise AnswerError(
                f"{where}: its answer was cut off, at the most tokens that it may write; want a higher limit there, or "
                "fewer stages"
            )
        wrong = "; ".join(problems[:MAX_PROBLEMS])
        echo = completion.text[:MAX_ECHO].encode("utf-8", "replace").decode()  # JSON may hold half of a character
        repair = [
            {"role": "assistant", "content": echo or "(nothing)"},
            {"role": "user", "content": f"That answer cannot be used. {wrong}. Answer again, with the whole JSON."},
        ]
    raise AnswerError(f"{where}: its answer makes no plan, also after one repair: {wrong}")
