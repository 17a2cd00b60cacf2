"""One answer of an OpenAI-compatible endpoint: the request with its retries, by words where a schema is refused.

Neither the key nor the report is in any error or log line. Errors of the package hold the whole request, so ours are
raised outside of its except blocks, with no trace of them.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .completion import Completion, CompletionError, error_text, read_completion
from .endpoints import Endpoint
from .question import Question, answer_form, instructions, response_format, user_message
from .server_words import safe_words

MAX_WAIT = 60.0  # seconds that an endpoint's Retry-After is heeded for
_HEADERS = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
_REASONS = dict.fromkeys((301, 302, 303, 307, 308), ": it sends the request elsewhere, where it does not go") | {
    400: ": it does not take the request",
    401: ": the key is wrong",
    403: ": the key may not use this model",
    404: ": no such address or model",
    429: ": too many requests, or no credit left",
}
_NAMES_FORMAT = re.compile(r"response.?format|json.?schema|guided.?json|grammar|structured.?output", re.IGNORECASE)
_NAMES_NO_CAUSE = re.compile(
    r"(?:bad request|unprocessable(?: entity| content)?|not implemented|unsupported media type)?[\W\d]*"
    r"|.*\b(?:(?:unknown|unsupported|unrecogni[sz]ed|unexpected|extra|additional|invalid) (?:\w+ )?"
    r"(?:field|parameter|argument|input|propert|request|type|format)|not supported|not permitted).*",
    re.IGNORECASE | re.DOTALL,
)
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


@dataclass(frozen=True)
class Limits:
    """How long to wait and how often to ask.

    Attributes:
        timeout: seconds for one whole request.
        attempts: requests at most for one answer.
        backoff: seconds before the second request; they double each time.
    """

    timeout: float
    attempts: int
    backoff: float


@dataclass(frozen=True)
class Chat:
    """A connection to an endpoint; ``report`` and ``key`` are what no error may hold."""

    client: Any  # openai.AsyncOpenAI
    endpoint: Endpoint
    limits: Limits
    report: str
    key: str

    async def ask(self, question: Question, clean: str, repair: list[dict[str, str]]) -> Completion:
        """The answer to a question.

        Args:
            question: what is asked.
            clean: the report as it is sent.
            repair: an earlier answer and what was wrong with it, as messages.

        Returns:
            The answer, asked for by a schema, or by words alone where the endpoint refuses that, now or before in this
            process.

        Raises:
            CallError: for none.
        """
        place = (self.endpoint.url, self.endpoint.model)
        system, user = instructions(question), user_message(clean)

        def request(system: str) -> dict[str, Any]:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}, *repair]
            return {"model": self.endpoint.model, "messages": messages}

        if place not in _without_format:
            try:
                return await self._post(request(system) | {"response_format": response_format(question)})
            except CallError as error:
                if not error.format_refused:
                    raise
        completion = await self._post(request(system + answer_form(question)))
        _without_format.add(place)
        return completion

    async def _post(self, request: dict[str, Any]) -> Completion:
        import openai

        for attempt in range(1, self.limits.attempts + 1):
            wait = self.limits.backoff * 2 ** (attempt - 1)
            said, format_refused, again = "", False, False
            try:
                # the package's own limit starts anew with every byte
                async with asyncio.timeout(self.limits.timeout):
                    response = await self.client.post(
                        "/chat/completions", cast_to=openai.HttpxBinaryResponseContent, body=request
                    )
                return read_completion(response.content)
            except CompletionError as error:
                failure, said = error.what, error.said
                format_refused = bool(_NAMES_FORMAT.search(said))
            except (TimeoutError, openai.APITimeoutError):
                failure = f"no answer within {self.limits.timeout:g} s"
            except openai.APIStatusError as error:
                status, said = error.status_code, error_text(error.response.content)
                failure, again = (
                    f"refused with status {status}{_REASONS.get(status, '')}",
                    status == 429 or status >= 500,
                )
                format_refused = _refuses_format(status, said)
                wait = max(wait, _retry_after(error.response.headers.get("retry-after")))
            except openai.APIConnectionError:
                failure, again = "cannot be reached or broke the connection off", True
            except openai.OpenAIError:
                failure = "answers, but not with a chat completion"
            if not again or format_refused or attempt == self.limits.attempts:
                break
            await asyncio.sleep(wait)
        words = safe_words(said, self.report, self.key)
        tried = f", after {attempt} attempts" if attempt > 1 else ""
        message = f"endpoint {self.endpoint.name!r}: {failure}{tried}" + (f"; it says: {words}" if words else "")
        raise CallError(message, format_refused=format_refused)


@asynccontextmanager
async def connect(endpoint: Endpoint, limits: Limits, report: str) -> AsyncIterator[Chat]:
    """A chat with an endpoint, closed at the end.

    Args:
        endpoint: whom to ask.
        limits: how long and how often.
        report: as the user gave it, which no error may hold.

    Yields:
        The chat.

    Raises:
        EndpointError: where the key is not set.
    """
    import openai  # here, as it takes seconds and the other engines do without

    # Its debug lines hold the messages, and OPENAI_LOG turns them on.
    for name in ("openai", "openai._base_client"):
        logging.getLogger(name).setLevel(logging.INFO)
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
        yield Chat(client, endpoint, limits, report, key)


def _refuses_format(status: int, said: str) -> bool:
    """Whether a status is about ``response_format``: it is named, or no other cause of a request not understood."""
    if status in (401, 403, 429):
        return False
    return bool(_NAMES_FORMAT.search(said) or (status in (400, 415, 422, 501) and _NAMES_NO_CAUSE.fullmatch(said)))


def _retry_after(value: str | None) -> float:
    """Seconds, 0 where none are given as a number."""
    try:
        return min(max(float(value or 0), 0.0), MAX_WAIT)
    except ValueError:
        return 0.0
