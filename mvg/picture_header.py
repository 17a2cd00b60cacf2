"""What the header of a picture file says, without its pixels: whether it is one that is read, and its size."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageChops, UnidentifiedImageError

MIN_SIDE = 16
MAX_PIXELS = 64_000_000
QUICK_SIDE = 256
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
DICOM_SUFFIXES = (".dcm", ".dicom")
FORMATS = ("PNG", "JPEG", "TIFF")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16L", "I;16B")
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B")
"""Pillow's names of the pixels that are read: whole numbers of at most 16 bits, without a sign."""


def check_picture(path: Path, *, gray: bool = False, name: str = "") -> tuple[int, int]:
    """Looks at a file's header alone: what it refuses, `picture_file.read_picture` refuses for the same reason.

    Args:
        path, gray, name: as in `picture_file.read_picture`; ``gray`` counts for DICOM, whose header tells the colour.

    Returns:
        Width and height in pixels, as stored.

    Raises:
        ValueError: see `picture_file.read_picture`.
    """
    name = name or path.name
    if is_dicom(path):
        from .dicom.read import check_dicom  # brings torch, which is large and slow to import

        size = check_dicom(path, gray=gray)
        check_size(*size, name)
        return size
    try:
        with open(path, "rb") as file:
            return open_picture(file, name).size
    except OSError as error:
        raise unreadable(name, error) from error


def is_dicom(path: Path) -> bool:
    """Whether a file is to be read as DICOM.

    Args:
        path: the file.

    Returns:
        True by its suffix, or by how it begins.
    """
    return path.suffix.lower() in DICOM_SUFFIXES or has_dicom_content(path)


def has_dicom_content(path: Path) -> bool:
    """Whether a file carries the mark of PS3.10, 7.1, or begins like a data set.

    Args:
        path: the file.

    Returns:
        False also for one that cannot be read.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        return False
    if start[128:] == b"DICM":
        return True
    if start[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08"):  # groups 0002 and 0008, in both byte orders
        return False
    from .dicom.header import begins_like_dicom  # brings pydicom

    return begins_like_dicom(start)


def looks_gray(path: Path) -> bool:
    """Whether a picture is gray, as far as 8 bits of it tell, and of a JPEG a small copy: quick, and needs no torch.

    Args:
        path: a PNG, JPEG or TIFF file that `check_picture` has passed.

    Returns:
        True where its header says so, or where its channels are equal.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with open(path, "rb") as file:
            image = open_picture(file, path.name)
            if image.mode in GRAY_MODES:
                return True
            image.draft("RGB", (QUICK_SIDE, QUICK_SIDE))
            red, green, blue = image.convert("RGB").split()
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"image: {path.name!r} is damaged ({error})") from error
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))


def unreadable(name: str, error: OSError) -> ValueError:
    """The error of a file that cannot be opened.

    Args:
        name: what the error calls the file.
        error: the system's.

    Returns:
        The error to raise.
    """
    return ValueError(f"image: {name!r} cannot be opened ({error.strerror or 'input error'})")


def open_picture(file: BinaryIO, name: str) -> Image.Image:
    """A picture whose header Pillow has read.

    Args:
        file: the open file. Not a path: Pillow 13 maps such files, and then scrambles a TIFF that it turns.
        name: what errors call it.

    Returns:
        The picture, its pixels not yet decoded.

    Raises:
        ValueError: the kind, size or depth is not one that is read.
    """
    try:
        image = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        most = f"{MAX_PIXELS // 10**6} megapixels"
        raise ValueError(f"image: {name!r} is too large ({error}), want at most {most}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"image: the content of {name!r} is no PNG, JPEG, TIFF or DICOM image that is read") from error
    check_size(*image.size, name)
    deep = image.mode == "I" and image.format == "PNG"  # Pillow's older name of 16-bit gray
    if image.mode not in MODES and not deep:
        raise ValueError(f"image: {name!r} has pixels of type {image.mode}, want whole numbers of 1 to 16 bits")
    return image


def check_size(width: int, height: int, name: str) -> None:
    """Refuses a picture that is too small or too large.

    Args:
        width: in pixels.
        height: in pixels.
        name: what the error calls it.

    Raises:
        ValueError: a side is below 16 pixels, or the picture above 64 megapixels.
    """
    if min(width, height) < MIN_SIDE:
        raise ValueError(f"image: {name!r} is {width} x {height} pixels, want at least {MIN_SIDE} x {MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise ValueError(f"image: {name!r} is {width} x {height} pixels, want at most {MAX_PIXELS // 10**6} megapixels")
