"""The engine for OpenAI-compatible endpoints: a report without its identifiers goes out, a checked plan comes back.

Neither the key nor the report is in any error, log line or kept answer. Errors of the package hold the whole request,
so ours are raised outside of its except blocks, with no trace of them.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domains import find_domain
from ..plan import NO_FINDING, Plan, PlanError
from . import offline
from .answer import AnswerError, read_answer
from .completion import Completion, CompletionError, error_text, read_completion
from .deidentify import deidentify, describe
from .endpoints import Endpoint
from .english import is_english
from .question import VERSION, Question, answer_form, instructions, response_format, user_message
from .server_words import safe_words

MAX_STAGES = 50
MAX_PROBLEMS = 10
MAX_ECHO = 20_000  # characters of a refused answer that go back for repair
MAX_WAIT = 60.0  # seconds that an endpoint's Retry-After is heeded for


# What servers call the part of the request that asks for a schema; on these statuses also how they call it unknown.
_NAMES_FORMAT = re.compile(r"response.?format|json.?schema|guided.?json|grammar|structured.?output", re.IGNORECASE)
_NAMES_NOTHING = re.compile(
    r"(?:bad request|unprocessable(?: entity| content)?|not implemented|unsupported media type)?[\W\d]*"
    r"|.*\b(?:(?:unknown|unsupported|unrecogni[sz]ed|unexpected|extra|additional|invalid) (?:\w+ )?"
    r"(?:field|parameter|argument|input|propert|request|type|format)|not supported|not permitted).*",
    re.IGNORECASE | re.DOTALL,
)
_UNREAD = (400, 415, 422, 501)
# (address, model) of endpoints that gave an answer only where none was asked for by a schema
_without_format: set[tuple[str, str]] = set()


class CallError(RuntimeError):
    """The endpoint gave no answer: not reached, too slow, an error, a refusal.

    The message names the endpoint and holds no key and no word of the report.

    Attributes:
        format_refused: whether the endpoint seems to refuse the ``response_format`` of the request.
    """

    def __init__(self, message: str, *, format_refused: bool = False) -> None:
        super().__init__(message)
        self.format_refused = format_refused


async def recaption(
    report: str,
    domain: str,
    stages: int,
    mode: str = "terminal",
    finding: str | None = None,
    known: Sequence[str] | None = None,
    *,
    endpoint: Endpoint,
    terminal: str = "severe",
    cache: str | Path | None = None,
    timeout: float = 120.0,
    attempts: int = 4,
    backoff: float = 1.0,
) -> Plan:
    """The plan of a report's finding getting worse over ``stages`` stages, by a language model.

    The arguments up to ``known``, and ``terminal``, are those of `offline.recaption`, whose rules also read the report:
    where they find something else, a note says so. Findings, sides, regions and the words of the prompts are the
    domain's, whatever is answered. Notes also say what identifiers were taken out of the report before it was sent.

    cache: the folder of the kept answers, made where it is missing; an equal question to the same url and model is then
    answered from there, without a call. None keeps nothing. timeout: seconds for one whole request. attempts: requests
    at most for one answer, tried again after 429, a status of 500 and more and a broken connection, with a wait of
    ``backoff`` seconds that doubles each time, or what the endpoint asks for, up to a minute. An answer that makes no
    plan is sent back once, with what was wrong.

    Raises ValueError naming the argument, before any call, also for a report that is not in English and an endpoint on
    another machine that may not have it, EndpointError where the key is not set, CallError, and AnswerError after the
    second answer that makes no plan. Cancelling the task ends the request.
    """
    if isinstance(stages, int) and not 0 <= stages <= MAX_STAGES:
        raise ValueError(f"stages: got {stages!r}, want a whole number in 0..{MAX_STAGES}")
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ValueError(f"attempts: got {attempts!r}, want a whole number from 1")
    if not timeout > 0 or not backoff >= 0:
        raise ValueError(f"timeout, backoff: got {timeout!r}, {backoff!r}, want seconds above 0 and from 0")
    _check_text(report)
    english = is_english(report)
    if not (english or endpoint.is_loopback or endpoint.any_language):
        raise ValueError(
            "report: is not in English, the only language in which the rules know names and dates, so it does not "
            f"leave this machine; want an endpoint here, or any_language for {endpoint.name!r} in the server's file"
        )
    clean, removed = deidentify(report)
    # In a thread, as the rules take seconds on the longest reports. They check the arguments as well.
    rules = await asyncio.to_thread(
        offline.recaption, clean, domain, stages, mode, finding, known, terminal=terminal, strict=False
    )
    known = tuple(known or find_domain(domain).known)
    question = Question(domain, stages, mode, finding, known, terminal)
    path = _cache_path(cache, clean, endpoint, question)
    plan = _cached(path)
    if plan is None:
        limits = Limits(timeout, attempts, backoff)
        plan = await _ask(report, clean, question, endpoint, limits)
        _keep(path, plan)
    where = "on this machine" if endpoint.is_loopback else "on another machine"
    notes = [f"the prompts are by the language model {endpoint.model} at the endpoint {endpoint.name}, {where}"]
    if removed:
        notes.append(f"taken out of the report before it was sent: {describe(removed)}")
    else:
        notes.append("the rules found no identifier to take out of the report before it was sent")
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


@dataclass(frozen=True)
class Limits:
    """Seconds for a request, requests at most, and seconds before the second of them."""

    timeout: float
    attempts: int
    backoff: float


async def _ask(report: str, clean: str, question: Question, endpoint: Endpoint, limits: Limits) -> Plan:
    """The plan of an answer, of the second one where the first makes none; ``clean``: what is sent of the report."""
    import openai  # here, as it takes seconds and the other engines do without

    # Its debug lines hold the messages, and OPENAI_LOG turns them on.
    for name in ("openai", "openai._base_client"):
        logging.getLogger(name).setLevel(logging.INFO)
    repair: list[dict[str, str]] = []
    key = endpoint.key()
    http = openai.DefaultAsyncHttpxClient(
        follow_redirects=False,  # the report goes where the operator said, and nowhere else
        trust_env=not endpoint.is_loopback,
    )

    async def only_ours(message: Any) -> None:
        # The package adds headers of the environment, a key or a house meant for another endpoint among them.
        for name in set(message.headers) - _HEADERS:
            del message.headers[name]
        if key:
            message.headers["Authorization"] = f"Bearer {key}"

    http.event_hooks = {"request": [only_ours]}
    async with openai.AsyncOpenAI(
        base_url=endpoint.url, api_key=key or "none", max_retries=0, timeout=limits.timeout, http_client=http
    ) as client:
        call = Call(client, endpoint, limits, report, key)
        for _ in range(2):
            completion = await _complete(call, question, clean, repair)
            plan, problems = read_answer(completion.text, question, clean)
            if plan is not None:
                return plan
            if completion.cut:  # as the next one would be
                raise AnswerError(
                    f"endpoint {endpoint.name!r}: its answer was cut off, at the most tokens that it may write; want a "
                    "higher limit there, or fewer stages"
                )
            wrong = "; ".join(problems[:MAX_PROBLEMS])
            repair = [
                {"role": "assistant", "content": completion.text[:MAX_ECHO] or "(nothing)"},
                {"role": "user", "content": f"That answer cannot be used. {wrong}. Answer again, with the whole JSON."},
            ]
    raise AnswerError(f"endpoint {endpoint.name!r}: its answer makes no plan, also after one repair: {wrong}")


@dataclass(frozen=True)
class Call:
    """What all requests of a question have in common; ``report`` and ``key`` are what no error may hold."""

    client: Any
    endpoint: Endpoint
    limits: Limits
    report: str
    key: str

    async def completion(self, request: dict[str, Any]) -> Completion:
        """The answer to a request. Raises CallError."""
        import openai

        for attempt in range(1, self.limits.attempts + 1):
            wait = self.limits.backoff * 2 ** (attempt - 1)
            said, named, unread, again = "", False, False, False
            try:
                # the package's own limit starts anew with every byte
                async with asyncio.timeout(self.limits.timeout):
                    response = await self.client.post(
                        "/chat/completions", cast_to=openai.HttpxBinaryResponseContent, body=request
                    )
                return read_completion(response.content)
            except CompletionError as error:
                failure, said, named = error.what, error.said, True
            except (TimeoutError, openai.APITimeoutError):
                failure = f"no answer within {self.limits.timeout:g} s"
            except openai.APIStatusError as error:
                status = error.status_code
                failure, again = (
                    f"refused with status {status}{_REASONS.get(status, '')}",
                    status == 429 or status >= 500,
                )
                said, unread = error_text(error.response.content), status in _UNREAD
                named = status not in (401, 403, 429)
                wait = max(wait, _retry_after(error.response.headers.get("retry-after")))
            except openai.APIConnectionError:
                failure, again = "cannot be reached or broke the connection off", True
            except openai.OpenAIError:
                failure = "answers, but not with a chat completion"
            format_refused = bool((named and _NAMES_FORMAT.search(said)) or (unread and _NAMES_NOTHING.fullmatch(said)))
            if not again or format_refused or attempt == self.limits.attempts:
                break
            await asyncio.sleep(wait)
        words = safe_words(said, self.report, self.key)
        tried = f", after {attempt} attempts" if attempt > 1 else ""
        message = f"endpoint {self.endpoint.name!r}: {failure}{tried}" + (f"; it says: {words}" if words else "")
        raise CallError(message, format_refused=format_refused)


async def _complete(call: Call, question: Question, report: str, repair: list[dict[str, str]]) -> Completion:
    """An answer by the schema; by words alone where the endpoint knows none, now or before in this process."""
    place = (call.endpoint.url, call.endpoint.model)
    system, user = instructions(question), user_message(report)

    def request(system: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}, *repair]
        return {"model": call.endpoint.model, "messages": messages}

    if place not in _without_format:
        try:
            return await call.completion(request(system) | {"response_format": response_format(question)})
        except CallError as error:
            if not error.format_refused:
                raise
    completion = await call.completion(request(system + answer_form(question)))
    _without_format.add(place)
    return completion


_HEADERS = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
_REASONS = dict.fromkeys((301, 302, 303, 307, 308), ": it sends the request elsewhere, where it does not go") | {
    400: ": it does not take the request",
    401: ": the key is wrong",
    403: ": the key may not use this model",
    404: ": no such address or model",
    429: ": too many requests, or no credit left",
}


def _retry_after(value: str | None) -> float:
    """Seconds, 0 where none are given as a number."""
    try:
        return min(max(float(value or 0), 0.0), MAX_WAIT)
    except ValueError:
        return 0.0


def _cache_path(cache: str | Path | None, report: str, endpoint: Endpoint, question: Question) -> Path | None:
    """The file of an answer, in a folder that is there; an OSError comes before the call is paid for."""
    if cache is None:
        return None
    folder = Path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"report": report, "url": endpoint.url, "model": endpoint.model, "schema": VERSION, **question.data()}
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return folder / f"{digest}.json"


def _cached(path: Path | None) -> Plan | None:
    if path is None:
        return None
    try:
        return Plan.from_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, PlanError):
        return None  # a damaged file is asked for anew and replaced


def _keep(path: Path | None, plan: Plan) -> None:
    """Written beside and moved into place, so that a reader never meets half a file."""
    if path is None:
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem[:16], suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(plan.to_json())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
