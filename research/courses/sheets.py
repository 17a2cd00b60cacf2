"""Contact sheets of drawn courses for the model card: ``python -m mvgen.research.courses.sheets --data CSV --out DIR``.

A picture a finding: eight patients of val, a row each, from the untouched film at severity 0 to severity 1, and at the
right a real film with that label, so that what is drawn can be held beside what is real.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from ...mvg.domains import BUILT_IN
from ...training.data import Pictures, Record, read
from ...training.data.labels import finding_of
from . import MODULES, SEVERITIES, contact_sheet, courses
from .dataset import DRAWN_AT, DRAWN_ON

ROWS = 8
TILE, TILES = 122, {"fundus": 200}
"""Pixels of a picture on a sheet, and where lesions are too small for that."""
QUALITY = 72


def sheet(
    domain: str, records: list[Record], others: list[Record], finding: str, seed: int
) -> tuple[np.ndarray, list[str]]:
    """A finding's contact sheet, RGB uint8, and the files that it shows.

    Args:
        domain: of the records.
        records: what may be drawn on.
        others: where real pictures with the finding are looked for.
        finding: of the domain's module.
        seed: of the choice and the courses.

    Raises:
        ValueError: too few pictures could be fitted.
    """
    module, words = courses(domain), BUILT_IN[domain]
    size = DRAWN_AT.get(domain, 256)
    gray, rng = words.gray, np.random.default_rng([seed, *finding.encode()])
    pictures, reals = (Pictures(part, size, gray=gray, cache_bytes=0) for part in (records, others))
    order = rng.permutation(len(records))
    labeled = [
        i
        for i in rng.permutation(len(others))
        if any(value == 1 and finding_of(label, words) == finding for label, value in others[i].labels.items())
    ]
    rows: list[list[np.ndarray]] = []
    labels: list[str] = []
    shown: list[str] = []
    patients: set[str] = set()
    for i in order:
        if len(rows) == ROWS:
            break
        if not DRAWN_ON[domain](records[i]) or records[i].patient in patients:
            continue
        image = _array(pictures, i, gray)
        anatomy = module.fit(image)
        if anatomy is None:
            continue
        side = ("left", "right", "bilateral")[len(rows) % 3] if finding in words.sided else ""
        row = [module.draw(image, finding, s, side, seed + len(rows), anatomy) for s in SEVERITIES]
        shown.append(records[i].image.name)
        if labeled:
            real = labeled[len(rows) % len(labeled)]
            row.append(_array(reals, real, gray))
            shown.append(others[real].image.name)
        patients.add(records[i].patient)
        rows.append(row)
        labels.append(side)
    if len(rows) < ROWS:
        raise ValueError(f"data: {len(rows)} pictures without {finding} could be fitted, want {ROWS}")
    return contact_sheet(rows, labels, TILES.get(domain, TILE)), shown


def _array(pictures: Pictures, index: int, gray: bool) -> np.ndarray:
    picture = pictures[int(index)][0].numpy()
    return np.ascontiguousarray(picture[0] if gray else np.moveaxis(picture, 0, -1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", choices=list(MODULES), default="chest_xray")
    parser.add_argument("--data", type=Path, required=True, help="a data set as `run.py train classifier` takes it")
    parser.add_argument("--split", default="val")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    table = read(options.data, domain=options.domain)
    options.out.mkdir(parents=True, exist_ok=True)
    drawn_on, others = list(table.part(options.split)), list(table.records)
    for finding in courses(options.domain).FINDINGS:
        picture, shown = sheet(options.domain, drawn_on, others, finding, options.seed)
        path = options.out / f"{finding.replace(' ', '_')}.jpg"
        cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(f"{path}: {path.stat().st_size // 1000} kB, of {', '.join(dict.fromkeys(shown))}")


if __name__ == "__main__":
    main()
