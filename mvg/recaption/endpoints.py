"""The addresses of language models that a server may call: a JSON file of its operator, never a workflow."""

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Strict, model_validator
from pydantic.dataclasses import dataclass

from ..validation import raises, validate

# In capitals only: a key pasted here by mistake is refused, and not quoted.
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_NAME = re.compile(r"[\w.-](?:[\w .-]{0,62}[\w.-])?")


class EndpointError(ValueError):
    """An endpoint that cannot be used; the message names the endpoint and the field, and quotes no address or key."""


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("want 1 to 64 letters, digits, spaces, dots or dashes")
    return name


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise ValueError("want an address like https://HOST/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("want an address without user, password, query or fragment")
    return url


def _model(model: str) -> str:
    if not model.strip():
        raise ValueError("got an empty text, want the name of a model")
    return model


def _variable(name: str) -> str:
    if name and not _VARIABLE.fullmatch(name):
        raise ValueError("want the name of an environment variable in capitals, not a key")
    return name


@raises(EndpointError, quote=False)
@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Endpoint:
    """An OpenAI-compatible address.

    Attributes:
        name: what workflows call it.
        url: its base, ending before /chat/completions; https, or http on this machine.
        model: the name sent along.
        key_env: the environment variable that holds the key; "" sends none, which only this machine may do.
        any_language: whether another machine may get reports that are not in English, whose names and dates the rules
            may not know; this machine may.
        leaves_this_machine: whether the operator allows an address on another machine at all.

    Raises:
        EndpointError: naming the field.
    """

    name: Annotated[str, Strict(), AfterValidator(_named)]
    url: Annotated[str, Strict(), AfterValidator(_address)]
    model: Annotated[str, Strict(), AfterValidator(_model)]
    key_env: Annotated[str, Strict(), AfterValidator(_variable)] = ""
    any_language: Annotated[bool, Strict()] = False
    leaves_this_machine: Annotated[bool, Strict()] = False

    @model_validator(mode="after")
    def _check_other_machine(self) -> "Endpoint":
        if self.is_loopback:
            return self
        if not self.leaves_this_machine:
            raise ValueError(
                'url: is not on this machine; where reports may be sent there, want "leaves_this_machine": true in the '
                "endpoints file"
            )
        if urlsplit(self.url).scheme != "https":
            raise ValueError("url: want https for an address that is not this machine")
        if not self.key_env:
            raise ValueError("key_env: is missing; only an address on this machine may go without a key")
        return self

    def _error(self, field: str, message: str) -> EndpointError:
        return EndpointError(f"endpoint {self.name!r}, {field}: {message}")

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine: 127.0.0.0/8, ::1 or localhost, and no other name that leads here."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def key(self) -> str:
        """The key, read from the environment now and kept nowhere.

        Returns:
            The key; "" without key_env.

        Raises:
            EndpointError: where the variable is not set or holds no usable key.
        """
        if not self.key_env:
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise self._error("key_env", f"the environment variable {self.key_env} is not set on the server")
        if not key.isascii() or not key.isprintable():
            raise self._error("key_env", f"the environment variable {self.key_env} holds no usable key")
        return key


def load_endpoints(path: str | Path) -> dict[str, Endpoint]:
    """The endpoints of the operator's file.

    Args:
        path: a JSON file ``{name: {"url": ..., "model": ..., "key_env": ...}}`` with the fields of `Endpoint`. One that
            is not there names no endpoints.

    Returns:
        name -> endpoint, in the file's order.

    Raises:
        EndpointError: for a file that cannot be read or that holds anything else, a key above all.
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
    return {name: _endpoint(name, item) for name, item in data.items()}


def _endpoint(name: str, item: object) -> Endpoint:
    where = f"endpoint {name!r}"
    if not isinstance(item, dict):
        raise EndpointError(f"{where}: got {type(item).__name__}, want an object")
    if set(item) & {"key", "api_key", "apikey", "token"}:
        raise EndpointError(f"{where}: a key is not written in the file; key_env names the variable that holds it")
    return validate(Endpoint, {**item, "name": name}, EndpointError, where, quote=False)


def pick_endpoint(endpoints: Mapping[str, Endpoint], name: str) -> Endpoint:
    """The endpoint of a name.

    Args:
        endpoints: those of `load_endpoints`.
        name: the one wanted.

    Returns:
        The endpoint.

    Raises:
        EndpointError: for another name; it names those there are.
    """
    if name not in endpoints:
        there = ", ".join(endpoints) or "none: the endpoints file names none"
        raise EndpointError(f"endpoint: got {str(name)[:80]!r}, want one of {there}")
    return endpoints[name]
