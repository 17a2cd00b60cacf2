"""``python -m mvgen.launch.cohort``: a cohort -> a folder with every chain, their tables and a page."""

import sys

from ..arguments import Parser
from ..guard import guarded
from .arguments import add_batch_options


def main() -> int:
    from .run import run  # inside the guard: these imports take long enough for a Ctrl-C

    parser = Parser(prog="run.py batch")
    add_batch_options(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(guarded(main))
