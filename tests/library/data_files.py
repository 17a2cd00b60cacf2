"""Small data sets on disk for tests of what reads them."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, size: tuple[int, int] = (40, 32), value: int = 90) -> Path:
    """A gray picture with a bright bar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0]), value, dtype=np.uint8)
    pixels[8:12] = 200
    Image.fromarray(pixels).save(path)
    return path


def write(path: Path, text: str, newline: str = "\n") -> Path:
    """A text file with the line ends of any system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", newline).encode())
    return path


def films(folder: Path, patients: int = 24) -> Path:
    """A CSV of noisy films, two a patient; edema is bright below, and pneumonia, sometimes uncertain, bright above."""
    rng = np.random.default_rng(0)
    rows = ["file,patient,split,edema,pneumonia,fracture,licence"]
    for n in range(2 * patients):
        patient, edema, pneumonia = n // 2, n % 3 == 0, n % 4 < 2
        pixels = 90 + rng.normal(size=(48, 44)) * 25
        pixels[30:] += 60 * edema
        pixels[:15] += 60 * pneumonia
        path = folder / "films" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
        told = -1 if n == 8 else "" if n == 9 else int(pneumonia)
        rows.append(f"films/{n}.png,p{patient},{'val' if patient % 3 == 0 else 'train'},{int(edema)},{told},0,CC0")
    return write(folder / "films.csv", "\n".join([*rows, ""]))
