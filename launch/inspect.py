"""``python -m mvgen.launch.inspect``: what the product makes of files before anyone runs them."""

import argparse
import json
import sys

from ..mvg.domains.files import load_domains
from ..mvg.inspection import in_words, inspect_file
from .arguments import Parser, add_inspect_options
from .errors import UsageError
from .exception_handler import exit_code_of
from .host import domain_folders


def main(options: argparse.Namespace) -> int:
    """Print what is made of every file.

    Returns:
        0, or 1 where a file was refused.

    Raises:
        UsageError: an unknown domain.
    """
    try:
        domain = load_domains(domain_folders()).find(options.domain)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
    refused = False
    for path in options.files:
        found = inspect_file(path, domain)
        refused |= "error" in found
        print(json.dumps(found, ensure_ascii=False) if options.json else in_words(found), flush=True)
    return int(refused)


if __name__ == "__main__":
    parser = Parser(prog="run.py inspect")
    add_inspect_options(parser)
    sys.exit(exit_code_of(lambda: main(parser.parse_args())))
