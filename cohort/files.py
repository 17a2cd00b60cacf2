"""Files that a chain sends to a host: named by their content, so that no patient's name leaves the manifest."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..mvg.domains import BUILT_IN
from ..mvg.picture_header import check_picture, is_dicom, looks_gray
from ..mvg.report_file import read_report_file

if TYPE_CHECKING:
    from ..mvg.picture_file import Picture

FOLDER = "mvg_cohort"
MAX_BYTES = 100_000_000  # just below what the host takes as an upload
SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg"}
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
        size: Of a picture, width and height in pixels.
    """

    sha256: str
    name: str
    path: Path | None
    text: str | None = None
    label: str = ""
    size: tuple[int, int] | None = None

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
    """A PNG, JPEG or TIFF file, for the host's own loaders, which read no DICOM.

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
    """A PNG, JPEG, TIFF or DICOM file, told by its content.

    Args:
        path: The file.
        label: What errors call it.

    Raises:
        ValueError: It is none of these, missing, empty or too large, or Load Medical Image would refuse its header.
    """
    data = _read(path, label, MAX_BYTES)
    with _called(path, label):
        size = check_picture(path, name=label)
    suffix = next((suffix for start, suffix in SUFFIXES.items() if data.startswith(start)), ".tif")
    return dataclasses.replace(_named(data, ".dcm" if is_dicom(path) else suffix, path, label), size=size)


def picture_of(file: InputFile) -> "Picture":
    """A picture read to its end; ValueError where it is damaged further on than its header says."""
    from ..mvg.picture_file import read_picture  # brings torch, which is large and slow to import

    assert file.path is not None  # pictures are files
    with _called(file.path, file.label):
        return read_picture(file.path, name=file.label)


def check_color(file: InputFile, *, gray: bool) -> None:
    """Check that a picture is gray, or that it is not.

    Args:
        file: The picture.
        gray: Which of them is wanted.

    Raises:
        ValueError: It is the other, or damaged.
    """
    assert file.path is not None  # pictures are files
    with _called(file.path, file.label):
        if is_dicom(file.path):
            if gray:
                check_picture(file.path, gray=True, name=file.label)
            return
        fits = looks_gray(file.path) is gray
    if not fits:
        others = " or ".join(domain.name for domain in BUILT_IN.values() if domain.gray is not gray)
        got, want = ("in color", "gray ones") if gray else ("gray", "ones in color")
        raise ValueError(f"{file.label} is {got}, and the workflow wants {want}; is its domain {others}?")


def is_gray(picture: "Picture") -> bool:
    """Whether the three channels of a picture are equal."""
    return bool((picture.image == picture.image[..., :1]).all())


def words(file: InputFile) -> str:
    """The text of a report or a prompt."""
    return file.text or "" if file.path is None else read_report_file(file.path, file.label)


@contextlib.contextmanager
def _called(path: Path, label: str) -> Iterator[None]:
    """Errors of the nodes' readers, without what names the input: the manifest's column or the option does."""
    try:
        yield
    except ValueError as error:
        told = str(error).removeprefix("image: ").removeprefix("report: ")
        for name in (path.name, label):  # quoted
            told = told.replace(repr(name), label)
        raise ValueError(told) from error


def report(path: Path, label: str) -> InputFile:
    """A report.

    Args:
        path: The file.
        label: What errors call it.

    Raises:
        ValueError: It is no text, empty, missing or longer than the host's Load Report takes.
    """
    data = _read(path, label, MAX_BYTES)
    with _called(path, label):
        read_report_file(path, label)
    return _named(data, ".txt", path, label)


def text(words: str) -> InputFile:
    """A prompt of the manifest as a report file that the host reads, so that its words stay out of what is saved."""
    return _named(words.encode(), ".txt", None, "prompt", words)


def any_file(path: Path, label: str) -> InputFile:
    """A file of any kind; ValueError where it is missing, empty or too large."""
    return _named(_read(path, label, MAX_BYTES), path.suffix.lower(), path, label)


def reader(class_type: str) -> Callable[[Path, str], InputFile]:
    """The function that reads a file for a node of a class, given its path and what errors call it."""
    if class_type == "MVG_LoadReport":
        return report
    if class_type == "MVG_LoadMedicalImage":
        return image
    return picture if "Image" in class_type else any_file


def check_mask(mask: InputFile, picture: InputFile) -> None:
    """Check a mask against its picture, both read to their end.

    Args:
        mask: White where things may change; its red channel counts.
        picture: The image that it belongs to.

    Raises:
        ValueError: The mask has not the picture's size or is black, or one of them is damaged.
    """
    region, image = picture_of(mask).image, picture_of(picture).image
    if region.shape != image.shape:
        (high, wide), (height, width) = region.shape[:2], image.shape[:2]
        raise ValueError(f"{mask.label} is {wide} x {high} pixels and the image {width} x {height}, want the same")
    if (light := float(region[..., 0].max())) < DARK:
        shade = "all but black" if light else "black"
        raise ValueError(f"{mask.label} is {shade}: nothing could change; paint the region white")
