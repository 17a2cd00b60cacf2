"""The open fundus photographs made ready for courses: annotators' outlines taken out, healthy ones found or made.

``python -m mvgen.research.courses.fundus_photographs --data FOLDER --out DIR`` writes square PNGs and DIR/table.csv,
which `research.courses.dataset` and ``run.py train`` take as ``--data``. FOLDER holds train/fundus (IDRiD, all with
lesions), fundus/idrid_ccby with boxes round lesions, and fundus/wikimedia_cc0 (a normal eye).
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ...mvg.picture_file import read_picture
from .fundus_anatomy import cleared, fit_retina, without_outline

SIZE = 512
IDRID = "CC BY 4.0: Porwal P et al., Indian Diabetic Retinopathy Image Dataset, Data 2018;3(3):25"
NORMAL = "CC0 1.0: Haggstrom M, Medical gallery of Mikael Haggstrom 2014, doi:10.15347/wjm/2014.008"
CLEARED = (5, 6, 8, 12, 24, 28, 29, 30, 36, 37, 40, 41, 42, 43, 44, 52, 53)
"""Photographs of train/fundus with so few lesions that none was seen once they were painted over."""
VALIDATION = frozenset(
    {"idrid_0240", "idrid_0264", "idrid_0336", "retina_normal_left", "idrid_0306", "IDRiD_39"}
    | {f"IDRiD_{number:02d}" for number in range(5, 55, 6)}
    | {"idrid_0005", "idrid_0017", "idrid_0346"}
)
"""Photographs of the val split; idrid_0306 and IDRiD_39 are one photograph."""
SAME = {"idrid_0306": "IDRiD_39"}
COLUMNS = ("file", "patient", "labels", "split", "licence")


def square(image: np.ndarray, size: int) -> np.ndarray:
    """The lit field alone, padded with black to a square, so that no part of the eye is cut off.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        size: side of the result in pixels.

    Returns:
        float32 [size, size, 3].
    """
    lit = image.max(axis=2) > 0.1
    rows, columns = np.nonzero(lit.mean(axis=1) > 0.02)[0], np.nonzero(lit.mean(axis=0) > 0.02)[0]
    part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = part.shape[:2]
    side = round(1.03 * max(height, width))  # a rim of black, so that the field's edge is seen
    top, left = (side - height) // 2, (side - width) // 2
    whole = cv2.copyMakeBorder(part, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
    shrinks = side > size
    return cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC).clip(0, 1)


def photographs(data: Path) -> Iterator[tuple[np.ndarray, str, bool, str]]:
    """Every photograph: (picture without outlines, its name, whether it shows no lesion, its licence).

    Args:
        data: the folder that the module's first lines tell of.

    Raises:
        ValueError: there is none.
    """
    found = sorted(data.glob("train/fundus/*.jpg")) + sorted(data.glob("fundus/idrid_ccby/*.jpg"))
    found += sorted(data.glob("fundus/wikimedia_cc0/*.jpg"))
    if not found:
        raise ValueError(
            f"data: got {data}, want a folder with train/fundus, fundus/idrid_ccby or fundus/wikimedia_cc0"
        )
    for path in found:
        image = without_outline(read_picture(path, name=path.name).image.numpy())
        boxes = data / "fundus" / "masks" / f"{path.stem}_lesionboxes.png"
        healthy = path.parent.name == "wikimedia_cc0" or (path.parent.name == "idrid_ccby" and not boxes.exists())
        yield image, path.stem, healthy, NORMAL if path.parent.name == "wikimedia_cc0" else IDRID


def write(data: Path, out: Path, size: int = SIZE) -> list[dict[str, str]]:
    """Writes the pictures and table.csv into a folder; the rows of the table."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for image, name, healthy, licence in photographs(data):
        pictures = [(image, name, healthy)]
        if name in {f"IDRiD_{number:02d}" for number in CLEARED} and (retina := fit_retina(image)):
            pictures.append((cleared(image, retina)[0], f"{name}_cleared", True))
        for picture, stem, normal in pictures:
            eight = np.round(square(picture, size) * 255).astype(np.uint8)
            cv2.imwrite(str(out / f"{stem}.png"), eight[..., ::-1])
            label = "no finding" if normal else "diabetic retinopathy"
            split = "val" if name in VALIDATION else "train"
            cells = (f"{stem}.png", SAME.get(name, name), label, split, licence)
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
    with (out / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/fundus and fundus/")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--size", type=int, default=SIZE)
    options = parser.parse_args()
    rows = write(options.data, options.out, options.size)
    for split in ("train", "val"):
        part = [row["labels"] for row in rows if row["split"] == split]
        print(f"{split}: {len(part)} pictures, {part.count('no finding')} of them to draw on")


if __name__ == "__main__":
    main()
