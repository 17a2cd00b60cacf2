"""What a DICOM file says its image is, read as hostile: bounded work, and everything else than one image refused."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom import uid
from pydicom.filereader import read_dataset, read_preamble

MAX_FILE_BYTES = 256 << 20
MAX_HEADER_BYTES = 16 << 20
MAX_READS = 200_000
"""Two or three an element: a header full of empty ones takes minutes and gigabytes, a real one has a few hundred."""
MAX_PIXELS = 64_000_000
PIXEL_DATA = 0x7FE00010
VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
"""PS3.5, 6.2."""
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


class Refused(Exception):
    """The reason, as the end of a sentence that begins with the file's name."""


class Bounded(BytesIO):
    """Bytes that can be read so many times, which bounds the elements, items and fragments at any depth."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """As io.BytesIO's, so many times.

        Args:
            size: bytes at most; None or -1 for all.

        Returns:
            The bytes.

        Raises:
            Refused: the file was read too many times.
        """
        self.reads += 1
        if self.reads > MAX_READS:
            raise Refused("has too many elements or fragments, want as many as an image needs")
        return super().read(size)


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Makes one refusal of whatever pydicom or a decoder raises on bytes made up by somebody.

    Args:
        what: what the file then holds, in words.

    Yields:
        Nothing.

    Raises:
        Refused: for any exception of the block but MemoryError.
    """
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Exception:
        raise Refused(f"holds {what}") from None


class Format(NamedTuple):
    """How the pixels are stored, after the elements of PS3.3 C.7.6.3; rows and columns in pixels."""

    rows: int
    columns: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def samples(self) -> int:
        """Values a pixel: 1, or 3 of RGB and YBR."""
        return SAMPLES[self.photometric]

    @property
    def monochrome(self) -> bool:
        """Whether it is gray."""
        return self.photometric.startswith("MONOCHROME")

    @property
    def native_bytes(self) -> int:
        """Bytes of the pixels without compression."""
        count = self.rows * self.columns * self.samples * self.bits_allocated // 8
        return count * 2 // 3 if self.photometric == "YBR_FULL_422" else count


class File(NamedTuple):
    """header: everything before the pixel data. body: the bytes of the data set, whose pixel data begins at start."""

    header: pydicom.Dataset
    syntax: uid.UID
    body: bytes
    start: int
    notes: list[str]


def begins_like_dicom(data: bytes) -> bool:
    """Whether a file begins with an element of group 0002 or 0008, as DICOM without its preamble does.

    Args:
        data: the file's first bytes.

    Returns:
        True where it does.
    """
    return _encoding(data) is not None


def _encoding(data: bytes) -> uid.UID | None:
    """How a data set is encoded whose first element this is: by its VR, or by a short length in the place of one."""
    if len(data) < 8:
        return None
    for order, explicit in (("little", uid.ExplicitVRLittleEndian), ("big", uid.ExplicitVRBigEndian)):
        group, element = (int.from_bytes(data[place : place + 2], order) for place in (0, 2))  # type: ignore[arg-type]
        if group not in (2, 8) or element > 0x0100:
            continue
        if data[4:6].decode("latin-1") in VRS.split():
            return explicit
        if order == "little" and int.from_bytes(data[4:8], "little") <= 1024:
            return uid.ImplicitVRLittleEndian
    return None


def whole_file(path: Path) -> bytes:
    """A file's bytes.

    Args:
        path: the file.

    Returns:
        At most 256 MiB.

    Raises:
        Refused: it is larger, or neither has the DICM mark nor begins like a data set.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise Refused(f"is larger than {MAX_FILE_BYTES >> 20} MiB, want at most that")
    if data[128:132] != b"DICM" and not begins_like_dicom(data):
        raise Refused("is no DICOM file, want one with the DICM mark at byte 128")
    return data


def read_header(data: bytes) -> File:
    """Reads everything before the pixel data.

    Args:
        data: the file, with or without preamble and file meta information.

    Returns:
        The header, how it is encoded, and where the pixel data is.

    Raises:
        Refused: it is encoded as no still image is, is a document, or has no integer pixels.
    """
    notes = []
    front = Bounded(data[:MAX_HEADER_BYTES])
    if data[128:132] == b"DICM":
        read_preamble(front, force=False)
    else:
        notes.append("has no preamble")
    meta = pydicom.Dataset()
    if data[front.tell() : front.tell() + 2] == b"\x02\0":
        meta = read_dataset(front, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    syntax = meta.get("TransferSyntaxUID")
    known = (*NATIVE, *JPEG_FRAMES, *JPEG_2000, uid.RLELossless)
    if not syntax:
        syntax = _encoding(data[front.tell() : front.tell() + 8])
        if syntax is None:
            raise Refused("names no transfer syntax and does not begin as a data set does, want a file of PS3.10")
        notes.append(f"names no transfer syntax: read as {str(syntax.name).lower()}")
    if syntax not in known:
        raise Refused("is encoded in a way that is no still image's, want raw pixels, RLE, JPEG, JPEG-LS or JPEG 2000")
    syntax = known[known.index(syntax)]
    body = data[front.tell() :]
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        body = inflater.decompress(body, MAX_FILE_BYTES + 1)
        if len(body) > MAX_FILE_BYTES:
            raise Refused(f"inflates to more than {MAX_FILE_BYTES >> 20} MiB, want at most that")
        if not inflater.eof:
            raise Refused("is cut off, want the whole file")

    pixel_tags: list[int] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag < 0x7FE00008:
            return False
        pixel_tags.append(tag)
        return True

    front = Bounded(body[:MAX_HEADER_BYTES])
    header = read_dataset(front, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=at_pixels)
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax
    if "EncapsulatedDocument" in header:
        raise Refused("is a document (PDF or the like), want an image")
    if not pixel_tags and len(body) > MAX_HEADER_BYTES:
        raise Refused(f"has no pixel data in its first {MAX_HEADER_BYTES >> 20} MiB, want an image")
    if not pixel_tags or pixel_tags[-1] > PIXEL_DATA:
        raise Refused("has no pixel data, want an image")
    if pixel_tags[-1] < PIXEL_DATA:
        raise Refused("has floating-point pixels, want integers")
    return File(header, syntax, body, front.tell(), notes)


def refuse_other_objects(header: pydicom.Dataset) -> None:
    """Lets single projection images alone pass.

    Args:
        header: the data set.

    Raises:
        Refused: it is a volume, a slice of one, or has several frames.
    """
    volume = VOLUMES.get(str(header.get("Modality"))) or VOLUME_CLASSES.get(header.get("SOPClassUID"))
    if volume:
        raise Refused(f"is a slice or volume ({volume}), want a projection image or photograph")
    frames = integer(header, "NumberOfFrames", 1)
    if frames > 1 or frames < 0:
        raise Refused(f"has {frames} frames, want a single image")


def integer(header: pydicom.Dataset, keyword: str, default: int | None = None) -> int:
    """An element's whole number.

    Args:
        header: the data set.
        keyword: the element's.
        default: the value where it is absent or empty; None where it must be there.

    Returns:
        Its value.

    Raises:
        Refused: it is no single whole number.
    """
    value = header.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int):
        raise Refused(f"has no usable {keyword}, want one whole number")
    return int(value)


def format_of(header: pydicom.Dataset) -> Format:
    """How the pixels are stored.

    Args:
        header: the data set.

    Returns:
        Size, colour and bits.

    Raises:
        Refused: they are none that such an image has.
    """
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if min(rows, columns) < 1:
        raise Refused(f"is {columns} x {rows} pixels, want at least 1 x 1")
    if rows * columns > MAX_PIXELS:
        raise Refused(f"is {columns} x {rows} pixels, want at most {MAX_PIXELS // 10**6} megapixels")
    photometric = header.get("PhotometricInterpretation")
    if photometric not in SAMPLES:
        raise Refused(f"has no usable photometric interpretation, want one of {', '.join(SAMPLES)}")
    samples = integer(header, "SamplesPerPixel")
    if samples != SAMPLES[photometric]:
        raise Refused(f"has {samples} samples a pixel, want {SAMPLES[photometric]} with {photometric}")
    allocated, stored = integer(header, "BitsAllocated"), integer(header, "BitsStored")
    if allocated not in (8, 16):
        raise Refused(f"has {allocated} bits allocated, want 8 or 16")
    if not 1 <= stored <= allocated:
        raise Refused(f"has {stored} bits stored, want 1 to {allocated}")
    high = integer(header, "HighBit", stored - 1)
    if high != stored - 1:
        raise Refused(f"has high bit {high} at {stored} bits stored, want {stored - 1}")
    sign = integer(header, "PixelRepresentation")
    if sign not in ((0, 1) if samples == 1 else (0,)):
        raise Refused(f"has pixel representation {sign}, want 0{' or 1' if samples == 1 else ''}")
    return Format(rows, columns, str(photometric), allocated, stored, sign == 1)
