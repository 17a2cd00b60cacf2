"""What a rater is shown: balanced pairs in an order and on sides of their own, repeats, checks, single films."""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, TypeVar

from .manifest import Study

Kind = Literal["pair", "repeat", "check", "film"]
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One question: two files, or the one of the questionnaire with ``right`` empty."""

    kind: Kind
    left: str
    right: str = ""

    def file(self, side: str) -> str | None:
        """The file of a side, None where there is none."""
        return {"left": self.left, "right": self.right}.get(side) or None


def items(study: Study, rater: int) -> list[Item]:
    """The questions of a rater, always the same.

    Pairs are dealt round from one interleaved list of all, so that after any number of raters each domain, pair of
    methods and patient was shown about equally often, and with each method on the left as often as on the right.

    Args:
        study: The study.
        rater: Their number, from 1.

    Returns:
        The single films, before pairs tell the finding; then pairs with repeats and checks among them.
    """
    own = random.Random(f"{study.seed} rater {rater}")
    pairs = _dealt(study, rater)
    own.shuffle(pairs)
    shown = _with_repeats(pairs, study.repeats, own)
    for n, check in enumerate(study.checks, start=1):
        sides = [check.film, check.broken]
        own.shuffle(sides)
        shown.insert(round(n * len(shown) / (len(study.checks) + 1)) + own.randint(0, 1), Item("check", *sides))
    films = interleaved(study.films, lambda film: (film.domain, film.method), random.Random(f"{study.seed} films"))
    single = [films[n % len(films)] for n in _hand(study.questionnaire, rater)]
    own.shuffle(single)
    return [Item("film", film.file) for film in single] + shown


def _hand(count: int, rater: int) -> range:
    return range((rater - 1) * count, rater * count)


def _dealt(study: Study, rater: int) -> list[Item]:
    """The rater's pairs. On each way through all of them every pair has its sides swapped."""
    meetings = interleaved(
        study.meetings(),
        lambda pair: (pair[0].domain, pair[0].method, pair[1].method),
        random.Random(f"{study.seed} pairs"),
    )
    side: dict[Hashable, int] = defaultdict(int)
    swapped = []
    for one, other in meetings:  # within a domain and pair of methods every second one begins swapped
        cell = one.domain, one.method, other.method
        swapped.append(side[cell] % 2)
        side[cell] += 1
    dealt = []
    for n in _hand(study.pairs or len(meetings), rater):
        turn, place = divmod(n, len(meetings))
        one, other = meetings[place]
        if (turn + swapped[place]) % 2:
            one, other = other, one
        dealt.append(Item("pair", one.file, other.file))
    return dealt


def interleaved(entries: list[T], cell: Callable[[T], tuple[str, ...]], chance: random.Random) -> list[T]:
    """Entries in an order in which every cell comes round evenly.

    Args:
        entries: In any order.
        cell: What an entry counts for, its domain first: cells that follow each other are of different domains.
        chance: Orders the entries of a cell, and the cells.

    Returns:
        All entries.
    """
    domains: dict[str, dict[tuple[str, ...], list[T]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        domains[cell(entry)[0]][cell(entry)].append(entry)
    columns = [list(cells.values()) for cells in domains.values()]
    for column in columns:
        chance.shuffle(column)
    cells = [members for row in zip_longest(*columns) for members in row if members]
    placed = []
    for offset, members in enumerate(cells):
        chance.shuffle(members)
        placed += [((n + offset / len(cells)) / len(members), offset, member) for n, member in enumerate(members)]
    return [member for _, _, member in sorted(placed, key=lambda place: place[:2])]


def _with_repeats(pairs: list[Item], count: int, own: random.Random) -> list[Item]:
    """Pairs of the first half come once more in the second, sides swapped, as far behind as goes."""
    again = [Item("repeat", pair.right, pair.left) for pair in own.sample(pairs[: max(count, len(pairs) // 2)], count)]
    shown = list(pairs)
    for repeat in again:
        first = next(n for n, item in enumerate(shown) if (item.left, item.right) == (repeat.right, repeat.left))
        shown.insert(own.randint(max(first + 1, (first + len(shown)) // 2), len(shown)), repeat)
    return shown
