"""Files that a chain sends to a host: named by their content, so that no patient's name leaves the manifest."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FOLDER = "mvg_cohort"
MAX_BYTES = 100_000_000  # just below what the host takes as an upload
MAX_REPORT_BYTES = 1_000_000
DARK = 0.1  # a mask of labels 0 and 1 is all but black, and so would the region be


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a patient.

    Attributes:
        sha256: Hash of the content.
        name: Its name in the host's input folder.
        path: Where the content is; None where ``text`` is the content.
        text: The content.
        label: What errors call it: the manifest's words, never an absolute path that the manifest does not have.
    """

    sha256: str
    name: str
    path: Path | None
    text: str | None = None
    label: str = ""

    def read(self) -> bytes:
        """Returns the content.

        Raises:
            ValueError: The file is gone, or not what it was when the manifest was read.
        """
        if self.path is None:
            return (self.text or "").encode()
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ValueError(f"{self.label} cannot be read any more ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError(f"{self.label} was changed after the cohort was read; run it again")
        return data


def _read(path: Path, label: str, limit: int) -> bytes:
    try:
        if path.is_dir():
            raise ValueError(f"{label} is a folder, want a file")
        if path.stat().st_size > limit:
            raise ValueError(f"{label} has more than {limit} bytes")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {label}") from error
    except OSError as error:
        raise ValueError(f"{label} cannot be read ({error.strerror})") from error
    if not data:
        raise ValueError(f"{label} is empty")
    return data


def _named(data: bytes, suffix: str, path: Path | None, label: str, text: str | None = None) -> InputFile:
    digest = hashlib.sha256(data).hexdigest()
    return InputFile(digest, f"{FOLDER}/{digest[:32]}{suffix}", path, text, label)


def picture(path: Path, label: str) -> InputFile:
    """A PNG or JPEG, for the host's own loaders, which read no DICOM.

    Args:
        path: The file.
        label: What errors call it.

    Raises:
        ValueError: It is anything else, missing, empty or too large.
    """
    file = image(path, label)
    if file.name.endswith(".dcm"):
        raise ValueError(f"{label} is DICOM, which the workflow's Load Image cannot read: use Load Medical Image")
    return file


def image(path: Path, label: str) -> InputFile:
    """A PNG, JPEG or DICOM file, told by what it begins with.

    Args:
        path: The file.
        label: What errors call it.

    Raises:
        ValueError: It is none of these, missing, empty or too large, or a DICOM file that cannot be used.
    """
    data = _read(path, label, MAX_BYTES)
    for suffix, start, signature in (
        (".png", 0, b"\x89PNG\r\n\x1a\n"),
        (".jpg", 0, b"\xff\xd8\xff"),
        (".dcm", 128, b"DICM"),
    ):
        if data[start : start + len(signature)] == signature:
            if suffix == ".dcm":
                _check_dicom(path)
            return _named(data, suffix, path, label)
    raise ValueError(f"{label} is no PNG, JPEG or DICOM image")


def _check_dicom(path: Path) -> None:
    """ValueError where its header says that Load Medical Image would refuse it."""
    from ..mvg.dicom.read import check_dicom  # torch is slow to import, and few cohorts have DICOM

    try:
        check_dicom(path)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("image: ")) from error


def report(path: Path, label: str) -> InputFile:
    """A report.

    Args:
        path: The file.
        label: What errors call it.

    Raises:
        ValueError: It is no text, empty, missing or longer than the host's Load Report takes.
    """
    data = _read(path, label, MAX_REPORT_BYTES)
    if b"\0" in data:
        raise ValueError(f"{label} is no text file")
    if not data.decode("utf-8-sig", errors="replace").strip():
        raise ValueError(f"{label} holds no words")
    return _named(data, ".txt", path, label)


def text(words: str) -> InputFile:
    """A prompt of the manifest as the report that the host reads, so that its words stay out of what is saved."""
    return _named(words.encode(), ".txt", None, "prompt", words)


def anything(path: Path, label: str) -> InputFile:
    """A file of any kind; ValueError where it is missing, empty or too large."""
    return _named(_read(path, label, MAX_BYTES), path.suffix.lower(), path, label)


def reader(class_type: str) -> Callable[[Path, str], InputFile]:
    """What reads a file for a node of that class."""
    if class_type == "MVG_LoadReport":
        return report
    if class_type == "MVG_LoadMedicalImage":
        return image
    return picture if "Image" in class_type else anything


def check_mask(mask: InputFile, picture: InputFile) -> None:
    """Checks a mask against its picture; other formats than PNG and JPEG pass.

    Raises:
        ValueError: The mask has not the picture's size, is black, or one of them is damaged.
    """
    from PIL import Image, ImageOps

    if mask.name.endswith(".dcm") or picture.name.endswith(".dcm"):
        return
    sizes = []
    for file in (mask, picture):
        try:
            with Image.open(io.BytesIO(file.read())) as opened:
                sizes.append(ImageOps.exif_transpose(opened).size)
                if file is mask and (light := _brightest(opened)) < DARK:
                    shade = "all but black" if light else "black"
                    raise ValueError(f"{mask.label} is {shade}: nothing could change; paint the region white")
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{file.label} is damaged ({error})") from error
    if sizes[0] != sizes[1]:
        (w, h), (wide, high) = sizes
        raise ValueError(f"{mask.label} is {w} x {h} pixels and the image {wide} x {high}, want the same")


def _brightest(mask: "Image.Image") -> float:
    """The largest value of the red channel, which is the mask, in 0..1."""
    import numpy as np

    if mask.mode.startswith("I"):  # 16 bits, which convert would clip
        return float(np.asarray(mask).max()) / 65535
    return float(np.asarray(mask.convert("RGB").getchannel("R")).max()) / 255
