"""The addresses of language models that a server may call: a JSON file of its operator, never a workflow."""

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TEXTS = ("url", "model", "key_env")
FIELDS = (*TEXTS, "any_language")
# In capitals only: a key pasted here by mistake is refused, and not quoted.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_NAME = re.compile(r"[\w.-](?:[\w .-]{0,62}[\w.-])?")


class EndpointError(ValueError):
    """An endpoint that cannot be used; the message names the endpoint and the field, and quotes no address or key."""


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible address.

    url: its base, ending before /chat/completions; https, or http on this machine. model: the name sent along.
    key_env: the environment variable that holds the key; "" sends none, which only this machine may do.
    any_language: whether another machine may get reports that are not in English, whose names and dates the rules may
    not know; this machine may.
    Raises EndpointError naming the field.
    """

    name: str
    url: str
    model: str
    key_env: str = ""
    any_language: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise EndpointError("endpoint, name: want 1 to 64 letters, digits, spaces, dots or dashes")
        for field in TEXTS:
            if not isinstance(getattr(self, field), str):
                raise self._error(field, f"got {type(getattr(self, field)).__name__}, want text")
        if not isinstance(self.any_language, bool):
            raise self._error("any_language", f"got {type(self.any_language).__name__}, want true or false")
        if not self.model.strip():
            raise self._error("model", "got an empty text, want the name of a model")
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            parts, host = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not host:
            raise self._error("url", "want an address like https://HOST/v1")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise self._error("url", "want an address without user, password, query or fragment")
        if self.key_env and not _VARIABLE.fullmatch(self.key_env):
            raise self._error("key_env", "want the name of an environment variable in capitals, not a key")
        if not self.is_loopback:
            if parts.scheme != "https":
                raise self._error("url", "want https for an address that is not this machine")
            if not self.key_env:
                raise self._error("key_env", "is missing; only an address on this machine may go without a key")

    def _error(self, field: str, message: str) -> EndpointError:
        return EndpointError(f"endpoint {self.name!r}, {field}: {message}")

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def key(self) -> str:
        """The key, read from the environment now and kept nowhere; "" without key_env. EndpointError if unset."""
        if not self.key_env:
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise self._error("key_env", f"the environment variable {self.key_env} is not set on the server")
        if not key.isascii() or not key.isprintable():
            raise self._error("key_env", f"the environment variable {self.key_env} holds no usable key")
        return key


def load_endpoints(path: str | Path) -> dict[str, Endpoint]:
    """name -> endpoint, of a JSON file ``{name: {"url": ..., "model": ..., "key_env": ...}}``, in its order.

    A file that is not there names no endpoints. Raises EndpointError for one that cannot be read or that holds anything
    else, a key above all.
    """
    path = Path(path)
    problem = ""
    data: object = None
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = error.strerror or "not readable"
    except (ValueError, RecursionError):
        problem = "not readable as JSON"
    if problem:  # raised out here, as the error of the parser holds the whole text
        raise EndpointError(f"endpoints file {path.name}: {problem}")
    if not isinstance(data, dict):
        raise EndpointError(f"endpoints file {path.name}: got {type(data).__name__}, want an object of endpoints")
    out = {}
    for name, item in data.items():
        if not isinstance(item, dict):
            raise EndpointError(f"endpoint {name!r}: got {type(item).__name__}, want an object")
        if set(item) - set(FIELDS):
            raise EndpointError(
                f"endpoint {name!r}: has an unknown field, want {', '.join(FIELDS)}; a key is not written in the file, "
                "key_env names the environment variable that holds it"
            )
        if missing := [field for field in ("url", "model") if field not in item]:
            raise EndpointError(f"endpoint {name!r}: the field {missing[0]!r} is missing")
        out[name] = Endpoint(name, **item)
    return out


def pick_endpoint(endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """The endpoint of a name; EndpointError names those there are."""
    if name not in endpoints:
        there = ", ".join(endpoints) or "none: the endpoints file names none"
        raise EndpointError(f"endpoint: got {str(name)[:80]!r}, want one of {there}")
    return endpoints[name]
