"""Trains every embedded network in order, each in its own process: ``run.py train embedded all --data FOLDER``.

FOLDER holds train/cxr.csv, train/skin.csv, train/fundus and fundus/, as `research.courses` reads them. Every network
starts from the weights in models/embedded/weights. A run that was stopped goes on where it was: finished parts are
known by their last checkpoint, the current one resumes. ``--fresh`` forgets all of it first.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from ...training.common import RUNS

EXAMPLES, REAL, PHOTOGRAPHS = RUNS / "examples", RUNS / "real", RUNS / "fundus_photographs"


def tables(data: Path) -> dict[str, str]:
    """The table of each domain."""
    return {
        "chest_xray": str(data / "train" / "cxr.csv"),
        "fundus": str(PHOTOGRAPHS / "table.csv"),
        "skin": str(data / "train" / "skin.csv"),
    }


def made(data: Path) -> list[tuple[str, ...]]:
    """Commands that make the examples: of drawn courses for all networks, of real pictures alone for the VAE."""
    drawn = {"chest_xray": ("10000", ".68", ".32"), "fundus": ("2500", ".8", ".2"), "skin": ("3500", ".65", ".35")}
    real = {"chest_xray": "2500", "fundus": "600", "skin": "2000"}
    out: list[tuple[str, ...]] = [("courses.fundus_photographs", "--data", str(data), "--out", str(PHOTOGRAPHS))]
    for domain, table in tables(data).items():
        general = ("courses.dataset", "--domain", domain, "--data", table, "--count")
        count, *shares = drawn[domain]
        out.append((*general, count, "--shares", *shares, "0", "--out", str(EXAMPLES / domain)))
        alone = ("--shares", "0", "1", "0", "--seed", "1", "--out", str(REAL / domain))
        out.append((*general, real[domain], *alone))
    return out


def trained(data: Path) -> list[tuple[str, ...]]:
    """Commands that train the networks."""
    examples, pictures = ("--examples", str(EXAMPLES)), ("--examples", str(REAL))
    return [
        ("training.vae", *pictures, "--steps", "900", "--rate", "6e-4"),
        ("training.diffusion", *examples, "--steps", "2400", "--rate", "5e-4"),
        ("training.vae", *pictures, "--encoder-stays", "--steps", "1000", "--rate", "5e-4", "--seed", "1"),
        ("training.classifier", "classifier", "--domain", "chest_xray", *examples, "--steps", "1200"),
        ("training.classifier", "classifier", "--domain", "skin", *examples, "--steps", "300"),
        ("training.classifier", "classifier", "--domain", "fundus", *examples, "--steps", "800", "--batch", "16"),
        ("training.clip", *examples, "--steps", "300"),
        ("training.seine", "--data", *tables(data).values(), "--steps", "450"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py train embedded all", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="real pictures, see above")
    parser.add_argument("--fresh", action="store_true", help="start over: delete training/runs")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    package = (__package__ or "mvgen.research.training").rpartition(".")[0]
    parts = made(options.data) if not (EXAMPLES / "skin" / "about.json").exists() else []
    for module, *arguments in [*parts, *trained(options.data)]:
        print(f"== {' '.join([module, *arguments])}", flush=True)
        subprocess.run([sys.executable, "-m", f"{package}.{module}", *arguments], check=True)


if __name__ == "__main__":
    main()
