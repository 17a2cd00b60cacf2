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
    """sha256 of the content, name in the host's input folder, and the content as a path or as text."""

    sha256: str
    name: str
    path: Path | None
    text: str | None = None

    def read(self) -> bytes:
        """The content; ValueError where the file is gone, or not what it was when the manifest was read."""
        if self.path is None:
            return (self.text or "").encode()
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise ValueError(f"{self.path} cannot be read any more ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError(f"{self.path} was changed after the cohort was read; run it again")
        return data


def _read(path: Path, limit: int) -> bytes:
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder, want a file")
        if path.stat().st_size > limit:
            raise ValueError(f"{path} has more than {limit} bytes")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from error
    if not data:
        raise ValueError(f"{path} is empty")
    return data


def _named(data: bytes, suffix: str, path: Path | None, text: str | None = None) -> InputFile:
    digest = hashlib.sha256(data).hexdigest()
    return InputFile(digest, f"{FOLDER}/{digest[:32]}{suffix}", path, text)


def picture(path: Path) -> InputFile:
    """A PNG or JPEG; the host's own loaders read no DICOM. ValueError for anything else."""
    file = image(path)
    if file.name.endswith(".dcm"):
        raise ValueError(f"{path} is DICOM, which the workflow's Load Image cannot read: use Load Medical Image")
    return file


def image(path: Path) -> InputFile:
    """A picture, by what it begins with; ValueError where it is no PNG, JPEG or DICOM."""
    data = _read(path, MAX_BYTES)
    for suffix, start, signature in (
        (".png", 0, b"\x89PNG\r\n\x1a\n"),
        (".jpg", 0, b"\xff\xd8\xff"),
        (".dcm", 128, b"DICM"),
    ):
        if data[start : start + len(signature)] == signature:
            if suffix == ".dcm":
                _check_dicom(path)
            return _named(data, suffix, path)
    raise ValueError(f"{path} is no PNG, JPEG or DICOM image")


def _check_dicom(path: Path) -> None:
    """ValueError where its header says that Load Medical Image would refuse it."""
    from ..mvg.dicom.read import check_dicom  # torch is slow to import, and few cohorts have DICOM

    try:
        check_dicom(path)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("image: ")) from error


def report(path: Path) -> InputFile:
    """A text; ValueError where it is none, empty or longer than the host's Load Report takes."""
    data = _read(path, MAX_REPORT_BYTES)
    if b"\0" in data:
        raise ValueError(f"{path} is no text file")
    if not data.decode("utf-8-sig", errors="replace").strip():
        raise ValueError(f"{path} holds no words")
    return _named(data, ".txt", path)


def text(words: str) -> InputFile:
    """A prompt of the manifest as the report that the host reads, so that its words stay out of what is saved."""
    return _named(words.encode(), ".txt", None, words)


def anything(path: Path) -> InputFile:
    return _named(_read(path, MAX_BYTES), path.suffix.lower(), path)


def reader(class_type: str) -> Callable[[Path], InputFile]:
    """What reads a file for a node of that class."""
    if class_type == "MVG_LoadReport":
        return report
    if class_type == "MVG_LoadMedicalImage":
        return image
    return picture if "Image" in class_type else anything


def check_mask(mask: InputFile, picture: InputFile) -> None:
    """ValueError unless the mask has the picture's size and is not black; other formats than PNG and JPEG pass."""
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
                    raise ValueError(f"{mask.path} is {shade}: nothing could change; paint the region white")
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{file.path} is damaged ({error})") from error
    if sizes[0] != sizes[1]:
        (w, h), (wide, high) = sizes
        raise ValueError(f"{mask.path} is {w} x {h} pixels and the image {wide} x {high}, want the same")


def _brightest(mask: "Image.Image") -> float:
    """The largest value of the red channel, which is the mask, in 0..1."""
    import numpy as np

    if mask.mode.startswith("I"):  # 16 bits, which convert would clip
        return float(np.asarray(mask).max()) / 65535
    return float(np.asarray(mask.convert("RGB").getchannel("R")).max()) / 255
