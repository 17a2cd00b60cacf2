"""deidentify over a grammar of announced identifiers between sentences of reports, and over those sentences alone."""

import random
import re

from mvgen.mvg.recaption.deidentify import deidentify
from mvgen.tests.library.identifier_grammar import finding, identifier

COUNT = 2000


def test_announced_identifiers_go():
    rng, left = random.Random(20), []
    for _ in range(COUNT):
        before, (text, parts), after = finding(rng), identifier(rng), finding(rng)
        clean = deidentify(f"{before}\n{text}\n{after}")[0]
        assert clean.startswith(before) and clean.endswith(after), clean
        middle = re.sub(r"\[[a-z0-9 -]+\]", "[]", clean[len(before) : len(clean) - len(after)])
        over = [part for part in parts if re.search(rf"(?<!\w){re.escape(part)}(?!\w)", middle)]
        left += [(text, over)] if over else []
    assert len(left) <= 0.005 * COUNT, left


def test_findings_stay():
    rng = random.Random(21)
    changed = [(text, clean) for text in (finding(rng) for _ in range(COUNT)) if (clean := deidentify(text)[0]) != text]
    assert len(changed) <= 0.005 * COUNT, changed
