"""The stored values of a DICOM image, once its pixel data is known to be no larger than the header says."""

import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset
from pydicom.pixels import get_decoder

from . import decoders
from .header import JPEG_2000, JPEG_FRAMES, NATIVE, PIXEL_DATA, Bounded, Format, Refused, parsing

MAX_RLE_BYTES = 32 << 20
"""Run lengths grow to at most 64 times their size, and pydicom expands them before it compares."""


def attach_pixels(header: pydicom.Dataset, syntax: uid.UID, form: Format, body: bytes, start: int) -> list[str]:
    """Adds the pixel data to ``header``, once it is known to be no larger than it says.

    Args:
        header: the data set without it.
        syntax: the transfer syntax.
        form: how the pixels are stored.
        body: the bytes of the data set.
        start: where the pixel data begins in them.

    Returns:
        Notes on how it is stored.

    Raises:
        Refused: it is missing, cut off, of another size than the header says, or of another kind.
    """
    file = Bounded(body)
    file.seek(start)
    found = read_dataset(
        file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=lambda tag, vr, length: tag > PIXEL_DATA
    )
    if PIXEL_DATA not in found:
        raise Refused("has cut off pixel data, want the whole file")
    header[PIXEL_DATA] = found.get_item(PIXEL_DATA)
    data = header.PixelData
    if not data:
        raise Refused("has no pixel data, want an image")
    if syntax in NATIVE and found[PIXEL_DATA].is_undefined_length:
        raise Refused("has compressed pixels without the transfer syntax of any, want one that says how they are")
    if syntax in NATIVE:
        if len(data) < form.native_bytes:
            raise Refused(f"has {len(data)} bytes of pixel data, want {form.native_bytes}: the file is cut off")
        excess = len(data) - form.native_bytes
        return [f"{excess} bytes after the image left out"] if excess > 1 else []
    frame = get_frame(data, 0, number_of_frames=1)
    if syntax == uid.RLELossless:
        most = min(MAX_RLE_BYTES, 1024 + 2 * form.native_bytes)  # a single pixel a row doubles the bytes
        if len(frame) > most:
            raise Refused(f"has {len(frame)} bytes of run lengths, want at most {most}")
        return ["RLE"]
    size = _jpeg_2000_size(frame) if syntax in JPEG_2000 else _jpeg_size(frame, JPEG_FRAMES[syntax])
    if size != (form.columns, form.rows):
        raise Refused(f"says {form.columns} x {form.rows} pixels and holds {size[0]} x {size[1]}, want one size")
    return [str(syntax.name).split(" (")[0]]


def _jpeg_size(frame: bytes, wanted: bytes) -> tuple[int, int]:
    """Width and height from the frame header (ITU-T T.81 B.2.2), read before any decoder allocates by them."""
    place = 2
    while frame[:2] == b"\xff\xd8" and place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in wanted:
            return int.from_bytes(frame[place + 7 : place + 9]), int.from_bytes(frame[place + 5 : place + 7])
        if marker == 0xDA or (0xC0 <= marker <= 0xCF and marker not in b"\xc4\xcc") or marker == 0xF7:
            raise Refused("holds another kind of JPEG than it says, want the kind of its transfer syntax")
        place += 2 + int.from_bytes(frame[place + 2 : place + 4])
    raise Refused("holds no JPEG image where it says it does, want one")


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    """Width and height from the SIZ marker segment (ITU-T T.800 A.5.1); some files keep the JP2 boxes round it."""
    place = 0
    while frame[4:8] == b"jP  " and frame[place + 4 : place + 8] != b"jp2c" and place + 8 <= len(frame):
        place += max(int.from_bytes(frame[place : place + 4]), 8)
    frame = frame[place + 8 :] if place else frame
    if frame[:4] != b"\xff\x4f\xff\x51" or len(frame) < 24:
        raise Refused("holds no JPEG 2000 codestream where it says it does, want one")
    right, bottom, left, top = (int.from_bytes(frame[place : place + 4]) for place in (8, 12, 16, 20))
    return right - left, bottom - top


def check_decoder(syntax: uid.UID, form: Format) -> None:
    """Looks whether something installed decodes such pixels.

    Args:
        syntax: the transfer syntax.
        form: how the pixels are stored.

    Raises:
        Refused: naming what could be installed.
    """
    decoders.register()
    decoder = get_decoder(syntax)
    deep = syntax == uid.JPEGExtended12Bit and form.bits_stored > 8 and decoder.available_plugins == ("pillow",)
    if deep or not decoder.is_available:
        missing = "; or ".join(decoder.missing_dependencies)
        raise Refused(f"is {syntax.name}, which no installed decoder reads. Install one of: {missing}")


def decode(header: pydicom.Dataset, syntax: uid.UID, form: Format) -> np.ndarray:
    """Decodes the one image of a data set.

    Args:
        header: the data set with its pixel data, see `attach_pixels`.
        syntax: the transfer syntax.
        form: how the pixels are stored.

    Returns:
        Stored values [H, W], or [H, W, 3] as RGB.

    Raises:
        Refused: nothing installed decodes them, or they are damaged.
    """
    check_decoder(syntax, form)
    decoder = get_decoder(syntax)
    name = str(syntax.name)
    by = ", ".join(decoder.available_plugins) or "pydicom"
    with parsing(f"pixel data ({name}) that is damaged or of a kind that {by} cannot decode, want one readable image"):
        pixels, held = decoder.as_array(header, index=0)
    wanted = (form.rows, form.columns) if form.samples == 1 else (form.rows, form.columns, 3)
    if pixels.shape != wanted:
        raise Refused(f"decodes to shape {pixels.shape}, want {wanted}")
    if form.samples == 3 and held["photometric_interpretation"] != "RGB":
        raise Refused(f"is {form.photometric} in {name}, which has no known way to RGB")
    return pixels
