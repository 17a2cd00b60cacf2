"""Hostile DICOM files: refused by name within bounds of work, and nobody's name passed on."""

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
from dicom_files import PLANTED, build, check_gray, encode, noise, palette, save, table
from mvgen.mvg.dicom import decoders, header
from mvgen.mvg.dicom.read import DicomError, check_dicom, read_dicom
from pydicom import pixels, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
FUZZED = int(os.environ.get("MVG_DICOM_FUZZ", "300"))
SLOWEST = 5.0


def _refusals() -> dict[str, tuple[Dataset | bytes, str]]:
    gray, deep = noise((8, 6), 8), noise((8, 6), 12)
    files: dict[str, tuple[Dataset | bytes, str]] = {
        "ct": (build(deep, bits=12, Modality="CT"), "slice or volume"),
        "mr": (build(deep, bits=12, Modality="MR"), "slice or volume"),
        "pet": (build(deep, bits=12, Modality="PT"), "slice or volume"),
        "nuclear": (build(deep, bits=12, Modality="NM"), "slice or volume"),
        "ct class": (build(deep, bits=12, Modality="", SOPClassUID=uid.CTImageStorage), "slice or volume"),
        "frames": (build(gray, NumberOfFrames=2), "2 frames"),
        "no dicom": (b"GIF89a" + bytes(300), "no DICOM file"),
        "empty": (b"", "no DICOM file"),
        "mark alone": (bytes(128) + b"DICM", "transfer syntax"),
        "no palette": (build(gray, "PALETTE COLOR"), "no usable palette"),
        "cut off": (encode(build(deep, bits=12))[:-40], "cut off|has no pixel data|bytes of pixel data"),
        "short": (build(deep, bits=12, PixelData=bytes(20)), "20 bytes of pixel data, want 96"),
        "huge": (build(gray, Rows=65535, Columns=65535), "at most 64 megapixels"),
        "no rows": (build(gray, Rows=0), "at least 1 x 1"),
        "0 bits": (build(gray, BitsStored=0, HighBit=0), "0 bits stored"),
        "0 bits allocated": (build(gray, BitsAllocated=0), "0 bits allocated"),
        "32 bits": (build(gray, BitsAllocated=32), "32 bits allocated"),
        "high bit": (build(deep, bits=12, HighBit=15), "high bit 15"),
        "samples": (build(gray, SamplesPerPixel=3), "3 samples"),
        "photometric": (build(gray, PhotometricInterpretation="PETRA"), "photometric interpretation"),
    }
    nothing = build(gray)
    del nothing.PixelData
    files["no pixels"] = (nothing, "no pixel data")
    document = build(gray, SOPClassUID=uid.EncapsulatedPDFStorage, EncapsulatedDocument=b"%PDF-1.7")
    del document.PixelData
    files["document"] = (document, "document")
    real = build(gray, FloatPixelData=np.zeros(48, "<f4").tobytes())
    del real.PixelData
    files["float"] = (real, "floating-point")
    wrong = build(noise((16, 16), 8))
    wrong.compress(uid.RLELossless, generate_instance_uid=False)
    wrong.Rows = 3000
    files["run lengths"] = (wrong, "cannot decode")
    film = build(gray)
    film.file_meta.TransferSyntaxUID = uid.MPEG4HP41
    film.PixelData = pydicom.encaps.encapsulate([bytes(90)])
    files["film"] = (film, "no still image")
    for what, syntax in (("no ls", uid.JPEGLSLossless), ("no jpeg", uid.JPEGBaseline8Bit)):
        ds = build(gray)
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
    try:
        check_dicom(path)
    except DicomError as early:
        assert str(early) == str(caught.value), "the header is refused for the same reason, only earlier"
    assert not [secret for secret in PLANTED if secret in text]


@pytest.mark.parametrize("read", [read_dicom, check_dicom])
def test_colour_where_gray_is_wanted(tmp_path, read):
    for ds in (build(noise((4, 4, 3), 8), "RGB"), build(noise((4, 4), 8), "PALETTE COLOR", **palette(256, 8))):
        with pytest.raises(DicomError, match="is a colour image, want a gray one"):
            read(save(tmp_path, ds), gray=True)


def test_the_header_tells_the_size(tmp_path):
    assert check_dicom(save(tmp_path, build(noise((4, 6), 8)))) == (6, 4)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DicomError, match=r"'nowhere\.dcm' cannot be opened"):
        read_dicom(tmp_path / "nowhere.dcm")


def test_a_missing_decoder_is_named(monkeypatch):
    path = PACKAGED / "JPEGLSNearLossless_08.dcm"
    if not path.is_file():
        pytest.skip("this pydicom comes without its test files")
    decoder = pixels.get_decoder(uid.JPEGLSNearLossless)
    decoders.register()
    decoder.remove_plugin("imagecodecs")
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "is_available", lambda syntax: False)
        with pytest.raises(DicomError, match=r"JPEG-LS.*no installed decoder.*imagecodecs"):
            read_dicom(path)
    decoder.remove_plugin("imagecodecs")
    decoders.register()


@pytest.mark.parametrize("missing", [0, 6, 40])
def test_a_cut_off_jpeg_ls_ends(missing):
    """CharLS alone runs for ever where the codestream stops before its end marker."""
    path = PACKAGED / "JPEGLSNearLossless_16.dcm"
    if not path.is_file():
        pytest.skip("this pydicom comes without its test files")
    ds = pydicom.dcmread(path)
    whole = get_frame(ds.PixelData, 0, number_of_frames=1).rstrip(b"\0").removesuffix(b"\xff\xd9")
    ds.PixelData = encapsulate([whole[: len(whole) - missing]])
    decoders.register()
    if missing:
        with pytest.raises(RuntimeError):
            pixels.get_decoder(uid.JPEGLSNearLossless).as_array(ds, index=0)
    else:
        assert pixels.get_decoder(uid.JPEGLSNearLossless).as_array(ds, index=0)[0].shape == (50, 10)


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
    monkeypatch.setattr(header, "MAX_FILE_BYTES", 8 << 20)
    stored = noise((9, 6), 8)
    check_gray(read_dicom(save(tmp_path, deflated(build(stored), 1 << 20))).image, stored / 255)
    bomb = deflated(build(stored), 9 << 20)
    assert len(bomb) < 1 << 16
    with pytest.raises(DicomError, match="inflates to more than 8 MiB"):
        read_dicom(save(tmp_path, bomb))
    with pytest.raises(DicomError, match="cut off"):
        read_dicom(save(tmp_path, deflated(build(stored))[:-20]))
    with pytest.raises(DicomError, match="larger than 8 MiB"):
        read_dicom(save(tmp_path, bytes((8 << 20) + 1)))


def test_a_header_without_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(header, "MAX_HEADER_BYTES", 1 << 16)
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
    start = time.process_time()
    with pytest.raises(DicomError, match=r"header|too many elements") as caught:
        read_dicom(path)
    assert time.process_time() - start < SLOWEST
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
        check_gray(read_dicom(save(tmp_path, ds)).image, np.zeros((2000, 6)))
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
    packaged = [
        *("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm"),
        *("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jls_lossy_line.dcm", "JPEGLSNearLossless_16.dcm"),
    ]
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
