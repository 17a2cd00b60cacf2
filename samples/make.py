"""Makes the example images of real pictures under open licences: ``python -m mvgen.samples.make --data FOLDER``.

FOLDER holds train/cxr, train/skin and fundus/wikimedia_cc0. All pictures are of the val split: no bundled network was
trained on them. README.md beside this file has their credits.
"""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from ..mvg.picture_file import read_picture
from ..research.courses.fundus_photographs import square

FOLDER = Path(__file__).parent
FILM = "train/cxr/nihtalo_00002633_005.jpg"
PICTURES = {
    "chest_xray.png": FILM,
    "chest_xray_later.png": "train/cxr/nihtalo_00002633_016.jpg",
    "skin.png": "train/skin/ISIC_0000093.jpg",
}
FUNDUS, FUNDUS_SIZE = "fundus/wikimedia_cc0/retina_normal_left.jpg", 320
HEALTHY = (
    "nihtalo_00001935_000", "nihtalo_00002007_000", "nihtalo_00002356_005", "nihcour_00000599_000",
    "nihcour_00001168_000", "nihcour_00001253_004", "nihcad_00000429_001", "nihcad_00017964_001",
)  # fmt: skip
EFFUSION = (
    "nihtalo_00000766_007", "nihtalo_00003593_005", "nihtalo_00005567_000", "nihtalo_00009918_003",
    "nihtalo_00009925_040", "nihcour_00000457_002", "nihcad_00000344_002", "nihcad_00014285_013",
)  # fmt: skip
SETS = {"chest_xray_healthy": HEALTHY, "chest_xray_effusion": EFFUSION}
"""Folder -> films of train/cxr, each of another patient, labeled "No Finding" and "Effusion"."""
FINDING, SIDE, SEVERE = "pleural effusion", "left", 0.85
"""What the report of the film expects, and the severity of the last stage of its plan."""
DICOM_SIZE, DETECTOR_MM, BRIGHTEST = 256, 358.4, 4095
"""The side that the embedded networks take; how wide the film is is made up, as its source does not say."""


def save_dicom(path: Path, film: np.ndarray) -> None:
    """As a detector might write it: 12 bits, dark where X-rays are stopped, with a made-up patient in its header.

    Args:
        path: of the file.
        film: [H, W] in [0, 1].
    """
    small = cv2.resize(film, (DICOM_SIZE, DICOM_SIZE), interpolation=cv2.INTER_AREA)
    stored = np.round((1 - small) * BRIGHTEST).astype("<u2")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        generate_uid(entropy_srcs=["mvg sample", what]) for what in ("image", "study", "series")
    )
    ds.Modality, ds.ViewPosition, ds.PatientName, ds.PatientID = "DX", "PA", "Sample^Made Up", "SAMPLE-1"
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = (BRIGHTEST + 1) / 2, BRIGHTEST + 1
    ds.ImagerPixelSpacing = [DETECTOR_MM / DICOM_SIZE] * 2
    ds.add_new("PixelData", "OW", stored.tobytes())
    ds.save_as(path, enforce_file_format=True)


def write(data: Path, out: Path) -> None:
    """Writes every example image into a folder.

    Args:
        data: the folder that the module's first lines tell of.
        out: where they go.

    Raises:
        ValueError: a picture is missing or no picture.
    """
    for name, source in PICTURES.items():
        read_picture(data / source)
        with Image.open(data / source) as picture:
            picture.save(out / name, optimize=True)
    retina = square(read_picture(data / FUNDUS).image.numpy(), FUNDUS_SIZE)
    Image.fromarray(np.round(retina * 255).astype(np.uint8)).save(out / "fundus.png", optimize=True)
    save_dicom(out / "chest_xray.dcm", read_picture(data / FILM).image[..., 0].numpy())
    for folder, films in SETS.items():
        (out / folder).mkdir(exist_ok=True)
        for n, film in enumerate(films, start=1):
            shutil.copyfile(data / "train" / "cxr" / f"{film}.jpg", out / folder / f"{n:02d}.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and fundus/")
    write(parser.parse_args().data, FOLDER)


if __name__ == "__main__":
    main()
