"""Single projection images in DICOM files, read as hostile and as personal data: no identifier leaves this module."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pydicom
import torch
from pydicom.uid import UID
from torch import Tensor

from ..exposure import exposure_note
from .elements import decimals, text
from .header import NATIVE, Format, Refused, format_of, parsing, read_header, refuse_other_objects, whole_file
from .pixels import attach_pixels, check_decoder, decode
from .show import read_palette, show_color, show_gray

# Terms that may be repeated in a note; whatever else stands in the element could be anything, a name too.
MODALITIES = "BMD CR DG DX ES GM IO IVUS LS MG OAM OP OPT OT PX RF RG RTIMAGE SC SM TG US XA XC"
VIEWS = "AP PA LL RL LLD RLD LLO RLO"
_LOCK = threading.Lock()
T = TypeVar("T")


class DicomError(ValueError):
    """A file that cannot be used; the message names it, what it holds and what is wanted, and nothing personal."""


class DicomImage(NamedTuple):
    """image: float32 [H, W, 3] in [0, 1], as it is meant to be shown; three equal channels where the file is gray.

    notes: what the file held and what was done. spacing: mm from row to row and from column to column, or None.
    bits: stored of a sample, 1 to 16. burned_in: what the file says of text in its pixels; None where it says nothing.
    """

    image: Tensor
    notes: list[str]
    spacing: tuple[float, float] | None
    bits: int
    burned_in: bool | None


def read_dicom(path: str | Path, gray: bool = False) -> DicomImage:
    """A single projection image (CR, DX, MG, XC, OP, secondary capture and the like) as its file wants it shown.

    Gray follows PS3.3 C.11.1 and C.11.2: modality LUT or rescale, then the first VOI LUT or window, which becomes
    [0, 1], then MONOCHROME1 inverted. Without VOI LUT and window an image of up to 8 bits keeps its full range, and a
    deeper one goes from its darkest to its brightest pixel, padding left out. Colour keeps its full range. A table
    whose entries have another range than it declares goes up to its largest entry. What is unusable of spacing, aspect,
    padding, tables, rescale and window is left out with a note.

    Args:
        path: the file, with or without preamble and file meta information.
        gray: refuse a colour image.

    Returns:
        The image, with notes that repeat nothing personal.

    Raises:
        DicomError: the file holds something else than such an image, is damaged, or needs a decoder that is missing.
    """
    return _named(Path(path), lambda path: _read(path, gray))


def check_dicom(path: str | Path, gray: bool = False) -> tuple[int, int]:
    """Everything that `read_dicom` looks at, but for decoding the pixels.

    Args:
        path, gray: as in `read_dicom`.

    Returns:
        Width and height in pixels.

    Raises:
        DicomError: what `read_dicom` raises, but for pixels that turn out to be damaged as they are decoded.
    """
    form = _named(Path(path), lambda path: _prepare(path, gray)).form
    return form.columns, form.rows


class _Film(NamedTuple):
    header: pydicom.Dataset
    syntax: UID
    form: Format
    notes: list[str]


def _named(path: Path, read: Callable[[Path], T]) -> T:
    """``read`` of the file; what it refuses becomes one DicomError that names the file."""
    try:
        with _quiet(), np.errstate(all="ignore"):
            return read(path)
    except Refused as refused:
        reason = str(refused)
    except OSError as error:
        reason = f"cannot be opened ({error.strerror or 'input error'}), want a DICOM file"
    except MemoryError:
        reason = "takes more memory than there is, want a smaller image"
    # outside the handlers: an exception chained to this one could quote the file
    raise DicomError(f"image: {path.name!r} {reason}")


@contextmanager
def _quiet() -> Iterator[None]:
    """pydicom's warnings and log quote values of the file; both settings are the whole process's, hence the lock."""
    log = logging.getLogger("pydicom")
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        propagate, log.propagate = log.propagate, False
        try:
            yield
        finally:
            log.propagate = propagate


def _prepare(path: Path, gray: bool) -> _Film:
    """The header with its pixel data, found to be one image that can be decoded."""
    data = whole_file(path)
    with parsing("a damaged header, want a readable DICOM header"):
        header, syntax, body, start, notes = read_header(data)
        refuse_other_objects(header)
        form = format_of(header)
    if gray and not form.monochrome:
        raise Refused("is a colour image, want a gray one (or switch `gray` off)")
    if form.photometric == "PALETTE COLOR":
        read_palette(header)
    if form.samples == 3 and syntax in NATIVE and decimals(header, "PlanarConfiguration") not in ([0], [1]):
        header.PlanarConfiguration = 0
        notes.append("names no usable planar configuration: colours taken pixel by pixel")
    check_decoder(syntax, form)
    with parsing("damaged pixel data, want one readable image"):
        notes += attach_pixels(header, syntax, form, body, start)
    return _Film(header, syntax, form, notes)


def _read(path: Path, gray: bool) -> DicomImage:
    header, syntax, form, notes = _prepare(path, gray)
    pixels = decode(header, syntax, form)
    lines = [_describe(header, form)]
    show = show_gray if form.monochrome else show_color
    with parsing("a damaged look-up table, window or rescale, want usable ones or none"):
        values = show(pixels, header, form, lines)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise Refused("maps its pixels out of range (a wrong bit depth, look-up table, window or rescale)")
    if form.photometric.startswith("YBR"):
        lines.append("YBR turned into RGB")
    spacing, more = _spacing(header)
    with parsing("a damaged mark of its view or kind, want a readable one"):
        notes += more + _view(header) + _warnings(header, form)
    image = torch.from_numpy(values.astype(np.float32))
    if image.ndim == 2:
        image = image[..., None].repeat(1, 1, 3)
    if warning := exposure_note(image):
        notes.append(warning)
    burned_in = {"YES": True, "NO": False}.get(text(header, "BurnedInAnnotation").upper())
    return DicomImage(image.contiguous(), lines + notes, spacing, form.bits_stored, burned_in)


def _describe(header: pydicom.Dataset, form: Format) -> str:
    modality = text(header, "Modality")
    kind = f" {modality}" if modality in MODALITIES.split() else ""
    colour = "gray" if form.monochrome else "colour"
    return f"{form.columns} x {form.rows} DICOM{kind}, {form.bits_stored}-bit {colour}"


def _spacing(header: pydicom.Dataset) -> tuple[tuple[float, float] | None, list[str]]:
    notes = []
    for keyword, where in (
        ("PixelSpacing", ""),
        ("ImagerPixelSpacing", " at the detector: what it shows is smaller"),
        ("NominalScannedPixelSpacing", " on the scanned film"),
    ):
        value = decimals(header, keyword)
        if value == []:
            continue
        if value is None or len(value) != 2 or min(value) <= 0:
            notes.append(f"unusable {keyword} left out")
            continue
        return (value[0], value[1]), [*notes, f"pixel spacing {value[0]:g} x {value[1]:g} mm{where}"]
    return None, [*notes, "no usable pixel spacing"]


def _view(header: pydicom.Dataset) -> list[str]:
    """How the patient was seen: plans and regions speak of a frontal film with the patient's left at its right."""
    notes = []
    view = text(header, "ViewPosition")
    if view in VIEWS.split():
        notes.append(f"view {view}" + (": a lateral one, not frontal" if view in ("LL", "RL") else ""))
    towards = header.get("PatientOrientation")  # of its rows and of its columns
    if isinstance(towards, pydicom.multival.MultiValue) and len(towards) == 2:
        if str(towards[1]).startswith("H"):
            notes.append("its patient orientation says that it stands on its head; nothing was turned")
        elif str(towards[0]).startswith("R"):
            notes.append("its patient orientation says that it is mirrored: left and right change places")
    return notes


def _warnings(header: pydicom.Dataset, form: Format) -> list[str]:
    notes = []
    if text(header, "PresentationIntentType") == "FOR PROCESSING":
        notes.append("for processing: not made to be shown")
    if text(header, "PresentationLUTShape") == ("IDENTITY" if form.photometric == "MONOCHROME1" else "INVERSE"):
        notes.append(f"its presentation LUT shape contradicts {form.photometric} and was left out")
    ratio = decimals(header, "PixelAspectRatio")
    if ratio is None or (ratio and (len(ratio) != 2 or min(ratio) <= 0)):
        notes.append("unusable PixelAspectRatio left out")
    elif ratio and ratio[0] != ratio[1]:
        notes.append("pixels are not square; nothing was resampled")
    if text(header, "LossyImageCompression") == "01":
        notes.append("was compressed with loss")
    if text(header, "BurnedInAnnotation").upper() == "YES":
        notes.append("says that text is burned into its pixels: it may name the patient")
    return notes
