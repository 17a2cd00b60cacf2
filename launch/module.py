"""``run.py bench NAME`` and ``run.py train NAME``: a module of the folder research, run inside .venv."""

from .errors import UsageError
from .host import module_environment, prepare
from .paths import PACKAGE, PYTHON, ROOT
from .process import continue_in

MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "8000000000", "MALLOC_TOP_PAD_": "300000000"}
"""glibc keeps what it has: giving tensors back to Linux and asking for them anew takes time at every step."""


def names(folder: str) -> list[str]:
    """The modules of a folder that can be run: those that end in a ``__main__`` block."""
    files = sorted((ROOT / folder.replace(".", "/")).glob("*.py"))
    return [file.stem for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]


def run_module(folder: str, arguments: list[str]) -> int:
    known = names(folder)
    if not arguments or arguments[0] not in known:
        given = repr(arguments[0]) if arguments else "no name"
        raise UsageError(f"{folder.split('.')[-1]}: got {given}. Known: {', '.join(known) or 'none yet'}.")
    environment = MEMORY | module_environment(prepare())
    return continue_in(PYTHON, ["-m", f"{PACKAGE}.{folder}.{arguments[0]}", *arguments[1:]], environment)
