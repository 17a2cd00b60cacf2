"""DICOM out: valid Secondary Captures, marked as synthetic, there whole or not at all."""

import io
from pathlib import Path

import pydicom
import pytest
import torch
from dicom_files import noise
from mvgen.mvg.dicom.read import read_dicom
from mvgen.mvg.dicom.write import series_uids, write_secondary_capture
from pydicom import uid
from pydicom.dataset import Dataset


def write(path: Path, image: torch.Tensor, **changes) -> str:
    options = {"run": "abc", "stage": 3, "description": "edema, simulated", "version": "0.1.0", **changes}
    return write_secondary_capture(path, image, **options)


@pytest.mark.parametrize("size", [(16, 16), (15, 17)])
@pytest.mark.parametrize("colour", [False, True])
def test_what_is_written_is_read_back(tmp_path, size, colour):
    levels = torch.from_numpy(noise((*size, 3 if colour else 1), 8)).expand(-1, -1, 3)
    path = tmp_path / "stage_03.dcm"
    made = write(path, levels / 255, spacing=(0.143, 1 / 3))
    found = read_dicom(path, gray=not colour)
    assert torch.equal((found.image * 255).round().to(torch.uint8), levels)
    assert found.spacing == pytest.approx((0.143, 1 / 3))
    ds = pydicom.dcmread(path)
    assert ds.SOPInstanceUID == made == ds.file_meta.MediaStorageSOPInstanceUID
    assert ds.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["stage_03.dcm"]


def test_the_marks_of_a_simulated_image(tmp_path):
    write(tmp_path / "a.dcm", torch.full((8, 8, 3), 0.5), burned_in=False)
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert ds.SOPClassUID == uid.SecondaryCaptureImageStorage and ds.ImageType == ["DERIVED", "SECONDARY"]
    assert (ds.PatientName, ds.PatientID, ds.PatientIdentityRemoved) == ("SYNTHETIC^MVG", "SYNTHETIC", "YES")
    assert (ds.SyntheticData, ds.BurnedInAnnotation, ds.ConversionType) == ("YES", "NO", "SYN")
    assert ds.InstanceNumber == 4 and ds.SeriesDescription == "edema, simulated" and ds.BitsStored == 8
    for keyword in ("ImageComments", "DerivationDescription"):
        assert "Stage 3 of a simulated course" in ds[keyword].value
    assert ds.ContributingEquipmentSequence[0].SoftwareVersions == "0.1.0"
    write(tmp_path / "b.dcm", torch.full((8, 8, 3), 0.5), stage=0)
    first = pydicom.dcmread(tmp_path / "b.dcm")
    assert "Input image" in first.ImageComments and "SyntheticData" not in first and "BurnedInAnnotation" not in first


@pytest.mark.filterwarnings("error")
def test_every_value_is_valid_for_its_type(tmp_path):
    write(tmp_path / "a.dcm", torch.rand(9, 7, 3), description="Ödem, 浮腫", spacing=(1 / 7, 1 / 9), burned_in=True)
    with pydicom.config.strict_reading():
        ds = pydicom.dcmread(tmp_path / "a.dcm")
        for element in ds.iterall():
            _ = element.value
        ds.save_as(io.BytesIO(), enforce_file_format=True)
    assert ds.SeriesDescription == "Ödem, 浮腫"
    assert all(ds[keyword].value.is_valid for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))


def test_uids_follow_from_what_they_name(tmp_path):
    image = torch.rand(8, 8, 3)
    path = tmp_path / "a.dcm"
    made = write(path, image)
    bytes_before = path.read_bytes()
    assert write(path, image) == made and path.read_bytes() == bytes_before
    others = {write(path, image, stage=4), write(path, image.flip(0)), write(path, image, run="abd")}
    assert len({made, *others}) == 4
    ds = pydicom.dcmread(path)
    assert (ds.StudyInstanceUID, ds.SeriesInstanceUID) == series_uids("abd") != series_uids("abc")


@pytest.mark.parametrize(
    ("image", "changes", "named"),
    [
        (torch.zeros(8, 8), {}, "image: got"),
        (torch.full((8, 8, 3), 1.2), {}, "image: got values from"),
        (torch.full((8, 8, 3), float("nan")), {}, "image: got values that are not finite"),
        (torch.zeros(8, 8, 3), {"stage": -1}, "stage: got -1"),
        (torch.zeros(8, 8, 3), {"run": ""}, "run: got an empty"),
        (torch.zeros(8, 8, 3), {"description": "x" * 65}, "description: got 65"),
        (torch.zeros(8, 8, 3), {"description": "a\\b"}, "description: got 3"),
        (torch.zeros(8, 8, 3), {"spacing": (0, 1)}, "spacing: got"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path, image, changes, named):
    with pytest.raises(ValueError, match=named):
        write(tmp_path / "a.dcm", image, **changes)
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "a.dcm"
    write(path, torch.zeros(8, 8, 3))
    before = path.read_bytes()

    def full(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Dataset, "save_as", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, torch.ones(8, 8, 3))
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["a.dcm"]


def test_a_label_counts_as_text_and_names_nobody(tmp_path):
    write(tmp_path / "a.dcm", torch.full((8, 8, 3), 0.5), label="SYNTHETIC", burned_in=False)
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert (ds.BurnedInAnnotation, ds.PatientIdentityRemoved) == ("YES", "YES")
    assert "The word SYNTHETIC is drawn into it." in ds.DerivationDescription


@pytest.mark.parametrize(
    ("burned_in", "removed", "annotated"), [(True, "NO", "YES"), (False, "YES", "NO"), (None,) * 3]
)
def test_nothing_is_claimed_of_pixels_that_nobody_has_looked_at(tmp_path, burned_in, removed, annotated):
    for label in ("", "SYNTHETIC"):
        write(tmp_path / "a.dcm", torch.full((8, 8, 3), 0.5), label=label, burned_in=burned_in)
        ds = pydicom.dcmread(tmp_path / "a.dcm")
        assert ds.get("PatientIdentityRemoved") == removed
        assert ds.get("BurnedInAnnotation") == ("YES" if label else annotated)
