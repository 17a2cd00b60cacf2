"""roi.py: eq. 6 and 10, exactness, and the recorded mask reduction."""

import pytest
import torch
from closed_form import load
from mvgen.mvg.roi import check_mask, clip_blend, latent_mask, pixel_mask, resize_mask, restore_detail, roi_blend


def pair(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, *shape, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_exact_where_the_weight_is_zero_or_one(dtype):
    x, x_0 = pair(2, 4, 16, 16, dtype=dtype)
    x *= 1000
    zero, one = torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)
    assert torch.equal(roi_blend(x, x_0, zero, 0.0, 0.75), x_0)
    assert torch.equal(roi_blend(x, x_0, one, 0.01, 1.0), x)
    half = (torch.arange(16) < 8).float().expand(1, 1, 16, 16)
    blended = roi_blend(x, x_0, half, 0.0, 1.0)
    assert torch.equal(blended[..., :8], x[..., :8]) and torch.equal(blended[..., 8:], x_0[..., 8:])
    assert blended.dtype == dtype


def test_equation_6_as_printed():
    x, x_0 = pair(2, 16, 16, 3, dtype=torch.float64)
    mask = torch.rand(1, 16, 16, dtype=torch.float64)
    m = mask[..., None]
    printed = (0.01 * (x - x_0) + x_0) * (1 - m) + (0.75 * (x - x_0) + x_0) * m
    assert torch.allclose(roi_blend(x, x_0, pixel_mask(mask, x), 0.01, 0.75), printed, rtol=0, atol=1e-14)
    assert roi_blend(x, x_0, None, 0.01, 0.75) is x


def test_blend_refuses_by_name():
    x, x_0 = pair(1, 4, 8, 8)
    mask = torch.ones(1, 1, 8, 8)
    for args, name in (
        ((x, x_0, mask, -0.1, 1.0), "beta_1"),
        ((x, x_0, mask, 0.1, 1.1), "beta_2"),
        ((x, x_0[..., :4], mask, 0.1, 1.0), r"x: got \(1, 4, 8, 8\), want the shape of x_0, \(1, 4, 8, 4\)"),
        ((x, x_0, mask[0], 0.1, 1.0), "mask"),
        ((x, x_0, mask[..., :2], 0.1, 1.0), r"mask: got \(1, 1, 8, 2\)"),
    ):
        with pytest.raises(ValueError, match=name):
            roi_blend(*args)


def test_check_mask_names_both_sizes():
    image = torch.zeros(2, 30, 40, 3)
    assert check_mask(torch.ones(30, 40), image).shape == (1, 30, 40)
    assert check_mask(torch.ones(2, 30, 40), image).shape == (2, 30, 40)
    for mask, message in (
        (torch.ones(1, 40, 30), "mask: got 30 x 40 pixels, want 40 x 30"),
        (torch.ones(3, 30, 40), "got 3 masks, want 1 or 2"),
        (torch.full((1, 30, 40), 1.5), r"values from 1.5 to 1.5"),
        (torch.full((1, 30, 40), float("nan")), "nan"),
        (torch.ones(1, 30, 40, 1), "4 axes"),
    ):
        with pytest.raises(ValueError, match=message):
            check_mask(mask, image)
    with pytest.raises(ValueError, match="got 3 masks, want 1, one an image"):
        check_mask(torch.ones(3, 30, 40), image[:1])


def test_reduction_equals_the_released_preprocessing():
    from PIL import Image

    recorded = load("pie/preprocess.safetensors")
    rgb = Image.fromarray(recorded["mask_uint8_hwc"].numpy()).resize((56, 72), Image.Resampling.LANCZOS)
    mask = torch.tensor(list(rgb.tobytes()), dtype=torch.float32).reshape(72, 56, 3).movedim(-1, 0) / 255
    ours = resize_mask(mask, 9, 7)
    rounding = 0.5 / 255 + 1e-6  # the released code rounds the reduced mask to 8 bits
    assert float((ours - recorded["mask_out"][0, :3]).abs().max()) <= rounding
    blocks = mask.reshape(3, 9, 8, 7, 8)[:, :, 3:5, :, 3:5].mean((2, 4))
    assert torch.allclose(ours, blocks, atol=1e-6)


def test_latent_mask_fits_the_latent():
    mask = torch.ones(2, 64, 64)
    assert latent_mask(mask, torch.zeros(2, 8, 8, 8)).shape == (2, 1, 8, 8)
    assert latent_mask(mask, torch.zeros(2, 16, 3, 8, 8)).shape == (2, 1, 1, 8, 8)
    assert latent_mask(mask, torch.zeros(2, 8, 8, 8, dtype=torch.float64)).dtype == torch.float64


def test_equation_10_mean_and_crossfade():
    frames = torch.rand(5, 4, 4, 3)
    first, last = torch.zeros(4, 4, 3), torch.ones(4, 4, 3)
    mask = torch.zeros(1, 4, 4)
    mask[:, :, 2:] = 1
    mean, fade = clip_blend(frames, first, last, mask), clip_blend(frames, first, last, mask, "crossfade")
    assert mean[1:-1, :, :2].unique().tolist() == [0.5]
    assert fade[:, 0, 0, 0].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    for clip in (mean, fade, clip_blend(frames, first, last, None)):
        assert torch.equal(clip[0], first) and torch.equal(clip[-1], last)
        assert torch.equal(clip[1:-1, :, 2:], frames[1:-1, :, 2:])
    assert torch.equal(clip_blend(frames, first, last, None)[1:-1], frames[1:-1])
    soft = clip_blend(frames, first, last, torch.full((1, 4, 4), 0.25))
    assert torch.allclose(soft[2], 0.75 * 0.5 + 0.25 * frames[2])


def test_clip_blend_refuses_by_name():
    frames, image = torch.rand(3, 4, 4, 3), torch.zeros(4, 4, 3)
    for args, name in (
        ((frames, image, image, None, "fade"), "mode"),
        ((frames[:1], image, image, None), "frames"),
        ((frames, image[:2], image, None), "first"),
        ((frames, image, image[:2], None), "last"),
        ((frames, image, image, torch.ones(1, 2, 2)), "mask: got 2 x 2 pixels, want 4 x 4"),
    ):
        with pytest.raises(ValueError, match=name):
            clip_blend(*args)


def test_no_detail_shines_through_what_is_drawn_over_it():
    lines = torch.zeros(64, 64, 1)
    lines[:, ::4] = 0.1
    decoded = torch.full((1, 64, 64, 1), 0.2)
    original = decoded + lines
    stage = decoded.clone()
    stage[:, 32:] = 0.8
    restored = restore_detail(stage, original, decoded)
    torch.testing.assert_close(restored[:, :24], original[:, :24])
    torch.testing.assert_close(restored[:, 40:], stage[:, 40:])


def test_restored_detail_gives_the_original_where_nothing_changed():
    original, decoded = pair(1, 8, 6, 3).sigmoid()
    torch.testing.assert_close(restore_detail(decoded, original, decoded), original)
    stages = decoded.repeat(3, 1, 1, 1)
    assert restore_detail(stages, original, decoded).shape == (3, 8, 6, 3)
    with pytest.raises(ValueError, match="decoded: got"):
        restore_detail(stages, original, decoded[:, :4])
