"""The tests of the page on another front end: ``run.py bench front_end [--version V] [--nodes-2] [--screenshots DIR]``.

The host's own front end is the one that `run.py test` runs. Here its newest release in the registry, or the one that
is named, takes its place, with the classic nodes and with Nodes 2.0. Exit code 1 where a test fails.

``--screenshots`` keeps the pictures of the page that the tests make, also those of a test that fails later on:
``DIR/classic_nodes`` and ``DIR/nodes_2.0`` hold a folder a test. DIR is new or empty, so that no old picture is among
them.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from ...launch.paths import ROOT

PACKAGE = "comfyui-frontend-package"
FOLDER = ROOT / ".host" / "front_end"
XUNIT = ("-o", "junit_family=xunit1")  # the tests leave figures in the report
OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}
"""Element of a test in pytest's report -> what became of the test."""


def newest() -> str:
    """The version that pip would install."""
    command = [sys.executable, "-m", "pip", "index", "versions", PACKAGE]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.match(rf"{PACKAGE} \(([^)]+)\)", told)
    if found is None:
        raise SystemExit(f"bench front_end: the package registry tells no version of {PACKAGE}")
    return found[1]


def pages(version: str) -> Path:
    """The pages of a version, taken from the registry where they are not here yet."""
    folder = FOLDER / version
    found = folder / "comfyui_frontend_package" / "static"
    if not (found / "index.html").is_file():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        if subprocess.run([*command, f"{PACKAGE}=={version}"], check=False).returncode:
            raise SystemExit(f"bench front_end: the package registry gives no {PACKAGE} {version}")
    return found


def empty(name: str) -> Path:
    """A folder that holds nothing yet."""
    folder = Path(name).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise argparse.ArgumentTypeError(f"got {name}, want a folder that is new or empty")
    return folder


def keep(made: Path, folder: Path) -> None:
    """Copies the pictures that tests left in their temporary folders, which are all below ``made``."""
    for picture in sorted(made.glob("test_*/*.png")):
        if not picture.parent.is_symlink():  # pytest's name for the newest of several
            place = folder / picture.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, place)


def run(options: list[str], selected: list[str], screenshots: Path | None = None) -> dict[str, str]:
    """Name of a test -> passed, failed or skipped. ``screenshots``: where the pictures that the tests make are kept."""
    with tempfile.TemporaryDirectory() as folder:
        report, made = Path(folder) / "report.xml", Path(folder) / "tests"
        command = [sys.executable, "-m", "pytest", "-q", "tests/browser", f"--junitxml={report}", *XUNIT]
        subprocess.run([*command, f"--basetemp={made}", *options, *selected], cwd=ROOT, check=False)
        if screenshots:
            keep(made, screenshots)
        if not report.is_file():
            raise SystemExit("bench front_end: the tests did not come to their end")
        cases = ET.parse(report).getroot().iter("testcase")
        return {
            f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}": OUTCOMES.get(
                next((part.tag for part in case if part.tag in OUTCOMES), ""), "passed"
            )
            for case in cases
        }


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bench front_end", description=__doc__)
    parser.add_argument("--version", help=f"of {PACKAGE} (default: the newest)")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--nodes-2", action="store_true", help="Nodes 2.0 alone")
    alone.add_argument("--classic", action="store_true", help="the classic nodes alone")
    parser.add_argument("--screenshots", type=empty, metavar="DIR", help="keep the tests' pictures of the page here")
    parser.add_argument("selected", nargs="*", metavar="-- PYTEST", help="such as -- -k viewer")
    options = parser.parse_args()
    version = options.version or newest()
    folder = pages(version)
    failed = []
    for name, more in (("classic nodes", []), ("Nodes 2.0", ["--nodes-2"])):
        if (options.nodes_2 and not more) or (options.classic and more):
            continue
        pictures = options.screenshots and options.screenshots / name.lower().replace(" ", "_")
        found = run([f"--front-end={folder}", *more], options.selected, pictures)
        counts = {kind: list(found.values()).count(kind) for kind in ("passed", "failed", "skipped")}
        print(f"front end {version}, {name}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), flush=True)
        failed += [f"{name}: {test}" for test, kind in found.items() if kind == "failed"]
        if not counts["passed"]:
            failed.append(f"{name}: no test passed")
    for line in failed:
        print(f"FAIL {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
