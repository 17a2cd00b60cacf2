"""The body of a chat completion: the text of the answer wherever a server puts it, or why there is none."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 6
_STREAM = ("data:", "event:", "id:", ":")
_CUT = {"length", "max_tokens", "model_length"}
_FILTERED = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "refusal", "sensitive"}
_THOUGHT = {"thinking", "redacted_thinking", "reasoning", "refusal"}


class CompletionError(RuntimeError):
    """A body without an answer.

    Attributes:
        what: what the body is, in our words.
        said: the server's words, as they came; they may repeat the request.
    """

    def __init__(self, what: str, said: str = "") -> None:
        super().__init__(what)
        self.what, self.said = what, said


@dataclass(frozen=True)
class Completion:
    """The text of an answer, "" for none, and whether the server cut it off at its limit of tokens."""

    text: str
    cut: bool


def read_completion(body: bytes) -> Completion:
    """The answer in the body of a response.

    Args:
        body: what came with status 200.

    Returns:
        The text of the first choice that has one: its content, or the parts of it, with the arguments of its tool
        calls; where all of these are blank and nothing was cut off, what stands as its reasoning.

    Raises:
        CompletionError: for an error, a refusal, no choice, a stream, a web page or anything else.
    """
    data = _json(body)
    for name in ("result", "data", "response"):  # gateways put the completion into an envelope
        if "choices" not in data and isinstance(data.get(name), dict) and "choices" in data[name]:
            data = data[name]
    choices = data.get("choices")
    if choices is None and isinstance(data.get("message"), dict):
        choices = [data]
    error = data.get("error") or (
        data.get("errors") or data.get("detail") or data.get("message") if not choices else ""
    )
    if error:
        raise CompletionError("answers with an error", error_text(error))
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise CompletionError("answers, but not with a chat completion")
    if not choices:
        raise CompletionError("answers without a choice; its model wrote nothing")
    found = [_choice(choice) for choice in choices]
    return next((completion for completion in found if completion.text), found[0])


def error_text(error: object, depth: int = 0) -> str:
    """The message of an error, whatever it is wrapped in.

    Args:
        error: the body of an answer, or a part of it.
        depth: how deep that part lies.

    Returns:
        The message, "" where there is none.
    """
    if isinstance(error, bytes):
        text = error.decode("utf-8", "replace")
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text[:2000], flags=re.DOTALL | re.IGNORECASE)
        return error_text(data)
    if isinstance(error, str):
        return error
    if depth > MAX_DEPTH:
        return ""
    if isinstance(error, dict):
        named = [
            error[name] for name in ("error", "errors", "message", "msg", "detail", "loc", "code") if error.get(name)
        ]
        return " ".join(filter(None, (error_text(value, depth + 1) for value in named)))
    if isinstance(error, list):
        return " ".join(filter(None, (error_text(item, depth + 1) for item in error[:10])))
    return str(error) if isinstance(error, int) and not isinstance(error, bool) else ""


def _json(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    else:
        data = data[0] if isinstance(data, list) and len(data) == 1 else data
        if not isinstance(data, dict):
            raise CompletionError("answers, but not with a chat completion")
        return data
    what = "answers, but not with JSON"
    if text.startswith(_STREAM):
        what = "answers with a stream, which was not asked for"
    elif text.startswith("<"):
        what = "answers with a web page, as a proxy or a login does"
    raise CompletionError(what, error_text(text[:2000].encode()))


def _choice(choice: dict[str, Any]) -> Completion:
    message = choice.get("message") or choice.get("delta") or {}
    if not isinstance(message, dict):
        message = {"content": message}
    reason = str(choice.get("finish_reason") or choice.get("done_reason") or "").casefold()
    if choice.get("error") or reason == "error":
        raise CompletionError("answers with an error", error_text(choice.get("error")))
    if reason in _FILTERED - {"refusal"}:
        raise CompletionError("withheld the answer, by its content filter", error_text(message.get("refusal")))
    final = [text for text in _final(choice, message) if text.strip()]
    refusal = message.get("refusal") or _refusal_part(message.get("content"))
    if (refusal or reason == "refusal") and not any("stages" in text.casefold() for text in final):
        raise CompletionError("declined to answer", error_text(refusal) or " ".join(final))
    if final:
        return Completion("\n".join(final), reason in _CUT)
    names = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
    thoughts = (_text(message.get(name), thoughts=True) for name in names)
    thought = "" if reason in _CUT else next((text for text in thoughts if text.strip()), "")
    return Completion(thought, reason in _CUT)


def _final(choice: dict[str, Any], message: dict[str, Any]) -> Iterator[str]:
    """What a model wrote as its answer, the tool that it called last."""
    yield _text(message.get("content"))
    yield _text(choice.get("text"))
    yield _text(message.get("parsed"))
    calls = message.get("tool_calls") or []
    for call in [message.get("function_call"), *(calls if isinstance(calls, list) else [calls])]:
        if isinstance(call, dict):
            function = call.get("function")
            yield _text((function if isinstance(function, dict) else call).get("arguments"))


def _text(content: object, *, thoughts: bool = False, depth: int = 0) -> str:
    """The text of a content: itself, its parts one after the other, or an answer that is no text as JSON."""
    if isinstance(content, str):
        return content
    if depth > MAX_DEPTH:
        return ""
    if isinstance(content, list):
        return "".join(_text(part, thoughts=thoughts, depth=depth + 1) for part in content)
    if not isinstance(content, dict) or (content.get("type") in _THOUGHT and not thoughts):
        return ""
    for name in ("text", "content", "value", "thinking", "summary", "input", "json"):
        if content.get(name) and "stages" not in content:
            return _text(content[name], thoughts=thoughts, depth=depth + 1)
    return json.dumps(content) if "type" not in content else ""


def _refusal_part(content: object) -> str:
    parts = content if isinstance(content, list) else []
    return next((error_text(p.get("refusal")) for p in parts if isinstance(p, dict) and p.get("type") == "refusal"), "")
