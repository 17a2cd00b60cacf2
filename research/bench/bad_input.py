"""What is told of films that are turned, inverted or none: ``run.py bench bad_input --data CSV``.

Every film of the val split of a table of frontal chest films, as `training.data` reads it, is looked at as it is, where
any note is a false one, and upside down, inverted, both and turned by a quarter, where the right note is wanted.
``--other NAME=FOLDER`` looks at a folder of other pictures, in gray. Intervals are Wilson's of 95 %, as if the films of
a patient were independent. `research.training.film_check` sets the limits, on train films.
"""

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scipy.stats import binomtest

from ...mvg.film_check import DOMAIN, look
from ...mvg.picture_file import read_picture
from ...training.data import VAL, read

MADE = MappingProxyType(
    {
        "": lambda film: film,
        "upside down": lambda film: film[::-1],
        "inverted": lambda film: 1 - film,
        "upside down and inverted": lambda film: 1 - film[::-1],
        "turned clockwise": lambda film: np.rot90(film, -1),
        "turned counterclockwise": lambda film: np.rot90(film, 1),
    }
)
"""What `look` ought to see -> the film that shows it."""


def gray(path: Path) -> np.ndarray:
    """[H, W] in [0, 1]."""
    return read_picture(path).image.mean(dim=-1).numpy()


def pictures(folder: Path) -> list[np.ndarray]:
    """What can be read of a folder, in gray."""
    found = []
    for path in sorted(folder.iterdir()):
        try:
            found.append(gray(path))
        except ValueError:
            continue
    return found


def table(seen: Mapping[str, Counter[str]]) -> str:
    """A row a kind of input: how many, how many with a note, with the right one, and which other notes.

    Args:
        seen: kind -> what `look` saw -> how often. Kinds of MADE want their own name, "" none, others any note.
    """
    lines = ["| input | n | noted | with the right note | other notes |", "|---|---|---|---|---|"]
    for kind, counts in seen.items():
        n, noted = counts.total(), counts.total() - counts[""]
        right = counts[kind] if kind in MADE else counts["no frontal film"]
        others = [
            f"{name} {count}" for name, count in counts.most_common() if name not in ("", kind, "no frontal film")
        ]
        others += [f"no frontal film {counts['no frontal film']}"] * (kind in MADE and counts["no frontal film"] > 0)
        told = share(right, n) if kind else "none wanted"
        lines.append(f"| {kind or 'a film as it is'} | {n} | {share(noted, n)} | {told} | {', '.join(others)} |")
    return "\n".join(lines)


def share(count: int, n: int) -> str:
    """A proportion in % with its interval."""
    if n == 0:
        return "-"
    low, high = binomtest(count, n).proportion_ci(method="wilson")
    return f"{100 * count / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="CSV", help="a table with val films")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=FOLDER", help="pictures of another kind")
    options = parser.parse_args()
    records = [record for record in read(options.data, domain=DOMAIN).records if record.split == VAL]
    seen: dict[str, Counter[str]] = {kind: Counter() for kind in MADE}
    for record in records:
        film = gray(record.image)
        for kind, made in MADE.items():
            seen[kind][look(made(film))] += 1
    for given in options.other:
        name, _, folder = given.partition("=")
        if not Path(folder).is_dir():
            parser.error(f"--other: got {given!r}, want NAME=FOLDER of a folder")
        seen[name] = Counter(look(picture) for picture in pictures(Path(folder)))
    print(f"{len(records)} val films of {len({record.patient for record in records})} patients\n\n{table(seen)}")


if __name__ == "__main__":
    main()
