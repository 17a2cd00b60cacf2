"""Trains the embedded CLIP vision tower of a family by image-text contrast (Radford et al. 2021) for CLIP-I.

Two thirds of each batch are phantoms with their captions; the rest are pictures that are no phantom (checks, stripes,
discs, clouds, noise) or phantoms turned, blurred or negated, with captions that say so. As with the public CLIP, most
of the embedding therefore says what kind of picture it is, and less of it how ill the patient is. A second term asks
for one patient on two visits, in two states of disease, to be nearer than two patients: CLIP-I is to say whether the
patient stayed the same. The logit scale is 100, where the public CLIP's training ends (its upper bound).
"""

import numpy as np
import torch
import torch.nn.functional as F

from ...models.embedded import architecture
from ...mvg.domains import BUILT_IN
from ...training import common, text, weights
from . import dataset

LOGIT_SCALE = 100.0
PATTERNS = (
    "checkerboard", "horizontal stripes", "vertical stripes", "white disc", "dark disc", "clouds", "noise", "ramp"
)  # fmt: skip
PATIENTS = 8000
CHANGES = ("upside down", "turned left", "blurred", "negative")


def pattern(kind: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """One picture [size, size] in [0, 1] that is no phantom."""
    y, x = np.mgrid[0:size, 0:size] / size
    f, low, high = rng.integers(2, 12), rng.uniform(0, 0.4), rng.uniform(0.6, 1)
    if kind == "checkerboard":
        v = (np.floor(x * f) + np.floor(y * f)) % 2
    elif kind == "horizontal stripes":
        v = 0.5 + 0.5 * np.sin(2 * np.pi * f * y)
    elif kind == "vertical stripes":
        v = 0.5 + 0.5 * np.sin(2 * np.pi * f * x)
    elif kind.endswith("disc"):
        v = (np.hypot(x - rng.uniform(0.3, 0.7), y - rng.uniform(0.3, 0.7)) < rng.uniform(0.1, 0.35)).astype(float)
        v = v if kind == "white disc" else 1 - v
    elif kind == "clouds":
        coarse = torch.from_numpy(rng.random((1, 1, 8, 8)))
        v = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False)[0, 0].clamp(0, 1).numpy()
    elif kind == "noise":
        v = rng.random((size, size))
    else:
        angle = rng.uniform(0, 2 * np.pi)
        v = 0.5 + 0.5 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    return low + (high - low) * v


def changed(image: torch.Tensor, kind: str) -> torch.Tensor:
    """image [C, H, W] in [0, 1]."""
    if kind == "upside down":
        return image.flip(1)
    if kind == "turned left":
        return image.rot90(dims=(1, 2))
    if kind == "negative":
        return 1 - image
    small = F.avg_pool2d(image[None], 8)
    return F.interpolate(small, size=image.shape[1:], mode="bilinear", align_corners=False)[0]


def network_input(images: torch.Tensor) -> torch.Tensor:
    """[B, 3, H, W] in [0, 1] with CLIP's statistics."""
    mean = torch.tensor(architecture.CLIP_VISION["image_mean"])[:, None, None]
    std = torch.tensor(architecture.CLIP_VISION["image_std"])[:, None, None]
    return (images - mean) / std


def contrast(image: torch.Tensor, words: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy; pairs marked as equal (``same``) share the target."""
    logits = LOGIT_SCALE * F.normalize(image, dim=-1) @ F.normalize(words, dim=-1).T
    target = same / same.sum(dim=1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))


def main() -> None:
    options = common.arguments(__doc__, steps=400, batch=48, rate=5e-4)
    count = PATIENTS // len(architecture.FAMILIES[options.family])
    pool, again = dataset.Pool(options.family, count), dataset.Pool(options.family, count, visit=1)
    images, other_day = torch.from_numpy(pool.images), torch.from_numpy(again.images)
    torch.manual_seed(options.seed)
    vision, tower = architecture.build_clip_vision(), architecture.build_clip_text()
    trainer = common.Trainer("clip", {"vision": vision, "text": tower}, options, decay=0.99)
    size = architecture.IMAGE_SIZE

    def loss(generator: torch.Generator, step: int) -> dict:
        rng = np.random.default_rng([options.seed, step])
        n = 2 * options.batch // 3
        index = rng.integers(len(pool), size=options.batch)
        captions = pool.captions(index[:n], rng)
        pictures = list(images[index[:n]].float() / 255)
        for i in index[n:]:
            if rng.random() < 0.6:
                kind = str(rng.choice(PATTERNS))
                pictures.append(torch.from_numpy(pattern(kind, rng, size)).float()[None])
                captions.append(kind)
            else:
                kind = str(rng.choice(CHANGES))
                pictures.append(changed(images[i].float() / 255, kind))
                captions.append(f"{kind} {BUILT_IN[pool.domain(i)].prefixes[1]}")
        pictures += list(other_day[index[:n]].float() / 255)
        pixels = torch.stack([picture.expand(3, -1, -1) for picture in pictures])
        pixels = pixels * (0.9 + 0.2 * torch.rand(len(pixels), 1, 1, 1, generator=generator))
        same = torch.tensor([[float(a == b) for b in captions] for a in captions])
        image = vision(network_input(pixels).to(options.device)).image_embeds.float()
        words = tower(text.tokenize(captions).to(options.device)).text_embeds.float()
        first, second = image[: options.batch], image[options.batch :]
        patient = torch.from_numpy(index[:n, None] == index[None, :n]).float().to(options.device)
        terms = {
            "captions": contrast(first, words, same.to(options.device)),
            "patients": contrast(first[:n], second, patient),
        }
        return {"loss": sum(terms.values()), **terms}

    trainer.fit(loss)
    trainer.averaged()
    path = weights.path_of("clip_vision", options.family)
    architecture.save_weights(vision.state_dict(), architecture.CLIP_VISION, path)


if __name__ == "__main__":
    main()
