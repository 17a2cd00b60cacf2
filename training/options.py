"""What the command lines of all trainings share, and how one ends in one line."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..launch.arguments import Parser
from ..launch.errors import LaunchError, UsageError
from ..launch.exception_handler import exit_code_of
from .settings import PRECISIONS, Settings


def parser(name: str, about: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """A command line with DATA and the options of `Settings`.

    Args:
        name: of the training.
        about: what --help says first.
        **defaults: of the settings.

    Returns:
        The parser, to which a training adds its own options.
    """
    out = Parser(prog=f"run.py train {name}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("data", type=Path, metavar="DATA", help="folder of a data set, or its table as CSV")
    out.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    out.add_argument("--resume", action="store_true", help="go on with the run in DIR")
    about_settings = {
        "steps": "optimiser steps in all",
        "batch": "samples a process and pass",
        "accumulation": "passes a step",
        "rate": "peak learning rate",
        "warmup": "steps in which the rate rises; then it falls as a cosine",
        "seed": "of all that is drawn",
        "decay": "of the moving average of the weights; 0 for none",
        "clip": "largest norm of the gradient",
        "weight_decay": "of AdamW",
        "checkpoint": "steps between checkpoints",
        "validate": "steps between validations and sample pictures",
        "workers": "processes that read pictures",
    }
    kinds: dict[str, Callable[[str], Any]] = {"rate": float, "decay": float, "clip": float, "weight_decay": float}
    standard = {field.name: field.default for field in fields(Settings)} | defaults
    for setting, words in about_settings.items():
        out.add_argument(
            f"--{setting.replace('_', '-')}",
            type=kinds.get(setting, int),
            default=standard[setting],
            metavar="N",
            help=f"{words} (default: %(default)s)",
        )
    out.add_argument("--precision", choices=PRECISIONS, default="auto", help="bf16 where it is fast (default: auto)")
    out.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    out.add_argument("--debug", action="store_true", help="show tracebacks")
    return out


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that a command line gives.

    Raises:
        UsageError: a number is out of range.
    """
    settings = Settings(**{f.name: getattr(options, f.name) for f in fields(Settings) if hasattr(options, f.name)})
    for name in ("steps", "batch", "accumulation", "checkpoint", "validate"):
        if getattr(settings, name) < 1:
            raise UsageError(f"--{name} is {getattr(settings, name)}: give 1 or more.")
    for name in ("warmup", "seed", "workers"):
        if getattr(settings, name) < 0:
            raise UsageError(f"--{name} is {getattr(settings, name)}: give 0 or more.")
    if not settings.rate > 0:
        raise UsageError(f"--rate is {settings.rate}: give a number above 0.")
    if not 0 <= settings.decay < 1:
        raise UsageError(f"--decay is {settings.decay}: give a number from 0 to below 1.")
    return settings


def run(main: Callable[[], None]) -> None:
    """Runs a training's main function and ends the program; what is wrong becomes one line and an exit code.

    Args:
        main: raises LaunchError, or ValueError for data and files that are not what they should be.
    """

    def command() -> int:
        try:
            main()
        except ValueError as error:
            raise LaunchError(str(error)) from error
        return 0

    sys.exit(exit_code_of(command))
