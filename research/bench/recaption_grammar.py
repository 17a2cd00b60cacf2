"""How the offline engine reads reports whose truth is known: ``run.py bench recaption_grammar``.

The reports are those of `report_grammar`. Prints the share that is read wrongly, by kind, and the wrong ones.
"""

import argparse
from collections import Counter

from ...mvg.recaption.offline import Observation, read_report
from .report_grammar import ABSENT, NAMES, POSSIBLE, PRESENT, UNSAID, Example, generate


def mistakes(example: Example) -> dict[str, Observation | None]:
    """finding -> what was read of it, of those whose value is not the right one, or which the report does not name."""
    found = read_report(example.text, example.domain)
    spoken_of = {name.finding for name in NAMES[example.domain]} - set(example.values)
    wrong: dict[str, Observation | None] = {
        name: o for name, o in found.items() if name in spoken_of and o.status in (PRESENT, POSSIBLE)
    }
    for name, value in example.values.items():
        o = found.get(name)
        if value.status == UNSAID:
            right = o is None or o.status == ABSENT
        else:
            right = o is not None and o.status == value.status
            right = right and (value.severity is None or value.severity == o.severity)  # type: ignore[union-attr]
            right = right and (value.side is None or value.side == o.side)  # type: ignore[union-attr]
        if not right:
            wrong[name] = o
    return wrong


def main() -> None:
    """Print the share of reports that are read wrongly, by kind, and the wrong ones."""
    parser = argparse.ArgumentParser(prog="run.py bench recaption_grammar", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="how many reports")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of templates and words")
    parser.add_argument("--show", type=int, default=100, help="how many of the wrong ones are printed")
    options = parser.parse_args()
    examples = list(generate(options.count, options.seed))
    wrong = [(e, m) for e in examples if (m := mistakes(e))]
    for example, read in wrong[: options.show]:
        print(f"{example.kind}: {example.text!r}")
        for name, o in read.items():
            got = f"{o.status} {o.severity} {o.side}" if o else "nothing"
            print(f"    {name}: read {got}, right {example.values.get(name, 'not named')}")
    of, bad = (Counter(e.kind for e in some) for some in (examples, [e for e, _ in wrong]))
    for kind in of:
        print(f"{kind:<12}{bad[kind]:>6} of {of[kind]:>6} wrong")
    print(f"{'all':<12}{len(wrong):>6} of {len(examples):>6} wrong ({len(wrong) / len(examples):.2%})")


if __name__ == "__main__":
    main()
