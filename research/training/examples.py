"""Folders of training examples that `research.courses.dataset` wrote, one a domain, as trainings read them."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ..courses import courses


class Examples:
    """Pictures of one folder with what is said of them.

    Args:
        folder: with images.npy and examples.jsonl.

    Raises:
        ValueError: one of the two is missing.
    """

    def __init__(self, folder: Path):
        if missing := [
            name for name in ("images.npy", "examples.jsonl", "about.json") if not (folder / name).is_file()
        ]:
            raise ValueError(f"examples: {folder} has no {missing[0]}, want what research.courses.dataset writes")
        self.folder = folder
        self.images = np.load(folder / "images.npy", mmap_mode="r")
        self.lines = [json.loads(line) for line in (folder / "examples.jsonl").read_text("utf-8").splitlines()]
        self.about = json.loads((folder / "about.json").read_text("utf-8"))

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def groups(self) -> list[list[int]]:
        """The pictures that share a background with another, by background."""
        found: dict[int, list[int]] = {}
        for i, line in enumerate(self.lines):
            if line["group"] >= 0:
                found.setdefault(line["group"], []).append(i)
        return [members for members in found.values() if len(members) > 1]

    def picture(self, index: int, size: int | None = None) -> torch.Tensor:
        """float32 [3, size, size] in [0, 1]; by default at the size it has."""
        image = np.asarray(self.images[index])
        if size is not None and size != len(image):
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        tensor = torch.from_numpy(np.array(image, dtype=np.float32)) / 255
        return tensor[None].expand(3, -1, -1) if tensor.ndim == 2 else tensor.movedim(-1, 0)


def read(root: Path, domains=DOMAINS) -> dict[str, Examples]:
    """The folders of these domains below a root, by domain."""
    return {domain: Examples(root / domain) for domain in domains}


def told(root: Path, domains=DOMAINS) -> dict[str, str]:
    """What the metadata of weights say of the data that they were trained on.

    Args:
        root: of `read`.
        domains: those that the network saw.

    Returns:
        ``data``, ``findings`` by domain and ``licences``, the lines that the sources ask to be repeated; JSON, but for
        the first.
    """
    abouts = {domain: json.loads((root / domain / "about.json").read_text("utf-8")) for domain in domains}
    findings = {domain: list(courses(domain).FINDINGS) for domain in domains}
    licences = sorted({line for about in abouts.values() for line in about["licences"]})
    return {
        "data": "real pictures, courses drawn on them, and phantoms",
        "findings": json.dumps(findings),
        "licences": json.dumps(licences),
    }
