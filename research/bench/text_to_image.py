"""Does the host's KSampler with the embedded model draw what the caption says? ``run.py bench text_to_image``.

Each draw is a single finding (or none) in turn, 25 steps of DDIM at guidance 3. Read as captioned: the classifier
finds the captioned finding above 0.5, or for "no finding" every finding below 0.5. The severity word is checked by
the reader, against the bands widened by 0.05.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg.domains import BUILT_IN
from ...mvg.domains.severity import SEVERITY_BANDS, band_center
from ...mvg.metrics.conf import conf
from ..phantom.captions import FINDINGS, SIDES, phrase

TOLERANCE = 0.05


def requests(domain: str, count: int) -> list[tuple[str, str | None, str]]:
    """(caption, finding or None, severity word) of every draw."""
    out: list[tuple[str, str | None, str]] = []
    words = BUILT_IN[domain]
    findings, turns = FINDINGS[domain], len(FINDINGS[domain]) + 1
    for i in range(count):
        turn = i % turns
        if turn == len(findings):
            out.append((f"{words.prefix}, no finding", None, ""))
            continue
        word = list(SEVERITY_BANDS)[(i // turns) % 3]
        side = SIDES[(i // (3 * turns)) % 3]
        out.append((f"{words.prefix}, {phrase(domain, findings[turn], band_center(word), side)}", findings[turn], word))
    return out


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench text_to_image", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--out", type=Path, help="PNG of the first 25 draws")
    options = parser.parse_args()
    use_host()
    import comfy.utils

    import nodes

    from ...models.densenet import load_densenet
    from ...models.embedded import loader

    comfy.utils.set_progress_bar_enabled(sys.stderr.isatty())
    networks = loader.load(options.domain)
    reader = load_densenet(loader.find_weights("reader", options.domain))
    empty = nodes.CLIPTextEncode().encode(networks.clip, "")[0]
    pictures = []
    wanted = requests(options.domain, options.count)
    for i, (caption, _, _) in enumerate(wanted):
        positive = nodes.CLIPTextEncode().encode(networks.clip, caption)[0]
        latent = nodes.EmptyLatentImage().generate(128, 128, 1)[0]
        arguments = (options.seed + i, options.steps, options.guidance, "ddim", "ddim_uniform")
        latent = nodes.KSampler().sample(networks.model, *arguments, positive, empty, latent)[0]
        pictures.append(networks.vae.decode(latent["samples"]))
    images = torch.cat(pictures).float()
    read, severity = conf(networks.classifier.logits(images)), conf(reader.logits(images))
    right, word_right, words = 0, 0, 0
    for i, (_, finding, word) in enumerate(wanted):
        if finding is None:
            right += bool((read[i] < 0.5).all())
            continue
        right += bool(read[i, networks.classifier.outputs.index(finding)] > 0.5)
        low, high = SEVERITY_BANDS[word]
        words += 1
        word_right += bool(low - TOLERANCE <= severity[i, reader.outputs.index(finding)] <= high + TOLERANCE)
    print(f"read as captioned: {right} of {len(wanted)}")
    print(f"severity word as read by the reader: {word_right} of {words}")
    if options.out:
        from PIL import Image

        cells = (images[:25].clamp(0, 1).numpy() * 255).round().astype(np.uint8)
        rows = [np.hstack(list(cells[r : r + 5])) for r in range(0, len(cells), 5) if len(cells[r : r + 5]) == 5]
        Image.fromarray(np.vstack(rows)).save(options.out)


if __name__ == "__main__":
    main()
