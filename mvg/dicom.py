"""Single projection images in DICOM files, read as hostile and as personal data: no identifier leaves this module."""

import logging
import math
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom
import torch
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, get_decoder
from torch import Tensor

MAX_FILE_BYTES = 256 << 20
MAX_HEADER_BYTES = 16 << 20
MAX_READS = 200_000
"""Two or three an element: a header full of empty ones takes minutes and gigabytes, a real one has a few hundred."""
MAX_RLE_BYTES = 32 << 20
"""Run lengths grow to at most 64 times their size, and pydicom expands them before it compares."""
MAX_PIXELS = 64_000_000

PIXEL_DATA = 0x7FE00010
SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
VOLUMES = {"CT": "CT", "MR": "MR", "PT": "PET", "NM": "nuclear medicine", "RTDOSE": "dose", "SEG": "segmentation"}
VOLUME_CLASSES = {
    uid.CTImageStorage: "CT",
    uid.EnhancedCTImageStorage: "CT",
    uid.LegacyConvertedEnhancedCTImageStorage: "CT",
    uid.MRImageStorage: "MR",
    uid.EnhancedMRImageStorage: "MR",
    uid.EnhancedMRColorImageStorage: "MR",
    uid.LegacyConvertedEnhancedMRImageStorage: "MR",
    uid.PositronEmissionTomographyImageStorage: "PET",
    uid.EnhancedPETImageStorage: "PET",
    uid.LegacyConvertedEnhancedPETImageStorage: "PET",
    uid.NuclearMedicineImageStorage: "nuclear medicine",
    uid.RTDoseStorage: "dose",
    uid.SegmentationStorage: "segmentation",
}
# Terms that may be repeated in a note; whatever else stands in the element could be anything, a name too.
MODALITIES = "BMD CR DG DX ES GM IO IVUS LS MG OAM OP OPT OT PX RF RG RTIMAGE SC SM TG US XA XC"

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
JPEG_FRAMES = {
    uid.JPEGBaseline8Bit: b"\xc0",
    uid.JPEGExtended12Bit: b"\xc0\xc1",
    uid.JPEGLossless: b"\xc3",
    uid.JPEGLosslessSV1: b"\xc3",
    uid.JPEGLSLossless: b"\xf7",
    uid.JPEGLSNearLossless: b"\xf7",
}
"""The start-of-frame markers that may follow: a progressive JPEG can take hours for a few kilobytes."""
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)

_LOCK = threading.Lock()


class DicomError(ValueError):
    """A file that cannot be used; the message names it, what it holds and what is wanted, and nothing personal."""


class _Refused(Exception):
    """The reason, as the end of a sentence that begins with the file's name."""


class _Bounded(BytesIO):
    """Bytes that can be read so many times, which bounds the elements, items and fragments at any depth."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise _Refused("has too many elements or fragments, want as many as an image needs")
        return super().read(size)


class DicomImage(NamedTuple):
    """image: float32 [H, W, 3] in [0, 1], as it is meant to be shown; three equal channels where the file is grey.

    notes: what the file held and what was done. spacing: mm from row to row and from column to column, or None.
    """

    image: Tensor
    notes: list[str]
    spacing: tuple[float, float] | None


class _Format(NamedTuple):
    rows: int
    columns: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def samples(self) -> int:
        return SAMPLES[self.photometric]

    @property
    def monochrome(self) -> bool:
        return self.photometric.startswith("MONOCHROME")

    @property
    def native_bytes(self) -> int:
        count = self.rows * self.columns * self.samples * self.bits_allocated // 8
        return count * 2 // 3 if self.photometric == "YBR_FULL_422" else count


def read_dicom(path: str | Path, grey: bool = False) -> DicomImage:
    """A single projection image (CR, DX, MG, XC, OP, secondary capture and the like) as its file wants it shown.

    Grey follows PS3.3 C.11.1 and C.11.2: modality LUT or rescale, then the first VOI LUT or window, which becomes
    [0, 1], then MONOCHROME1 inverted. Without VOI LUT and window an image of up to 8 bits keeps its full range, and a
    deeper one goes from its darkest to its brightest pixel, padding left out. Colour keeps its full range.

    ``grey`` refuses a colour image. Raises DicomError for whatever the file holds that is not such an image.
    """
    name = Path(path).name
    try:
        with _quiet(), np.errstate(all="ignore"):
            return _read(Path(path), grey)
    except _Refused as refused:
        reason = str(refused)
    except OSError as error:
        reason = f"cannot be opened ({error.strerror or 'input error'}), want a DICOM file"
    # outside the handlers: an exception chained to this one could quote the file
    raise DicomError(f"image: {name!r} {reason}")


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


@contextmanager
def _parsing(what: str) -> Iterator[None]:
    """Whatever pydicom or a decoder raises on bytes made up by somebody becomes one refusal."""
    try:
        yield
    except _Refused:
        raise
    except Exception:
        raise _Refused(f"holds {what}") from None


def _read(path: Path, grey: bool) -> DicomImage:
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _Refused(f"is larger than {MAX_FILE_BYTES >> 20} MiB, want at most that")
    if data[128:132] != b"DICM":
        raise _Refused("is no DICOM file, want one with the DICM mark at byte 128")
    with _parsing("a damaged header, want a readable DICOM header"):
        header, syntax, body, start = _read_header(data)
        _refuse_other_objects(header)
        form = _format(header)
    if grey and not form.monochrome:
        raise _Refused("is a colour image, want a grey one")
    del data
    with _parsing("damaged pixel data, want one readable image"):
        notes = _attach_pixels(header, syntax, form, body, start)
    del body
    pixels = _decode(header, syntax, form)
    lines = [_describe(header, form)]
    with _parsing("a damaged look-up table, window or rescale, want usable ones or none"):
        values = _show_grey(pixels, header, form, lines) if form.monochrome else _show_colour(pixels, header, form)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise _Refused("maps its pixels out of range (a wrong bit depth, look-up table, window or rescale)")
    if form.photometric == "PALETTE COLOR":
        lines.append("palette applied")
    elif form.photometric.startswith("YBR"):
        lines.append("YBR turned into RGB")
    with _parsing("a damaged pixel spacing or mark, want usable ones or none"):
        spacing, more = _spacing(header)
        notes += more + _warnings(header, form)
    image = torch.from_numpy(values.astype(np.float32))
    if image.ndim == 2:
        image = image[..., None].repeat(1, 1, 3)
    return DicomImage(image.contiguous(), lines + notes, spacing)


def _read_header(data: bytes) -> tuple[pydicom.Dataset, uid.UID, bytes, int]:
    """-> (everything before the pixel data, transfer syntax, the bytes of the data set, where its pixel data begins)"""
    front = _Bounded(data[:MAX_HEADER_BYTES])
    read_preamble(front, force=False)
    meta = read_dataset(front, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    syntax = meta.get("TransferSyntaxUID")
    known = (*NATIVE, *JPEG_FRAMES, *JPEG_2000, uid.RLELossless)
    if syntax is None:
        raise _Refused("names no transfer syntax, want a file of PS3.10")
    if syntax not in known:
        raise _Refused("is encoded in a way that is no still image's, want raw pixels, RLE, JPEG, JPEG-LS or JPEG 2000")
    syntax = known[known.index(syntax)]
    body = data[front.tell() :]
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        body = inflater.decompress(body, MAX_FILE_BYTES + 1)
        if len(body) > MAX_FILE_BYTES:
            raise _Refused(f"inflates to more than {MAX_FILE_BYTES >> 20} MiB, want at most that")
        if not inflater.eof:
            raise _Refused("is cut off, want the whole file")

    pixel_tags: list[int] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag < 0x7FE00008:
            return False
        pixel_tags.append(tag)
        return True

    front = _Bounded(body[:MAX_HEADER_BYTES])
    header = read_dataset(front, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=at_pixels)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    if "EncapsulatedDocument" in header:
        raise _Refused("is a document (PDF or the like), want an image")
    if not pixel_tags and len(body) > MAX_HEADER_BYTES:
        raise _Refused(f"has no pixel data in its first {MAX_HEADER_BYTES >> 20} MiB, want an image")
    if not pixel_tags or pixel_tags[-1] > PIXEL_DATA:
        raise _Refused("has no pixel data, want an image")
    if pixel_tags[-1] < PIXEL_DATA:
        raise _Refused("has floating-point pixels, want integers")
    return header, syntax, body, front.tell()


def _refuse_other_objects(header: pydicom.Dataset) -> None:
    volume = VOLUMES.get(str(header.get("Modality"))) or VOLUME_CLASSES.get(header.get("SOPClassUID"))
    if volume:
        raise _Refused(f"is a slice or volume ({volume}), want a projection image or photograph")
    frames = _integer(header, "NumberOfFrames", 1)
    if frames != 1:
        raise _Refused(f"has {frames} frames, want a single image")


def _integer(header: pydicom.Dataset, keyword: str, default: int | None = None) -> int:
    value = header.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int):
        raise _Refused(f"has no usable {keyword}, want one whole number")
    return int(value)


def _format(header: pydicom.Dataset) -> _Format:
    rows, columns = _integer(header, "Rows"), _integer(header, "Columns")
    if min(rows, columns) < 1:
        raise _Refused(f"is {columns} x {rows} pixels, want at least 1 x 1")
    if rows * columns > MAX_PIXELS:
        raise _Refused(f"is {columns} x {rows} pixels, want at most {MAX_PIXELS // 10**6} megapixels")
    photometric = header.get("PhotometricInterpretation")
    if photometric not in SAMPLES:
        raise _Refused(f"has no usable photometric interpretation, want one of {', '.join(SAMPLES)}")
    samples = _integer(header, "SamplesPerPixel")
    if samples != SAMPLES[photometric]:
        raise _Refused(f"has {samples} samples a pixel, want {SAMPLES[photometric]} with {photometric}")
    allocated, stored = _integer(header, "BitsAllocated"), _integer(header, "BitsStored")
    if allocated not in (8, 16):
        raise _Refused(f"has {allocated} bits allocated, want 8 or 16")
    if not 1 <= stored <= allocated:
        raise _Refused(f"has {stored} bits stored, want 1 to {allocated}")
    high = _integer(header, "HighBit", stored - 1)
    if high != stored - 1:
        raise _Refused(f"has high bit {high} at {stored} bits stored, want {stored - 1}")
    sign = _integer(header, "PixelRepresentation")
    if sign not in ((0, 1) if samples == 1 else (0,)):
        raise _Refused(f"has pixel representation {sign}, want 0{' or 1' if samples == 1 else ''}")
    return _Format(rows, columns, str(photometric), allocated, stored, sign == 1)


def _attach_pixels(header: pydicom.Dataset, syntax: uid.UID, form: _Format, body: bytes, start: int) -> list[str]:
    """Adds the pixel data to ``header``, once it is known to be no larger than it says. -> notes"""
    file = _Bounded(body)
    file.seek(start)
    found = read_dataset(
        file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=lambda tag, vr, length: tag > PIXEL_DATA
    )
    if PIXEL_DATA not in found:
        raise _Refused("has cut off pixel data, want the whole file")
    header[PIXEL_DATA] = found.get_item(PIXEL_DATA)
    data = header.PixelData
    if not data:
        raise _Refused("has no pixel data, want an image")
    if syntax in NATIVE:
        if len(data) < form.native_bytes:
            raise _Refused(f"has {len(data)} bytes of pixel data, want {form.native_bytes}: the file is cut off")
        excess = len(data) - form.native_bytes
        return [f"{excess} bytes after the image left out"] if excess > 1 else []
    frame = get_frame(data, 0, number_of_frames=1)
    if syntax == uid.RLELossless:
        most = min(MAX_RLE_BYTES, 1024 + 2 * form.native_bytes)  # a single pixel a row doubles the bytes
        if len(frame) > most:
            raise _Refused(f"has {len(frame)} bytes of run lengths, want at most {most}")
        return ["RLE"]
    size = _jpeg_2000_size(frame) if syntax in JPEG_2000 else _jpeg_size(frame, JPEG_FRAMES[syntax])
    if size != (form.columns, form.rows):
        raise _Refused(f"says {form.columns} x {form.rows} pixels and holds {size[0]} x {size[1]}, want one size")
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
            raise _Refused("holds another kind of JPEG than it says, want the kind of its transfer syntax")
        place += 2 + int.from_bytes(frame[place + 2 : place + 4])
    raise _Refused("holds no JPEG image where it says it does, want one")


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    """Width and height from the SIZ marker segment (ITU-T T.800 A.5.1)."""
    if frame[:4] != b"\xff\x4f\xff\x51" or len(frame) < 24:
        raise _Refused("holds no JPEG 2000 codestream where it says it does, want one")
    right, bottom, left, top = (int.from_bytes(frame[place : place + 4]) for place in (8, 12, 16, 20))
    return right - left, bottom - top


def _decode(header: pydicom.Dataset, syntax: uid.UID, form: _Format) -> np.ndarray:
    """Stored values [H, W], or [H, W, 3] as RGB."""
    decoder = get_decoder(syntax)
    name = str(syntax.name)
    deep = syntax == uid.JPEGExtended12Bit and form.bits_stored > 8 and decoder.available_plugins == ("pillow",)
    if deep or not decoder.is_available:
        missing = "; or ".join(decoder.missing_dependencies)
        raise _Refused(f"is {name}, which no installed decoder reads. Install one of: {missing}")
    by = ", ".join(decoder.available_plugins) or "pydicom"
    with _parsing(f"pixel data ({name}) that is damaged or of a kind that {by} cannot decode, want one readable image"):
        pixels, held = decoder.as_array(header, index=0)
    wanted = (form.rows, form.columns) if form.samples == 1 else (form.rows, form.columns, 3)
    if pixels.shape != wanted:
        raise _Refused(f"decodes to shape {pixels.shape}, want {wanted}")
    if form.samples == 3 and held["photometric_interpretation"] != "RGB":
        raise _Refused(f"is {form.photometric} in {name}, which has no known way to RGB")
    return pixels


def _show_colour(pixels: np.ndarray, header: pydicom.Dataset, form: _Format) -> np.ndarray:
    if form.photometric != "PALETTE COLOR":
        return pixels / (2.0**form.bits_stored - 1)
    if "SegmentedRedPaletteColorLookupTableData" in header:
        raise _Refused("has a segmented palette, want a plain one")
    if header.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian:
        raise _Refused("has a palette in big-endian order, want little-endian")
    entries, first, depth = header.RedPaletteColorLookupTableDescriptor
    entries = entries or 2**16
    if depth not in (8, 16):
        raise _Refused(f"has a palette of {depth} bits, want 8 or 16")
    if entries > 256 and len(header.RedPaletteColorLookupTableData) < 2 * entries:
        raise _Refused(f"has a palette of {entries} colours with one byte each, want at most 256")
    # pydicom counts places in the palette in the palette's own type, in which a pixel beyond its end would wrap around
    inside = np.clip(pixels.astype(np.int32), first, first + entries - 1)
    return apply_color_lut(inside, header)[..., :3] / (2.0**depth - 1)


def _show_grey(pixels: np.ndarray, header: pydicom.Dataset, form: _Format, notes: list[str]) -> np.ndarray:
    stored = pixels.astype(np.int32)
    modality = header.get("ModalityLUTSequence")
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    values = apply_modality_lut(stored, header)
    if modality:
        notes.append("modality LUT applied")
    elif slope is not None and intercept is not None:
        if slope == 0:
            raise _Refused("has rescale slope 0, want another")
        if (slope, intercept) == (1, 0):
            values = stored
        else:
            notes.append(f"rescaled by {slope:g} x + {intercept:g}")
    if header.get("VOILUTSequence"):
        low, high = 0.0, 2.0 ** header.VOILUTSequence[0].LUTDescriptor[2] - 1
        shown = _apply_voi_lut(values, header)
        notes.append(f"VOI LUT applied{_first_of(len(header.VOILUTSequence))}")
    elif header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        shown = apply_voi_lut(values, header)
        low, high = _full_range(header, form)
        kind = str(header.get("VOILUTFunction") or "LINEAR").upper()
        centre, count = _first(header.WindowCenter)
        width, _ = _first(header.WindowWidth)
        of = _first_of(count)
        notes.append(f"window{of}: centre {centre:g}, width {width:g}, {kind.lower().replace('_', ' ')}")
    elif form.bits_stored <= 8:
        shown = values
        low, high = _full_range(header, form)
        notes.append("no window: full range kept")
    else:
        shown = values
        counted = values[~_padding(stored, header)]
        low, high = (float(counted.min()), float(counted.max())) if counted.size else (0.0, 0.0)
        if low == high:
            low, high = _full_range(header, form)
        else:
            shown = np.clip(values, low, high)
        notes.append(f"no window: {low:g} to {high:g} made 0 to 1")
    # a negative slope turns pydicom's output range around; measured from its lower end, the image comes out upright
    shown = (shown - low) / (high - low)
    if form.photometric == "MONOCHROME1":
        shown = 1 - shown
        notes.append("MONOCHROME1 inverted")
    return shown


def _apply_voi_lut(values: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """pydicom's, kept from wrapping around: it counts places in the table in the type of the table's entries."""
    item = header.VOILUTSequence[0]
    entries, first, depth = item.LUTDescriptor
    entries = entries or 2**16
    if depth not in (8, *range(10, 17)):
        raise _Refused(f"has a VOI LUT of {depth} bits, want 8 or 10 to 16")
    whole = np.rint(values)
    if not np.array_equal(whole, values):
        raise _Refused("has a VOI LUT after a rescale to fractions, want whole numbers")
    inside = np.clip(whole, first, first + entries - 1).astype(np.int64)
    if depth == 8:
        item.LUTDescriptor = [item.LUTDescriptor[0], first, 16]
    return apply_voi_lut(inside, header)


def _first(value: Any) -> tuple[float, int]:
    many = isinstance(value, pydicom.multival.MultiValue)
    return float(value[0] if many else value), len(value) if many else 1


def _first_of(count: int) -> str:
    return f" (the first of {count})" if count > 1 else ""


def _full_range(header: pydicom.Dataset, form: _Format) -> tuple[float, float]:
    """Of values after the modality LUT: what pydicom's windows map to, PS3.3 C.11.1.1."""
    if header.get("ModalityLUTSequence"):
        low, high = 0.0, 2.0 ** header.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    elif form.signed:
        low, high = -(2.0 ** (form.bits_stored - 1)), 2.0 ** (form.bits_stored - 1) - 1
    else:
        low, high = 0.0, 2.0**form.bits_stored - 1
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    if slope is not None and intercept is not None:
        low, high = low * float(slope) + float(intercept), high * float(slope) + float(intercept)
    return low, high


def _padding(stored: np.ndarray, header: pydicom.Dataset) -> np.ndarray:
    """Where the detector saw nothing: PixelPaddingValue, or from there to PixelPaddingRangeLimit."""
    if header.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, bool)
    value = _integer(header, "PixelPaddingValue")
    limit = _integer(header, "PixelPaddingRangeLimit", value)
    return (stored >= min(value, limit)) & (stored <= max(value, limit))


def _describe(header: pydicom.Dataset, form: _Format) -> str:
    modality = header.get("Modality")
    kind = f" {modality}" if modality in MODALITIES.split() else ""
    colour = "gray" if form.monochrome else "colour"
    return f"{form.columns} x {form.rows} DICOM{kind}, {form.bits_stored}-bit {colour}"


def _spacing(header: pydicom.Dataset) -> tuple[tuple[float, float] | None, list[str]]:
    for keyword, where in (
        ("PixelSpacing", ""),
        ("ImagerPixelSpacing", " at the detector: what it shows is smaller"),
        ("NominalScannedPixelSpacing", " on the scanned film"),
    ):
        value = header.get(keyword)
        if value is None or len(value) != 2:
            continue
        row, column = (float(v) for v in value)
        if not (math.isfinite(row) and math.isfinite(column) and row > 0 and column > 0):
            continue
        return (row, column), [f"pixel spacing {row:g} x {column:g} mm{where}"]
    return None, ["no usable pixel spacing"]


def _warnings(header: pydicom.Dataset, form: _Format) -> list[str]:
    notes = []
    if header.get("PresentationIntentType") == "FOR PROCESSING":
        notes.append("for processing: not made to be shown")
    if header.get("PresentationLUTShape") == ("IDENTITY" if form.photometric == "MONOCHROME1" else "INVERSE"):
        notes.append(f"its presentation LUT shape contradicts {form.photometric} and was left out")
    ratio = header.get("PixelAspectRatio")
    if ratio is not None and len(ratio) == 2 and ratio[0] != ratio[1]:
        notes.append("pixels are not square; nothing was resampled")
    if header.get("LossyImageCompression") == "01":
        notes.append("was compressed with loss")
    if header.get("BurnedInAnnotation") == "YES":
        notes.append("says that text is burned into its pixels: it may name the patient")
    return notes
