"""Seeds of a row: "1 2 3", "1-5", or both; and what they can change."""

import re
from collections.abc import Iterable, Mapping

from .workflow import Slot, Value, Workflow

MAX_SEED = 2**64 - 1
MAX_COUNT = 10_000
DEFAULT = (0,)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Reads a cell.

    Args:
        text: Whole numbers and ranges, parted by blanks, commas or semicolons.

    Returns:
        The seeds in the order given, (0,) for an empty text.

    Raises:
        ValueError: Names the part that is none, too large, or there twice.
    """
    seeds: list[int] = []
    for part in re.split(r"[\s,;]+", text.strip()):
        if not part:
            continue
        match = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", part)
        if match is None:
            raise ValueError(f"got {part!r}, want whole numbers as 1 2 3 or ranges as 1-5")
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) > MAX_SEED:
            raise ValueError(f"got {part!r}, want at most {MAX_SEED}")
        if last < first:
            raise ValueError(f"got {part!r}, want the smaller one first")
        if len(seeds) + last - first >= MAX_COUNT:
            raise ValueError(f"got more than {MAX_COUNT} seeds in one row")
        seeds.extend(range(first, last + 1))
    if len(set(seeds)) < len(seeds):
        twice = next(seed for n, seed in enumerate(seeds) if seed in seeds[:n])
        raise ValueError(f"got {twice} twice")
    return tuple(seeds) or DEFAULT


def check_seeds(seeds: tuple[int, ...], workflow: Workflow, values: Mapping[Slot, Value]) -> None:
    """Checks that several seeds give more than one result.

    Args:
        seeds: Of a row.
        workflow: The row's workflow.
        values: What else the row sets.

    Raises:
        ValueError: Every chain of the row would be the same.
    """
    if len(seeds) > 1 and not workflow.drawing_seeds(values):
        idle = _titles(workflow, workflow.seeds())
        raise ValueError(f"got {len(seeds)}, want one: mode ddim of {idle} draws nothing; mode noise does")


def seed_note(workflow: Workflow, rows: Iterable[Mapping[Slot, Value]]) -> str | None:
    """What seeds cannot change.

    Args:
        workflow: The cohort's workflow.
        rows: What each row that names its seeds sets.

    Returns:
        A line, or None where every seed changes something.
    """
    drawing, idle = set[Slot](), set[Slot]()
    for values in rows:
        live = workflow.drawing_seeds(values)
        drawing.update(live)
        idle.update(slot for slot in workflow.seeds() if slot not in live)
    if not idle:
        return None
    what = f"seeds change {_titles(workflow, drawing)} alone" if drawing else "the seed changes nothing"
    return f"note: mode ddim of {_titles(workflow, idle)} draws nothing: {what}"


def _titles(workflow: Workflow, slots: Iterable[Slot]) -> str:
    return " and ".join(sorted({repr(workflow.title(slot)) for slot in slots}))
