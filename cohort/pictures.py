"""Pictures of a chain are looked at before they are kept: one that is cut off would stop every report later."""

import warnings
from pathlib import Path

from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class BrokenPicture(OSError):
    """A picture that cannot be read to its end; the chain is computed again."""


def check_pictures(folder: Path) -> None:
    """Decodes every picture in a folder and its subfolders.

    Args:
        folder: Where a chain's files are.

    Raises:
        BrokenPicture: One is damaged or cut off; names it relative to ``folder``.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            load(path, path.relative_to(folder).as_posix())


def load(path: Path, label: str) -> Image.Image:
    """A picture with its pixels.

    Args:
        path: The file.
        label: What the error calls it.

    Raises:
        BrokenPicture: It is missing, damaged or cut off.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            with Image.open(path) as picture:
                picture.verify()  # a PNG may lack its end, which loading does not mind
            with Image.open(path) as picture:
                picture.load()
        return picture
    except FileNotFoundError as error:
        raise BrokenPicture(f"{label} is missing") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        why = str(error).replace(str(path), label)
        raise BrokenPicture(f"{label} is no whole picture: {why}") from error
