"""Pydantic's validation with this project's errors: one line that names the field, what it got and what it wants.

    Domain = pydantic dataclass or model
    validate(Domain, tomllib.load(file), DomainError, "domain file hand.toml")
    -> DomainError: domain file hand.toml, finding 2, severity: got 1.5, want at most 1

A list item is counted from 1 and named in the singular. A ValueError of a model's own validator is taken word for word,
so it is written in the same form.
"""

import dataclasses
import re
import reprlib
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_WANTS = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "dataclass_type": "an object",
}
_SINGULAR = re.compile("(?<=x)es$|s$")
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxlong = _shown.maxother = 60


def validate(kind: type[T], data: object, error: type[Exception], name: str = "", *, quote: bool = True) -> T:
    """``data`` as a ``kind``.

    Args:
        kind: a pydantic model, a dataclass or any type that pydantic knows.
        data: what JSON or TOML gave.
        error: the class of the exception to raise.
        name: what the data are, in front of the field: a file, an entry.
        quote: whether the error may hold values of the data; False for secrets and texts of patients.

    Returns:
        The validated value.

    Raises:
        error: with the first problem. It has no context, as pydantic's own error holds all of the data.
    """
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as caught:
        message = problems(caught, kind, quote=quote)[0]
    raise error(f"{name}, {message}" if name else message)


def raises(error: type[Exception], *, quote: bool = True) -> Callable[[type[T]], type[T]]:
    """Class decorator: a constructor of pydantic raises our error with the first problem.

    Args:
        error: the class of the exception.
        quote: whether the error may hold values, as in `validate`.

    Returns:
        The decorator of a pydantic dataclass or model.

    Raises:
        error: by the constructor.
    """

    def wrap(kind: type[T]) -> type[T]:
        init = kind.__init__

        @wraps(init)
        def construct(self: T, *args: Any, **members: Any) -> None:
            try:
                init(self, *args, **members)
                return
            except ValidationError as caught:
                message = problems(caught, kind, quote=quote)[0]
            raise error(message)

        kind.__init__ = construct  # type: ignore[assignment, method-assign]
        return kind

    return wrap


def problems(error: ValidationError, kind: Any = None, *, quote: bool = True) -> list[str]:
    """The problems of a validation in words.

    Args:
        error: pydantic's.
        kind: what was validated, to list the fields that it knows.
        quote: whether a line may hold values, as in `validate`.

    Returns:
        A line each.
    """
    return [_line(item, kind, quote) for item in error.errors(include_url=False)]


def _line(item: Any, kind: Any, quote: bool) -> str:
    path, got, type_ = item["loc"], item["input"], item["type"]
    if path and isinstance(path[0], int) and path[0] < len(_fields(kind)):  # an argument given by its position
        path = (_fields(kind)[path[0]], *path[1:])
    if type_ in _UNKNOWN:
        path, unknown = path[:-1], f" {path[-1]!r}" if quote else ""
        message = f"got an unknown field{unknown}, want {', '.join(_fields(_at(kind, path))) or 'no such field'}"
    elif type_.startswith("missing"):
        message = "is missing"
    elif type_ == "value_error":
        message = str(item["ctx"]["error"])
    else:
        said = item["msg"].partition(" should ")[2].removeprefix("be ").removeprefix("have ")
        want = _WANTS[type_].format(**item.get("ctx", {})) if type_ in _WANTS else said or item["msg"]
        shown = type(got).__name__ if want in ("a list", "an object") else _value(got)
        message = f"got {shown}, want {want}" if quote else f"want {want}"
    where = _where(path)
    return f"{where}: {message}" if where else message


def _where(path: tuple[str | int, ...]) -> str:
    names: list[str] = []
    for part in path:
        if isinstance(part, int) and names:
            names[-1] = f"{_SINGULAR.sub('', names[-1])} {part + 1}"
        else:
            names.append(str(part))
    return ", ".join(names)


def _value(value: object) -> str:
    """A number or a short text itself, of anything larger only the type."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return _shown.repr(value) if plain else type(value).__name__


def _fields(kind: Any) -> tuple[str, ...]:
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return tuple(getattr(kind, "model_fields", ()))


def _at(kind: Any, path: tuple[str | int, ...]) -> Any:
    """The type that a path leads to, through fields, lists, tuples and mappings."""
    for part in path:
        if part in _fields(kind):
            members = getattr(kind, "__pydantic_fields__", {})
            kind = members[part].annotation if part in members else None
        else:
            kind = next((arg for arg in reversed(get_args(kind)) if arg not in (Ellipsis, type(None))), None)
    return kind
