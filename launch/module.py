"""``run.py bench NAME`` and ``run.py train NAME``: a module of a folder, run inside .venv."""

import ast
import re
import textwrap

from .errors import UsageError
from .host import module_environment, prepare
from .paths import PACKAGE, PYTHON, ROOT
from .process import continue_in

COMMANDS = {"research.bench": "bench", "research.training": "train embedded", "training": "train"}
MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "300000000"}
"""glibc keeps what it has: giving tensors back to Linux and asking for them anew takes time at every step."""


def names(folder: str) -> list[str]:
    """The modules of a folder that can be run: those that end in a ``__main__`` block."""
    files = sorted((ROOT / folder.replace(".", "/")).glob("*.py"))
    return [file.stem for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]


def about(folder: str, name: str) -> str:
    """The first sentence of a module's docstring, without the command that it names."""
    tree = ast.parse((ROOT / folder.replace(".", "/") / f"{name}.py").read_text(encoding="utf-8"))
    text = " ".join((ast.get_docstring(tree) or "").split())
    return re.split(r": ``run\.py|(?<=[.?])(?<!al\.)(?: |$)", text, maxsplit=1)[0].rstrip(".")


def overview(folder: str) -> str:
    """How a command is called, and a line on each of its names."""
    command, known = COMMANDS[folder], names(folder)
    lines = [f"usage: run.py {command} NAME ...", "", f"run.py {command} NAME --help tells the options of one.", ""]
    if folder == "training":
        lines[0] = "usage: run.py train [--processes N] NAME DATA --out DIR [--steps N] [--resume] ..."
    width = max(map(len, known), default=0) + 4
    for name in known:
        indent = " " * width
        lines += textwrap.wrap(f"  {name:{width - 2}}{about(folder, name)}", 120, subsequent_indent=indent)
    if folder == "training":
        lines += ["", "run.py train embedded NAME makes the bundled weights; train embedded --help lists those names."]
    return "\n".join(lines)


def run_module(folder: str, arguments: list[str]) -> int:
    processes, arguments = _processes(arguments) if folder == "training" else (1, arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview(folder))
        return 0
    known = names(folder)
    if arguments[0] not in known:
        raise UsageError(f"{COMMANDS[folder]}: got {arguments[0]!r}. Known: {', '.join(known) or 'none yet'}.")
    environment = MEMORY | module_environment(prepare())
    joined = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return continue_in(PYTHON, [*joined, "-m", f"{PACKAGE}.{folder}.{arguments[0]}", *arguments[1:]], environment)


def _processes(arguments: list[str]) -> tuple[int, list[str]]:
    """How many processes train together, and the other arguments."""
    if arguments[:1] != ["--processes"]:
        return 1, arguments
    if not arguments[1:2] or not arguments[1].isdecimal() or int(arguments[1]) < 1:
        raise UsageError(f"--processes is {' '.join(arguments[1:2]) or 'nothing'}: give 1 or more, one a GPU.")
    return int(arguments[1]), arguments[2:]
