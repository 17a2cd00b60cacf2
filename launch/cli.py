"""The commands of run.py."""

import argparse
import os
from pathlib import Path

from . import arguments, module
from .batch_arguments import add_batch_options, check_batch
from .checks import test
from .doctor import doctor
from .host import ensure_base, package_environment, prepare
from .paths import PACKAGE, PYTHON
from .process import continue_in
from .serve import serve
from .setup import ensure_environment
from .study_arguments import add_study_options, check_study

FOLDERS = {"bench": "research.bench", "train": "training"}


def parser() -> argparse.ArgumentParser:
    top = arguments.Parser(
        prog="run.py", description="MVG: medical video generation for disease progression, in ComfyUI."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="image and report -> a folder with video, stages, plot and scores")
    arguments.add_demo_options(demo)
    serving = commands.add_parser("serve", help="ComfyUI with this extension, for the browser")
    serving.add_argument("--port", type=int, metavar="P", help="port (default: 8188, or a free one)")
    serving.add_argument("--listen", action="store_true", help="answer the whole network, not this machine alone")
    serving.add_argument(
        "--study", type=Path, action="append", default=[], metavar="DIR", help="also serve this study; several"
    )
    serving.add_argument("--debug", action="store_true", help="show tracebacks and the whole output of tools")
    batching = commands.add_parser(
        "batch", help="many patients and seeds through one workflow, resumed where it stopped"
    )
    add_batch_options(batching)
    converting = commands.add_parser("convert", help="SEINE's or a classifier's checkpoint -> safetensors beside it")
    arguments.add_convert_options(converting)
    inspecting = commands.add_parser("inspect", help="what is made of pictures, DICOM films and reports")
    arguments.add_inspect_options(inspecting)
    add_study_options(commands.add_parser("study", help="the clinicians' study: make it, serve it, evaluate it"))
    for name, help_text in (
        ("test", "lint, types, layers and all tests; further arguments go to pytest"),
        ("doctor", "a table of what is found and what is missing"),
        ("bench", "bench NAME ...: measure something; bench --help lists the names"),
        ("train", "train NAME DATA --out DIR: from a data set to checkpoints; train --help lists the names"),
    ):
        commands.add_parser(name, help=help_text)
    return top


def run(argv: list[str]) -> int:
    command, rest = (argv[0], argv[1:]) if argv else ("", [])
    if command == "test":
        return test(rest)
    if command == "train" and rest[:1] == ["embedded"]:
        return module.run_module("research.training", rest[1:])
    if command in FOLDERS:
        return module.run_module(FOLDERS[command], rest)
    options = parser().parse_args(argv)
    if getattr(options, "debug", False):
        os.environ["MVG_DEBUG"] = "1"
    if command == "demo":
        return demo(options, rest)
    if command == "batch":
        return batch(options, rest)
    if command == "serve":
        return serve(options.port, options.listen, options.study)
    if command == "convert":
        return convert(options, rest)
    if command == "inspect":
        return inspect(rest)
    if command == "study":
        return study(options, rest)
    return doctor()


def convert(options: argparse.Namespace, argv: list[str]) -> int:
    """Check what can be checked, set up, and go on inside .venv."""
    arguments.check_convert(options)
    ensure_environment()
    ensure_base()
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.launch.convert", *argv], package_environment(), handles_signals=True)


def inspect(argv: list[str]) -> int:
    """Set up, and go on inside .venv."""
    ensure_environment()
    ensure_base()
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.launch.inspect", *argv], package_environment(), handles_signals=True)


def study(options: argparse.Namespace, argv: list[str]) -> int:
    """Check what can be checked, set up, and go on inside .venv."""
    check_study(options)
    ensure_environment()
    ensure_base()
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.study", *argv], package_environment(), handles_signals=True)


def demo(options: argparse.Namespace, argv: list[str]) -> int:
    """Check what can be checked, set up, and go on inside .venv."""
    arguments.check_demo(options)
    prepare()
    environment = package_environment() | {"PYTHONUNBUFFERED": "1"}
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.cohort.demo", *argv], environment, handles_signals=True)


def batch(options: argparse.Namespace, argv: list[str]) -> int:
    """Check what can be checked, set up, and go on inside .venv."""
    check_batch(options)
    ensure_environment()
    ensure_base()
    environment = package_environment() | {"PYTHONUNBUFFERED": "1"}
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.cohort", *argv], environment, handles_signals=True)
