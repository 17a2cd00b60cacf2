"""Lung fields of real films by a small network: a starting point where the product's fit goes astray.

The product fits two outlines to a film (`mvg.regions.chest`), which succeeds on about two films of three and says so
poorly. The network learns from the fits that are plausible beyond doubt, under wide distortions, and so is right where
the fit is not; no outline was drawn by a person. ``python -m mvgen.research.courses.chest.lungs --data FOLDER`` makes
it from the train patients of FOLDER/cxr.csv.
"""

import argparse
import csv
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from ....mvg.regions import chest
from ....training.common import RUNS

SIZE = 96
WEIGHTS = Path(__file__).with_name("lungs.safetensors")
WIDTHS = (12, 24, 36, 48)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(2):
        layers += [
            nn.Conv2d(inputs if i == 0 else outputs, outputs, 3, stride if i == 0 else 1, 1),
            nn.GroupNorm(4, outputs),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers)


class LungNet(nn.Module):
    """A U-Net of four levels from films [B, 1, SIZE, SIZE] of `prepare` to logits [B, 2, SIZE, SIZE]: right, left."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _block(i, o, stride=2) for i, o in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True)
        )  # at 48, 24, 12 and 6
        self.up = nn.ModuleList(_block(low + high, high) for low, high in zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
        self.head = nn.Conv2d(WIDTHS[0], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        levels: list[Tensor] = []
        for block in self.down:
            x = block(x)
            levels.append(x)
        for block, skip in zip(reversed(self.up), reversed(levels[:-1]), strict=True):
            x = block(torch.cat([interpolate(x, scale_factor=2.0, mode="bilinear"), skip], dim=1))
        return interpolate(self.head(x), scale_factor=2.0, mode="bilinear")


def prepare(image: np.ndarray) -> np.ndarray:
    """[SIZE, SIZE] float32 of zero mean and unit spread from a film [H, W] in [0, 1]."""
    small = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    low, high = np.percentile(small, (2, 98))
    small = np.clip((small - low) / max(high - low, 1e-3), -0.2, 1.2)
    return ((small - small.mean()) / max(float(small.std()), 1e-3)).astype(np.float32)


@cache
def _network() -> LungNet:
    network = LungNet()
    network.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS).items()})
    return network.eval()


def segment(image: np.ndarray) -> np.ndarray:
    """Chances [2, SIZE, SIZE] float32 of right and left lung (the patient's), from a film [H, W] in [0, 1]."""
    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        return torch.sigmoid(_network()(torch.from_numpy(prepare(image))[None, None]))[0].numpy()


def plausible(anatomy: chest.Anatomy) -> bool:
    """Whether a fit of the product is right beyond doubt: of high contrast, both lungs alike, whole and in the film."""
    height, width = anatomy.right.shape
    side = min(height, width)
    areas = [float((lung > 0.5).sum()) / side**2 for lung in (anatomy.right, anatomy.left)]
    boxes = (anatomy.right_box, anatomy.left_box)
    return (
        anatomy.quality >= 0.6
        and min(areas) > 0.05
        and 0.5 < areas[0] / areas[1] < 2
        and abs(boxes[0][1] - boxes[1][1]) < 0.06 * side
        and all(box[1] > 0.02 * height and box[3] < 0.97 * height for box in boxes)
        and all(box[3] - box[1] < 2.6 * (box[2] - box[0]) for box in boxes)
    )


def examples(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Films [n, SIZE, SIZE] and lungs [n, 2, SIZE, SIZE], uint8, of the train patients whose fit is plausible."""
    kept = RUNS / "courses" / "lungs.npz"
    if not kept.exists():
        films, lungs = [], []
        with (data / "cxr.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
        for row in rows:
            film = cv2.imread(str(data / row["file"]), cv2.IMREAD_GRAYSCALE)
            if film is None:
                raise ValueError(f"--data: {data / row['file']} cannot be read as an image")
            anatomy = chest.locate(torch.from_numpy(film.astype(np.float32) / 255)[None, ..., None])
            if plausible(anatomy):
                films.append(cv2.resize(film, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
                masks = (
                    cv2.resize(m, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for m in (anatomy.right, anatomy.left)
                )
                lungs.append(np.stack([np.round(m * 255).astype(np.uint8) for m in masks]))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, films=np.stack(films), lungs=np.stack(lungs))
    with np.load(kept) as arrays:
        return arrays["films"], arrays["lungs"]


def distorted(film: np.ndarray, lungs: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A film and its lungs as another film would show them: placed, cropped, exposed, blurred, veiled and labeled."""
    angle, scale = rng.normal(0, 7), np.exp(rng.normal(0.0, 0.16))
    affine = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), angle, scale)
    affine[:, 2] += rng.normal(0, 0.06 * SIZE, 2)
    affine[0] *= np.exp(rng.normal(0, 0.06))
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    out = cv2.warpAffine(film, affine, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=border)
    masks = [cv2.warpAffine(m, affine, (SIZE, SIZE), flags=cv2.INTER_LINEAR) for m in lungs]
    x = out.astype(np.float32) / 255
    if rng.random() < 0.5:  # an opaque or veiled part of a lung is lung all the same
        cy, cx = rng.uniform(0.3, 0.9) * SIZE, rng.uniform(0.1, 0.9) * SIZE
        y, xx = np.mgrid[:SIZE, :SIZE]
        blob = np.exp(-(((y - cy) / rng.uniform(8, 30)) ** 2 + ((xx - cx) / rng.uniform(8, 30)) ** 2))
        x = x + blob.astype(np.float32) * rng.uniform(0.1, 0.9) * np.clip(0.75 - x, 0, 1)
    x = np.clip(x, 0, 1) ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.5:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
    for _ in range(rng.integers(0, 4)):  # markers, wires and shutters
        (x0, y0), (w, h) = rng.integers(0, SIZE, 2), rng.integers(1, 20, 2)
        x[y0 : y0 + h, x0 : x0 + w] = rng.choice([0.0, 1.0])
    x = x + rng.normal(0, rng.uniform(0, 0.03), x.shape).astype(np.float32)
    return prepare(x.astype(np.float32)), np.stack(masks).astype(np.float32) / 255


def train(data: Path, steps: int, batch: int = 16) -> None:
    """Trains LungNet and writes WEIGHTS."""
    films, lungs = examples(data)
    torch.manual_seed(3)
    rng, network = np.random.default_rng(3), LungNet()
    optimizer = torch.optim.AdamW(network.parameters(), 4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        pairs = [distorted(films[i], lungs[i], rng) for i in rng.integers(0, len(films), batch)]
        x, y = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*pairs, strict=True))
        logits = network(x[:, None])
        chance = torch.sigmoid(logits)
        dice = 1 - ((2 * (chance * y).sum((2, 3)) + 1) / (chance.sum((2, 3)) + y.sum((2, 3)) + 1)).mean()
        loss = binary_cross_entropy_with_logits(logits, y) + 0.5 * dice
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"lungs: step {step + 1} of {steps}, loss {loss.item():.4f}", flush=True)
    save_file({k: v.half().contiguous() for k, v in network.state_dict().items()}, WEIGHTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of cxr.csv")
    parser.add_argument("--steps", type=int, default=600, help="(default: 600)")
    options = parser.parse_args()
    train(options.data, options.steps)


if __name__ == "__main__":
    main()
