"""Ours against recorded tensors of other implementations: ``run.py bench parity DIR``.

DIR has subfolders pie, ddim and seine (or some of them); the README in each says what its tensors are. Every check runs
our own samplers and network, on the CPU. One line a check with its error and tolerance; exit code 1 where one fails.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from .parity_checks import Check, ddim, pie, seine

CHECKS: dict[str, Callable[[Path], Iterator[Check]]] = {"pie": pie.checks, "ddim": ddim.checks, "seine": seine.checks}


def run(folder: Path) -> tuple[int, int]:
    """Prints every check that applies to the folder -> (passed, failed)."""
    counts = [0, 0]
    for part, checks in CHECKS.items():
        if not (folder / part).is_dir():
            print(f"{part}: no such folder, not checked")
            continue
        try:
            for check in checks(folder / part):
                counts[not check.passed] += 1
                verdict = "ok  " if check.passed else "FAIL"
                line = f"{verdict} {part:5} {check.name:64} {check.error:9.2e} <= {check.tolerance:.1e}  {check.note}"
                print(line, flush=True)
        except (KeyError, ValueError, OSError, RuntimeError, FloatingPointError) as error:
            counts[1] += 1
            print(f"FAIL {part:5} cannot go on: {type(error).__name__}: {error}", flush=True)
    return counts[0], counts[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bench parity", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds pie, ddim or seine")
    folder = parser.parse_args().folder
    if not any((folder / part).is_dir() for part in CHECKS):
        parser.error(f"{folder} holds none of {', '.join(CHECKS)}")
    torch.set_num_threads(1)  # so small that more only wait for each other
    passed, failed = run(folder)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
