"""The graded reader: how severe each finding has become from one picture of a patient to another.

It sees both pictures, as a radiologist who holds a film beside the earlier one, so that it grades the change and not
the anatomy. It is trained on courses drawn onto pictures of patients of whom neither the product's networks nor the
figures know anything, and no node uses it.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ....training.data import Table
from ...courses import courses
from ...courses.dataset import Examples, of_part

SIZES = {"chest_xray": 128, "skin": 128, "fundus": 256}
"""Domain -> side of the pictures that it sees, in pixels: lesions of the retina are small."""
WIDTHS = (24, 48, 96, 128)
ILL = 4.0
"""How much more the severity counts where there is any."""


class Reader(nn.Module):
    """A small convolutional network on two pictures.

    Args:
        findings: one severity each.
        size: side that pictures are brought to.
        channels: of a picture.
    """

    def __init__(self, findings: tuple[str, ...], size: int, channels: int):
        super().__init__()
        self.findings, self.size, self.channels = findings, size, channels
        layers: list[nn.Module] = []
        before = 2 * channels
        for width in WIDTHS:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.SiLU()]
            layers += [
                nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                nn.BatchNorm2d(width),
                nn.SiLU(),
            ]
            before = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * before, len(findings))

    def forward(self, first: Tensor, later: Tensor) -> Tensor:
        """Two batches [B, C, S, S] in [0, 1] -> logits of the severities [B, findings]."""
        seen = self.features(torch.cat([first - 0.5, 5 * (later - first)], dim=1))
        return self.head(torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1))

    @torch.inference_mode()
    def severity(self, first: Tensor, later: Tensor) -> np.ndarray:
        """Of pictures of one patient.

        Args:
            first: [H, W, 3] in [0, 1], before.
            later: [B, H, W, 3], after.

        Returns:
            [B, findings] in [0, 1].
        """
        pictures = torch.cat([first[None], later]).movedim(-1, 1)
        if self.channels == 1:
            pictures = pictures.mean(dim=1, keepdim=True)
        if pictures.shape[-1] != self.size:
            pictures = F.interpolate(pictures, (self.size, self.size), mode="area")
        return self(pictures[:1].expand(len(later), -1, -1, -1), pictures[1:]).sigmoid().numpy()


def pairs(table: Table, count: int, seed: int, split: str = "train") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drawn courses of the judges' patients (in a domain without such: of the train split).

    Args:
        table: of the domain.
        count: of drawn pictures, those without a finding among them.
        seed: of the courses.
        split: whose pictures; those of val are all.

    Returns:
        uint8 [n, C, S, S] before, [n, C, S, S] after, and float32 [n, findings], the severities.
    """
    findings, size = courses(table.domain).FINDINGS, SIZES[table.domain]
    try:
        part = of_part(table, "judges")
        part.part(split)
    except ValueError:
        part = table
    examples = Examples(part, split, count, size=size, seed=seed, shares=(1, 0, 0))
    before: dict[int, np.ndarray] = {}
    drawn: list[tuple[int, np.ndarray, dict[str, float | None]]] = []
    for _, image, example in examples:
        pixels = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        if not example.finding:
            before[example.group] = pixels
        drawn.append((example.group, pixels, example.findings))
    drawn = [item for item in drawn if item[0] in before]
    first, after = np.stack([before[g] for g, _, _ in drawn]), np.stack([pixels for _, pixels, _ in drawn])
    severities = [[shown.get(finding) or 0.0 for finding in findings] for _, _, shown in drawn]
    return first, after, np.array(severities, np.float32)


def train(first: np.ndarray, later: np.ndarray, severities: np.ndarray, findings, steps: int, seed: int = 0) -> Reader:
    """A reader of pairs.

    Args:
        first, later: uint8 [n, C, S, S].
        severities: [n, findings].
        findings: their names.
        steps: of 32 pairs.
        seed: of weights and order.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = Reader(tuple(findings), first.shape[-1], first.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
    a, b, truth = torch.from_numpy(first), torch.from_numpy(later), torch.from_numpy(severities)
    network.train()
    for _ in range(steps):
        index = torch.randint(len(a), (32,), generator=generator)
        before, after, target = a[index].float() / 255, b[index].float() / 255, truth[index]
        before, after = _augmented(before, after, generator)
        logits = network(before, after)
        loss = F.binary_cross_entropy_with_logits(logits, target, 1 + ILL * (target > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _augmented(first: Tensor, later: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tone and place of both; grain and sharpness of the later one, which are a generator's and not a disease's."""
    draw = torch.rand(5, generator=generator).tolist()
    tone = 1 + 0.2 * (torch.rand(len(first), 1, 1, 1, generator=generator) - 0.5)
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    first, later = ((torch.roll(x, shift, dims=(2, 3)) * tone).clamp(0, 1) for x in (first, later))
    if draw[0] < 0.3:
        small = F.avg_pool2d(later, 3, stride=1, padding=1, count_include_pad=False)
        later = torch.lerp(later, small, draw[1])
    if draw[2] < 0.5:
        later = later + 0.02 * draw[3] * torch.randn(later.shape, generator=generator)
    return first, later


def save(network: Reader, path: Path) -> None:
    """Writes weights, and names and sizes as metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"findings": "|".join(network.findings), "size": str(network.size), "channels": str(network.channels)}
    save_file(network.state_dict(), path, metadata=about)


def load(path: Path) -> Reader:
    """The reader of a file of `save`.

    Raises:
        ValueError: there is no such file; the message says what makes it.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise ValueError(f"judges: there is no {path}; `run.py bench judges` with the same --data makes it")
    with safe_open(path, "pt") as file:
        about = file.metadata()
    network = Reader(tuple(about["findings"].split("|")), int(about["size"]), int(about["channels"]))
    network.load_state_dict(load_file(path))
    return network.eval()
