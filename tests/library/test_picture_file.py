"""Picture files of every depth and turn: each is made by another library, or written out byte by byte."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from dicom_files import build, check_gray, encode, noise
from mvgen.mvg.exposure import exposure_note
from mvgen.mvg.picture_file import read_picture
from mvgen.mvg.picture_header import check_picture
from PIL import Image

SIDE = 24
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: np.ndarray, depth: int, colour: int, *chunks: bytes) -> bytes:
    """A PNG after its specification: samples [H, W, C], one bit depth, no filter, no interlacing."""
    height, width = samples.shape[:2]
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in bits]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def empty(width: int, height: int) -> bytes:
    """A PNG that only says its size."""
    header = struct.pack(">IIBBBBB", width, height, 8, GRAY, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def samples(channels: int, depth: int) -> np.ndarray:
    return np.random.default_rng(depth).integers(0, 2**depth, (SIDE, SIDE + 4, channels))


def read(folder: Path, data: bytes, name: str = "picture", **options):
    path = folder / name
    path.write_bytes(data)
    found = read_picture(path, **options)
    assert found.image.dtype == torch.float32 and found.image.is_contiguous()
    return found


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("see_through", [False, True])
def test_gray_png_of_every_depth(tmp_path, depth, see_through):
    held = samples(1, depth)
    key = int(held[3, 5, 0])
    wanted = held[..., 0] / (2**depth - 1)
    if see_through:
        wanted = np.where(held[..., 0] == key, 0, wanted)
    chunks = [chunk(b"tRNS", struct.pack(">H", key))] if see_through else []
    found = read(tmp_path, png(held, depth, GRAY, *chunks), gray=True)
    check_gray(found.image, wanted)
    assert found.bits == depth and f"{depth}-bit gray" in found.notes[1]
    assert ("laid on black" in found.notes[1]) == see_through


@pytest.mark.parametrize("depth", [8, 16])
def test_gray_png_with_alpha_keeps_its_depth(tmp_path, depth):
    held = samples(2, depth)
    found = read(tmp_path, png(held, depth, GRAY_ALPHA), gray=True)
    check_gray(found.image, held[..., 0] / (2**depth - 1) * held[..., 1] / (2**depth - 1))
    assert found.notes[1] == f"{depth}-bit gray with transparency, laid on black" and found.bits == depth


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["rgb", "rgba", "key"])
def test_colour_png(tmp_path, depth, kind):
    held = samples(4 if kind == "rgba" else 3, depth)
    full = 2**depth - 1
    wanted = held[..., :3] / full
    chunks = []
    if kind == "rgba":
        wanted = wanted * held[..., 3:] / full
    if kind == "key":
        chunks = [chunk(b"tRNS", struct.pack(">HHH", *held[2, 4]))]
        wanted[(held == held[2, 4]).all(-1)] = 0
    found = read(tmp_path, png(held, depth, RGBA if kind == "rgba" else RGB, *chunks))
    np.testing.assert_allclose(found.image.numpy(), wanted, atol=1e-6)
    assert found.bits == depth


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png_with_transparency(tmp_path, depth):
    held, colours = samples(1, depth), np.random.default_rng(9).integers(0, 256, (2**depth, 3), dtype=np.uint8)
    alpha = np.full(2**depth, 255, np.uint8)
    alpha[0] = 51
    chunks = chunk(b"PLTE", colours.tobytes()), chunk(b"tRNS", alpha[:1].tobytes())
    found = read(tmp_path, png(held, depth, PALETTE, *chunks))
    wanted = colours[held[..., 0]] / 255 * (alpha[held[..., 0]] / 255)[..., None]
    np.testing.assert_allclose(found.image.numpy(), wanted, atol=1e-6)


UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(np.rot90(a, 2), 0, 1),
    8: np.rot90,
}
"""Exif 2.32, table 6: what makes a picture upright that is stored with that orientation."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_orientations(tmp_path, orientation, depth, channels):
    held = samples(channels, depth)
    wanted = np.broadcast_to(UPRIGHT[orientation](held / (2**depth - 1)), (*UPRIGHT[orientation](held).shape[:2], 3))
    exif = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 274, 3, 1, orientation) + bytes(4)
    found = read(tmp_path, png(held, depth, GRAY if channels == 1 else RGB, chunk(b"eXIf", exif)))
    np.testing.assert_allclose(found.image.numpy(), wanted, atol=1e-6)
    buffer = io.BytesIO()
    stored = held.astype(f"u{depth // 8}")
    tags = [(274, 3, 1, orientation, True)]
    options = {"photometric": "rgb"} if channels == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(buffer, stored if channels == 3 else stored[..., 0], extratags=tags, **options)
    found = read(tmp_path, buffer.getvalue())
    np.testing.assert_allclose(found.image.numpy(), wanted, atol=1e-6)
    assert found.bits == depth


def tiff(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("order", "white"), [("<", False), (">", False), ("<", True)])
def test_tiff_of_16_bits_in_both_byte_orders(tmp_path, order, white):
    held = samples(1, 16)[..., 0].astype("u2")
    found = read(tmp_path, tiff(held, byteorder=order, photometric="miniswhite" if white else "minisblack"))
    check_gray(found.image, 1 - held / 65535 if white else held / 65535)
    assert found.notes == [f"{SIDE + 4} x {SIDE} TIFF", "16-bit gray"]


def test_tiff_in_colour(tmp_path):
    held = samples(3, 16).astype("u2")
    for order in "<>":
        found = read(tmp_path, tiff(held, byteorder=order, photometric="rgb"))
        np.testing.assert_allclose(found.image.numpy(), held / 65535, atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "reason"), [(np.ones((20, 20), "f4"), "type F"), (np.ones((20, 20), "i4"), "type I")]
)
def test_tiff_of_other_numbers_is_refused(tmp_path, pixels, reason):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pixels))
    for look in (read_picture, check_picture):
        with pytest.raises(ValueError, match=rf"image: 'a.tif' has pixels of {reason}, want whole numbers of 1 to 16"):
            look(path)


def test_jpeg_in_cmyk(tmp_path):
    cmyk = Image.merge("CMYK", [Image.new("L", (32, 32), v) for v in (0, 128, 255, 0)])
    buffer = io.BytesIO()
    cmyk.save(buffer, "JPEG", quality=100)
    found = read(tmp_path, buffer.getvalue())
    np.testing.assert_allclose(found.image[8, 8].numpy(), [1, 127 / 255, 0], atol=0.02)
    assert "CMYK turned into RGB" in found.notes


def test_interlaced_png_of_16_bits(tmp_path):
    cv2 = pytest.importorskip("cv2")
    held = samples(3, 16).astype("u2")
    plain = cv2.imencode(".png", held)[1].tobytes()
    found = read(tmp_path, plain)
    np.testing.assert_allclose(found.image.numpy(), held[..., ::-1] / 65535, atol=1e-6)
    single = np.full((SIDE, SIDE, 1), 9000)
    passes = b"".join(
        (b"\0" + np.full(len(range(x, SIDE, dx)), 9000, ">u2").tobytes()) * len(range(y, SIDE, dy))
        for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
                             (0, 1, 1, 2))
    )  # fmt: skip
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, GRAY, 0, 0, 1)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(passes)) + chunk(b"IEND", b"")
    check_gray(read(tmp_path, b"\x89PNG\r\n\x1a\n" + data).image, single[..., 0] / 65535)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_first_of_several_frames_is_said(tmp_path, kind):
    frames = [Image.new("L", (20, 20), level) for level in (100, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    found = read(tmp_path, buffer.getvalue())
    assert "several frames or pages: the first one taken" in found.notes
    assert float(found.image[0, 0, 0]) == pytest.approx(100 / 255)


def test_dicom_through_the_same_door(tmp_path):
    stored = noise((20, 18), 12)
    film = encode(build(stored, bits=12, PixelSpacing=[0.2, 0.1], BurnedInAnnotation="YES"))
    for name in ("film.dcm", "1.2.840.5", "misnamed.png"):
        found = read(tmp_path, film, name)
        assert (found.dicom, found.bits, found.spacing, found.burned_in) == (True, 12, (0.2, 0.1), True)
        assert check_picture(tmp_path / name) == (18, 20)
    assert read(tmp_path, png(samples(1, 8), 8, GRAY)).burned_in is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GIF89a" + bytes(60), "is no PNG, JPEG, TIFF or DICOM image"),
        (b"", "is no PNG, JPEG, TIFF or DICOM image"),
        (png(np.zeros((15, 40, 1), int), 8, GRAY), "is 40 x 15 pixels, want at least 16 x 16"),
        (empty(8001, 8001), "at most 64 megapixels"),
        (empty(20000, 20000), "at most 64 megapixels"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, data, reason):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for look in (read_picture, check_picture):
        with pytest.raises(ValueError, match=f"image: .*'saved name' .*{reason}"):
            look(path, name="saved name")


def test_cut_off_and_coloured(tmp_path):
    held = png(samples(3, 16), 16, RGB)
    with pytest.raises(ValueError, match="image: 'picture' is damaged"):
        read(tmp_path, held[:300])
    with pytest.raises(ValueError, match="is a colour image, want a gray one"):
        read(tmp_path, held, gray=True)


def test_nearly_black_and_nearly_white_are_said(tmp_path):
    dark = np.full((40, 40, 1), 9)
    dark[0, :8] = 255
    assert "nearly all black" in read(tmp_path, png(dark, 8, GRAY)).notes[-1]
    assert "nearly all white" in read(tmp_path, png(255 - dark, 8, GRAY)).notes[-1]
    dark[0, 8:16] = 255
    assert exposure_note(torch.from_numpy(dark / 255)) is None
