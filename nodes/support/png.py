"""PNG files that say of themselves that they are simulated."""

from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...mvg.disclaimer import STATEMENT
from . import provenance


def to_pil(image: torch.Tensor) -> Image.Image:
    """[H, W, C] in [0, 1] -> 8-bit picture, rounded to the nearest level."""
    return Image.fromarray((image[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())


def png_marks(stage: int | None = None) -> PngInfo:
    marks = PngInfo()
    marks.add_text("Software", f"MVG {provenance.version()}")
    marks.add_text("Synthetic", "input image, stage 0 of a simulation" if stage == 0 else "true")
    marks.add_text("Comment", STATEMENT)
    if stage is not None:
        marks.add_text("Stage", str(stage))
    return marks


def save_png(path: Path, image: torch.Tensor, stage: int | None = None) -> None:
    to_pil(image).save(path, pnginfo=png_marks(stage))
