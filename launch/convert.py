"""``python -m mvgen.launch.convert``: a checkpoint of SEINE or of a classifier -> safetensors beside it."""

import argparse
import sys

from ..models import classifier_checkpoint
from ..models.seine import checkpoint as seine_checkpoint
from .arguments import Parser, add_convert_options, check_convert
from .errors import LaunchError
from .exception_handler import exit_code_of


def main(options: argparse.Namespace) -> int:
    check_convert(options)
    print(f"reading {options.file}", flush=True)
    try:
        if options.labels is None:
            written = seine_checkpoint.convert(options.file, overwrite=options.overwrite)
        else:
            written = classifier_checkpoint.convert(
                options.file,
                labels=options.labels,
                activation=options.activation or "",
                image_size=options.image_size or 0,
                overwrite=options.overwrite,
            )
    except ValueError as error:
        raise LaunchError(str(error)) from error
    print(f"result: {written} ({written.stat().st_size / 1e9:.2f} GB)")
    return 0


if __name__ == "__main__":
    parser = Parser(prog="run.py convert")
    add_convert_options(parser)
    sys.exit(exit_code_of(lambda: main(parser.parse_args())))
