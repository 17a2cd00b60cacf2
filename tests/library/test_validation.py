"""validation.py: pydantic's problems as one line with the field, what it got and what it wants."""

from typing import Annotated

import pytest
from mvgen.mvg.validation import raises, validate
from pydantic import BaseModel, ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass


class FileError(ValueError):
    pass


class Finding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1)]
    severity: Annotated[float, Strict(), Field(ge=0, le=1)] = 0.5
    synonyms: list[str] = []


class File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    color: bool = False
    findings: list[Finding]
    regions: dict[str, Finding] = {}


GOOD = {"name": "joint space narrowing"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "hand.toml, findings: is missing"),
        ([], "hand.toml, got list, want an object"),
        ({"findings": GOOD}, "hand.toml, findings: got dict, want a list"),
        ({"findings": [GOOD, {"name": 3}]}, "hand.toml, finding 2, name: got 3, want text"),
        ({"findings": [{"name": ""}]}, "hand.toml, finding 1, name: got '', want at least 1 character"),
        ({"findings": [{**GOOD, "severity": 1.5}]}, "hand.toml, finding 1, severity: got 1.5, want at most 1"),
        ({"findings": [{**GOOD, "synonyms": ["a", None]}]}, "hand.toml, finding 1, synonym 2: got None, want text"),
        (
            {"findings": [{**GOOD, "grade": 1}]},
            "hand.toml, finding 1: got an unknown field 'grade', want name, severity, synonyms",
        ),
        (
            {"findings": [], "regions": {"base": {**GOOD, "of": 1}}},
            "hand.toml, regions, base: got an unknown field 'of', want name, severity, synonyms",
        ),
        ({"findings": [], "colour": 1}, "hand.toml, got an unknown field 'colour', want color, findings, regions"),
    ],
)
def test_the_first_problem_in_one_line(data, message):
    with pytest.raises(FileError) as caught:
        validate(File, data, FileError, "hand.toml")
    assert str(caught.value) == message and caught.value.__context__ is None


@pytest.mark.parametrize(
    "data", [{"findings": ["secret"]}, {"findings": [], "secret": 1}, {"findings": [{**GOOD, "severity": "secret"}]}]
)
def test_values_are_quoted_only_where_they_may_be(data):
    with pytest.raises(FileError) as caught:
        validate(File, data, FileError, quote=False)
    assert "secret" not in str(caught.value) and "want" in str(caught.value)


def test_a_constructor_raises_the_error_of_its_own():
    @raises(FileError)
    @dataclass(frozen=True)
    class Range:
        low: float
        high: Annotated[float, Field(le=1)] = 1

    assert Range(0.5) == Range(low=0.5, high=1)
    for make in (lambda: Range(0, 2), lambda: Range(0, high=2)):
        with pytest.raises(FileError, match=r"^high: got 2, want at most 1$"):
            make()


def test_a_huge_value_is_shown_short():
    for value in (10**400, "x" * 10_000):
        with pytest.raises(FileError) as caught:
            validate(Finding, {**GOOD, "severity": value}, FileError)
        assert len(str(caught.value)) < 120
