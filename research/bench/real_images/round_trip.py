"""Round trip of the VAE on real pictures of val, in dB."""

import argparse

import numpy as np
import torch

from ....mvg.domains import BUILT_IN
from ....mvg.metrics.image import psnr
from ..bars import Verdict, verdict
from .options import as_table, table_of, verdict_of, words
from .pictures import as_image, part_of, read_picture

LEAST = {"chest_xray": 34.0, "fundus": 33.0, "skin": 33.0}
LEAST_WORST = {"chest_xray": 30.0}
WORST = 0.05


def worst(values: np.ndarray) -> np.ndarray:
    """The lowest 5 %, one at least."""
    return np.sort(values)[: max(1, round(WORST * len(values)))]


def run(options: argparse.Namespace) -> list[Verdict]:
    """Prints PSNR of the pictures and of their worst 5 %.

    The interval of the mean is over patients. ``--count`` is of pictures here.
    """
    from ....models.embedded import loader

    records = part_of(table_of(options), options.of)
    order = np.random.default_rng([0, 43]).permutation(len(records))[options.first : options.first + options.count]
    vae = loader.load_vae(loader.find_weights("vae", options.domain), gray=BUILT_IN[options.domain].gray)
    values, patients = [], []
    for start in range(0, len(order), options.batch):
        part = [records[i] for i in order[start : start + options.batch]]
        images = torch.stack([as_image(read_picture(r, options.domain, options.size)) for r in part])
        with torch.inference_mode():
            back = vae.decode(vae.encode(images)).float().clamp(0, 1).cpu()
        values += psnr(back, images).tolist()
        patients += [r.patient for r in part]
    lowest = worst(np.array(values))
    print(as_table(
        ["domain", "pictures", "patients", "PSNR, dB", "mean of the worst 5 %", "worst"],
        [[options.domain, len(values), len(set(patients)), words(values, patients, 2), f"{lowest.mean():.2f}",
          f"{min(values):.2f}"]],
    ))  # fmt: skip
    verdicts = [verdict_of("round trip, dB", values, patients, low=LEAST[options.domain])]
    if options.domain in LEAST_WORST:
        verdicts.append(verdict("round trip of the worst 5 %, dB", lowest, low=LEAST_WORST[options.domain]))
    return verdicts
