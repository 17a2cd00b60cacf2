"""DICOM in: pixels as pydicom's own functions give them, and the formulas of the standard."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from dicom_files import build, check_gray, noise, palette, save, table
from mvgen.mvg.dicom import decoders
from mvgen.mvg.dicom.read import read_dicom
from pydicom import pixels, uid

SHARED = Path(__file__).parents[3] / "shared" / "data" / "dicom"
PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"


def reference(path: Path, low: float, high: float) -> np.ndarray:
    """pydicom from file to shown values, [low, high] to [0, 1], MONOCHROME1 turned round."""
    ds = pydicom.dcmread(path)
    values = pixels.apply_voi_lut(pixels.apply_modality_lut(ds.pixel_array, ds), ds)
    values = (values.astype(np.float64) - low) / (high - low)
    return 1 - values if ds.PhotometricInterpretation == "MONOCHROME1" else values


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not among the shared data")
    return path


def test_the_public_chest_film_comes_as_pydicom_shows_it():
    path = shared("RG1_chest_640_MONOCHROME1_explicitLE_derived.dcm")
    found = read_dicom(path, gray=True)
    check_gray(found.image, reference(path, 0, 2**15 - 1))
    assert found.spacing is None  # its pixel spacing is 0
    assert "MONOCHROME1 inverted" in found.notes and "window: centre 15000, width 30000, linear" in found.notes


def test_signed_16_bit_pixels_of_the_public_slice_once_it_says_it_is_a_film(tmp_path):
    ds = pydicom.dcmread(shared("MR_small_MONOCHROME2_window.dcm"))
    ds.Modality, ds.SOPClassUID = "CR", uid.ComputedRadiographyImageStorage
    path = save(tmp_path, ds)
    found = read_dicom(path)
    check_gray(found.image, reference(path, -(2**15), 2**15 - 1))
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
    found = read_dicom(path, gray=True)
    check_gray(found.image, reference(path, low, low + 2**bits - 1))
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
        check_gray(read_dicom(path).image, wanted)


def test_the_first_of_several_windows(tmp_path):
    stored = noise((5, 4), 12)
    path = save(tmp_path, build(stored, bits=12, WindowCenter=[1000, 3000], WindowWidth=[500, 100]))
    found = read_dicom(path)
    check_gray(found.image, reference(path, 0, 4095))
    assert "window (the first of 2): centre 1000, width 500, linear" in found.notes


@pytest.mark.parametrize("slope", [2.0, -2.0, 0.5])
def test_rescale_comes_before_the_window(tmp_path, slope):
    stored = np.array([[0, 1000, 2000, 4095]], "u2")
    more = {"RescaleSlope": slope, "RescaleIntercept": 100, "WindowCenter": 2000 * slope + 100, "WindowWidth": 1000}
    path = save(tmp_path, build(stored, bits=12, VOILUTFunction="LINEAR_EXACT", **more))
    values = stored * slope + 100
    check_gray(read_dicom(path).image, np.clip((values - more["WindowCenter"]) / 1000 + 0.5, 0, 1))


def test_modality_lut_and_window_equal_pydicom(tmp_path):
    lut = table(np.arange(4096)[::-1] * 10, 0, 16)
    lut.ModalityLUTType = "US"
    more = {"ModalityLUTSequence": [lut], "WindowCenter": 20000, "WindowWidth": 30000}
    path = save(tmp_path, build(noise((6, 5), 12), bits=12, **more))
    found = read_dicom(path)
    check_gray(found.image, reference(path, 0, 65535))
    assert "modality LUT applied" in found.notes


@pytest.mark.parametrize(
    ("bits", "signed", "first", "depth"), [(12, False, 0, 16), (12, False, 500, 12), (10, True, -300, 10)]
)
def test_voi_lut_equals_pydicom_and_wins_over_the_window(tmp_path, bits, signed, first, depth):
    values = np.sort(np.random.default_rng(1).integers(0, 2**depth, 600))
    more = {"VOILUTSequence": [table(values, first, depth)], "WindowCenter": 5, "WindowWidth": 9}
    path = save(tmp_path, build(noise((11, 13), bits, signed), "MONOCHROME1", bits, **more))
    found = read_dicom(path)
    check_gray(found.image, reference(path, 0, 2**depth - 1))
    assert "VOI LUT applied" in found.notes


def test_a_voi_lut_of_8_bit_entries_does_not_wrap_around(tmp_path):
    """pydicom 3.0 counts its places in 8 bits: a place above 255 would come back at the bottom."""
    values = np.arange(4096) // 16
    stored = np.array([[0, 15, 16, 255, 256, 300, 2048, 4095]], "u2")
    path = save(tmp_path, build(stored, bits=12, VOILUTSequence=[table(values, 0, 8)]))
    check_gray(read_dicom(path).image, values[stored] / 255)


def test_without_a_window_8_bits_keep_their_range_and_deeper_pixels_are_stretched(tmp_path):
    stored = np.array([[10, 100, 200]], "u1")
    check_gray(read_dicom(save(tmp_path, build(stored))).image, stored / 255)
    deep = np.array([[0, 1000, 1500, 3000]], "u2")
    found = read_dicom(save(tmp_path, build(deep, bits=12, PixelPaddingValue=0)))
    check_gray(found.image, np.array([[0, 0, 0.25, 1]]))
    assert "no window: 1000 to 3000 made 0 to 1" in found.notes
    constant = np.full((2, 3), 2048, "u2")
    check_gray(read_dicom(save(tmp_path, build(constant, bits=12))).image, constant / 4095)


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
    check_gray(read_dicom(save(tmp_path, build(stored, bits=8))).image, (stored & 255) / 255)


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


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"])
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


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"ViewPosition": "PA"}, "view PA"),
        ({"ViewPosition": "LL"}, "view LL: a lateral one, not frontal"),
        ({"PatientOrientation": ["R", "F"]}, "its patient orientation says that it is mirrored: left and right change"),
        ({"PatientOrientation": ["R", "H"]}, "its patient orientation says that it stands on its head"),
    ],
)
def test_the_view_is_told(tmp_path, elements, note):
    stored = noise((4, 4), 8)
    assert any(n.startswith(note) for n in read_dicom(save(tmp_path, build(stored, **elements))).notes)


def test_what_is_no_view_is_not_told(tmp_path):
    usual = {"ViewPosition": "PETRA", "PatientOrientation": ["L", "F"]}
    notes = " ".join(read_dicom(save(tmp_path, build(noise((4, 4), 8), **usual))).notes)
    assert "view" not in notes and "orientation" not in notes and "PETRA" not in notes


def test_lossless_jpeg_equals_run_lengths():
    images = [read_dicom(PACKAGED / name).image for name in ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm")]
    assert torch.equal(*images)


def test_a_jpeg_of_12_bits_is_read():
    """Values as pydicom's own tests have them."""
    ds = pydicom.dcmread(PACKAGED / "JPGExtended.dcm")
    decoders.register()
    stored, _ = pixels.get_decoder(uid.JPEGExtended12Bit).as_array(ds, index=0)
    assert (stored[420, 140], stored[230, 120]) == (244, 95)
