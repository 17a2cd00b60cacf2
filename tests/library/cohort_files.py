"""A small cohort on disk for the tests: two pictures, a report, a workflow; and a batch over it."""

import csv
import json
from pathlib import Path

from mvgen import cohort
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
REPORT = "Small left pleural effusion, expected to increase."
HEADER = ["patient_id", "image", "report", "seeds"]
VERSIONS = {"comfyui": "0.30.0", "torch": "2"}


def workflow(folder: Path, name: str = "mvg_chest_xray", **changed: dict) -> Path:
    """A bundled workflow, with inputs of a class changed."""
    graph = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    for class_type, inputs in changed.items():
        for node in graph.values():
            if node["class_type"] == class_type:
                node["inputs"] |= inputs
    path = folder / "workflow.json"
    path.write_text(json.dumps(graph), encoding="utf-8")
    return path


def manifest(folder: Path, rows: list[list[str]], header: list[str] = HEADER, separator: str = ",") -> Path:
    """A CSV beside the files a.png, b.png, small.png, black.png, words.png and report.txt."""
    for name, size, colour in (("a", 64, 90), ("b", 64, 120), ("small", 32, 255), ("black", 64, 0)):
        Image.new("L", (size, size), colour).save(folder / f"{name}.png")
    (folder / "words.png").write_text("no picture")
    (folder / "report.txt").write_text(REPORT)
    (folder / "blank.txt").write_text(" \n")
    path = folder / "cohort.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=separator).writerows([header, *rows])
    return path


def five_chains(folder: Path) -> cohort.Cohort:
    """A patient of five seeds."""
    return cohort.build(manifest(folder, [["A", "a.png", "report.txt", "0-4"]]), workflow(folder))


def run(plan: cohort.Cohort, store: cohort.Store, engine, **options):
    with store.lock():
        return cohort.run(plan, store, engine, **options)
