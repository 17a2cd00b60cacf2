"""Trains every embedded network in order, each in its own process: ``run.py train embedded all``.

A run that was stopped goes on where it was: finished parts are known by their last checkpoint, the current one
resumes. ``--fresh`` forgets all of it first.
"""

import argparse
import shutil
import subprocess
import sys

from ...training.common import RUNS

GRAY = (
    ("vae",),
    ("diffusion",),
    ("diffusion", "--go-on", "--steps", "1500", "--rate", "3e-4", "--seed", "1"),
    ("diffusion", "--go-on", "--steps", "4500", "--rate", "3e-4", "--seed", "2"),
    ("classifier", "classifier"),
    ("classifier", "reader", "--steps", "1500"),
    ("clip",),
    ("seine",),
    ("seine", "--go-on", "--steps", "3400", "--seed", "1"),
)
COLOR = (
    ("vae", "--steps", "2300", "--batch", "4", "--rate", "9e-4"),
    ("vae", "--go-on", "--steps", "1300", "--rate", "6e-4", "--seed", "1"),
    ("diffusion", "--steps", "3300", "--rate", "8e-4"),
    ("diffusion", "--go-on", "--steps", "3900", "--rate", "5e-4", "--seed", "1"),
    ("diffusion", "--go-on", "--steps", "16700", "--rate", "6e-4", "--seed", "2"),
    ("classifier", "classifier", "--steps", "600"),
    ("classifier", "reader", "--steps", "900"),
    ("clip",),
    ("seine", "--steps", "1500"),
    ("seine", "--go-on", "--steps", "850", "--batch", "4", "--seed", "1"),
)
PARTS = (
    ("dataset",),
    *GRAY,
    *((*part, "--family", "colour") for part in COLOR),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py train embedded all", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="start over: delete training/runs")
    if parser.parse_args().fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    package = __package__ or "mvgen.training"
    for module, *arguments in PARTS:
        print(f"== {' '.join([module, *arguments])}", flush=True)
        subprocess.run([sys.executable, "-m", f"{package}.{module}", *arguments], check=True)


if __name__ == "__main__":
    main()
