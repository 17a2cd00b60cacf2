"""Names of files as users write them, on any system."""

import unicodedata
from pathlib import Path, PureWindowsPath

SHOWN = 80


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a name for a device (CON, NUL.txt, COM1) or drops its end (a dot or a blank).

    Args:
        name: of a file, without its folder.

    Returns:
        True for a name that a file cannot have there.
    """
    return name != name.rstrip(" .") or PureWindowsPath(name).is_reserved()


def shortened(name: str) -> str:
    """A name for an error message.

    Args:
        name: of any length.

    Returns:
        The name, of a long one its first 40 and last 20 letters.
    """
    return name if len(name) <= SHOWN else f"{name[: SHOWN // 2]}...{name[-SHOWN // 4 :]}"


def find_file(folder: Path, name: str) -> Path:
    """The file that a name means, with a slash or a backslash, composed or decomposed letters.

    Args:
        folder: Where a relative name begins.
        name: The name as typed, on whichever system; ``~`` is the user's home.

    Returns:
        The path that is there, else ``folder / name``.

    Raises:
        ValueError: ``~`` names no user, or several files have the name in different Unicode forms.
    """
    try:
        typed = folder / Path(name).expanduser()
    except RuntimeError as error:
        raise ValueError(f"there is no file {shortened(name)} ({error})") from error
    for path in (typed, folder / name.replace("\\", "/")):
        if found := _in_any_form(path):
            return found
    return typed


def _in_any_form(path: Path) -> Path | None:
    """The path itself where it is there, else the one whose parts are equal in composed form."""
    try:
        if path.exists():
            return path
        if not path.name or (parent := _in_any_form(path.parent)) is None or not parent.is_dir():
            return None
        if path.name == "..":
            return parent / path.name
        wanted = unicodedata.normalize("NFC", path.name)
        found = [entry for entry in parent.iterdir() if unicodedata.normalize("NFC", entry.name) == wanted]
    except OSError:  # too long a name, or no right to look
        return None
    if len(found) > 1:
        raise ValueError(f"{shortened(path.name)} is there in two Unicode forms: rename one")
    return found[0] if found else None
