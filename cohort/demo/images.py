"""Checks of the pictures a user gives, before anything is started."""

import warnings
from pathlib import Path

from PIL import Image, ImageOps

from ...launch.errors import UsageError

MIN_SIDE = 16
MAX_PIXELS = 64_000_000  # what MVG_LoadMedicalImage reads
MAX_BYTES = 100_000_000  # just below what the host takes as an upload
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
    with Image.open(path) as mask:
        if mask.convert("RGB").getchannel("R").getbbox() is None:
            raise UsageError(f"--mask: {path} is black: nothing could change. Paint the region of interest white.")


def _read(path: Path, option: str) -> tuple[str, tuple[int, int]]:
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path, formats=tuple(SUFFIXES))
        with image:
            if image.width * image.height > MAX_PIXELS or path.stat().st_size > MAX_BYTES:
                raise _too_large(path, option)
            image.load()
            return str(image.format), ImageOps.exif_transpose(image).size
    except Image.DecompressionBombError as error:
        raise _too_large(path, option) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{option}: {path} is no readable PNG or JPEG image. Give one that a viewer opens.") from error


def _too_large(path: Path, option: str) -> UsageError:
    most = f"{MAX_PIXELS // 10**6} megapixels and {MAX_BYTES // 10**6} MB"
    return UsageError(f"{option}: {path} is too large. Give one of at most {most}.")
