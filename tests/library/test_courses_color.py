"""Courses on color pictures: nothing at severity 0, the same for the same seed, growth, and what lies apart is left."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from mvgen.research.bench.courses import draw_all, read_films
from mvgen.research.bench.fundus_lesions import row, spots
from mvgen.research.courses import courses
from mvgen.research.courses.dataset import DRAWN_AT, Examples
from mvgen.research.courses.fundus_anatomy import cleared, without_outline
from mvgen.research.courses.fundus_photographs import square
from mvgen.research.courses.texture import fractal, ring_noise, smooth_step
from mvgen.research.phantom.domains import phantom
from mvgen.training.data import read

CASES = [("skin", "melanoma"), ("skin", "seborrheic keratosis"), ("fundus", "diabetic retinopathy")]


@pytest.fixture(scope="module")
def pictures():
    """domain -> (a phantom without the finding [256, 256, 3], its anatomy)."""
    out = {}
    for domain in ("skin", "fundus"):
        module = phantom(domain)
        image = module.render(module.sample_patient(3), size=256).astype(np.float32)
        out[domain] = image, courses(domain).fit(image)
    return out


@pytest.mark.parametrize(("domain", "finding"), CASES)
def test_severity_zero_gives_the_picture_back(pictures, domain, finding):
    image, anatomy = pictures[domain]
    out = courses(domain).draw(image, finding, 0.0, seed=5, anatomy=anatomy)
    assert np.array_equal(out, image) and out is not image
    # and what begins does so without a jump
    begun = courses(domain).draw(image, finding, 0.01, seed=5, anatomy=anatomy)
    assert np.abs(begun - image).mean() < 2e-3


@pytest.mark.parametrize(("domain", "finding"), CASES)
def test_equal_seeds_are_one_course_and_others_differ(pictures, domain, finding):
    image, anatomy = pictures[domain]
    module = courses(domain)
    first = module.draw(image, finding, 0.8, seed=5, anatomy=anatomy)
    assert np.array_equal(first, module.draw(image, finding, 0.8, seed=5))
    assert np.abs(first - module.draw(image, finding, 0.8, seed=6, anatomy=anatomy)).max() > 0.05
    assert first.dtype == np.float32 and first.shape == image.shape and first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize(("domain", "finding"), CASES)
def test_change_grows_evenly_with_severity(pictures, domain, finding):
    image, anatomy = pictures[domain]
    severities = np.linspace(0, 1, 9)
    stages = [courses(domain).draw(image, finding, s, seed=5, anatomy=anatomy) for s in severities]
    change = np.array([np.abs(stage - image).mean() for stage in stages])
    assert (np.diff(change) > 0).all()
    steps = np.array([np.abs(b - a).mean() for a, b in pairwise(stages)])
    assert steps.max() < 0.4 * change[-1]


@pytest.mark.parametrize(("domain", "finding"), CASES)
def test_the_picture_tells_where_it_will_change(pictures, domain, finding):
    image, anatomy = pictures[domain]
    first, second = (courses(domain).draw(image, finding, 0.85, seed=seed, anatomy=anatomy) for seed in (5, 6))
    assert np.abs(first - second).mean() < 0.8 * np.abs(first - image).mean()


@pytest.mark.parametrize("finding", ["melanoma", "seborrheic keratosis"])
def test_skin_away_from_the_lesion_is_left(pictures, finding):
    image, anatomy = pictures["skin"]
    change = np.abs(courses("skin").draw(image, finding, 1.0, seed=5, anatomy=anatomy) - image).max(axis=2)
    assert change[anatomy.distance > 120].max(initial=0) == 0
    assert change[anatomy.distance > 0].max() > 0.2  # it grows beyond the nevus


def test_retinopathy_leaves_what_lies_outside_of_the_eye_and_the_optic_disc(pictures):
    image, anatomy = pictures["fundus"]
    change = np.abs(courses("fundus").draw(image, "diabetic retinopathy", 0.85, seed=5, anatomy=anatomy) - image).max(2)
    y, x = np.mgrid[:256, :256]
    assert change[anatomy.field == 0].max() == 0
    assert change[np.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) < 0.9 * anatomy.disc_radius].max() < 0.02


def test_lesions_of_retinopathy_come_by_grade(pictures):
    image, anatomy = pictures["fundus"]
    draw = courses("fundus").draw
    for seed in range(3):
        mild = draw(image, "diabetic retinopathy", 0.25, seed=seed, anatomy=anatomy) - image
        severe = draw(image, "diabetic retinopathy", 0.85, seed=seed, anatomy=anatomy) - image
        assert mild.max() < 0.02  # microaneurysms alone: nothing brightens
        assert severe[..., 1].max() > 0.05 and (severe[..., 1] < -0.05).sum() > 4 * (mild[..., 1] < -0.05).sum()
        count, _ = cv2.connectedComponents((np.abs(mild[..., 1]) > 0.02).astype(np.uint8))
        assert count > 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"finding": "acne"}, "finding: got 'acne'"),
        ({"severity": 1.5}, "severity: got 1.5"),
        ({"severity": float("nan")}, "severity: got nan"),
        ({"side": "both"}, "side: got 'both'"),
        ({"image": np.zeros((256, 256), np.float32)}, "image: got shape"),
        ({"image": np.full((256, 256, 3), 0.5, np.float32)}, "image: got no"),
    ],
)
@pytest.mark.parametrize(("domain", "finding"), CASES)
def test_wrong_arguments_are_named(pictures, domain, finding, arguments, words):
    given = {"image": pictures[domain][0], "finding": finding, "severity": 0.5} | arguments
    with pytest.raises(ValueError, match=words):
        courses(domain).draw(**given)


def test_a_photograph_is_made_ready_to_draw_on(pictures):
    image, anatomy = pictures["fundus"]
    marked = cv2.circle(image.copy(), (128, 128), 60, (0.0, 0.9, 0.1), 1)
    outline = marked[..., 1] > 0.85
    assert np.abs(without_outline(marked) - image)[outline].mean() < 0.1 * np.abs(marked - image)[outline].mean()
    assert without_outline(image) is image
    wide = np.pad(image, ((0, 0), (100, 60), (0, 0)))
    whole = square(wide, 128)
    assert whole.shape == (128, 128, 3) and (whole.max(axis=2) > 0.1)[64, [4, 123]].all()
    # painted over, lesions are fewer than before
    sick = courses("fundus").draw(image, "diabetic retinopathy", 0.5, seed=2, anatomy=anatomy)
    clean, share = cleared(sick, anatomy)
    lesions = np.abs(sick - image).max(axis=2) > 0.05
    assert 0 < share < 0.3 and np.abs(clean - image)[lesions].mean() < 0.7 * np.abs(sick - image)[lesions].mean()


def test_random_fields_are_what_they_say():
    field = fractal((90, 120), 20, np.random.default_rng(1))
    assert field.shape == (90, 120) and abs(field.mean()) < 1e-3 and abs(field.std() - 1) < 1e-2
    angle = np.linspace(-np.pi, np.pi, 400)
    ring = ring_noise(angle, (2, 5), np.random.default_rng(1))
    assert abs(ring[0] - ring[-1]) < 1e-3
    assert smooth_step(np.array([-1.0, 0.5, 3.0]), 0, 1).tolist() == [0.0, 0.5, 1.0]


def test_training_examples_are_drawn_on_pictures_large_enough(pictures, tmp_path):
    large = phantom("fundus").render(phantom("fundus").sample_patient(3), size=DRAWN_AT["fundus"])
    cv2.imwrite(str(tmp_path / "eye.png"), np.round(large[..., ::-1] * 255))
    (tmp_path / "table.csv").write_text("file,labels,split\neye.png,no finding,train\n", encoding="utf-8")
    table = read(tmp_path / "table.csv", domain="fundus")
    examples = list(Examples(table, "train", 2, size=128, shares=(1, 0, 0)))
    assert [image.shape for _, image, _ in examples] == [(128, 128, 3)] * 2
    assert sorted(e.finding for _, _, e in examples) == ["", "diabetic retinopathy"]
    assert all(("retinopathy" in e.caption) == bool(e.finding) for _, _, e in examples)


def test_a_bench_draws_on_what_lacks_the_finding_and_counts_what_cannot_be_drawn_on(pictures, tmp_path):
    image, _ = pictures["skin"]
    cv2.imwrite(str(tmp_path / "mole.png"), np.round(image[..., ::-1] * 255))
    cv2.imwrite(str(tmp_path / "skin.png"), np.full((256, 256, 3), 200, np.uint8))
    rows = ["file,label,split", "mole.png,nevus,val", "skin.png,nevus,val"]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    films = read_films(tmp_path / "table.csv", "skin")
    assert [film.image.shape for film in films] == [(256, 256, 3)] * 2
    drawn, without = draw_all("skin", films, [0, 1], (0.85,))
    assert without == 1 and [d.finding for d in drawn] == ["", "melanoma", "seborrheic keratosis"]


def test_lesions_are_counted_alike_in_drawn_and_real_photographs(pictures):
    image, anatomy = pictures["fundus"]
    before = spots(image, anatomy)
    after = spots(courses("fundus").draw(image, "diabetic retinopathy", 0.9, seed=4, anatomy=anatomy), anatomy)
    for kind in ("dark", "bright"):
        assert len(after[kind].areas) > len(before[kind].areas) + 5
    assert np.median(after["bright"].colors, axis=0)[1] > 1.02 > 0.98 > np.median(after["dark"].colors, axis=0)[1]
    assert row([after["dark"]])[1].startswith(str(len(after["dark"].areas)))
