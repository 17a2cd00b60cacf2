"""Makes a template's thumbnail from a demo: ``python -m mvgen.workflows.thumbnail NAME FOLDER``.

FOLDER is what ``python3 run.py demo`` printed as its result. Written: workflows/NAME.jpg, four of its stages from the
input image to the last, 400 x 400.
"""

import sys
from pathlib import Path

from PIL import Image

SIDE, GAP = 198, 4
QUALITY = 88


def thumbnail(folder: Path) -> Image.Image:
    stages = sorted(folder.glob("stage_*.png"))
    if len(stages) < 4:
        sys.exit(f"{folder} has {len(stages)} stages, want at least 4 (run.py demo --stages 3 or more)")
    sheet = Image.new("L", (2 * SIDE + GAP, 2 * SIDE + GAP))
    for n in range(4):
        stage = Image.open(stages[round(n * (len(stages) - 1) / 3)]).convert("L")
        sheet.paste(stage.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (n % 2 * (SIDE + GAP), n // 2 * (SIDE + GAP)))
    return sheet


def main(name: str, folder: str) -> None:
    target = Path(__file__).with_name(f"{name}.jpg")
    thumbnail(Path(folder)).save(target, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
