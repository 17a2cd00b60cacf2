"""What raters are shown: everything equally often, on both sides, and always the same to the same rater."""

from collections import Counter, defaultdict

import pytest
from mvgen.study import session
from mvgen.tests.library.study_films import unfilmed

METHODS = ["MVG", "Pika", "PixVerse", "CogVideoX"]
DOMAINS = ["chest_xray", "skin", "fundus"]


@pytest.mark.parametrize(("pairs", "raters"), [(None, 4), (18, 12), (25, 40)])
def test_pairs_and_sides_are_balanced(pairs, raters):
    study = unfilmed(METHODS, DOMAINS, 4, pairs=pairs, repeats=3, questionnaire=6)
    total, each = len(study.meetings()), pairs or len(study.meetings())
    assert total == 3 * 4 * 6
    shown, left, cells = Counter(), Counter(), Counter()
    for rater in range(1, raters + 1):
        own = [item for item in session.items(study, rater) if item.kind == "pair"]
        assert len(own) == each == len({frozenset((item.left, item.right)) for item in own})
        mine = Counter()
        for item in own:
            one, other = study.film(item.left), study.film(item.right)
            assert one.patient == other.patient and one.domain == other.domain and one.method != other.method
            shown[frozenset((item.left, item.right))] += 1
            left[one.method] += 1
            cells[one.domain, frozenset((one.method, other.method))] += 1
            mine[one.domain] += 1
        assert max(mine.values()) - min(mine.values()) <= 2
    assert len(shown) == min(total, each * raters) and max(shown.values()) - min(shown.values()) <= 1
    assert max(cells.values()) - min(cells.values()) <= 0.1 * sum(cells.values()) / len(cells) + 2
    assert all(abs(count / (each * raters / len(METHODS)) - 1) < 0.1 for count in left.values())


def test_a_pair_is_seen_from_both_sides():
    study = unfilmed(["MVG", "Pika"], ["skin"], 5)
    sides = defaultdict(Counter)
    for rater in range(1, 11):
        for item in session.items(study, rater):
            sides[frozenset((item.left, item.right))][item.left] += 1
    assert all(sorted(count.values()) == [5, 5] for count in sides.values())


def test_repeats_come_later_with_sides_swapped_and_checks_among_them():
    study = unfilmed(METHODS, ["skin"], 5, repeats=6, questionnaire=4, checked=True)
    for rater in range(1, 20):
        shown = session.items(study, rater)
        assert [item.kind for item in shown[:4]] == ["film"] * 4
        assert Counter(item.kind for item in shown) == {"film": 4, "pair": 30, "repeat": 6, "check": 1}
        for place, item in enumerate(shown):
            if item.kind == "repeat":
                seen = ("pair", item.right, item.left)
                first = next(n for n, other in enumerate(shown) if (other.kind, other.left, other.right) == seen)
                assert place - first >= 5
        assert shown == session.items(study, rater)
    assert session.items(study, 1) != session.items(study, 2)


def test_the_first_method_alone_meets_the_others():
    study = unfilmed(METHODS, ["skin"], 2, every_pair=False)
    assert all(one.method == "MVG" for one, _ in study.meetings()) and len(study.meetings()) == 6
