"""What putting lost detail back does to a picture that a disease covers: ``run.py bench detail``.

The true picture of a sick phantom through the autoencoder stands for a perfect model. It is composited as a stage is,
with several values of ``roi.REPLACED`` (0: all detail back everywhere; none: none). MAE: to the true picture in the
region, over that of the unchanged image. High-pass: energy of what a blur of 1.5 px takes away, where the disease
changed the picture by more than 0.15, over that of the healthy picture; the truth's beside.
"""

import argparse
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg import roi
from ..phantom.captions import FINDINGS
from . import seeds
from .networks import Networks
from .patients import Patients, patients

VALUES = (None, 0.0, 0.05, 0.1, 0.2, 0.3)
CHANGED = 0.15
BLUR = 1.5


def high_pass(pictures: Tensor) -> Tensor:
    """[B, H, W, C] -> [B, H, W], the gray picture less its blur."""
    gray = pictures.mean(-1).numpy()
    return torch.from_numpy(np.stack([one - cv2.GaussianBlur(one, (0, 0), BLUR) for one in gray]))


def composited(picture: Tensor, original: Tensor, decoded: Tensor, replaced: float | None) -> Tensor:
    """A decoded stage with detail put back by one value of ``roi.REPLACED``."""
    if replaced is None:
        return picture
    if replaced == 0:
        return (picture + original - decoded).clamp(0, 1)
    kept, roi.REPLACED = roi.REPLACED, replaced
    try:
        return roi.restore_detail(picture, original, decoded)
    finally:
        roi.REPLACED = kept


def measure(networks: Networks, group: Patients, severity: float, values: Sequence[float | None]) -> list[str]:
    """The cells of one row of the table: the truth's high-pass ratio, then MAE and high-pass of every value."""
    healthy, truth = group.images, group.at(severity)
    decoded = networks.decode(networks.encode(healthy))
    drawn = networks.decode(networks.encode(truth))
    covered = (truth - healthy).abs().mean(-1) > CHANGED
    inside = group.true_masks[..., None]

    def error(picture: Tensor) -> float:
        return float(((picture - truth).abs() * inside).sum())

    def energy(picture: Tensor) -> float:
        return float(high_pass(picture).square()[covered].sum())

    cells = [f"{energy(truth) / energy(healthy):.2f}" if covered.any() else "-"]
    for value in values:
        picture = composited(drawn, healthy, decoded, value)
        ratio = f"{energy(picture) / energy(healthy):.2f}" if covered.any() else "-"
        cells.append(f"{error(picture) / error(healthy):.3f} {ratio}")
    return cells


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench detail", description=__doc__)
    seeds.add_options(parser, 8)
    options = parser.parse_args()
    people = {domain: seeds.claimed(parser, options, "detail", domain) for domain in DOMAINS}
    use_host()
    names = ["none" if value is None else f"{value:g}" for value in VALUES]
    print("finding, severity | truth's high-pass | MAE and high-pass at REPLACED " + " | ".join(names))
    for domain in DOMAINS:
        networks = Networks.embedded(domain)
        for finding in FINDINGS[domain]:
            for severity in (0.85, 0.4):
                cells = measure(networks, patients(domain, finding, people[domain]), severity, VALUES)
                print(f"{finding}, {severity} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
