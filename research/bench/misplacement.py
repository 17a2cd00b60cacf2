"""What misplacing the disease costs in MAE: ``run.py bench misplacement``.

The true future of a phantom patient (severity 0.85), moved by some pixels, turned about the nevus's centre or blurred,
against the true future itself: MAE in the region over that of the unchanged image, mean over patients. It needs no
network, so it is what a simulation reaches at most that draws the disease right and a little off its place.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from ..phantom import fundus, skin
from .patients import TARGET

SHIFTS, BLURS, TURNS = (1, 2, 3), (1, 2, 3), (10, 20, 30, 60, 180)


def ratio(guess: np.ndarray, truth: np.ndarray, start: np.ndarray, mask: np.ndarray) -> float:
    """MAE of [H, W, 3] pictures in a mask [H, W], over that of the unchanged ``start``."""
    inside = mask[..., None]
    return float((np.abs(guess - truth) * inside).sum() / (np.abs(start - truth) * inside).sum())


def lesion_ratio(seed: int, alter: Callable[[np.ndarray], np.ndarray]) -> float:
    """``alter`` changes the lesions, the difference of future and present [H, W, 3]."""
    patient, finding = fundus.sample_patient(seed), fundus.FINDINGS[0]
    start, truth = fundus.render(patient), fundus.render(patient, {finding: TARGET})
    return ratio(start + alter(truth - start), truth, start, fundus.roi(patient, finding))


def moved(lesions: np.ndarray, pixels: int) -> np.ndarray:
    return np.roll(lesions, pixels, axis=1)


def blurred(lesions: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(lesions, (0, 0), sigma)


def turned_ratio(seed: int, degrees: float) -> float:
    """The melanoma drawn as of a nevus whose long axis lies ``degrees`` off."""
    patient, finding = skin.sample_patient(seed), skin.FINDINGS[0]
    start, truth = skin.render(patient), skin.render(patient, {finding: TARGET})
    turned = replace(patient, nevus=replace(patient.nevus, axis=patient.nevus.axis + np.deg2rad(degrees)))
    return ratio(skin.render(turned, {finding: TARGET}), truth, start, skin.roi(patient, finding))


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench misplacement", description=__doc__)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=5000)
    options = parser.parse_args()
    if options.patients < 1 or options.first_seed < 0:
        parser.error("--patients wants an integer >= 1, --first-seed one >= 0")
    seeds = range(options.first_seed, options.first_seed + options.patients)
    for pixels in SHIFTS:
        mean = np.mean([lesion_ratio(seed, partial(moved, pixels=pixels)) for seed in seeds])
        print(f"fundus, lesions moved by {pixels} of {fundus.SIZE} pixels: {mean:.3f}", flush=True)
    for sigma in BLURS:
        mean = np.mean([lesion_ratio(seed, partial(blurred, sigma=sigma)) for seed in seeds])
        print(f"fundus, lesions blurred with sigma {sigma}: {mean:.3f}", flush=True)
    for degrees in TURNS:
        print(
            f"skin, turned by {degrees} degrees: {np.mean([turned_ratio(s, degrees) for s in seeds]):.3f}", flush=True
        )


if __name__ == "__main__":
    main()
