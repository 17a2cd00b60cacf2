"""KID against torch-fidelity and a float64 closed form; the Inception network against torch-fidelity's own."""

import pytest
import torch
from mvgen.models.inception import load_inception
from mvgen.mvg.metrics.kid import kid, kid_exact
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_kid import kid_features_to_metric


def features(count: int, seed: int, shift: float = 0.0, width: int = 64) -> torch.Tensor:
    """As Inception's: not negative, of a mean near 1/2."""
    return (torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + 0.5 + shift).relu()


def fidelity(real, fake, subsets, subset_size) -> tuple[float, float]:
    found = kid_features_to_metric(
        real,
        fake,
        **{"kid_subsets": subsets, "kid_subset_size": subset_size, "verbose": False, "rng_seed": 7},
        **{"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None},
        kid_kernel_poly_coef0=1.0,
    )
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05])
def test_kid_equals_torch_fidelity_and_the_closed_form(shift):
    real, fake = features(200, 1), features(150, 2, shift)
    ours = kid(real, fake, subsets=1000, subset_size=100)
    mean, std = fidelity(real.double(), fake.double(), 1000, 100)
    assert ours.mean == pytest.approx(mean, abs=1e-3)
    assert ours.mean == pytest.approx(kid_exact(real, fake), abs=1e-3)
    assert ours.std == pytest.approx(std, rel=0.1) and ours.std > 0
    assert ours[2:] == (200, 150, 1000, 100, 0, "")


def test_whole_sets_give_the_closed_form_and_a_std_of_0_that_is_said():
    real, fake = features(60, 1), features(60, 2, 0.3)
    ours = kid(real, fake, subsets=3, subset_size=60)
    assert ours.mean == pytest.approx(kid_exact(real, fake), rel=1e-9)
    assert ours.mean == pytest.approx(fidelity(real.double(), fake.double(), 1, 60)[0], rel=1e-9)
    assert ours.std == pytest.approx(0, abs=1e-12) and "std is 0" in ours.note
    assert "too small" in kid(real, features(61, 2), subsets=3, subset_size=60).note


def test_the_closed_form_by_hand():
    one, two = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    # k(x, y) = (x y + 1)^3: within 27 and 1, across the mean of 1, 8, 1, 27
    assert kid_exact(one, two) == pytest.approx(27 + 1 - 2 * (1 + 8 + 1 + 27) / 4)


def test_like_sets_may_give_less_than_0():
    same = features(40, 1)
    assert kid_exact(same, same) < 0
    assert kid(same, same, subset_size=40).mean == pytest.approx(kid_exact(same, same))


def test_the_seed_decides_and_the_global_generator_stays():
    real, fake = features(80, 1), features(80, 2)
    torch.manual_seed(3)
    want = torch.rand(2)
    torch.manual_seed(3)
    first = kid(real, fake, subset_size=20, seed=5)
    assert torch.equal(torch.rand(2), want)
    assert kid(real, fake, subset_size=20, seed=5) == first != kid(real, fake, subset_size=20, seed=6)


@pytest.mark.parametrize(
    ("real", "fake", "options", "words"),
    [
        (features(1, 1), features(9, 1), {}, "real: got 1 image, want a set"),
        (features(9, 1), features(1, 1), {}, "fake: got 1 image, want a set"),
        (features(9, 1), features(8, 1), {"subset_size": 9}, "fake: got 8 images, want at least subset_size, 9"),
        (features(9, 1), features(9, 1, width=32), {}, "fake: got 32 features an image, want 64"),
        (features(9, 1), features(9, 1) / 0, {}, "fake .features.: got values that are not finite"),
        (features(9, 1), features(9, 1), {"subset_size": 1}, "subset_size"),
        (features(9, 1), features(9, 1), {"subsets": 0}, "subsets"),
        (features(9, 1)[0], features(9, 1), {}, r"real: got \(64,\)"),
    ],
)
def test_bad_sets_are_refused_by_name(real, fake, options, words):
    with pytest.raises(ValueError, match=words):
        kid(real, fake, **{"subset_size": 2, **options})


class Untrained(FeatureExtractorInceptionV3):
    """torch-fidelity's network with random weights, as it has none without a file."""

    def load_state_dict(self, state):
        generator = torch.Generator().manual_seed(0)
        for weights in self.parameters():
            if weights.ndim > 1:
                weights.data = torch.randn(weights.shape, generator=generator) * (2 / weights[0].numel()) ** 0.5
        return None


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    nothing = tmp_path_factory.mktemp("nothing") / "nothing.pth"
    torch.save({}, nothing)
    return Untrained("inception-v3-compat", ["2048"], nothing)


def test_inception_from_a_file_equals_torch_fidelitys(tmp_path, inception):
    path = tmp_path / "pt_inception-2015-12-05.pth"
    torch.save(inception.state_dict(), path)
    levels = torch.randint(0, 256, (3, 40, 50, 3), generator=torch.Generator().manual_seed(4), dtype=torch.uint8)
    want = inception(levels.movedim(-1, 1))[0]
    loaded = load_inception(path, patcher=False)
    assert loaded.name == "pt_inception-2015-12-05"
    ours = loaded.features(levels / 255)
    assert ours.shape == (3, 2048) and torch.equal(ours, want)
    assert loaded.features(levels[..., :1] / 255).shape == (3, 2048)


def test_a_file_that_is_no_inception_is_named(tmp_path):
    class Harmful:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    for name, content, words in (
        ("other.pth", {"weight": torch.zeros(2)}, "other.pth: got other tensors"),
        ("list.pth", [1, 2], "list.pth: got other tensors"),
        ("harmful.pth", Harmful(), "harmful.pth: got no file of tensors"),
    ):
        torch.save(content, tmp_path / name)
        with pytest.raises(ValueError, match=words):
            load_inception(tmp_path / name, patcher=False)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "text.pth").write_text("text")
    with pytest.raises(ValueError, match=r"text\.pth: got no file of tensors"):
        load_inception(tmp_path / "text.pth", patcher=False)
