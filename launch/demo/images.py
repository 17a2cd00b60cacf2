"""Checks of the pictures a user gives, before anything is started."""

from pathlib import Path

from PIL import Image, ImageOps

from ..errors import UsageError

MIN_SIDE = 16
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


def check_image(path: Path, option: str) -> str:
    """The file suffix that fits the content; UsageError where that is no whole PNG or JPEG of a usable size."""
    kind, (width, height) = _read(path, option)
    if min(width, height) < MIN_SIDE:
        raise UsageError(
            f"{option}: {path} is {width} x {height} pixels. Give one of at least {MIN_SIDE} x {MIN_SIDE}."
        )
    return SUFFIXES[kind]


def check_mask(path: Path, image: Path) -> None:
    """UsageError unless the mask is a picture of the image's size."""
    (_, size), (_, wanted) = _read(path, "--mask"), _read(image, "--image")
    if size != wanted:
        raise UsageError(
            f"--mask: {path} is {size[0]} x {size[1]} pixels and the image {wanted[0]} x {wanted[1]}. "
            "Give a mask of the image's size."
        )


def _read(path: Path, option: str) -> tuple[str, tuple[int, int]]:
    try:
        with Image.open(path, formats=tuple(SUFFIXES)) as image:
            image.load()
            return str(image.format), ImageOps.exif_transpose(image).size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{option}: {path} is no readable PNG or JPEG image. Give one that a viewer opens.") from error
