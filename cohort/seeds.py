"""Seeds of a row: "1 2 3", "1-5", or both."""

import re

MAX_SEED = 2**64 - 1
MAX_COUNT = 10_000
DEFAULT = (0,)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds in the order given, (0,) for an empty text; ValueError names the part that is wrong."""
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
