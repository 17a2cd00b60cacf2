"""Simulated images as DICOM Secondary Capture (PS3.3 A.8.1), marked so that nobody takes one for a patient's."""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pydicom.valuerep import DSfloat
from torch import Tensor

from ..disclaimer import STATEMENT
from ..finite import check_finite

MAX_SIDE = 65535
MAX_DESCRIPTION = 64
"""Characters of a LO element, PS3.5 6.2."""
TYPE_2 = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientOrientation",
)
"""Must be there in a Secondary Capture, may be empty."""


def series_uids(run: str) -> tuple[UID, UID]:
    """Where the images of a run belong.

    Args:
        run: a text; the same one always gives the same two identifiers, and they do not tell it.

    Returns:
        Study and Series Instance UID.
    """
    return generate_uid(entropy_srcs=["mvg", "study", run]), generate_uid(entropy_srcs=["mvg", "series", run])


def write_secondary_capture(
    path: str | Path,
    image: Tensor,
    *,
    run: str,
    stage: int,
    description: str,
    version: str,
    spacing: Sequence[float] | None = None,
    burned_in: bool | None = None,
    label: str = "",
) -> UID:
    """Writes a picture with 8 bits, as MONOCHROME2 where its channels agree, else as RGB.

    Nothing is copied from any other file. The file appears whole or not at all, over an earlier one of its name.

    Args:
        path: the file to write.
        image: [H, W, 3] in [0, 1].
        run: what makes this run's study and series, such as a hash of its provenance; all its stages share them.
        stage: 0 is the input image, 1 and up are simulated; the number in the series is ``stage`` + 1.
        description: of the series, at most 64 characters; to be kept free of personal data.
        version: this extension's.
        spacing: mm from row to row and from column to column.
        burned_in: what the source says of text in its pixels. True: BurnedInAnnotation YES and PatientIdentityRemoved
            NO. False: NO and YES. None, where nobody has looked: neither is written.
        label: the word that the caller has drawn into the pixels. It counts as burned-in text, but names nobody.

    Returns:
        The SOP Instance UID, which depends on run, stage, description and pixels alone.

    Raises:
        ValueError: naming the argument.
        OSError: the file cannot be written; an earlier one stays.
    """
    pixels = _to_levels(image)
    if stage < 0:
        raise ValueError(f"stage: got {stage}, want 0 or more")
    if not run:
        raise ValueError("run: got an empty text, want what makes this run's series")
    for name, text in (("description", description), ("version", version), ("label", label or "-")):
        if not 0 < len(text) <= MAX_DESCRIPTION or "\\" in text or not text.isprintable():
            raise ValueError(
                f"{name}: got {len(text)} characters, want 1 to {MAX_DESCRIPTION} printable ones without backslash"
            )
    if spacing is not None and not (len(spacing) == 2 and all(0 < mm < float("inf") for mm in spacing)):
        raise ValueError(f"spacing: got {tuple(spacing)}, want two positive numbers of mm")

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _mark_synthetic(ds, stage, version, burned_in, label)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = SecondaryCaptureImageStorage
    content = [run, str(stage), description, str(pixels.shape), hashlib.sha256(pixels.tobytes()).hexdigest()]
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["mvg", "image", *content])
    ds.StudyInstanceUID, ds.SeriesInstanceUID = series_uids(run)
    ds.Modality = "OT"
    ds.SeriesDescription = description
    ds.SeriesNumber = 1
    ds.InstanceNumber = stage + 1
    for keyword in TYPE_2:
        setattr(ds, keyword, None)
    if spacing is not None:
        ds.PixelSpacing = [DSfloat(float(mm), auto_format=True) for mm in spacing]
    colour = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    ds.set_pixel_data(pixels, colour, 8, generate_instance_uid=False)
    _write_whole(Path(path), ds)
    return ds.SOPInstanceUID


def _to_levels(image: Tensor) -> np.ndarray:
    if image.ndim != 3 or image.shape[-1] != 3 or not all(1 <= side <= MAX_SIDE for side in image.shape[:2]):
        raise ValueError(f"image: got {tuple(image.shape)}, want [H, W, 3] with sides of 1 to {MAX_SIDE}")
    image = image.detach().float().cpu()
    check_finite("image", image[None])
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:
        raise ValueError(f"image: got values from {low:g} to {high:g}, want them in [0, 1]")
    levels = (image * 255).round().to(torch.uint8).numpy()
    gray = (levels == levels[..., :1]).all()
    return np.ascontiguousarray(levels[..., 0] if gray else levels)


def _mark_synthetic(ds: Dataset, stage: int, version: str, burned_in: bool | None, label: str) -> None:
    made = f"Stage {stage} of a simulated course." if stage else "Input image, stage 0 of a simulated course."
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType = "SYN" if stage else "WSD"
    if stage:  # whether the input is a patient's or a phantom's is not known here
        ds.SyntheticData = "YES"
    ds.PatientName = "SYNTHETIC^MVG"
    ds.PatientID = "SYNTHETIC"
    if burned_in is not None:  # of pixels that nobody has looked at nothing is claimed
        ds.PatientIdentityRemoved = "NO" if burned_in else "YES"
    ds.DeidentificationMethod = "All attributes made anew, pixels not inspected"
    if label or burned_in is not None:
        ds.BurnedInAnnotation = "YES" if label or burned_in else "NO"
    ds.StudyDescription = "SYNTHETIC: simulated disease progression"
    drawn = f" The word {label} is drawn into it." if label else ""
    ds.DerivationDescription = f"{made} Reduced to 8 bits.{drawn} Made by MVG {version}."
    ds.ImageComments = f"SYNTHETIC. {made} {STATEMENT}"
    ds.Manufacturer = "MVG"
    ds.SecondaryCaptureDeviceManufacturer = "MVG"
    ds.SecondaryCaptureDeviceSoftwareVersions = version
    equipment, purpose = Dataset(), Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109102", "DCM", "Processing Equipment"
    equipment.PurposeOfReferenceCodeSequence = [purpose]
    equipment.Manufacturer = "MVG"
    equipment.SoftwareVersions = version
    equipment.ContributionDescription = STATEMENT
    ds.ContributingEquipmentSequence = [equipment]


def _write_whole(path: Path, ds: Dataset) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        ds.save_as(partial, enforce_file_format=True, overwrite=False)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
