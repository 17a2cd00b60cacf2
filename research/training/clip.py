"""Trains the embedded CLIP vision tower by image-text contrast (Radford et al. 2021) for CLIP-I.

Two thirds of each batch are real pictures, drawn courses and phantoms with their captions; the rest are pictures of
nothing medical (checks, stripes, discs, clouds, noise) or medical ones turned, blurred or negated, with captions that
say so. As with the public CLIP, most of the embedding therefore says what kind of picture it is, and less of it how ill
the patient is. A second term asks for one patient in two states of disease to be nearer than two patients: CLIP-I is
to say whether the patient stayed the same. The logit scale is 100, where the public CLIP's training ends (its bound).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...models.embedded import architecture
from ...mvg.domains import BUILT_IN
from ...training import common, text, weights
from ..courses.dataset import drawn_caption
from . import dataset, examples

LOGIT_SCALE = 100.0
PATTERNS = (
    "checkerboard", "horizontal stripes", "vertical stripes", "white disc", "dark disc", "clouds", "noise", "ramp"
)  # fmt: skip
PHANTOMS = 0.25
"""Share of a batch's medical pictures."""
SHARES = (0.5, 0.25, 0.25)
"""Of DOMAINS."""
OPTIONS: dict[str, dict[str, Any]] = {
    "--examples": {"type": Path, "required": True, "metavar": "DIR", "help": "a folder of examples a domain"},
    "--out": {"type": Path, "default": common.WEIGHTS, "help": "where the weights go"},
}
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


class Patients:
    """Pictures of patients in two states each, with captions: real ones drawn on, and phantoms on two days.

    Args:
        domain: its name.
        root: of the examples.
        count: phantoms.
    """

    def __init__(self, domain: str, root: Path, count: int):
        self.domain, self.real = domain, examples.Examples(root / domain)
        self.phantoms = [dataset.Pool(count, visit, (domain,)) for visit in (0, 1)]
        self.groups = [(self.real.lines[members[0]]["patient"], members) for members in self.real.groups]

    def draw(self, rng: np.random.Generator) -> tuple[str, torch.Tensor, str, torch.Tensor]:
        """Who it is, a picture [3, 128, 128], its caption, and another picture of the same patient."""
        if rng.random() < PHANTOMS:
            index = int(rng.integers(len(self.phantoms[0])))
            first, second = (pool.picture(index) for pool in self.phantoms)
            return f"{self.domain} {index}", first, self.phantoms[0].captions([index], rng)[0], second
        patient, members = self.groups[int(rng.integers(len(self.groups)))]
        one, other = rng.choice(members, 2, replace=False)
        size = architecture.CLIP_VISION["image_size"]
        line = self.real.lines[one]
        said = drawn_caption(self.domain, [(f, s, line["side"]) for f, s in line["findings"].items()], rng, 0.0)
        return patient, self.real.picture(one, size), said, self.real.picture(other, size)


def main() -> None:
    options = common.arguments(__doc__ or "", steps=500, batch=48, rate=5e-4, more=OPTIONS)
    patients = [Patients(domain, options.examples, options.count or 2000) for domain in architecture.DOMAINS]
    torch.manual_seed(options.seed)
    vision, tower = architecture.build_clip_vision(), architecture.build_clip_text()
    trainer = common.Trainer("clip", {"vision": vision, "text": tower}, options, decay=0.99)
    size = architecture.CLIP_VISION["image_size"]

    def loss(generator: torch.Generator, step: int) -> dict:
        rng = np.random.default_rng([options.seed, step])
        n = 2 * options.batch // 3
        whom, first, said, second = (list(part) for part in zip(
            *(patients[d].draw(rng) for d in rng.choice(len(patients), size=n, p=SHARES)), strict=True
        ))  # fmt: skip
        for _ in range(options.batch - n):
            if rng.random() < 0.6:
                kind = str(rng.choice(PATTERNS))
                first.append(torch.from_numpy(pattern(kind, rng, size)).float()[None].expand(3, -1, -1))
                said.append(kind)
            else:
                kind, whose = str(rng.choice(CHANGES)), patients[int(rng.integers(len(patients)))]
                first.append(changed(whose.draw(rng)[1], kind))
                said.append(f"{kind} {BUILT_IN[whose.domain].prefixes[1]}")
        pixels = torch.stack([*first, *second])
        pixels = pixels * (0.9 + 0.2 * torch.rand(len(pixels), 1, 1, 1, generator=generator))
        same = torch.tensor([[float(a == b) for b in said] for a in said])
        image = vision(network_input(pixels).to(options.device)).image_embeds.float()
        words = tower(text.tokenize(said).to(options.device)).text_embeds.float()
        earlier, later = image[: options.batch], image[options.batch :]
        patient = torch.tensor([[float(a == b) for b in whom] for a in whom]).to(options.device)
        terms = {
            "captions": contrast(earlier, words, same.to(options.device)),
            "patients": contrast(earlier[:n], later, patient),
        }
        return {"loss": sum(terms.values()), **terms}

    trainer.fit(loss)
    trainer.averaged()
    path = weights.path_of("clip_vision", options.out)
    told = examples.told(options.examples)
    architecture.save_weights(vision.state_dict(), architecture.CLIP_VISION, path, **told)


if __name__ == "__main__":
    main()
