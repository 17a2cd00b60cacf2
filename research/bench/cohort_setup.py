"""A cohort of phantom patients on disk, and what a batch left of it."""

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ...launch.paths import ROOT, WORKFLOWS
from ..phantom.domains import phantom, picture

REPORT = "Frontal chest radiograph. Small left pleural effusion, expected to increase."
STREAM = 7
RUN = (sys.executable, str(ROOT / "run.py"), "batch")


def write_cohort(
    folder: Path, rows: int, seeds: str = "0", drawn: int | None = None, stages: int = 2, **loop: float
) -> list[str]:
    """Phantom patients, a report and a short workflow; ``drawn`` pictures are shared by all rows. Returns arguments.

    loop: inputs of PIE Loop.
    """
    domain = phantom("chest_xray")
    for n in range(drawn or rows):
        image = picture("chest_xray", domain.sample_patient(n, STREAM))
        Image.fromarray((image * 255).round().astype(np.uint8)).save(folder / f"p{n}.png")
    with (folder / "cohort.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["patient_id", "image", "prompt", "seeds"])
        for n in range(rows):
            out.writerow([f"P{n:05d}", f"p{n % (drawn or rows)}.png", f"{REPORT} Patient {n}.", seeds])
    graph = json.loads((WORKFLOWS / "mvg_chest_xray.json").read_text(encoding="utf-8"))
    for node in graph.values():
        if node["class_type"] == "MVG_Recaption":
            node["inputs"]["stages"] = stages
        if node["class_type"] == "MVG_LoadMedicalImage":
            node["inputs"]["size"] = domain.SIZE
        if node["class_type"] == "MVG_PIELoop":
            node["inputs"] |= loop
        if node["class_type"] == "MVG_SEINETransition":
            node["inputs"]["frames"] = 3
    (folder / "workflow.json").write_text(json.dumps(graph))
    return [str(folder / "cohort.csv"), "--workflow", str(folder / "workflow.json"), "--out", str(folder / "out")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def half_written(out: Path) -> list[Path]:
    whole = {path.parent for path in out.glob("chains/*/done.json")}
    passing = [path for path in out.iterdir() if path.name in (".partial", ".work")]
    return [*passing, *out.rglob("*.tmp"), *(path for path in out.glob("chains/*") if path not in whole)]


def saved_files(out: Path) -> dict[str, bytes]:
    """Every file of every chain."""
    chains = out / "chains"
    return {str(path.relative_to(chains)): path.read_bytes() for path in chains.rglob("*") if path.is_file()}
