"""Drawn retinopathy beside real retinopathy by what lesions are like: ``run.py bench fundus_lesions --data table.csv``.

The photographs at hand carry no grades, so no classifier of grades can be trained on them. In its place one detector of
small dark and bright things, off vessels and the optic disc, reads real photographs with lesions, those without, and
these with courses drawn on them; counts, sizes, contrast and color stand side by side. The table is that of
`research.courses.fundus_photographs`; both splits are read.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...mvg.picture_file import read_picture
from ...mvg.regions.picture import blur, disc_kernel
from ...training.data import Record, read
from ...training.data.labels import NO_FINDING
from ..courses.fundus import FINDINGS, draw
from ..courses.fundus_anatomy import Retina, fit_retina

SEVERITIES = (0.25, 0.55, 0.85, 1.0)
DARK, BRIGHT = 0.10, 0.15
"""The least contrast in green, as a share of the background, of what is counted."""
COLUMNS = ("pictures", "count", "share of the field, 1e-4", "area, 1e-4 of it", "contrast", "red, green, blue")


class Spots(NamedTuple):
    """Small things of one photograph: areas in 1e-4 of the field, peak contrasts, mean colors over the background's."""

    areas: list[float]
    contrasts: list[float]
    colors: list[np.ndarray]


def spots(image: np.ndarray, retina: Retina) -> dict[str, Spots]:
    """What is small and dark or bright.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        retina: of the picture.

    Returns:
        "dark" and "bright" -> what was found off vessels, disc and the field's edge.
    """
    radius, (height, width) = retina.radius, image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ratio = image / retina.background
    green = np.where(retina.field > 0.5, blur(image[..., 1], 0.8) / retina.background[..., 1], 1).astype(np.float32)
    inner = cv2.erode((retina.field > 0.9).astype(np.uint8), disc_kernel(0.04 * radius), borderValue=0) > 0
    wide = cv2.dilate((retina.half_width > 0.006 * radius).astype(np.uint8), disc_kernel(0.015 * radius)) > 0
    allowed = inner & ~wide & (np.hypot(x - retina.disc[0], y - retina.disc[1]) > 1.5 * retina.disc_radius)
    found = {}
    for name, method, least in (("dark", cv2.MORPH_BLACKHAT, DARK), ("bright", cv2.MORPH_TOPHAT, BRIGHT)):
        unusual = cv2.morphologyEx(green, method, disc_kernel(0.06 * radius))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(((unusual > least) & allowed).astype(np.uint8))
        extent = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        areas = stats[:, cv2.CC_STAT_AREA]
        keep = [i for i in range(1, count) if areas[i] >= 3 and areas[i] > 0.2 * extent[i] ** 2]
        found[name] = Spots(
            [float(areas[i]) / (np.pi * radius**2) * 1e4 for i in keep],
            [float(unusual[labels == i].max()) for i in keep],
            [ratio[labels == i].mean(axis=0) for i in keep],
        )
    return found


def row(found: Sequence[Spots]) -> list[str]:
    """COLUMNS of some photographs: quartiles over pictures, and over spots 25, 50 and 90 %."""

    def told(values: Sequence[float], shares: Sequence[float], digits: int) -> str:
        return " / ".join(f"{v:.{digits}f}" for v in np.quantile(values, shares)) if len(values) else "none"

    quartiles, tail = (0.25, 0.5, 0.75), (0.25, 0.5, 0.9)
    areas = [a for one in found for a in one.areas]
    colors = [c for one in found for c in one.colors]
    return [
        str(len(found)),
        told([len(one.areas) for one in found], quartiles, 0),
        told([sum(one.areas) for one in found], quartiles, 1),
        told(areas, tail, 2),
        told([c for one in found for c in one.contrasts], tail, 2),
        " ".join(f"{v:.2f}" for v in np.median(colors, axis=0)) if colors else "none",
    ]


def measure(records: Sequence[Record], seed: int) -> dict[str, list[dict[str, Spots]]]:
    """Which photographs -> what was found in each of them; those of which no retina is found are left out."""
    found: dict[str, list[dict[str, Spots]]] = {"real, with lesions": [], "real, without": []}
    for place, record in enumerate(records):
        image = read_picture(record.image, name=record.image.name).image.numpy()
        retina = fit_retina(image)
        if retina is None:
            print(f"{record.image.name}: no retina with an optic disc is found, left out")
        elif record.labels.get(NO_FINDING) != 1:
            found["real, with lesions"].append(spots(image, retina))
        else:
            found["real, without"].append(spots(image, retina))
            for severity in SEVERITIES:
                drawn = draw(image, FINDINGS[0], severity, seed=seed + place, anatomy=retina)
                # vessels are found anew, as lesions near them change what is found
                found.setdefault(f"drawn, {severity:.2f}", []).append(spots(drawn, fit_retina(drawn) or retina))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="table.csv of research.courses.fundus_photographs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    found = measure(read(options.data, domain="fundus").records, options.seed)
    for kind in ("dark", "bright"):
        print(f"\n| {kind} | {' | '.join(COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}")
        for name, pictures in found.items():
            print(f"| {name} | {' | '.join(row([one[kind] for one in pictures]))} |")


if __name__ == "__main__":
    main()
