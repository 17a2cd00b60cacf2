"""metrics/: figures against torchvision, torchmetrics and closed forms; pictures by their pixels."""

import math

import pytest
import torch
from mvgen.mvg.metrics.clip_i import clip_i, clip_i_per_stage
from mvgen.mvg.metrics.conf import IMAGENET_MEAN, IMAGENET_STD, classifier_input, conf
from mvgen.mvg.metrics.difference import difference_map, heat_map
from mvgen.mvg.metrics.image import compare, mae, psnr, ssim, ssim_map
from mvgen.mvg.metrics.plot import contact_sheet, progression_plot


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(8))


@pytest.mark.parametrize("height", [128, 224, 500])
def test_classifier_input_equals_torchvision(height):
    from torchvision.transforms import v2

    gray = images(2, height, height + 30, 1)
    ours = classifier_input(gray)
    resize = v2.Resize((224, 224), interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
    want = v2.Normalize(IMAGENET_MEAN, IMAGENET_STD)(resize(gray.movedim(-1, 1).repeat(1, 3, 1, 1)))
    assert ours.shape == (2, 3, 224, 224)
    assert torch.allclose(ours, want, atol=1e-5)


def test_classifier_input_keeps_colour_and_refuses_the_rest():
    rgb = images(1, 16, 16, 3)
    assert torch.allclose(classifier_input(rgb, 16, (0, 0, 0), (1, 1, 1)), rgb.movedim(-1, 1))
    for bad in (images(1, 16, 16, 4), images(16, 16, 3)):
        with pytest.raises(ValueError, match=r"images: got"):
            classifier_input(bad)


def test_conf_is_the_sigmoid():
    logits = torch.tensor([[0.0, math.log(3.0), -math.log(3.0)]])
    assert conf(logits)[0].tolist() == pytest.approx([0.5, 0.75, 0.25])


def test_clip_i_by_hand():
    reference = torch.tensor([[2.0, 0.0]])
    stages = torch.tensor([[5.0, 0.0], [1.0, 1.0], [0.0, 3.0]])
    assert clip_i_per_stage(stages, reference).tolist() == pytest.approx([1, 0.5**0.5, 0])
    assert clip_i(stages, reference[0]) == pytest.approx((1 + 0.5**0.5) / 3)
    assert clip_i_per_stage(stages[:0], reference).shape == (0,)
    with pytest.raises(ValueError, match="0 stages"):
        clip_i(stages[:0], reference)
    with pytest.raises(ValueError, match=r"embeddings: got \(3, 2\), want \[N, 3\]"):
        clip_i(stages, torch.ones(3))


def test_mae_and_psnr_equal_torchmetrics():
    from torchmetrics.functional.image import peak_signal_noise_ratio
    from torchmetrics.functional.regression import mean_absolute_error

    a, b = images(6, 32, 24, 3).chunk(2)
    for i in range(3):
        assert float(mae(a, b)[i]) == pytest.approx(float(mean_absolute_error(a[i], b[i].contiguous())), rel=1e-5)
        want = float(peak_signal_noise_ratio(a[i], b[i], data_range=1.0))
        assert float(psnr(a, b)[i]) == pytest.approx(want, rel=1e-5)
    assert psnr(a, a).tolist() == [math.inf] * 3


def test_masked_figures():
    a = torch.zeros(2, 4, 4, 3)
    b = a.clone()
    b[:, :, 2:] = 0.1
    left, right = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    left[..., :2], right[..., 2:] = 1, 1
    assert mae(a, b).tolist() == pytest.approx([0.05, 0.05])
    assert mae(a, b, left).tolist() == [0, 0]
    assert mae(a, b, right).tolist() == pytest.approx([0.1, 0.1])
    assert psnr(a, b, right).tolist() == pytest.approx([20, 20])
    with pytest.raises(ValueError, match="mask: got an empty one"):
        mae(a, b, torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="images"):
        mae(a, b[:1])


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_scikit_image(channels):
    from skimage.metrics import structural_similarity

    a, b = images(4, 40, 33, channels).chunk(2)
    b = (0.6 * a + 0.4 * b).clamp(0, 1)
    for i in range(2):
        want, full = structural_similarity(
            a[i].double().numpy(),
            b[i].double().numpy(),
            **{"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0},
            **{"channel_axis": -1, "full": True},
        )
        assert float(ssim(a, b)[i]) == pytest.approx(want, abs=1e-6)
        inner = torch.from_numpy(full[5:-5, 5:-5]).mean(-1)
        assert torch.allclose(ssim_map(a, b)[i], inner, atol=1e-6)
        mask = torch.zeros(1, 40, 33)
        mask[:, 10:20, 12:22] = 1
        assert float(ssim(a, b, mask)[i]) == pytest.approx(float(inner[5:15, 7:17].mean()), abs=1e-6)
    assert ssim(a, a).tolist() == pytest.approx([1, 1])


def test_ssim_of_constant_images_compares_their_brightness():
    dark, bright = torch.full((1, 16, 16, 3), 0.2), torch.full((1, 16, 16, 3), 0.6)
    assert float(ssim(dark, dark)) == pytest.approx(1)
    assert float(ssim(dark, bright)) == pytest.approx((2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4))


def test_compare_whole_inside_and_outside():
    a, b = images(4, 32, 24, 3).chunk(2)
    mask = torch.zeros(1, 32, 24)
    mask[:, 8:20, 6:18] = 0.5
    scores = compare(a, b, mask)
    assert list(scores) == ["mae", "ssim", "psnr"] and list(scores["mae"]) == ["whole", "inside", "outside"]
    for name, figure in (("mae", mae), ("ssim", ssim), ("psnr", psnr)):
        for region, weight in (("whole", None), ("inside", mask), ("outside", 1 - mask)):
            assert torch.allclose(scores[name][region], figure(a, b, weight)), (name, region)
    assert list(compare(a, b)["psnr"]) == ["whole"]


def test_what_is_not_valid_counts_nowhere():
    a, b = images(2, 40, 32, 3).chunk(2)
    valid = torch.ones(1, 40, 32)
    valid[:, 28:] = 0
    changed = b.clone()
    changed[:, 28:] = 0
    mask = torch.ones(1, 40, 32)
    mask[:, :14] = 0
    first, second = compare(a, b, mask, valid), compare(a, changed, mask, valid)
    for name in first:
        for region in first[name]:
            assert torch.equal(first[name][region], second[name][region]), (name, region)
    assert float(first["mae"]["whole"]) == pytest.approx(float(mae(a[:, :28], b[:, :28])))
    assert float(first["ssim"]["whole"]) == pytest.approx(float(ssim(a[:, :28], b[:, :28])))


def test_images_that_do_not_compare_are_refused_by_name():
    a = images(2, 16, 16, 3)
    nan = a.clone()
    nan[1, 2, 3] = torch.nan
    ones = torch.ones(1, 16, 16)
    for figure in (mae, psnr, ssim, compare):
        with pytest.raises(ValueError, match=r"images: got values that are not finite .NaN. in picture 2 of 2"):
            figure(a, nan)
        with pytest.raises(ValueError, match=r"images: got .* of one shape"):
            figure(a, a[:, :, :12])
        with pytest.raises(ValueError, match="mask: got 12 x 16 pixels, want 16 x 16"):
            figure(a, a, ones[..., :12])
    with pytest.raises(ValueError, match="mask: got one that leaves nothing outside"):
        compare(a, a, ones)
    with pytest.raises(ValueError, match="mask: got an empty one"):
        compare(a, a, 0 * ones)
    with pytest.raises(ValueError, match="want at least 11 x 11 for SSIM"):
        ssim(a[:, :10], a[:, :10])
    with pytest.raises(ValueError, match="want at least 11 x 11 for SSIM"):
        compare(a[:, :10], a[:, :10])
    with pytest.raises(ValueError, match="images: got values that are not finite"):
        difference_map(a, nan)


def test_difference_and_its_heat_map():
    x = images(2, 8, 8, 3)
    assert torch.equal(difference_map(x, x), torch.zeros(2, 8, 8))
    assert torch.allclose(difference_map(x, x + 0.25), torch.full((2, 8, 8), 0.25))
    ramp = torch.linspace(0, 2, 8).expand(1, 8, 8)
    from matplotlib import colormaps

    first, last = (torch.tensor(colormaps["inferno"](v)[:3], dtype=torch.float32) for v in (0.0, 1.0))
    coloured = heat_map(ramp)
    assert coloured.shape == (1, 8, 8, 3)
    assert torch.equal(coloured[0, 0, 0], first) and torch.equal(coloured[0, 0, -1], last)
    assert torch.equal(heat_map(ramp, peak=1.0)[0, 0, -1], last)
    assert torch.equal(heat_map(torch.zeros(1, 2, 2)), first.expand(1, 2, 2, 3))
    assert heat_map(ramp[:0]).shape == (0, 8, 8, 3)
    with pytest.raises(ValueError, match="peak"):
        heat_map(ramp, peak=0)


def test_progression_plot_draws_its_curves():
    import matplotlib.pyplot as plt

    conf_curve = {"cardiomegaly": [0.05, 0.2, 0.5, 0.8], "edema": [0.1] * 4}
    picture = progression_plot(conf_curve, [0.3, 0.2, 0.1], [0.99, 0.98, 0.97], delta=0.15, title="run")
    assert picture.shape == (600, 900, 3) and picture.dtype == torch.float32
    assert picture.min() >= 0 and picture.max() == 1
    fewer = progression_plot({"edema": [0.1] * 4}, [0.3, 0.2, 0.1], [0.99, 0.98, 0.97], delta=0.15, title="run")
    assert float((picture - fewer).abs().mean()) > 1e-3
    blue = (picture - torch.tensor([0x1F, 0x77, 0xB4]) / 255).abs().amax(-1) < 0.02
    assert int(blue.sum()) > 300
    bounded = progression_plot(conf_curve, [0.3, 0.2, 0.1], bound=[0.5, 0.4, 0.3])
    gray = (bounded - 0.4).abs().amax(-1) < 0.02
    assert int(gray[400:].sum()) > 100, "the bound of eq. 7 stands beside the curve"
    assert plt.get_fignums() == []


def test_progression_plot_draws_the_real_series_beside_it():
    simulated = {"edema": [0.1, 0.4, 0.8]}
    alone = progression_plot(simulated)
    both = progression_plot(simulated, real={"edema": [0.1, 0.3, 0.9]})
    blue = torch.tensor([0x1F, 0x77, 0xB4]) / 255
    counts = [int(((picture - blue).abs().amax(-1) < 0.02).sum()) for picture in (alone, both)]
    assert counts[1] > counts[0] + 200  # in the colour of the finding


def test_progression_plot_draws_the_severity_beside_conf():
    alone, both = (progression_plot({"edema": [0.1, 1.0, 1.0]}, severity=s) for s in (None, {"edema": [0.0, 0.3, 0.6]}))
    blue = torch.tensor([0x1F, 0x77, 0xB4]) / 255
    counts = [int(((picture - blue).abs().amax(-1) < 0.02).sum()) for picture in (alone, both)]
    assert counts[1] > counts[0] + 100


@pytest.mark.parametrize("stages", [0, 1, 100])
def test_progression_plot_of_few_and_many_stages(stages):
    change, near = [0.0] * stages, [1.0] * stages
    assert progression_plot({"edema": [0.1] * (stages + 1)}, change, near).shape == (600, 900, 3)


def test_contact_sheet_places_the_pictures():
    stages, heats = images(8, 64, 64, 3), images(7, 64, 64, 3)
    sheet = contact_sheet(stages, heats, [f"n = {n}" for n in range(8)], columns=3, cell=64)
    gap, strip = 8, 26
    block = strip + 2 * 64 + 2 * gap
    assert sheet.shape == (3 * block + gap, 3 * 72 + gap, 3)
    for n in range(8):
        y, x = gap + n // 3 * block + strip, gap + n % 3 * 72
        assert torch.allclose(sheet[y : y + 64, x : x + 64], stages[n], atol=1e-6)
        if n > 0:
            assert torch.allclose(sheet[y + 72 : y + 136, x : x + 64], heats[n - 1], atol=1e-6)
        assert sheet[y - strip : y - 2, x : x + 64].min() < 0.5  # its label
    assert contact_sheet(images(1, 30, 60, 1), heats[:0], cell=60).shape == (26 + 30 + 16, 76, 3)


def test_contact_sheet_refuses_by_name():
    stages = images(3, 8, 8, 3)
    for args, name in (((stages[:0],), "stages"), ((stages, stages), "heat_maps"), ((stages, None, ["a"]), "labels")):
        with pytest.raises(ValueError, match=name):
            contact_sheet(*args)


@pytest.mark.parametrize(("count", "across"), [(1, 1), (7, 7), (8, 4), (11, 6)])
def test_contact_sheet_rows_are_even(count, across):
    assert contact_sheet(images(count, 8, 8, 3), cell=64).shape[1] == across * 72 + 8
