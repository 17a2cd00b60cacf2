"""Round trip of the embedded VAE on phantoms training never saw: ``run.py bench vae``.

PSNR of the decoded mean, and the share of the original's gradient energy (squared central differences) that is left
in the lung fields, the lit field of a fundus, or a lesion with its surroundings. MAE ratio of a finding: that of the
round trip of the true future (severity 0.85) to itself in the region, over that of the unchanged picture, so what a
simulation reaches at the least whose picture the VAE draws. ``--out FILE.png`` writes original, round trip and five
times their difference side by side.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg.domains import BUILT_IN
from ...mvg.metrics.image import psnr
from ..phantom import chest_xray, fundus, skin
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom, picture
from .patients import TARGET, patients, scored_findings

FIELDS: dict[str, Callable[[Any], np.ndarray]] = {
    "chest_xray": chest_xray.lung_mask,
    "fundus": fundus.fundus_mask,
    "skin": lambda patient: skin.roi(patient, "melanoma"),
}


def gradient_energy(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """[B] sums of squared central differences of images [B, H, W, C], weighted by mask [B, H, W]."""
    images, mask = images.movedim(-1, 1), mask[:, None]
    dx = images[..., 1:-1, 2:] - images[..., 1:-1, :-2]
    dy = images[..., 2:, 1:-1] - images[..., :-2, 1:-1]
    return ((dx.square() + dy.square()) * mask[..., 1:-1, 1:-1]).sum(dim=(1, 2, 3))


@torch.inference_mode()
def round_trip(vae, images: torch.Tensor) -> torch.Tensor:
    """Of pictures [B, H, W, 3] in [0, 1]."""
    return torch.cat([vae.decode(vae.encode(batch)) for batch in images.split(25)]).float()


def future_ratio(vae, domain: str, finding: str, seeds: range) -> torch.Tensor:
    """[B] MAE of the true future's round trip in the region, over that of the unchanged picture."""
    group = patients(domain, finding, seeds)
    truth, inside = group.at(TARGET), group.masks[..., None]

    def error(images: torch.Tensor) -> torch.Tensor:
        return ((images - truth).abs() * inside).sum(dim=(1, 2, 3))

    return error(round_trip(vae, truth)) / error(group.images)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench vae", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="PNG")
    options = parser.parse_args()
    use_host()
    from ...models.embedded import loader

    vae = loader.load_vae(loader.find_weights("vae", options.domain), gray=BUILT_IN[options.domain].gray)
    domain, module = options.domain, phantom(options.domain)
    people = [module.sample_patient(options.first_seed + i) for i in range(options.patients)]
    courses: list[dict[str, float]] = [{}, *({finding: 0.8} for finding in FINDINGS[domain])]
    pictures = [picture(domain, p, courses[i % len(courses)]) for i, p in enumerate(people)]
    images = torch.from_numpy(np.stack(pictures))
    masks = torch.from_numpy(np.stack([FIELDS[domain](p) for p in people]))
    decoded = round_trip(vae, images)
    quality = psnr(decoded, images)
    energy = gradient_energy(decoded, masks) / gradient_energy(images, masks)
    for name, values in (("PSNR, dB", quality), ("gradient energy in the field, share", energy)):
        print(f"{name:38} mean {values.mean():.3f}  worst {values.min():.3f}  n {len(values)}")
    for finding in scored_findings(domain):
        ratio = future_ratio(vae, domain, finding, range(options.first_seed, options.first_seed + options.patients))
        print(f"{f'MAE ratio, {finding}':38} mean {ratio.mean():.3f}  worst {ratio.max():.3f}  n {len(ratio)}")
    if options.out:
        from PIL import Image

        rows = [
            torch.cat([images[i], decoded[i], (0.5 + 5 * (decoded[i] - images[i])).clamp(0, 1)], dim=1)
            for i in range(min(5, len(images)))
        ]
        grid = (torch.cat(rows).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(grid).resize((grid.shape[1] * 2, grid.shape[0] * 2), Image.Resampling.NEAREST).save(options.out)


if __name__ == "__main__":
    main()
