"""``python -m mvgen.cohort.demo``: image and report -> a folder with video, stages, plot and scores."""

import sys

from ...launch.arguments import Parser, add_demo_options
from ...launch.exception_handler import exit_code_of


def main() -> int:
    from .run import run  # inside the guard: these imports take long enough for a Ctrl-C

    parser = Parser(prog="run.py demo")
    add_demo_options(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
