"""The visible label: where it is, that it can be read, and that it leaves everything else alone."""

import cv2
import numpy as np
import pytest
import torch
from mvgen.mvg.label import LEAST, TEXT, label_size, labelled

SIZES = [(128, 128), (1024, 1024), (512, 768), (100, 77)]


def area(images: torch.Tensor) -> torch.Tensor:
    height, width = label_size(*images.shape[1:3])
    return labelled(images)[:, :height, :width]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_same_on_black_white_and_noise(size):
    grounds = torch.stack([torch.zeros(*size, 3), torch.ones(*size, 3), torch.rand(*size, 3)])
    black, white, noise = area(grounds)
    assert torch.equal(black, white) and torch.equal(black, noise)
    assert torch.equal(black[..., 0], black[..., 1]) and torch.equal(black[..., 0], black[..., 2]), "gray stays gray"
    assert black.min() >= 0 and black.max() <= 1
    rim = torch.cat([black[0].flatten(), black[-1].flatten(), black[:, 0].flatten(), black[:, -1].flatten()])
    assert rim.max() < 0.1, "its own dark ground all round, whatever the picture is"


@pytest.mark.parametrize("size", SIZES)
def test_nothing_else_changes_and_the_images_given_stay(size):
    images = torch.rand(2, *size, 3)
    before = images.clone()
    out = labelled(images)
    height, width = label_size(*size)
    assert torch.equal(images, before) and out.shape == images.shape and out.dtype == images.dtype
    changed = (out != images).any(-1)
    assert changed[:, :height, :width].float().mean() > 0.99
    changed[:, :height, :width] = False
    assert not changed.any()
    assert height * width <= 0.065 * size[0] * size[1] or width == LEAST


@pytest.mark.parametrize("size", [(128, 128), (1024, 1024)])
def test_its_letters_are_nine_and_read_as_the_word(size):
    """Columns without ink part the letters: each has to be told from its neighbours, and to look like itself."""
    pixels = area(torch.rand(1, *size, 3))[0, ..., 0].numpy()
    ink = pixels.max(0) > 0.5
    starts = np.flatnonzero(ink & ~np.r_[False, ink[:-1]])
    ends = np.flatnonzero(ink & ~np.r_[ink[1:], False]) + 1
    rows = np.flatnonzero(pixels.max(1) > 0.5)
    assert len(rows) >= 6, "at least six pixels high"
    if size[0] == 1024:
        assert len(starts) == len(TEXT)
        for letter, left, right in zip(TEXT, starts, ends, strict=True):
            found = pixels[rows[0] : rows[-1] + 1, left:right]
            assert max("SYNTHEIC", key=lambda other: alike(found, other)) == letter
    else:
        gaps = pixels[rows[0] : rows[-1] + 1].max(0)
        assert (gaps[1:-1] < np.minimum(gaps[:-2], gaps[2:])).sum() >= 5, "letters do not run into each other"


def alike(found: np.ndarray, letter: str) -> float:
    """Correlation of a letter cut out of the label with one drawn by itself."""
    (width, height), _ = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, 4, 12)
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    cv2.putText(canvas, letter, (width // 2, height * 3 // 2), cv2.FONT_HERSHEY_SIMPLEX, 4, 255, 12, cv2.LINE_AA)
    x, y, w, h = cv2.boundingRect(canvas)
    alone = cv2.resize(canvas[y : y + h, x : x + w], (32, 48), interpolation=cv2.INTER_AREA)
    aspect = abs(np.log(w / h) - np.log(found.shape[1] / found.shape[0]))
    pair = np.corrcoef(alone.ravel(), cv2.resize(found, (32, 48), interpolation=cv2.INTER_AREA).ravel())
    return float(pair[0, 1] - aspect)


def test_it_can_be_read_where_a_large_picture_is_shown_small():
    assert label_size(1024, 1024)[1] / 1024 == pytest.approx(0.25, abs=0.01)
    assert label_size(128, 128)[1] == LEAST


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (9, 400), (400, 9)])
def test_it_fits_into_any_picture(size):
    height, width = label_size(*size)
    assert 1 <= height <= size[0] and 1 <= width <= size[1]
    assert labelled(torch.rand(1, *size, 3)).shape == (1, *size, 3)


def test_no_image_and_other_types():
    assert labelled(torch.zeros(0, 64, 64, 3)).shape == (0, 64, 64, 3)
    assert labelled(torch.zeros(1, 64, 64, 3, dtype=torch.float16)).dtype == torch.float16


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 64, 64, 4), (1, 64, 64)])
def test_another_shape_is_named(shape):
    with pytest.raises(ValueError, match="want \\[N, H, W, 3\\]"):
        labelled(torch.zeros(shape))
