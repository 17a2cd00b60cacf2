"""DICOM files made for a test, with a made-up patient's secrets in them."""

import io
from pathlib import Path

import numpy as np
import torch
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

SECRETS = {
    "PatientName": "Geheimnis^Petra",
    "PatientID": "ID-4711-0815",
    "PatientBirthDate": "19430217",
    "OtherPatientIDs": "OTHER-9922",
    "PatientAddress": "Verborgenweg 7",
    "AccessionNumber": "ACC-55331",
    "StudyDate": "20190312",
    "InstitutionName": "Spital Irgendwo",
    "ReferringPhysicianName": "Diskret^Doktor",
    "StudyInstanceUID": "1.2.276.0.987.111",
    "SeriesInstanceUID": "1.2.276.0.987.222",
    "StudyDescription": "THORAX von Petra",
    "WindowCenterWidthExplanation": "Fenster fuer Petra",
    "ImageComments": "Petra hustet",
}
PLANTED = [part for value in SECRETS.values() for part in (value, *value.split("^"))] + ["Petra", "1.2.276.0.987"]


def build(stored: np.ndarray, photometric: str = "MONOCHROME2", bits: int = 8, **more) -> Dataset:
    """A file's data set with ``stored`` as its pixels, the secrets above and the elements in ``more``."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    ds.SOPInstanceUID = "1.2.276.0.987.333"
    ds.Modality = "DX"
    for keyword, value in SECRETS.items():
        setattr(ds, keyword, value)
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 3 if stored.ndim == 3 else 1
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = photometric
    ds.BitsAllocated = stored.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = bits, bits - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    data = stored.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def encode(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def save(folder: Path, ds: Dataset | bytes, name: str = "film.dcm") -> Path:
    path = folder / name
    path.write_bytes(ds if isinstance(ds, bytes) else encode(ds))
    return path


def table(values, first: int, depth: int, words: bool = True) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(values) % 2**16, first, depth]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTExplanation = "Tabelle von Petra"
    item.LUTData = np.asarray(values, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def noise(shape, bits: int, signed: bool = False, seed: int = 0) -> np.ndarray:
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + 2**bits, shape)
    return values.astype(("i" if signed else "u") + ("1" if bits <= 8 else "2"))


def palette(entries: int, depth: int, first: int = 0) -> dict:
    rng = np.random.default_rng(5)
    values = {}
    for colour in ("Red", "Green", "Blue"):
        values[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, depth]
        values[f"{colour}PaletteColorLookupTableData"] = (
            rng.integers(0, 2**depth, entries).astype(f"<u{depth // 8}").tobytes()
        )
    return values


def check_gray(image: torch.Tensor, wanted: np.ndarray):
    assert image.dtype == torch.float32 and image.shape == (*wanted.shape, 3) and image.is_contiguous()
    assert torch.equal(image[..., 0], image[..., 1]) and torch.equal(image[..., 0], image[..., 2])
    np.testing.assert_allclose(image[..., 0].numpy(), wanted, atol=1e-6)
