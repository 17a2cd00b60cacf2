"""``python -m mvgen.study``: what ``run.py study`` runs once .venv stands."""

import sys

from ..launch.arguments import Parser
from ..launch.exception_handler import exit_code_of
from ..launch.study_arguments import add_study_options
from .command import run

if __name__ == "__main__":
    parser = Parser(prog="run.py study")
    add_study_options(parser)
    sys.exit(exit_code_of(lambda: run(parser.parse_args())))
