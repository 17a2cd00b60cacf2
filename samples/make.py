"""Draws the bundled example images: phantom patients, so no real person's picture is in this repository."""

from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from ..research.phantom import chest_xray
from ..research.phantom.domains import phantom

FOLDER = Path(__file__).parent
SEEDS = {"chest_xray": 16, "fundus": 3, "skin": 8}
LATER = {"pleural effusion": 0.85}
"""What the chest patient has at the second visit: the severity of the last stage that the report's plan has."""
TURN, SHIFT = 2.5, (3.0, -2.0)
"""How differently the patient stands then: degrees, and pixels to the right and down."""
SET, FIRST_OF_SET = 8, 1000
BRIGHTEST, PIXEL_MM = 4095, 2.8


def save(name: str, image: np.ndarray) -> None:
    path = FOLDER / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(path)


def moved(image: np.ndarray) -> np.ndarray:
    side = len(image)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), TURN, 1.0)
    matrix[:, 2] += SHIFT
    turned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(turned, 0, 1)


def save_dicom(name: str, image: np.ndarray) -> None:
    """As a detector might write it: 12 bits, dark where X-rays are stopped, with a made-up patient in its header."""
    stored = np.round((1 - image) * BRIGHTEST).astype("<u2")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        generate_uid(entropy_srcs=["mvg sample", what]) for what in ("image", "study", "series")
    )
    ds.Modality, ds.PatientName, ds.PatientID = "DX", "Phantom^Made Up", "PHANTOM-16"
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = (BRIGHTEST + 1) / 2, BRIGHTEST + 1
    ds.ImagerPixelSpacing = [PIXEL_MM, PIXEL_MM]
    ds.add_new("PixelData", "OW", stored.tobytes())
    ds.save_as(FOLDER / name, enforce_file_format=True)


def main() -> None:
    for domain, seed in SEEDS.items():
        world = phantom(domain)
        save(f"{domain}.png", world.render(world.sample_patient(seed)))
    chest = chest_xray.sample_patient(SEEDS["chest_xray"])
    save_dicom("chest_xray.dcm", chest_xray.render(chest))
    save("chest_xray_later.png", moved(chest_xray.render(chest, LATER)))
    # one side for all, so that a difference of the two sets is one direction
    patients = (p for p in map(chest_xray.sample_patient, count(FIRST_OF_SET)) if p.sides["pleural effusion"] == "left")
    for n, patient in enumerate(islice(patients, 2 * SET), start=1):
        state, finding = ("healthy", {}) if n <= SET else ("effusion", LATER)
        save(f"chest_xray_{state}/{n:02d}.png", chest_xray.render(patient, finding))


if __name__ == "__main__":
    main()
