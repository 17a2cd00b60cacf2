"""fold: one form of every space, dash, quote, line end and letter."""

import unicodedata

import pytest
from mvgen.mvg.recaption.fold import fold, without_accents


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Dr.\u00a0Mu\u0308ller", "Dr. M\u00fcller"),
        ("\uff30\uff41\uff54\uff49\uff45\uff4e\uff54\uff1a\u3000\uff32\uff4f\uff53\uff45", "Patient: Rose"),
        ("Sm\u200bi\u00adth, O\u2019Neil, \u201cJo\u201d", 'Smith, O\'Neil, "Jo"'),
        ("2021\u201303\u201112, 3\u22124", "2021-03-12, 3-4"),
        ("a\r\nb\rc\u2028d\u0085e  \n\n\n\nf", "a\nb\nc\nd\ne\n\nf"),
        ("Name\t Rose      DOB", "Name\tRose\tDOB"),
        ("x\u0310\u0301 \u0661\u0662/\u0663", "x 12/3"),
        ("5\u00bd cm, 10\u2079/l, 4 cm\u00b2, \ufb01lm", "5 1/2 cm, 10^9/l, 4 cm2, film"),
        ("No\x00rm\x1bal", "Normal"),
    ],
)
def test_folded(text, folded):
    assert fold(text) == folded


def test_folding_twice_is_folding_once_and_places_stay():
    for c in map(chr, [*range(0x3400), *range(0xE000, 0x110000, 211)]):
        once = fold(f"a{c}b")
        assert fold(once) == once, hex(ord(c))
        assert len(without_accents(once).lower()) == len(once), hex(ord(c))


def test_accents_stay_where_they_are_letters():
    name = "Zo\u00eb \u0141\u00f3pez-Nguy\u1ec5n \u0160t\u011bp\u00e1n \u00d8rsted"
    assert fold(unicodedata.normalize("NFD", name)) == name
    assert without_accents(name) == "Zoe \u0141opez-Nguyen Stepan \u00d8rsted"
