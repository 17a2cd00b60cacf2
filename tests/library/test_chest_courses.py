"""Courses drawn on chest films: on phantoms for what must hold, and on real films where they are at hand."""

import csv
from itertools import pairwise

import cv2
import numpy as np
import pytest
from mvgen.models.standalone_host import ROOT
from mvgen.research.courses import contact_sheet, courses
from mvgen.research.courses.chest import FINDINGS, SIDED, cardiomegaly, draw, film, fit
from mvgen.research.phantom import chest_xray

DATA = ROOT.parent / "shared" / "data" / "train"
SIZE = 256
STAGES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)


def _side(finding: str, side: str = "left") -> str:
    return side if finding in SIDED else ""


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return chest_xray.render(chest_xray.sample_patient(0), size=SIZE).astype(np.float32)


@pytest.fixture(scope="module")
def anatomy(image):
    found = fit(image)
    assert found is not None
    return found


def test_the_anatomy_is_the_phantoms_own(image, anatomy):
    patient = chest_xray.sample_patient(0)
    for lung, side in zip(patient.lungs, ("right", "left"), strict=True):
        assert lung.sign == anatomy.lungs[side].sign
    truth = cv2.resize(chest_xray.lung_mask(patient), (SIZE, SIZE)) > 0.5
    found = anatomy.fields > 0.5
    assert (truth & found).sum() / (truth | found).sum() > 0.8


@pytest.mark.parametrize("finding", FINDINGS)
def test_severity_zero_is_the_film_and_more_is_further_from_it(image, anatomy, finding):
    stages = [draw(image, finding, s, _side(finding), 3, anatomy) for s in STAGES]
    assert np.array_equal(stages[0], image)
    for stage in stages:
        assert stage.dtype == np.float32 and stage.shape == image.shape and 0 <= stage.min() <= stage.max() <= 1
    change = [float(np.abs(stage - image).mean()) for stage in stages]
    assert np.all(np.diff(change) > 0)
    small = draw(image, finding, 0.004, _side(finding), 3, anatomy)
    assert 0 < np.abs(small - image).mean() < 0.06 * change[-1]  # nothing jumps into the film
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(stages)]
    assert max(steps) < 0.5 * change[-1]


@pytest.mark.parametrize("finding", FINDINGS)
def test_equal_seeds_are_equal_and_other_seeds_are_not(image, anatomy, finding):
    one = draw(image, finding, 0.8, _side(finding), 5, anatomy)
    assert np.array_equal(one, draw(image, finding, 0.8, _side(finding), 5))
    assert not np.array_equal(one, draw(image, finding, 0.8, _side(finding), 6, anatomy))


@pytest.mark.parametrize("finding", SIDED)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_side_is_the_patients(image, anatomy, finding, side):
    change = np.abs(draw(image, finding, 0.5, side, 7, anatomy) - image)
    right, left = (float(change[anatomy.lungs[name].field > 0.5].mean()) for name in ("right", "left"))
    ours, other = (left, right) if side == "left" else (right, left)
    assert ours > 3 * other


@pytest.mark.parametrize("finding", FINDINGS)
def test_what_lies_outside_of_the_chest_is_untouched(image, anatomy, finding):
    rng = np.random.default_rng(1)
    for severity in (0.4, 1.0):
        drawn = draw(image, finding, severity, _side(finding, "bilateral"), int(rng.integers(99)), anatomy)
        top = int(min(lung.top for lung in anatomy.lungs.values()))
        assert np.array_equal(drawn[: top - 16], image[: top - 16])
        x = np.arange(SIZE)[None]
        outside = (x < anatomy.lungs["right"].lateral[:, None] - 26) | (x > anatomy.lungs["left"].lateral[:, None] + 26)
        assert np.array_equal(drawn[outside], image[outside])


def test_effusion_hides_the_diaphragm_and_edema_does_not_brighten_the_heart(image, anatomy):
    lung = anatomy.lungs["right"]
    column = int(0.5 * (np.median(lung.medial) + np.median(lung.lateral)))
    floor = int(lung.floor[column])
    drawn = draw(image, "pleural effusion", 0.7, "right", 2, anatomy)

    def step(picture: np.ndarray) -> float:
        return float(picture[floor + 6 : floor + 10, column].mean() - picture[floor - 10 : floor - 6, column].mean())

    assert step(image) > 0.1
    assert abs(step(drawn)) < 0.25 * step(image)


def test_the_heart_grows_to_the_ratio_of_its_severity(anatomy):
    right, left = (anatomy.lungs[side] for side in ("right", "left"))
    rows = slice(int(0.5 * (left.top + left.foot)), int(min(left.foot, right.foot)))
    for severity in (0.0, 0.5, 1.0):
        wanted = cardiomegaly.ratio(anatomy, severity)
        to_right, to_left = (
            cardiomegaly.enlarged(anatomy, lung.field, wanted - anatomy.ratio, np.random.default_rng(4))[rows] > 0.5
            for lung in (right, left)
        )
        gap = to_left.argmax(axis=1) - (SIZE - 1 - to_right[:, ::-1].argmax(axis=1))
        assert gap.max() / (left.lateral - right.lateral).max() == pytest.approx(wanted, abs=0.05)


def test_the_same_course_at_another_size(image, anatomy):
    small = cv2.resize(image, (192, 192), interpolation=cv2.INTER_AREA)
    for finding in FINDINGS:
        here = draw(image, finding, 0.8, _side(finding), 9, anatomy) - image
        there = draw(small, finding, 0.8, _side(finding), 9) - small
        here = cv2.resize(here, (192, 192), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.75, finding


def test_attenuation_and_film_are_inverse():
    values = np.linspace(0, 1, 101, dtype=np.float32)
    assert film.to_film(film.to_attenuation(values)) == pytest.approx(values, abs=1e-6)


def test_what_is_no_chest_has_no_anatomy():
    noise = np.random.default_rng(0).random((SIZE, SIZE)).astype(np.float32)
    for picture in (noise, np.full((SIZE, SIZE), 0.5, np.float32), np.zeros((SIZE, SIZE), np.float32)):
        assert fit(picture) is None
        with pytest.raises(ValueError, match="no two whole lungs"):
            draw(picture, "edema", 0.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fracture", 0.5, "", 0), "finding: got 'fracture', want one of pleural effusion"),
        (("edema", 1.5, "", 0), r"severity: got 1.5, want a value in \[0, 1\]"),
        (("edema", 0.5, "left", 0), "side of edema: got 'left', want none"),
        (("pleural effusion", 0.5, "", 0), "side of pleural effusion: got '', want left or right or bilateral"),
    ],
)
def test_bad_input_is_named(image, anatomy, arguments, words):
    with pytest.raises(ValueError, match=words):
        draw(image, *arguments, anatomy)
    with pytest.raises(ValueError, match=r"image: got shape \(64, 64\), want"):
        fit(np.zeros((64, 64), np.float32))
    with pytest.raises(ValueError, match="image: got values from"):
        fit(np.full((SIZE, SIZE), 2.0, np.float32))
    with pytest.raises(ValueError, match="domain: got 'brain'"):
        courses("brain")


def test_contact_sheet(image):
    sheet = contact_sheet([[image, image], [image[:128]]], ["", "b"], tile=64)
    assert sheet.shape == (128, 128, 3) and sheet.dtype == np.uint8
    assert not sheet[64:, 64:].any()


@pytest.mark.skipif(not (DATA / "cxr.csv").exists(), reason="the real films are not at hand")
def test_nine_of_ten_films_without_finding_have_an_anatomy():
    with (DATA / "cxr.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["labels"] == "No Finding" and row["split"] == "val"][:24]
    films = [cv2.imread(str(DATA / row["file"]), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255 for row in rows]
    assert sum(fit(picture) is not None for picture in films) >= 0.8 * len(films)
