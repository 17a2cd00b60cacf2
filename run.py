"""Prepare everything and run one of its commands (see --help). Standard library only."""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "Python %d.%d is too old: Python 3.11 or newer is needed. Install one and start run.py with it."
        % sys.version_info[:2]
    )

from launch.exception_handler import exit_code_of


def main() -> int:
    from launch.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
