"""refine and boxes of roi.py: against discs, the error function and scikit-image; size of the picture; exactness."""

import numpy as np
import pytest
import torch
from mvgen.mvg import roi
from mvgen.mvg.roi import boxes, refine


def disc(side: int, radius: float) -> torch.Tensor:
    """[1, side, side]: a disc in the middle, radius as a share of the side, with the coverage of pixels at its edge."""
    y, x = np.mgrid[:side, :side] + 0.5
    away = np.hypot(x - side / 2, y - side / 2)
    return torch.from_numpy(np.clip(radius * side - away + 0.5, 0, 1).astype(np.float32))[None]


def clouds(height: int, width: int, seed: int = 0) -> torch.Tensor:
    small = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)[:, 0]


def test_the_defaults_give_the_mask_itself():
    mask = clouds(40, 30)
    assert refine(mask) is mask
    assert refine(mask, 0.0, 0.0, False) is mask


@pytest.mark.parametrize("side", [96, 384])
@pytest.mark.parametrize("by", [0.1, 0.037, -0.1, -0.037])
def test_a_disc_grows_to_the_disc_that_is_larger_by_that_share(side, by):
    grown, want = refine(disc(side, 0.25), grow=by), disc(side, 0.25 + by)
    assert float((grown - want).abs().max()) < 0.75  # a pixel at the edge
    assert float(grown.sum()) == pytest.approx(float(want.sum()), rel=4 / side)


def test_growing_counts_parts_of_a_pixel_and_the_shorter_side():
    edge = torch.zeros(1, 100, 300)
    edge[..., :50] = 1
    grown = refine(edge, grow=0.0325)[0, 50]
    assert grown[48:55].tolist() == pytest.approx([1, 1, 1, 1, 1, 0.25, 0], abs=1e-6)
    shrunk = refine(edge, grow=-0.0325)[0, 50]
    assert shrunk[45:51].tolist() == pytest.approx([1, 0.75, 0, 0, 0, 0], abs=1e-6)


def test_growing_keeps_soft_levels():
    mask = torch.zeros(1, 60, 60)
    mask[:, 20:30, 20:30] = 0.6
    mask[:, 24:26, 24:26] = 1
    grown = refine(mask, grow=0.05)
    assert float(grown[0, 25, 32]) == pytest.approx(0.6) and float(grown[0, 25, 28]) == 1
    assert bool((grown >= mask).all()) and bool((refine(mask, grow=-0.05) <= mask).all())


def test_feather_fades_as_the_error_function():
    from scipy.stats import norm

    edge = torch.zeros(1, 200, 300)
    edge[..., :150] = 1
    soft = refine(edge, feather=0.1)[0, 100].numpy()
    x = np.arange(300) + 0.5 - 150
    np.testing.assert_allclose(soft, norm.cdf(-x, scale=20 / (2 * norm.ppf(0.9))), atol=2e-3)
    low, high = np.interp([0.1, 0.9], soft[::-1], x[::-1])
    assert low - high == pytest.approx(20, abs=0.2)


def test_filling_is_what_scipy_and_scikit_image_make_of_it():
    from scipy.ndimage import binary_fill_holes
    from skimage.morphology import reconstruction

    for seed in range(3):
        soft = clouds(70, 90, seed)
        hard = (soft > 0.5).float()
        assert np.array_equal(refine(hard, fill=True)[0].numpy(), binary_fill_holes(hard[0].numpy()))
        outside = np.pad(soft[0].numpy(), 1)
        start = np.pad(np.ones_like(soft[0].numpy()), 1)
        cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
        want = reconstruction(start, outside, method="erosion", footprint=cross)[1:-1, 1:-1]
        assert float(want.max()) > 0 and not np.array_equal(want, soft[0].numpy())
        np.testing.assert_allclose(refine(soft, fill=True)[0].numpy(), want, atol=1 / 255 + 1e-6)


def test_filling_leaves_what_reaches_the_border_and_diagonals_close():
    mask = torch.zeros(1, 9, 9)
    mask[0, 3:6, :] = 1
    assert torch.equal(refine(mask, fill=True), mask)
    ring = torch.zeros(1, 9, 9)
    for row, column in ((2, 4), (3, 3), (3, 5), (4, 2), (4, 6), (5, 3), (5, 5), (6, 4)):
        ring[0, row, column] = 1
    assert float(refine(ring, fill=True)[0, 4, 4]) == 1 and float(refine(ring, fill=True).sum()) == 13


@pytest.mark.parametrize("options", [{"grow": 0.1}, {"grow": -0.1}, {"feather": 0.1}, {"fill": True}])
def test_empty_and_full_masks_stay_bit_for_bit(options):
    for mask in (torch.zeros(2, 40, 30), torch.ones(2, 40, 30)):
        assert torch.equal(refine(mask, **options), mask)


def test_results_are_masks_of_the_same_kind_and_the_input_stays():
    masks = torch.cat([clouds(50, 40, 1), disc(50, 0.2)[..., :40]])
    before = masks.clone()
    shaped = refine(masks, 0.03, 0.05, True)
    assert torch.equal(masks, before)
    assert shaped.shape == masks.shape and shaped.dtype == masks.dtype
    assert float(shaped.min()) >= 0 and float(shaped.max()) <= 1
    alone = refine(masks[1:], 0.03, 0.05, True)
    assert torch.equal(shaped[1:], alone)
    assert refine(masks.double(), 0.03).dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grow": 0.51}, r"grow: got 0.51, want a number in \[-0.5, 0.5\]"),
        ({"grow": float("nan")}, "grow: got nan"),
        ({"feather": -0.01}, r"feather: got -0.01, want a number in \[0, 0.5\]"),
    ],
)
def test_what_cannot_be_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        refine(torch.zeros(1, 8, 8), **options)
    with pytest.raises(ValueError, match="mask: got values from 0 to 2"):
        refine(torch.arange(3.0).reshape(1, 1, 3), fill=True)


def test_boxes_are_those_of_the_parts_the_largest_first():
    mask = torch.zeros(60, 80)
    mask[10:20, 5:15] = 0.6
    mask[30:50, 40:70] = 1
    mask[0, 0] = 1  # a speck
    mask[55:58, 5:70] = 0.49
    assert boxes(mask) == [(40, 30, 70, 50), (5, 10, 15, 20)]
    assert boxes(mask, least=0.0)[-1] == (0, 0, 1, 1)
    assert boxes(torch.zeros(8, 8)) == [] and roi.MAX_SHARE == 0.5
