"""``python -m mvgen.launch.convert``: a checkpoint of SEINE -> safetensors beside it."""

import argparse
import sys

from ..models.seine.checkpoint import convert
from .arguments import Parser, add_convert_options, check_convert
from .errors import LaunchError
from .guard import guarded


def main(options: argparse.Namespace) -> int:
    check_convert(options)
    print(f"reading {options.file}", flush=True)
    try:
        written = convert(options.file, overwrite=options.overwrite)
    except ValueError as error:
        raise LaunchError(str(error)) from error
    print(f"result: {written} ({written.stat().st_size / 1e9:.2f} GB)")
    return 0


if __name__ == "__main__":
    parser = Parser(prog="run.py convert")
    add_convert_options(parser)
    sys.exit(guarded(lambda: main(parser.parse_args())))
