"""Reports of every kind that was once read wrongly, and a grammar's reports whose truth is known.

report_kinds.json holds sentences with the values a reader of such reports gives: [status, severity, side] of each
finding, null where any will do; "not present" is denied or not mentioned. They were written before the rules read them.
"""

import json
from pathlib import Path

import pytest
from mvgen.mvg.recaption.offline import read_report, recaption
from mvgen.research.bench import recaption_grammar as grammar

KINDS = json.loads(Path(__file__).with_name("report_kinds.json").read_text(encoding="utf-8"))


def agrees(observed, wanted):
    status, *more = wanted
    if status == "not present":
        return observed is None or observed.status == "absent"
    if observed is None or observed.status != status:
        return False
    read = (observed.severity, observed.side)
    return all(right is None or value == right for value, right in zip(read, more, strict=False))


def spoken_of(domain):
    """The findings of a domain that any of the lists has a value of."""
    return {name for kind in KINDS if kind["domain"] == domain for _, wanted in kind["sentences"] for name in wanted}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['domain']}: {kind['kind']}")
def test_sentences_of_a_kind(kind):
    for text, wanted in kind["sentences"]:
        found = read_report(text, kind["domain"])
        assert all(agrees(found.get(name), value) for name, value in wanted.items()), (text, found)
        extra = {name for name, o in found.items() if o.status != "absent"} - set(wanted)
        assert not extra & spoken_of(kind["domain"]), (text, found)


def test_reports_of_a_grammar():
    examples = list(grammar.generate(1500, seed=7))
    wrong = [(e.text, read) for e in examples if (read := grammar.mistakes(e))]
    assert len(wrong) <= 0.01 * len(examples), wrong


def test_a_denial_of_which_only_a_comma_tells_is_said():
    plan = recaption("No effusion, cardiomegaly.", "chest_xray", 1, strict=False)
    assert any("cardiomegaly" in note and "unclear" in note for note in plan.notes)
    assert not recaption("No effusion or cardiomegaly.", "chest_xray", 1).notes[1:]
