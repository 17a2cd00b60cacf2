"""DICOM in and out: pixels as pydicom's own functions give them, hostile files refused, nobody's name passed on."""

import io
import os
import random
import re
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from mvgen.mvg import dicom
from mvgen.mvg.dicom import DicomError, read_dicom
from mvgen.mvg.dicom_write import series_uids, write_secondary_capture
from pydicom import pixels, uid
from pydicom.dataset import Dataset, FileMetaDataset

SHARED = Path(__file__).parents[3] / "shared" / "data" / "dicom"
PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
FUZZED = int(os.environ.get("MVG_DICOM_FUZZ", "300"))
SLOWEST = 5.0

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


def reference(path: Path, low: float, high: float) -> np.ndarray:
    """pydicom from file to shown values, [low, high] to [0, 1], MONOCHROME1 turned round."""
    ds = pydicom.dcmread(path)
    values = pixels.apply_voi_lut(pixels.apply_modality_lut(ds.pixel_array, ds), ds)
    values = (values.astype(np.float64) - low) / (high - low)
    return 1 - values if ds.PhotometricInterpretation == "MONOCHROME1" else values


def check_grey(image: torch.Tensor, wanted: np.ndarray):
    assert image.dtype == torch.float32 and image.shape == (*wanted.shape, 3) and image.is_contiguous()
    assert torch.equal(image[..., 0], image[..., 1]) and torch.equal(image[..., 0], image[..., 2])
    np.testing.assert_allclose(image[..., 0].numpy(), wanted, atol=1e-6)


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the shared data")
    return path


# values


def test_the_public_chest_film_comes_as_pydicom_shows_it():
    path = shared("RG1_chest_640_MONOCHROME1_explicitLE_derived.dcm")
    found = read_dicom(path, grey=True)
    check_grey(found.image, reference(path, 0, 2**15 - 1))
    assert found.spacing is None  # its pixel spacing is 0
    assert "MONOCHROME1 inverted" in found.notes and "window: centre 15000, width 30000, linear" in found.notes


def test_signed_16_bit_pixels_of_the_public_slice_once_it_says_it_is_a_film(tmp_path):
    ds = pydicom.dcmread(shared("MR_small_MONOCHROME2_window.dcm"))
    ds.Modality, ds.SOPClassUID = "CR", uid.ComputedRadiographyImageStorage
    path = save(tmp_path, ds)
    found = read_dicom(path)
    check_grey(found.image, reference(path, -(2**15), 2**15 - 1))
    assert found.spacing == (0.3125, 0.3125)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (10, False), (12, False), (12, True), (16, False), (16, True)]
)
def test_windows_equal_pydicom(tmp_path, bits, signed, function, photometric):
    low = -(2 ** (bits - 1)) if signed else 0
    window = {"WindowCenter": low + 2**bits * 0.4, "WindowWidth": 2**bits * 0.5, "VOILUTFunction": function}
    path = save(tmp_path, build(noise((9, 7), bits, signed), photometric, bits, **window))
    found = read_dicom(path, grey=True)
    check_grey(found.image, reference(path, low, low + 2**bits - 1))
    assert ("MONOCHROME1 inverted" in found.notes) == (photometric == "MONOCHROME1")


def test_window_formulas_of_the_standard(tmp_path):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, written out."""
    x = np.arange(0, 4096, 41, dtype="u2")[None]
    c, w = 1500.0, 1000.0
    formulas = {
        "LINEAR": np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1),
        "LINEAR_EXACT": np.clip((x - c) / w + 0.5, 0, 1),
        "SIGMOID": 1 / (1 + np.exp(-4 * (x - c) / w)),
    }
    for function, wanted in formulas.items():
        path = save(tmp_path, build(x, bits=12, WindowCenter=c, WindowWidth=w, VOILUTFunction=function))
        check_grey(read_dicom(path).image, wanted)


def test_the_first_of_several_windows(tmp_path):
    stored = noise((5, 4), 12)
    path = save(tmp_path, build(stored, bits=12, WindowCenter=[1000, 3000], WindowWidth=[500, 100]))
    found = read_dicom(path)
    check_grey(found.image, reference(path, 0, 4095))
    assert "window (the first of 2): centre 1000, width 500, linear" in found.notes


@pytest.mark.parametrize("slope", [2.0, -2.0, 0.5])
def test_rescale_comes_before_the_window(tmp_path, slope):
    stored = np.array([[0, 1000, 2000, 4095]], "u2")
    more = {"RescaleSlope": slope, "RescaleIntercept": 100, "WindowCenter": 2000 * slope + 100, "WindowWidth": 1000}
    path = save(tmp_path, build(stored, bits=12, VOILUTFunction="LINEAR_EXACT", **more))
    values = stored * slope + 100
    check_grey(read_dicom(path).image, np.clip((values - more["WindowCenter"]) / 1000 + 0.5, 0, 1))


def test_modality_lut_and_window_equal_pydicom(tmp_path):
    lut = table(np.arange(4096)[::-1] * 10, 0, 16)
    lut.ModalityLUTType = "US"
    more = {"ModalityLUTSequence": [lut], "WindowCenter": 20000, "WindowWidth": 30000}
    path = save(tmp_path, build(noise((6, 5), 12), bits=12, **more))
    found = read_dicom(path)
    check_grey(found.image, reference(path, 0, 65535))
    assert "modality LUT applied" in found.notes


@pytest.mark.parametrize(
    ("bits", "signed", "first", "depth"), [(12, False, 0, 16), (12, False, 500, 12), (10, True, -300, 10)]
)
def test_voi_lut_equals_pydicom_and_wins_over_the_window(tmp_path, bits, signed, first, depth):
    values = np.sort(np.random.default_rng(1).integers(0, 2**depth, 600))
    more = {"VOILUTSequence": [table(values, first, depth)], "WindowCenter": 5, "WindowWidth": 9}
    path = save(tmp_path, build(noise((11, 13), bits, signed), "MONOCHROME1", bits, **more))
    found = read_dicom(path)
    check_grey(found.image, reference(path, 0, 2**depth - 1))
    assert "VOI LUT applied" in found.notes


def test_a_voi_lut_of_8_bit_entries_does_not_wrap_around(tmp_path):
    """pydicom 3.0 counts its places in 8 bits: a place above 255 would come back at the bottom."""
    values = np.arange(4096) // 16
    stored = np.array([[0, 15, 16, 255, 256, 300, 2048, 4095]], "u2")
    path = save(tmp_path, build(stored, bits=12, VOILUTSequence=[table(values, 0, 8)]))
    check_grey(read_dicom(path).image, values[stored] / 255)


def test_without_a_window_8_bits_keep_their_range_and_deeper_pixels_are_stretched(tmp_path):
    stored = np.array([[10, 100, 200]], "u1")
    check_grey(read_dicom(save(tmp_path, build(stored))).image, stored / 255)
    deep = np.array([[0, 1000, 1500, 3000]], "u2")
    found = read_dicom(save(tmp_path, build(deep, bits=12, PixelPaddingValue=0)))
    check_grey(found.image, np.array([[0, 0, 0.25, 1]]))
    assert "no window: 1000 to 3000 made 0 to 1" in found.notes
    constant = np.full((2, 3), 2048, "u2")
    check_grey(read_dicom(save(tmp_path, build(constant, bits=12))).image, constant / 4095)


def test_colour(tmp_path):
    stored = noise((5, 7, 3), 8)
    found = read_dicom(save(tmp_path, build(stored, "RGB")))
    np.testing.assert_allclose(found.image.numpy(), stored / 255, atol=1e-6)
    path = save(tmp_path, build(stored, "YBR_FULL"))
    found = read_dicom(path)
    np.testing.assert_allclose(found.image.numpy(), pixels.convert_color_space(stored, "YBR_FULL", "RGB") / 255.0)
    assert "YBR turned into RGB" in found.notes
    planar = build(stored, "RGB", PlanarConfiguration=1)
    planar.PixelData = stored.transpose(2, 0, 1).tobytes() + b"\0"
    np.testing.assert_allclose(read_dicom(save(tmp_path, planar)).image.numpy(), stored / 255, atol=1e-6)
    deep = noise((5, 7, 3), 16)
    np.testing.assert_allclose(
        read_dicom(save(tmp_path, build(deep, "RGB", 16))).image.numpy(), deep / 65535, atol=1e-6
    )


@pytest.mark.parametrize("depth", [8, 16])
def test_palette_equals_pydicom(tmp_path, depth):
    stored = noise((6, 8), 8)
    path = save(tmp_path, build(stored, "PALETTE COLOR", **palette(200, depth)))
    ds = pydicom.dcmread(path)
    wanted = pixels.apply_color_lut(ds.pixel_array, ds) / (2.0**depth - 1)
    np.testing.assert_allclose(read_dicom(path).image.numpy(), wanted, atol=1e-6)


def test_a_16_bit_place_beyond_an_8_bit_palette_takes_its_last_colour(tmp_path):
    colours = palette(256, 8)
    path = save(tmp_path, build(np.array([[255, 300, 4000]], "u2"), "PALETTE COLOR", 16, **colours))
    last = [colours[f"{colour}PaletteColorLookupTableData"][-1] / 255 for colour in ("Red", "Green", "Blue")]
    np.testing.assert_allclose(read_dicom(path).image.numpy(), np.array([[last] * 3]), atol=1e-6)


@pytest.mark.parametrize("stored", [noise((9, 6), 8), noise((9, 6), 12), noise((9, 6), 12, True), noise((4, 5, 3), 8)])
def test_run_lengths_come_back_exactly(tmp_path, stored):
    bits = 12 if stored.dtype.itemsize == 2 else 8
    ds = build(stored, "RGB" if stored.ndim == 3 else "MONOCHROME2", bits)
    plain = read_dicom(save(tmp_path, ds)).image
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    found = read_dicom(save(tmp_path, ds))
    assert torch.equal(found.image, plain) and "RLE" in found.notes


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_other_encodings_of_the_same_film(tmp_path, syntax):
    ds = build(noise((9, 6), 12, True), bits=12, PixelPaddingValue=-5, WindowCenter=0, WindowWidth=1000)
    plain = read_dicom(save(tmp_path, ds)).image
    ds.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_little_endian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
    assert torch.equal(read_dicom(save(tmp_path, ds)).image, plain)


def test_bits_above_those_stored_are_left_out(tmp_path):
    """Old files keep an overlay there."""
    stored = noise((9, 6), 12)
    check_grey(read_dicom(save(tmp_path, build(stored, bits=8))).image, (stored & 255) / 255)


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",
        "SC_rgb_gdcm_KY.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_palette.dcm",
        "image_dfl.dcm",
        "ExplVR_BigEnd.dcm",
    ],
)
def test_public_files_that_pydicom_brings_along(name):
    path = PACKAGED / name
    if not path.is_file():
        pytest.skip("this pydicom comes without its test files")
    ds = pydicom.dcmread(path)
    wanted = ds.pixel_array
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        wanted = pixels.apply_color_lut(wanted, ds)
    found = read_dicom(path).image.numpy()
    wanted = wanted / (65535.0 if wanted.dtype == np.uint16 else 255.0)
    np.testing.assert_allclose(found, wanted if wanted.ndim == 3 else np.repeat(wanted[..., None], 3, -1), atol=1e-6)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_compressed_without_loss_equals_uncompressed(tmp_path, name):
    if not (PACKAGED / name).is_file():
        pytest.skip("this pydicom comes without its test files")
    images = []
    for file in (name, "MR_small.dcm"):
        ds = pydicom.dcmread(PACKAGED / file)
        ds.Modality, ds.SOPClassUID = "CR", uid.ComputedRadiographyImageStorage
        images.append(read_dicom(save(tmp_path, ds)).image)
    assert torch.equal(*images)


def test_spacing_and_what_it_is_measured_on(tmp_path):
    stored = noise((4, 4), 8)
    found = read_dicom(save(tmp_path, build(stored, ImagerPixelSpacing=[0.2, 0.1])))
    assert found.spacing == (0.2, 0.1) and "at the detector" in " ".join(found.notes)
    found = read_dicom(save(tmp_path, build(stored, ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=[0.3, 0.3])))
    assert found.spacing == (0.3, 0.3)
    assert read_dicom(save(tmp_path, build(stored))).spacing is None


# refusals


def _refusals() -> dict[str, tuple[Dataset | bytes, str]]:
    grey, deep = noise((8, 6), 8), noise((8, 6), 12)
    files: dict[str, tuple[Dataset | bytes, str]] = {
        "ct": (build(deep, bits=12, Modality="CT"), "slice or volume"),
        "mr": (build(deep, bits=12, Modality="MR"), "slice or volume"),
        "pet": (build(deep, bits=12, Modality="PT"), "slice or volume"),
        "nuclear": (build(deep, bits=12, Modality="NM"), "slice or volume"),
        "ct class": (build(deep, bits=12, Modality="", SOPClassUID=uid.CTImageStorage), "slice or volume"),
        "frames": (build(grey, NumberOfFrames=2), "2 frames"),
        "no dicom": (b"GIF89a" + bytes(300), "no DICOM file"),
        "empty": (b"", "no DICOM file"),
        "mark alone": (bytes(128) + b"DICM", "transfer syntax"),
        "cut off": (encode(build(deep, bits=12))[:-40], "cut off|has no pixel data|bytes of pixel data"),
        "short": (build(deep, bits=12, PixelData=bytes(20)), "20 bytes of pixel data, want 96"),
        "huge": (build(grey, Rows=65535, Columns=65535), "at most 64 megapixels"),
        "no rows": (build(grey, Rows=0), "at least 1 x 1"),
        "0 bits": (build(grey, BitsStored=0, HighBit=0), "0 bits stored"),
        "0 bits allocated": (build(grey, BitsAllocated=0), "0 bits allocated"),
        "32 bits": (build(grey, BitsAllocated=32), "32 bits allocated"),
        "high bit": (build(deep, bits=12, HighBit=15), "high bit 15"),
        "samples": (build(grey, SamplesPerPixel=3), "3 samples"),
        "photometric": (build(grey, PhotometricInterpretation="PETRA"), "photometric interpretation"),
        "NaN": (build(deep, bits=12, WindowCenter="NaN", WindowWidth="100"), "out of range"),
        "infinite": (build(deep, bits=12, RescaleSlope="1e400", RescaleIntercept="0"), "out of range"),
        "width": (build(deep, bits=12, WindowCenter=5, WindowWidth=0), "window"),
        "function": (build(deep, bits=12, WindowCenter=5, WindowWidth=9, VOILUTFunction="PETRA"), "window"),
        "slope": (build(deep, bits=12, RescaleSlope=0, RescaleIntercept=0), "slope 0"),
    }
    short = table(range(9), 0, 16)
    short.LUTDescriptor = [4000, 0, 16]
    files["short table"] = (build(deep, bits=12, VOILUTSequence=[short]), "look-up table")
    nothing = build(grey)
    del nothing.PixelData
    files["no pixels"] = (nothing, "no pixel data")
    document = build(grey, SOPClassUID=uid.EncapsulatedPDFStorage, EncapsulatedDocument=b"%PDF-1.7")
    del document.PixelData
    files["document"] = (document, "document")
    real = build(grey, FloatPixelData=np.zeros(48, "<f4").tobytes())
    del real.PixelData
    files["float"] = (real, "floating-point")
    wrong = build(noise((16, 16), 8))
    wrong.compress(uid.RLELossless, generate_instance_uid=False)
    wrong.Rows = 3000
    files["run lengths"] = (wrong, "cannot decode")
    film = build(grey)
    film.file_meta.TransferSyntaxUID = uid.MPEG4HP41
    film.PixelData = pydicom.encaps.encapsulate([bytes(90)])
    files["film"] = (film, "no still image")
    for what, syntax in (("no ls", uid.JPEGLSLossless), ("no jpeg", uid.JPEGBaseline8Bit)):
        ds = build(grey)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = pydicom.encaps.encapsulate([bytes(90)])
        files[what] = (ds, "no JPEG image")
    return files


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pydicom's, of values that are wrong on purpose
    REFUSALS = _refusals()


def said(error: BaseException, path: Path) -> str:
    """All that the error tells, in its message, in what it chains and in the traceback's lines."""
    assert type(error) is DicomError and error.__cause__ is None and error.__context__ is None
    assert str(error).startswith(f"image: {path.name!r} ")
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.filterwarnings("error")
def test_refused_by_name_and_without_a_word_on_the_patient(tmp_path, case, caplog):
    content, reason = REFUSALS[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = save(tmp_path, content)
    caplog.clear()
    with pytest.raises(DicomError, match=reason) as caught:
        read_dicom(path)
    text = said(caught.value, path) + caplog.text
    assert not [secret for secret in PLANTED if secret in text]


def test_colour_where_grey_is_wanted(tmp_path):
    for ds in (build(noise((4, 4, 3), 8), "RGB"), build(noise((4, 4), 8), "PALETTE COLOR", **palette(256, 8))):
        with pytest.raises(DicomError, match="is a colour image, want a grey one"):
            read_dicom(save(tmp_path, ds), grey=True)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DicomError, match=r"'nowhere\.dcm' cannot be opened"):
        read_dicom(tmp_path / "nowhere.dcm")


def test_a_missing_decoder_is_named():
    path = PACKAGED / "JPEGLSNearLossless_08.dcm"
    if not path.is_file():
        pytest.skip("this pydicom comes without its test files")
    if pixels.get_decoder(uid.JPEGLSNearLossless).is_available:
        pytest.skip("a decoder of JPEG-LS is installed")
    with pytest.raises(DicomError, match=r"JPEG-LS.*no installed decoder.*pylibjpeg-libjpeg.*pyjpegls"):
        read_dicom(path)


def deflated(ds: Dataset, grow: int = 0) -> bytes:
    """The film as a deflated file; with ``grow``, followed by that many zero bytes in a padding element."""
    plain = encode(ds)
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    head = buffer.getvalue()
    meta = 144 + int.from_bytes(head[140:144], "little")
    body = plain[144 + int.from_bytes(plain[140:144], "little") :]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = [packer.compress(body)]
    if grow:
        packed.append(packer.compress(b"\xfc\xff\xfc\xffOB\0\0" + grow.to_bytes(4, "little")))
        packed += [packer.compress(bytes(1 << 20)) for _ in range(grow >> 20)]
    return head[:meta] + b"".join(packed) + packer.flush()


def test_deflated_files_are_read_and_bombs_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom, "MAX_FILE_BYTES", 8 << 20)
    stored = noise((9, 6), 8)
    check_grey(read_dicom(save(tmp_path, deflated(build(stored), 1 << 20))).image, stored / 255)
    bomb = deflated(build(stored), 9 << 20)
    assert len(bomb) < 1 << 16
    with pytest.raises(DicomError, match="inflates to more than 8 MiB"):
        read_dicom(save(tmp_path, bomb))
    with pytest.raises(DicomError, match="cut off"):
        read_dicom(save(tmp_path, deflated(build(stored))[:-20]))
    with pytest.raises(DicomError, match="larger than 8 MiB"):
        read_dicom(save(tmp_path, bytes((8 << 20) + 1)))


def test_a_header_without_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom, "MAX_HEADER_BYTES", 1 << 16)
    ds = build(noise((4, 4), 8))
    ds.add_new(0x00091001, "OB", bytes(1 << 17))
    with pytest.raises(DicomError, match="no pixel data in its first"):
        read_dicom(save(tmp_path, ds))


def inserted(elements: bytes) -> bytes:
    """A film with ``elements`` in front of its pixel data."""
    data = encode(build(noise((4, 4), 8)))
    place = data.index(b"\xe0\x7f\x10\x00OB")
    return data[:place] + elements + data[place:]


MANY = {
    "elements": b"".join(b"\x29\0" + number.to_bytes(2, "little") + b"LO\0\0" for number in range(65536)) * 16,
    "items": b"\x29\0\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 10**6,
    "depth": b"\x28\0\x10\x30SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 10**5,
}


@pytest.mark.parametrize("many", MANY)
def test_headers_that_would_take_for_ever_are_given_up(tmp_path, many):
    path = save(tmp_path, inserted(MANY[many]))
    start = time.perf_counter()
    with pytest.raises(DicomError, match=r"header|too many elements") as caught:
        read_dicom(path)
    assert time.perf_counter() - start < SLOWEST
    said(caught.value, path)


def test_fragments_and_run_lengths_that_would_take_for_ever_are_not_decoded(tmp_path):
    ds = build(noise((4, 4), 8))
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    broken = encode(ds).replace(end, b"\xfe\xff\x00\xe0\0\0\0\0" * 10**6 + end)
    with pytest.raises(DicomError, match="too many elements or fragments"):
        read_dicom(save(tmp_path, broken))
    ds.PixelData = pydicom.encaps.encapsulate([b"\x01" + bytes(63) + b"\x81\0" * 10**6])
    with pytest.raises(DicomError, match="2000064 bytes of run lengths, want at most 1056"):
        read_dicom(save(tmp_path, ds))


def test_a_compressed_image_of_another_size_is_not_decoded(tmp_path):
    from PIL import Image

    for kind, syntax in (("JPEG", uid.JPEGBaseline8Bit), ("JPEG2000", uid.JPEG2000)):
        frame = io.BytesIO()
        options = {"no_jp2": True} if kind == "JPEG2000" else {}
        Image.new("L", (6, 2000)).save(frame, kind, **options)
        ds = build(noise((8, 6), 8))
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = pydicom.encaps.encapsulate([frame.getvalue()])
        ds["PixelData"].is_undefined_length = True
        path = save(tmp_path, ds)
        with pytest.raises(DicomError, match="says 6 x 8 pixels and holds 6 x 2000"):
            read_dicom(path)
        ds.Rows = 2000
        check_grey(read_dicom(save(tmp_path, ds)).image, np.zeros((2000, 6)))
    frame = io.BytesIO()
    Image.new("L", (6, 8)).save(frame, "JPEG", progressive=True)
    ds = build(noise((8, 6), 8))
    ds.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    ds.PixelData = pydicom.encaps.encapsulate([frame.getvalue()])
    ds["PixelData"].is_undefined_length = True
    with pytest.raises(DicomError, match="another kind of JPEG"):
        read_dicom(save(tmp_path, ds))


@pytest.mark.filterwarnings("error")
def test_identifiers_stay_in_the_file(tmp_path, caplog):
    """Also where pydicom warns of a value that it quotes, and where a term of the file is a name."""
    ds = build(noise((8, 6), 12), bits=12, WindowCenter=2000, WindowWidth=1000)
    ds.VOILUTSequence = [table(range(4096), 0, 16)]
    data = encode(ds).replace(b"19430217", b"1943Petr").replace(b"\x08\0\x60\0CS\x02\0DX", b"\x08\0\x60\0CS\x02\0Pe")
    assert b"1943Petr" in data
    found = read_dicom(save(tmp_path, data))
    text = " ".join(found.notes) + caplog.text
    assert not [secret for secret in [*PLANTED, "Petr", "Tabelle"] if secret in text]
    assert found.notes[0] == "6 x 8 DICOM, 12-bit gray"


def test_burned_in_text_and_other_warnings_are_passed_on(tmp_path):
    more = {"BurnedInAnnotation": "YES", "LossyImageCompression": "01", "PresentationIntentType": "FOR PROCESSING"}
    notes = " ".join(read_dicom(save(tmp_path, build(noise((4, 4), 8), PixelAspectRatio=[1, 2], **more))).notes)
    for words in ("burned into", "with loss", "for processing", "not square"):
        assert words in notes


# fuzzing


def seeds() -> list[bytes]:
    deep = noise((24, 20), 12)
    made = [
        build(deep, "MONOCHROME1", 12, WindowCenter=2000, WindowWidth=1500, PixelSpacing=[0.1, 0.1]),
        build(deep, bits=12, VOILUTSequence=[table(range(4096), 0, 16)]),
        build(deep, bits=12, ModalityLUTSequence=[table(range(4096), 0, 16)], PixelPaddingValue=3),
        build(noise((24, 20), 16, True), bits=16, RescaleSlope=2, RescaleIntercept=-5),
        build(noise((24, 20), 8), "PALETTE COLOR", **palette(256, 16)),
        build(noise((24, 20, 3), 8), "YBR_FULL"),
        build(noise((24, 20, 3), 8), "RGB"),
    ]
    run_lengths = build(deep // 500 * 500, bits=12)
    run_lengths.compress(uid.RLELossless, generate_instance_uid=False)
    found = [encode(ds) for ds in [*made, run_lengths]] + [deflated(build(noise((24, 20), 8)))]
    packaged = ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm", "JPEGLSNearLossless_08.dcm")
    found += [(PACKAGED / name).read_bytes() for name in packaged if (PACKAGED / name).is_file()]
    if (PACKAGED / "MR_small_jp2klossless.dcm").is_file():
        ds = pydicom.dcmread(PACKAGED / "MR_small_jp2klossless.dcm")
        ds.Modality, ds.SOPClassUID = "CR", uid.ComputedRadiographyImageStorage
        found.append(encode(ds))
    return found


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Half of the files keep their structure: their pixel data and the values of group 0028 change alone."""
    damaged = bytearray(data)
    times = rng.choice((1, 1, 2, 4, 16))
    if rng.random() < 0.5:
        values = [found.start() + 8 for found in re.finditer(rb"\x28\x00..[A-Z]{2}", data, re.DOTALL)]
        for _ in range(times):
            start = (
                rng.choice(values) if values and rng.random() < 0.7 else rng.randrange(len(data) * 2 // 3, len(data))
            )
            place = min(start + rng.randrange(5), len(data) - 1)
            damaged[place] = rng.choice((0, 1, 2, 8, 16, 0x2D, 0x31, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        return bytes(damaged)
    for _ in range(times):
        # most of what a reader decides on stands in the header
        place = rng.choice((rng.randrange(len(damaged)), rng.randrange(132, min(len(damaged), 1500))))
        kind = rng.randrange(6)
        if kind == 0:
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            words = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4), b"\xfe\xff\x00\xe0")
            damaged[place : place + 4] = rng.choice(words)
        elif kind == 2:
            damaged[place : place + rng.randrange(1, 40)] = b""
        elif kind == 3:
            damaged[place:place] = rng.randbytes(rng.randrange(1, 40))
        elif kind == 4:
            start = rng.randrange(len(damaged))
            damaged[place:place] = damaged[start : start + rng.randrange(1, 200)]
        elif rng.random() < 0.3:
            del damaged[max(place, 200) :]
        if len(damaged) < 200:
            break
    return bytes(damaged)


def fuzz(count: int, folder: Path, seed: int = 0) -> dict[str, float]:
    """Reads ``count`` mutated files. -> images, refusals and the slowest file's seconds; another outcome raises."""
    rng, originals = random.Random(seed), seeds()
    images = refused = 0
    slowest = 0.0
    for number in range(count):
        path = save(folder, mutate(originals[number % len(originals)], rng), "fuzzed.dcm")
        start = time.perf_counter()
        try:
            image = read_dicom(path).image
            assert image.ndim == 3 and image.shape[-1] == 3 and image.dtype == torch.float32
            assert bool(torch.isfinite(image).all()) and image.min() >= 0 and image.max() <= 1
            images += 1
        except DicomError as error:
            text = said(error, path)
            assert not [secret for secret in PLANTED if secret in text]
            refused += 1
        slowest = max(slowest, time.perf_counter() - start)
        assert slowest < SLOWEST, f"file {number} took {slowest:.1f} s"
    return {"images": images, "refused": refused, "slowest": slowest}


def test_mutated_files_give_an_image_or_the_named_error(tmp_path):
    start = time.perf_counter()
    found = fuzz(FUZZED, tmp_path)
    print(f"{FUZZED} files in {time.perf_counter() - start:.1f} s: {found}")
    assert found["images"] + found["refused"] == FUZZED
    assert min(found["images"], found["refused"]) > FUZZED // 10  # neither all harmless nor all broken


# writing


def write(path: Path, image: torch.Tensor, **changes) -> str:
    options = {"run": "abc", "stage": 3, "description": "edema, simulated", "version": "0.1.0", **changes}
    return write_secondary_capture(path, image, **options)


@pytest.mark.parametrize("size", [(16, 16), (15, 17)])
@pytest.mark.parametrize("colour", [False, True])
def test_what_is_written_is_read_back(tmp_path, size, colour):
    levels = torch.from_numpy(noise((*size, 3 if colour else 1), 8)).expand(-1, -1, 3)
    path = tmp_path / "stage_03.dcm"
    made = write(path, levels / 255, spacing=(0.143, 1 / 3))
    found = read_dicom(path, grey=not colour)
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
