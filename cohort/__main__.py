"""``python -m mvgen.cohort``: a cohort -> a folder with every chain, their tables and a page."""

import sys

from ..launch.arguments import Parser
from ..launch.batch_arguments import add_batch_options
from ..launch.exception_handler import exit_code_of


def main() -> int:
    from .command import run  # inside the guard: these imports take long enough for a Ctrl-C

    parser = Parser(prog="run.py batch")
    add_batch_options(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
