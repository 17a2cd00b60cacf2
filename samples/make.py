"""Draws the bundled example image: a phantom patient, so no real person's picture is in this repository."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..mvg.phantom import chest_xray

SEED = 16


def main() -> None:
    image = chest_xray.render(chest_xray.sample_patient(SEED))
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(Path(__file__).with_name("chest_xray.png"))


if __name__ == "__main__":
    main()
