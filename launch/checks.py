"""``run.py test``: lint, types, library, host and browser tests. The first step that fails ends it.

Without a browser the tests of the page are left out, and the last line says so.
"""

import subprocess
import sys

from .browser import provide_browser
from .host import module_environment, prepare
from .paths import PACKAGE, PACKAGE_PATH, PYTHON, ROOT

TYPED = ("mvg", "models", "nodes", "client", "cohort", "launch", "training", "research")
NO_TESTS_SELECTED = 5


def test(pytest_arguments: list[str]) -> int:
    environment = module_environment(prepare())
    no_browser = provide_browser()
    typed = [part for name in TYPED for part in ("-p", f"{PACKAGE}.{name}")]
    steps = [
        ("lint", ["ruff", "check", "."]),
        ("format", ["ruff", "format", "--check", "."]),
        ("types", ["mypy", *typed]),
        ("library tests", ["pytest", "tests/library", *pytest_arguments]),
        ("host tests", ["pytest", "tests/host", *pytest_arguments]),
    ]
    if no_browser is None:
        steps.append(("browser tests", ["pytest", "tests/browser", *pytest_arguments]))
    for name, module in steps:
        print(f"--- {name}: {' '.join(module)}", flush=True)
        path = {"MYPYPATH": str(PACKAGE_PATH)} if name == "types" else {}
        status = subprocess.run([str(PYTHON), "-m", *module], cwd=ROOT, env=environment | path, check=False).returncode
        if status == NO_TESTS_SELECTED and pytest_arguments:
            continue
        if status:
            print(f"{name} failed", file=sys.stderr)
            return 1
    if no_browser is not None:
        print(f"--- browser tests: left out, since {no_browser}", flush=True)
    return 0
