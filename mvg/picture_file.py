"""One picture from a file, PNG, JPEG, TIFF or DICOM, at the depth that the file has. Files are read as hostile."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .dicom.read import read_dicom
from .exposure import exposure_note
from .picture_header import check_size, is_dicom, open_picture, unreadable

MAX_FILE_BYTES = 256 << 20
ORIENTATION, BITS_PER_SAMPLE, PHOTOMETRIC = 274, 258, 262
"""Tags of TIFF 6.0; Exif shares the first."""


class Picture(NamedTuple):
    """A picture as its file wants it shown.

    image: float32 [H, W, 3] in [0, 1]; three equal channels where the file is gray.
    notes: what the file held and what was done, a phrase each.
    spacing: mm from row to row and from column to column; None where the file does not say.
    bits: depth of a sample in the file, 1 to 16.
    dicom: whether the file is DICOM.
    burned_in: whether the file says that text is burned into its pixels; None where it says nothing.
    """

    image: Tensor
    notes: list[str]
    spacing: tuple[float, float] | None
    bits: int
    dicom: bool
    burned_in: bool | None


def read_picture(path: Path, *, gray: bool = False, name: str = "") -> Picture:
    """Reads a picture file, whatever its name says it is.

    PNG of any depth, TIFF of 1 to 16 bits, JPEG in gray, colour or CMYK, and DICOM as in `read_dicom`. It is turned as
    its Exif orientation says; transparency is laid on black; of several frames or pages the first is taken.

    Args:
        path: the file.
        gray: refuse a picture in colour.
        name: what errors call the file; its own name by default.

    Returns:
        The picture with notes on it.

    Raises:
        ValueError: the file is none of these, is damaged, has a side below 16 pixels, more than 64 megapixels, or
            values that are not whole numbers of at most 16 bits; or it is in colour and ``gray`` is set.
    """
    name = name or path.name
    if is_dicom(path):
        found = read_dicom(path, gray=gray)
        check_size(found.image.shape[1], found.image.shape[0], name)
        return Picture(found.image, found.notes, found.spacing, found.bits, True, found.burned_in)
    data = _read(path, name)
    opened = open_picture(BytesIO(data), name)
    notes = [f"{opened.width} x {opened.height} {opened.format}"]
    bits = _bits(opened, data)
    try:
        several = getattr(opened, "is_animated", False)
        pixels = _pixels(opened, data, bits)
    except (OSError, SyntaxError, ValueError, OverflowError, TypeError, Image.DecompressionBombError) as error:
        raise ValueError(f"image: {name!r} is damaged ({error})") from error
    levels = np.ascontiguousarray(pixels, dtype=np.float32)
    transparent = levels.shape[-1] in (2, 4)
    if transparent:
        levels = levels[..., :-1] * levels[..., -1:]
    kind = "gray" if levels.shape[-1] == 1 else "colour"
    notes.append(f"{bits}-bit {kind}" + (" with transparency, laid on black" if transparent else ""))
    if opened.mode == "CMYK":
        notes.append("CMYK turned into RGB")
    if several:
        notes.append("several frames or pages: the first one taken")
    if gray and not (levels == levels[..., :1]).all():
        raise ValueError(f"image: {name!r} is a colour image, want a gray one (or switch `gray` off)")
    image = torch.from_numpy(levels).expand(-1, -1, 3).contiguous()
    if warning := exposure_note(image):
        notes.append(warning)
    return Picture(image, notes, None, bits, False, None)


def _read(path: Path, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise unreadable(name, error) from error
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"image: {name!r} is larger than {MAX_FILE_BYTES >> 20} MiB, want at most that")
    return data


def _bits(image: Image.Image, data: bytes) -> int:
    """Depth of a sample (of a palette's entries: 8)."""
    if image.mode in ("P", "PA"):
        return 8
    if image.format == "PNG":
        return data[24]  # IHDR
    if image.format == "TIFF":
        return int(image.tag_v2.get(BITS_PER_SAMPLE, (1,))[0])  # type: ignore[attr-defined]
    return 8


def _pixels(image: Image.Image, data: bytes, bits: int) -> np.ndarray:
    """[H, W, 1 to 4] in [0, 1]: gray or RGB, then perhaps transparency."""
    if bits == 16 and not image.mode.startswith("I"):
        return _deep_pixels(image, data)
    image.load()
    inverted = image.format == "TIFF" and bits == 16 and image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined]
    key = image.info.get("transparency")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("1", "L", "I", "I;16", "I;16L", "I;16B"):
        full = 2.0**bits - 1 if bits > 8 else 255.0
        gray = np.asarray(image.convert("L") if image.mode == "1" else image)[..., None] / full
        if isinstance(key, int):
            opaque = gray != key / (255.0 if bits == 1 else 2.0**bits - 1)
            gray = np.concatenate([gray, opaque], axis=-1)
        return 1 - gray if inverted else gray
    if image.mode == "LA":
        return np.asarray(image) / 255.0
    with_alpha = image.mode in ("PA", "RGBA") or key is not None
    return np.asarray(image.convert("RGBA" if with_alpha else "RGB")) / 255.0


def _deep_pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """16 bits in several channels, of which Pillow keeps 8, by OpenCV."""
    orientation = image.getexif().get(ORIENTATION, 1)
    gray = image.format == "PNG" and data[25] == 4  # IHDR: gray with transparency
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError("its 16-bit pixels cannot be decoded")
    order = [0, 3] if gray else [2, 1, 0, 3][: pixels.shape[-1]]
    if image.format == "PNG":  # of TIFF, OpenCV turns what it reads
        pixels = _turned(pixels, orientation)
    return pixels[..., order] / 65535.0


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """[H, W, C] upright, by the eight values of Exif's Orientation."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
