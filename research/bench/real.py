"""What the networks make of real pictures that they have never seen: ``run.py bench real PART --data CSV``.

round-trip: the VAE, in dB. drawn: simulated courses against drawn ones of known severity, with control and baselines.
labels: what judges of real labels see in simulated severe stages. kid: their distance to real pictures with the label.
told-apart: whether a classifier tells them from real ones. memorisation: samples from noise beside training pictures.
bad-input: what is told of pictures that should not be given, and what is drawn. sheets: pictures of courses. Patients
are those of val, one picture each; settings are chosen with ``--of judges``, on patients of train whom no network of
the product has seen. drawn and labels need what `run.py bench judges` makes.

Every course is kept in research/bench/results/runs, so that parts share courses and go on where they were stopped;
--count and --first choose patients. Intervals: 95 % over patients. A bar that is missed ends the command with exit
code 1; a last table says which.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from ...models.standalone_host import use_host
from . import bars
from .bars import Verdict
from .real_images import bad_input, distance, drawn, labels, memorisation, options, round_trip, sheets

PARTS: dict[str, Callable[[argparse.Namespace], list[Verdict]]] = {
    "round-trip": round_trip.run,
    "drawn": drawn.run,
    "labels": labels.run,
    "kid": distance.run_kid,
    "told-apart": distance.run_told_apart,
    "memorisation": memorisation.run,
    "bad-input": bad_input.run,
    "sheets": sheets.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="run.py bench real", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=list(PARTS))
    options.add(parser)
    parser.add_argument("--beside", type=int, help="drawn: patients that get control and baselines (default: all)")
    parser.add_argument(
        "--unread", action="store_true", help="drawn: without the severity, so that no reader is needed"
    )
    parser.add_argument("--truth", action="store_true", help="sheets: the drawn course below each")
    parser.add_argument("--tile", type=int, default=192, help="sheets: pixels of a picture (default: 192)")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="bad-input: more pictures")
    given = parser.parse_args()
    use_host()
    cv2.setNumThreads(1)
    began = time.time()
    try:
        options.check(given)
        verdicts = PARTS[given.part](given)
    except ValueError as error:
        sys.exit(f"error: {error}")
    if verdicts:
        print(f"\n{bars.markdown(verdicts)}")
    print(f"{time.time() - began:.0f} s")
    sys.exit(bars.exit_code(verdicts))


if __name__ == "__main__":
    main()
