"""The command line of ``demo``, and the checks that need nothing installed."""

import argparse
import math
import os
from pathlib import Path
from typing import NoReturn

from .errors import LaunchError, UsageError
from .paths import BASE, OUTPUT, SAMPLES, WEIGHTS, WORKFLOWS
from .setup import check_disk

DOMAIN = "chest_xray"
DOMAINS = ("chest_xray", "fundus", "skin")
SHARED_WEIGHTS = ("vae", "unet", "seine", "clip_text", "clip_vision")
MAX_STAGES = 99
MAX_SEED = 2**64 - 1
RESULT_GB = 0.5


class Parser(argparse.ArgumentParser):
    """argparse that ends in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See: {self.prog} --help")


def domains() -> list[str]:
    """The domains of the embedded networks that have a workflow of their name; all other workflows are for the page."""
    return [name for name in DOMAINS if (WORKFLOWS / f"mvg_{name}.json").is_file()]


def weight_files(domain: str) -> list[Path]:
    return [WEIGHTS / f"{name}.safetensors" for name in (*SHARED_WEIGHTS, f"classifier.{domain}")]


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="PNG, JPEG, TIFF or DICOM to start from (default: the bundled one)"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="clinical report as text, in English (default: the bundled one, for the bundled image)",
    )
    parser.add_argument(
        "--finding",
        metavar="NAME",
        help="what progresses, as 'pleural effusion': in place of a report, or of what a report makes most of",
    )
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        help="in place of a report: what every stage is drawn towards, as 'frontal chest x-ray, severe edema'",
    )
    parser.add_argument("--mask", type=Path, metavar="FILE", help="region of interest, white, of the image's size")
    parser.add_argument("--stages", type=int, default=6, metavar="N", help="progression stages (default: 6)")
    parser.add_argument(
        "--strength", type=float, metavar="G", help="noise strength gamma, 0 to 1 (default: that of the workflow)"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="seed (default: 0)")
    parser.add_argument(
        "--domain", default=DOMAIN, metavar="D", help=f"kind of image: {', '.join(DOMAINS)} (default: {DOMAIN})"
    )
    parser.add_argument(
        "--out", type=Path, default=OUTPUT, metavar="FOLDER", help="where demo-TIME goes (default: output)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the whole output of tools")


def check_demo(options: argparse.Namespace) -> None:
    """Fill in the bundled files and raise UsageError or LaunchError for what can be seen to fail already."""
    if not 1 <= options.stages <= MAX_STAGES:
        raise UsageError(f"--stages is {options.stages}: give 1 to {MAX_STAGES}.")
    if options.strength is not None and not (math.isfinite(options.strength) and 0 <= options.strength <= 1):
        raise UsageError(f"--strength is {options.strength:g}: give a number from 0 to 1.")
    if options.seed is not None and not 0 <= options.seed <= MAX_SEED:
        raise UsageError(f"--seed is {options.seed}: give 0 to {MAX_SEED}.")
    if options.domain not in domains():
        raise UsageError(f"--domain is {options.domain!r}: known are {', '.join(domains()) or 'none'}.")
    for name in ("image", "report", "mask"):
        path = getattr(options, name)
        if path is not None:
            check_file(path, f"--{name}")
    check_words(options)
    options.image = options.image or SAMPLES / f"{options.domain}.png"
    missing = [file.name for file in weight_files(options.domain) if not file.is_file()]
    if missing:
        raise LaunchError(
            f"weights are missing in {WEIGHTS}: {', '.join(missing)}. Restore them with git, or clone again."
        )
    check_folder(options.out, "--out")
    check_disk(options.out.absolute(), RESULT_GB, "the result")
    check_disk(BASE, RESULT_GB, "the run")


def check_words(options: argparse.Namespace) -> None:
    """Fill in the bundled report where nothing says what progresses; UsageError for an image of a user's own then."""
    for name in ("finding", "prompt"):
        if getattr(options, name) is not None and not getattr(options, name).strip():
            raise UsageError(f"--{name} is empty: say what progresses.")
    if options.report is not None and options.prompt is not None:
        raise UsageError("--report and --prompt say both what progresses. Give one of them.")
    if options.report is None and options.finding is None and options.prompt is None:
        if options.image is not None:
            raise UsageError(
                "--image alone does not say what progresses. Add --report FILE, --finding NAME or --prompt TEXT."
            )
        options.report = SAMPLES / f"{options.domain}.txt"


def add_convert_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="a checkpoint of torch.save: seine.pt, or a classifier with --labels"
    )
    parser.add_argument(
        "--labels", metavar="A,B", help="FILE is a DenseNet classifier with these findings, in the order of its logits"
    )
    parser.add_argument(
        "--activation", choices=("sigmoid", "softmax"), help="of the classifier's logits (default: sigmoid)"
    )
    parser.add_argument(
        "--image-size", type=int, metavar="N", help="side in pixels that the classifier sees (default: 224)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the safetensors file if there is one")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the whole output of tools")


def add_inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="a report (.txt), or a PNG, JPEG, TIFF or DICOM picture"
    )
    parser.add_argument("--domain", default=DOMAIN, metavar="D", help=f"what reports are of (default: {DOMAIN})")
    parser.add_argument("--json", action="store_true", help="one JSON object a file, a line each")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the whole output of tools")


def check_convert(options: argparse.Namespace) -> None:
    """Raise UsageError for what does not go together, and LaunchError where the copy does not fit on the disk."""
    if not options.file.is_file():
        raise UsageError(f"there is no file {options.file}. Give the path of a checkpoint such as seine.pt.")
    for name in ("activation", "image_size"):
        if getattr(options, name) is not None and options.labels is None:
            raise UsageError(f"--{name.replace('_', '-')} is for a classifier. Give its findings with --labels too.")
    if options.image_size is not None and options.image_size < 32:
        raise UsageError(f"--image-size is {options.image_size}: give 32 or more.")
    check_disk(options.file.absolute().parent, round(options.file.stat().st_size / 1e9 + 0.05, 1), "the converted file")


def check_file(path: Path, option: str) -> None:
    """Raise UsageError unless ``path`` is a file that can be read."""
    try:
        if path.is_dir():
            raise UsageError(f"{option}: {path} is a folder. Give the path of a file.")
        if not path.is_file():
            raise UsageError(f"{option}: there is no file {path}. Give the path of an existing file.")
        path.open("rb").close()
    except OSError as error:
        raise UsageError(f"{option}: {path} cannot be read ({error.strerror}). Give a file that can.") from error


def check_folder(path: Path, option: str) -> None:
    """Raise UsageError unless ``path`` is a folder that can be written to, or can be made."""
    existing = path.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise UsageError(f"{option}: {existing} is no folder. Give another.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: {existing} cannot be written to. Give another folder.")
