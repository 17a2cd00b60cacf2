"""The rules on 100,000 characters that were made to be slow: a second of the processor for each, whatever they are."""

import contextlib
import time

import pytest
from mvgen.mvg.recaption.deidentify import deidentify
from mvgen.mvg.recaption.english import is_english
from mvgen.mvg.recaption.offline import recaption

LENGTH = 100_000
SECONDS = 2.0  # a second on a free machine; tests share theirs
# fmt: off
UNITS = (
    "a", "A", "Aa ", "x. ", "1", "1 ", "1.", "1/", "12:", " \n", "-", "'", "(", "[5", "* ", "# ", "_", "A^", "a\n",
    "\u00a0", "\u2014", "\u00bd", "\u0315\u0300", "\u200b", "\u4e2d", "\ufdfa", "\u3340", "\u00e9", "\u0130",
    "Dr. ", "DR A ", "Mr. A. ", "no ", "no, ", "not only ", "no change in ", "A. ", "Smith, ", "a@", "a@a.", "history ",
    "past ", "clinical history ", "Dr ", "effusion ", "effusion and ", "left ", "read by ", "dictated by: ",
    "patient: ", "Patient: A ", "patient name\t", "findings: ", "findings***",
    "MRN: A", "id no ", "12 Elm Close, ", "May 1", "12/03/",
    "12 / 03 / ", "2021-", "20210312T", "(555) ", "+1 ", "http://", "www.a.", "ninety ", "heart size is ", "van der ",
    "O'", "A, MD", "can not be ", "rule out ", "there is ", "Ward: ", "lives in A", "blunting of the ", "1 or 2 ",
)
# fmt: on


@pytest.mark.parametrize("unit", UNITS)
def test_a_second_whatever_the_text(unit):
    text = (unit * LENGTH)[:LENGTH]
    for read in (deidentify, is_english, lambda t: recaption(t, "chest_xray", 6, strict=False)):
        start = time.process_time()
        with contextlib.suppress(ValueError):  # refused by name
            read(text)
        assert time.process_time() - start < SECONDS
