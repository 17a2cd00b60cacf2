"""How well the lungs and the regions of findings are found in chest X-rays: ``run.py bench anatomy``.

Dice and IoU of the lung fields on real X-rays that have a mask (masks of the lungVAE model, so no ground truth by
hand) and on phantoms, healthy and with a finding of severity 0.5. Then, on healthy phantoms, how much of what a
finding of severity 1 changes lies inside its region, and how large the region is against what changes.
``--out FILE.png`` writes overlays: the mask's outline green, the outline found red.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from ...mvg.domains.chest_xray import CHEST_XRAY
from ...mvg.regions import chest
from ..phantom import captions, chest_xray
from ..phantom.chest_xray import FINDINGS

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIZE = 256
CHANGED = 0.02  # least change of a pixel that counts, in image units, as in `chest_xray.roi`


def as_image(gray: np.ndarray) -> torch.Tensor:
    """[H, W] in [0, 1] -> [1, H, W, 3]."""
    return torch.from_numpy(gray.astype(np.float32))[None, ..., None].repeat(1, 1, 1, 3)


def real_masks(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, image [H, W] in [0, 1], lung mask [H, W] bool) of the chest X-rays of the manifest that have a mask."""
    manifest = data / "manifest.csv"
    if not manifest.is_file():
        return
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["domain"] == "cxr" and r["mask_file"]]
    for row in rows:
        image, mask = data / row["file"], data / row["mask_file"]
        if image.is_file() and mask.is_file():
            yield image.stem, np.asarray(Image.open(image).convert("L")) / 255, np.asarray(Image.open(mask)) > 127


def phantoms(
    first_seed: int, count: int, finding: str = "", size: int = SIZE
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, image, lung mask) as `real_masks`; ``finding`` is drawn at severity 0.5; the mask is the healthy one."""
    for seed in range(first_seed, first_seed + count):
        patient = chest_xray.sample_patient(seed)
        image = chest_xray.render(patient, {finding: 0.5} if finding else {}, size)
        yield f"phantom {seed}", image, chest_xray.lung_mask(patient, size) > 0.5


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two bool masks."""
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """|A and B| / |A or B| of two bool masks."""
    return float((a & b).sum()) / float((a | b).sum())


def coverage(patient: chest_xray.Patient, finding: str, size: int = SIZE) -> tuple[float, float]:
    """(share of the pixels that the finding changes inside its region, area of the region over theirs).

    The region is found in the healthy image; the change is that of severity 1.
    """
    healthy = chest_xray.render(patient, {}, size)
    changed = np.abs(chest_xray.render(patient, {finding: 1.0}, size) - healthy) > CHANGED
    side = patient.sides[finding] if finding in captions.sided("chest_xray") else ""
    rule = CHEST_XRAY.findings[finding].rule
    region = chest.roi(chest.locate(as_image(healthy)), rule, side) > 0.5
    return float((region & changed).sum() / changed.sum()), float(region.sum() / changed.sum())


def overlay(image: np.ndarray, wanted: np.ndarray, found: np.ndarray, side: int = 256) -> np.ndarray:
    """[side, side, 3] uint8: the image with the outlines of the wanted mask in green and of the found one in red."""
    canvas = cv2.resize(np.repeat((image * 255).astype(np.uint8)[..., None], 3, axis=2), (side, side))
    for mask, colour in ((wanted, (0, 220, 0)), (found, (255, 40, 40))):
        small = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, colour, 1)
    return canvas


def lungs(name: str, cases: Iterator[tuple[str, np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Prints a row of the table of lung fields; -> overlays, the worst first."""
    rows = []
    for case, image, wanted in cases:
        place = chest.locate(as_image(image))
        found = place.lungs > 0.5
        rows.append((dice(found, wanted), case, place.fitted, overlay(image, wanted, found), iou(found, wanted)))
    if not rows:
        print(f"{name:<32}left out, there are none in the data folder")
        return []
    rows.sort(key=lambda row: row[0])
    scores = np.array([row[0] for row in rows])
    print(
        f"{name:<32}{len(rows):>4}{sum(row[2] for row in rows):>8}{scores.mean():>11.3f}{np.median(scores):>8.3f}"
        f"{scores[0]:>7.3f}{np.mean([row[4] for row in rows]):>10.3f}   worst: {rows[0][1]}"
    )
    return [row[3] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench anatomy", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with manifest.csv, images and masks")
    parser.add_argument("--patients", type=int, default=20, help="number of phantoms")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="PNG of overlays, the worst first")
    options = parser.parse_args()
    if options.patients < 1:
        parser.error(f"--patients: got {options.patients}, want 1 or more")
    print(f"{'lung fields':<32}{'n':>4}{'fitted':>8}{'Dice mean':>11}{'median':>8}{'worst':>7}{'IoU mean':>10}")
    pictures = lungs("real X-rays", real_masks(options.data))
    pictures += lungs("phantoms, healthy", phantoms(options.first_seed, options.patients))
    for finding in FINDINGS:
        lungs(f"phantoms, {finding} 0.5", phantoms(options.first_seed, options.patients, finding))

    print(
        f"\n{'region against what changes':<32}{'n':>4}{'covered mean':>14}{'worst':>7}{'area ratio':>12}{'largest':>9}"
    )
    people = [chest_xray.sample_patient(options.first_seed + i) for i in range(options.patients)]
    for finding in FINDINGS:
        covered, area = np.array([coverage(person, finding) for person in people]).T
        print(
            f"{finding:<32}{len(people):>4}{covered.mean():>14.3f}{covered.min():>7.3f}"
            f"{area.mean():>12.2f}{area.max():>9.2f}"
        )
    if options.out:
        blank = [np.zeros_like(pictures[0])] * (-len(pictures) % 8)
        rows = np.stack([*pictures, *blank]).reshape(-1, 8, *pictures[0].shape)
        Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).save(options.out)


if __name__ == "__main__":
    main()
