"""The command line of ``batch``, and what can be checked with nothing installed."""

import argparse
import re
from collections import Counter
from pathlib import Path

from .arguments import check_file, check_folder
from .errors import UsageError
from .setup import check_disk

ENGINES = ("local", "server", "ray")
NEED_GB = 0.5


def add_batch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cohort", type=Path, metavar="COHORT.csv", help="a row a patient; see cohort/README.md")
    parser.add_argument(
        "--workflow", type=Path, required=True, metavar="FILE", help="workflow in API format, as workflows/api/*.json"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where results go, and are resumed")
    parser.add_argument("--dry-run", action="store_true", help="check everything and print the plan; run nothing")
    parser.add_argument("--retry-failed", action="store_true", help="run chains again that failed by themselves")
    parser.add_argument("--wait", action="store_true", help="wait while another batch works on the folder")
    parser.add_argument("--engine", choices=ENGINES, help="what computes (default: server with --server, else local)")
    parser.add_argument(
        "--server", action="append", default=[], metavar="ADDRESS", help="a running ComfyUI, as 127.0.0.1:8188; several"
    )
    parser.add_argument(
        "--devices", metavar="A,B", help="local: a ComfyUI for each, as 0,1 or cpu (default: every GPU, else cpu)"
    )
    parser.add_argument("--address", metavar="A", help="ray: the cluster, as auto (default: one on this machine)")
    parser.add_argument("--workers", type=int, metavar="N", help="ray: how many ComfyUIs (default: one a GPU)")
    parser.add_argument("--shard", metavar="I/N", help="only part I of N, as 3/8: for array jobs")
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="a chain that takes longer has failed")
    parser.add_argument(
        "--any-version", action="store_true", help="allow servers of other versions than the results that are there"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the whole output of tools")


def check_batch(options: argparse.Namespace) -> None:
    """Fill in the engine and the shard; UsageError for what does not go together."""
    check_file(options.cohort, "COHORT.csv")
    check_file(options.workflow, "--workflow")
    check_folder(options.out, "--out")
    options.engine = options.engine or ("server" if options.server else "local")
    if (options.engine == "server") != bool(options.server):
        raise UsageError("--engine server and --server ADDRESS go together. Give the address of a running ComfyUI.")
    for name, count in Counter(address.removeprefix("http://").rstrip("/") for address in options.server).items():
        if count > 1:
            raise UsageError(f"--server {name} is there {count} times: name each server once.")
    for name, engine in (("devices", "local"), ("address", "ray"), ("workers", "ray")):
        if getattr(options, name) is not None and options.engine != engine:
            raise UsageError(f"--{name} is for --engine {engine}. Leave it out, or choose that engine.")
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"--workers is {options.workers}: give 1 or more.")
    if options.limit is not None and not options.limit > 0:
        raise UsageError(f"--limit is {options.limit:g}: give minutes above 0.")
    options.part = shard(options.shard)
    if not options.dry_run:
        check_disk(options.out.absolute(), NEED_GB, "the result")


def shard(text: str | None) -> tuple[int, int] | None:
    """ "3/8" -> (3, 8)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard is {text!r}: give part and count, as 1/8 to 8/8.")
    return int(match[1]), int(match[2])
