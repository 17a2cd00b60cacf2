"""The JSON objects with stages in what a language model wrote: within whatever it put round them."""

import json
import re
from collections.abc import Iterator
from typing import Any

MAX_TEXT = 100_000  # characters
MAX_TRIES = 1000  # braces that begin no JSON
MAX_DEPTH = 5
_THOUGHTS_END = re.compile(
    r"</(?:think|thinking|thought|thoughts|reasoning|reflection|analysis)>|<\|channel\|>final<\|message\|>",
    re.IGNORECASE,
)
_STRING = r'"(?:[^"\\]|\\.)*(?:"|\Z)'  # to the end of the text where it is not closed, so that no text takes long
_TRAILING_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)
_SINGLE_QUOTED = re.compile(rf"({_STRING})|(?<=[\s{{\[:,])'((?:[^'\"\\\n]|\\.)*)'(?=\s*[:,}}\]])", re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)  # line breaks within strings


def plan_objects(text: str) -> list[dict[str, Any]]:
    """The objects with a list of stages, the likeliest answer first.

    Args:
        text: what a model wrote. Over 100,000 characters hold nothing.

    Returns:
        Objects whose names, and those of their stages, are in lower case. The last of a text comes first, as models
        think aloud before they answer; what stands before the end of thoughts counts only where nothing follows it.
        Trailing commas and single quotes are read where nothing is plain JSON, and where they leave no doubt.
    """
    if len(text) > MAX_TEXT:
        return []
    ends = list(_THOUGHTS_END.finditer(text))
    if ends and text[ends[-1].end() :].strip():
        text = text[ends[-1].end() :]
    found = list(_objects(text))
    if not any(item["stages"] for item in found):
        found = list(_objects(_plain(text[text.find("{") :]))) or found
    return found[::-1]


def _objects(text: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    if text.lstrip().startswith('"'):
        try:
            written = json.loads(text)
        except (ValueError, RecursionError):
            written = None
        if isinstance(written, str) and depth < MAX_DEPTH:
            text, depth = written, depth + 1
    at, tries = text.find("{"), 0
    while at >= 0 and tries < MAX_TRIES:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            end, tries = at + 1, tries + 1
        else:
            yield from _unwrap(value, depth)
        at = text.find("{", end)


def _unwrap(value: object, depth: int) -> Iterator[dict[str, Any]]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        if "stages" in value.casefold():
            yield from _objects(value, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _unwrap(item, depth + 1)
    elif isinstance(value, dict):
        members = _lower_names(value)
        if isinstance(members.get("stages"), list):
            yield {**members, "stages": [_lower_names(s) if isinstance(s, dict) else s for s in members["stages"]]}
        else:
            side = {"side": members["side"]} if "side" in members else {}
            for item in value.values():
                yield from ({**side, **found} for found in _unwrap(item, depth + 1))


def _lower_names(value: dict[str, Any]) -> dict[str, Any]:
    return {name.strip().casefold(): item for name, item in value.items()}


def _plain(text: str) -> str:
    """JSON with double quotes and without trailing commas; a quote within a text leaves it as it is, and no JSON."""

    def quoted(match: re.Match[str]) -> str:
        return match[1] or json.dumps(match[2].replace("\\'", "'"))

    return _TRAILING_COMMA.sub(lambda match: match[1] or "", _SINGLE_QUOTED.sub(quoted, text))
