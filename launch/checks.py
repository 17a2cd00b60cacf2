"""``run.py test``: lint, types, layers, library, host and browser tests. The first step that fails ends it.

Without a browser the tests of the page are left out, and the last line says so.
"""

import subprocess
import sys

from .browser import provide_browser
from .host import module_environment, prepare
from .paths import PACKAGE, PACKAGE_PATH, PYTHON, ROOT

TYPED = ("mvg", "models", "nodes", "client", "cohort", "launch", "training", "research", "study")
NO_TESTS_SELECTED = 5


def test(pytest_arguments: list[str]) -> int:
    environment = module_environment(prepare())
    no_browser = provide_browser()
    typed = [part for name in TYPED for part in ("-p", f"{PACKAGE}.{name}")]
    steps = [
        ("lint", ["ruff", "check", "."]),
        ("format", ["ruff", "format", "--check", "."]),
        ("types", ["mypy", *typed]),
        ("layers", ["lint-imports", "--no-cache"]),
        ("library tests", ["pytest", "tests/library", *pytest_arguments]),
        ("host tests", ["pytest", "tests/host", *pytest_arguments]),
    ]
    if no_browser is None:
        steps.append(("browser tests", ["pytest", "tests/browser", *pytest_arguments]))
    for name, command in steps:
        print(f"--- {name}: {' '.join(command)}", flush=True)
        path = {"MYPYPATH": str(PACKAGE_PATH)} if name == "types" else {}
        status = subprocess.run(
            [*tool(command[0]), *command[1:]], cwd=ROOT, env=environment | path, check=False
        ).returncode
        if status == NO_TESTS_SELECTED and pytest_arguments:
            continue
        if status:
            print(f"{name} failed", file=sys.stderr)
            return 1
    if no_browser is not None:
        print(f"--- browser tests: left out, since {no_browser}", flush=True)
    return 0


def tool(name: str) -> list[str]:
    """A tool of .venv as a command; import-linter alone is no module that Python starts."""
    return [str(PYTHON.with_name(name))] if name == "lint-imports" else [str(PYTHON), "-m", name]
