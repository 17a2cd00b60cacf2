"""Makes the templates' thumbnails: ``python -m mvgen.workflows.thumbnail NAME [FOLDER]`` writes NAME's of titles.py.

FOLDER holds the results that NAME shows: the folder inside ComfyUI's output folder that the workflow saved to. A
workflow that needs other people's checkpoints shows no result, as nobody has made one here: its thumbnail is a diagram
round the example patient and takes no FOLDER.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..mvg.picture_file import read_picture
from ..research.courses import courses
from ..samples.make import FINDING, SEVERE, SIDE
from ..samples.make import FOLDER as SAMPLES
from .titles import page_file

WIDTH, HEIGHT, GAP = 400, 300, 4
LINE, TEXT = 26, 19
QUALITY = 88
GROUND, BOX, INK = "#18181b", "#3b3b44", "#f4f4f5"

Cell = str
"""``=words``: a box with words; ``severe``: the chest patient with the finding; a name of SAMPLE; a file of FOLDER."""
SAMPLE = {"input": "chest_xray.png", "later": "chest_xray_later.png", "lesion": "skin.png"}

STAGES = (("stage_00.png", "stage_02.png"), ("stage_04.png", "stage_06.png"))
LAST = "stage_04.png"
CARDS: dict[str, tuple[tuple[tuple[Cell, ...], ...], tuple[str, ...]]] = {
    "mvg_start_chest_xray": (STAGES, ("Chest X-ray: from report to film", "eight nodes, to begin with")),
    "mvg_start_fundus": (STAGES, ("Fundus: from report to film", "eight nodes, to begin with")),
    "mvg_start_skin": (STAGES, ("Skin lesion: from report to film", "eight nodes, to begin with")),
    "mvg_chest_xray": (STAGES, ("Chest X-ray, every node", "with previews of all that is made")),
    "mvg_fundus": (STAGES, ("Fundus photograph, every node", "with previews of all that is made")),
    "mvg_skin": (STAGES, ("Skin lesion, every node", "with previews of all that is made")),
    "mvg_sd14_seine": (
        (("input", "=Stable Diffusion\n1.4: 10 stages"), ("=SEINE:\n151 frames", "=Conf\nCLIP-I")),
        ("Set-up of the paper's table 2", "with checkpoints of your own"),
    ),
    "mvg_sd3": (
        (("input", "=Stable Diffusion 3\nmedium: 10 stages"), ("=SEINE:\n151 frames", "=film, stages,\nprovenance")),
        ("Set-up of the paper's user study", "with checkpoints of your own"),
    ),
    "mvg_diffusers_finetune": (
        (("input", "=unet"), ("=text_encoder", "=vae")),
        ("A published fine-tune", "in diffusers layout, as it is"),
    ),
    "mvg_stage_by_stage": (
        (("stage_00.png", "stage_01.png"), ("stage_02.png", "stage_03.png")),
        ("Stage by stage, each with words", "and a painted region of its own"),
    ),
    "mvg_severity": (
        (("stage_00.png", "stage_01.png", "stage_02.png"), ("=0.2, 0.4,\n0.6, 0.85", "stage_03.png", "stage_04.png")),
        ("Severity as a number", "with the host's own samplers"),
    ),
    "mvg_compare_baselines": (
        tuple(
            (f"={name}", f"{key}/stage_00.png", f"{key}/stage_02.png", f"{key}/{LAST}")
            for name, key in (("PIE", "pie"), ("SD Walk", "sd_walk"), ("Extra-\npolation", "extrapolation"))
        ),
        ("PIE beside the paper's baselines", "same patient, same networks"),
    ),
    "mvg_compare_image_to_video": (
        (("input", "=MVG"), ("=CogVideoX", "=a clip\nfrom a file")),
        ("Image-to-video models, scored", "by the same two nodes"),
    ),
    "mvg_compare_pixverse": (
        (("input", "=PixVerse"), ("=over the\nnetwork", "=Conf\nCLIP-I")),
        ("PixVerse, scored as MVG is", "sends the picture to a company"),
    ),
    "mvg_longitudinal": (
        (("stage_00.png", "later"), ("stage_06.png", "difference_01.png")),
        ("First and later visit; last stage", "and where it differs"),
    ),
    "mvg_cohort_kid": (
        (
            tuple(f"patient{n}/stage_02.png" for n in ("", "_00002", "_00003", "_00004")),
            tuple(f"patient{n}/stage_02.png" for n in ("_00005", "_00006", "_00007", "_00008")),
        ),
        ("A folder of patients at once", "last stages against a real set: KID"),
    ),
    "mvg_llm_recaption": (
        (("input", "=report"), ("=language model\nat an endpoint", "=plan, to read\nand change")),
        ("The plan by a language model", "which the server's operator named"),
    ),
    "mvg_llm_local": (
        (("input", "=report"), ("=language model\non this machine", "=plan, to read\nand change")),
        ("The plan by a language model", "that is a file of yours"),
    ),
    "mvg_medsam": (
        (("lesion", "=box round the\nplan's region"), ("=MedSAM", "=region, to\ngrow and edit")),
        ("The region by MedSAM", "in place of Anatomical ROI"),
    ),
    "mvg_dicom": (
        (("=DICOM in", "stage_00.png"), ("stage_06.png", "=DICOM out")),
        ("DICOM in, DICOM out", "derived, synthetic, no identifiers"),
    ),
    "mvg_transition_wan": (
        (("input", "=Wan 2.1:\nfirst and\nlast frame", "severe"),),
        ("The film between two stages", "by Wan, in place of SEINE"),
    ),
    "mvg_transition_interpolation": (
        (("input", "=RIFE\nor FILM", "severe"),),
        ("The film between two stages", "by frame interpolation"),
    ),
}


def picture(cell: Cell, folder: Path) -> Image.Image:
    if cell == "severe":
        film = read_picture(SAMPLES / SAMPLE["input"]).image[..., 0].numpy()
        drawn = courses("chest_xray").draw(film, FINDING, SEVERE, SIDE)
        return Image.fromarray(np.round(drawn * 255).astype(np.uint8))
    return Image.open(SAMPLES / SAMPLE[cell] if cell in SAMPLE else folder / cell)


def card(name: str, folder: Path) -> Image.Image:
    """Rows of pictures and words, and two lines that say what they are."""
    rows, lines = CARDS[name]
    sheet = Image.new("RGB", (WIDTH, HEIGHT + 2 * LINE + 4 * GAP), GROUND)
    pen = ImageDraw.Draw(sheet)
    height = (HEIGHT - (len(rows) - 1) * GAP) // len(rows)
    for r, row in enumerate(rows):
        width = (WIDTH - (len(row) - 1) * GAP) // len(row)
        for c, cell in enumerate(row):
            x, y = c * (width + GAP), r * (height + GAP)
            if cell.startswith("="):
                pen.rectangle((x, y, x + width - 1, y + height - 1), fill=BOX)
                font = ImageFont.load_default(TEXT if width > 120 else TEXT - 4)
                pen.text((x + width / 2, y + height / 2), cell[1:], INK, font, "mm", align="center")
                continue
            side = min(width, height)
            square = picture(cell, folder).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(square, (x + (width - side) // 2, y + (height - side) // 2))
    for n, line in enumerate(lines):
        pen.text((WIDTH / 2, HEIGHT + 2 * GAP + (n + 0.5) * LINE), line, INK, ImageFont.load_default(TEXT), "mm")
    return sheet


def main(name: str, folder: str = ".") -> None:
    card(name, Path(folder)).save(page_file(name, ".jpg"), quality=QUALITY, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in CARDS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
