"""Files of the host's input folder: found by name only, read as hostile."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import folder_paths
import torch

from ...mvg.file_names import shortened
from ...mvg.picture_file import read_picture
from ...mvg.picture_header import DICOM_SUFFIXES, PICTURE_SUFFIXES, has_dicom_content


class Loaded(NamedTuple):
    """image [1, H, W, 3] in [0, 1] at the file's own depth; notes on what the file held and what was done.

    spacing: mm from row to row and from column to column, None where the file does not say.
    """

    image: torch.Tensor
    notes: str
    dicom: bool
    spacing: tuple[float, float] | None = None


def input_files(suffixes: tuple[str, ...]) -> list[str]:
    """Names in the host's input folder that end in one of ``suffixes``, sorted."""
    folder = folder_paths.get_input_directory()
    if not os.path.isdir(folder):
        return []
    return sorted(
        entry.name for entry in Path(folder).iterdir() if entry.suffix.lower() in suffixes and entry.is_file()
    )


def input_images() -> list[str]:
    """Names of pictures and DICOM files in the host's input folder, sorted; DICOM also where the name has no suffix."""
    named = input_files(PICTURE_SUFFIXES + DICOM_SUFFIXES)
    folder = Path(folder_paths.get_input_directory())
    bare = (
        [e.name for e in folder.iterdir() if is_bare(e) and e.is_file() and has_dicom_content(e)]
        if folder.is_dir()
        else []
    )
    return sorted(named + bare)


def is_bare(path: Path) -> bool:
    """No suffix, or a number: archives name their files by a UID such as 1.2.840.10008.5."""
    return path.suffix == "" or path.suffix[1:].isdigit()


def find_input(name: str, what: str) -> Path:
    """The file ``name`` of the input folder; ValueError where it is missing or lies outside the host's folders."""
    if not name or "\0" in name:
        raise ValueError(f"{what}: got no file name, want a file of ComfyUI's input folder")
    path = Path(folder_paths.get_annotated_filepath(name))
    real = Path(os.path.realpath(path))
    find_folders = (
        folder_paths.get_input_directory,
        folder_paths.get_output_directory,
        folder_paths.get_temp_directory,
    )
    if not any(real.is_relative_to(os.path.realpath(find())) for find in find_folders):
        raise ValueError(f"{what}: {shortened(name)!r} lies outside ComfyUI's input folder")
    if not os.path.isfile(real):  # False for a name that is too long, too
        raise ValueError(f"{what}: there is no file {shortened(name)!r} in ComfyUI's input folder")
    return real


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_image(path: Path, name: str, gray: bool = False) -> Loaded:
    """A picture file, see `read_picture`; ``gray`` refuses one in colour. ValueError names the file as ``name``."""
    found = read_picture(path, gray=gray, name=name)
    between = "; " if found.dicom else ", "
    return Loaded(found.image[None], between.join(found.notes), found.dicom, found.spacing)
