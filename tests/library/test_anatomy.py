"""regions/chest.py: lung fields and the regions of findings, on phantoms whose anatomy is known and on real X-rays."""

import cv2
import numpy as np
import pytest
import torch
from mvgen.mvg.domains.chest_xray import CHEST_XRAY
from mvgen.mvg.domains.skin import SKIN
from mvgen.mvg.plan import NO_FINDING, Plan
from mvgen.mvg.regions import chest, roi_mask
from mvgen.research.bench.anatomy import DATA, as_image, coverage, dice, iou, phantoms, real_masks
from mvgen.research.phantom import captions, chest_xray
from mvgen.research.phantom.chest_xray import FINDINGS

PATIENTS = range(200, 206)
RULE = {finding: CHEST_XRAY.findings[finding].rule for finding in FINDINGS} | {NO_FINDING: CHEST_XRAY.rule}


@pytest.fixture(scope="module")
def picture():
    return as_image(chest_xray.render(chest_xray.sample_patient(200)))


@pytest.fixture(scope="module")
def place(picture):
    return chest.locate(picture)


def plan_of(finding, side="", domain="chest_xray"):
    return Plan(domain, finding, side, ())


def centre_x(mask):
    """Centre of mass in x as a fraction of the width."""
    return float((mask.sum(axis=0) * np.arange(mask.shape[1])).sum() / mask.sum()) / mask.shape[1]


@pytest.mark.parametrize(("finding", "mean"), [("", 0.9), *((finding, 0.8) for finding in FINDINGS)])
def test_lung_fields_of_phantoms(finding, mean):
    cases = [(chest.locate(as_image(image)), mask) for _, image, mask in phantoms(200, 5, finding, 128)]
    assert all(found.fitted for found, _ in cases)
    assert np.mean([dice(found.lungs > 0.5, mask) for found, mask in cases]) > mean


@pytest.mark.skipif(not next(real_masks(DATA), None), reason=f"no X-rays with lung masks in {DATA}")
def test_lung_fields_of_real_xrays():
    scores = [iou(chest.locate(as_image(image)).lungs > 0.5, mask) for _, image, mask in real_masks(DATA)]
    assert len(scores) >= 10 and np.mean(scores) >= 0.7


def test_sides_are_the_patients():
    for seed in PATIENTS:
        patient = chest_xray.sample_patient(seed)
        found = chest.locate(as_image(chest_xray.render(patient)))
        x, y = chest_xray._grid(patient, 128)
        for mine, lung in zip((found.right, found.left), patient.lungs, strict=True):  # sign -1, the right, comes first
            field = chest_xray._lung_edges(lung, patient, x, y)[1] * (1 - chest_xray._heart(patient, x, y, 0.0))
            assert dice(mine > 0.5, field > 0.5) > 0.85
        assert centre_x(found.right) < centre_x(found.heart) < centre_x(found.left)
        assert found.right_box[0] < found.left_box[0] and found.right_box[2] < found.left_box[2]


@pytest.mark.parametrize("finding", captions.sided("chest_xray"))
def test_a_sided_region_stays_on_its_side(place, finding):
    left, right = (chest.roi(place, RULE[finding], side) for side in ("left", "right"))
    middle = round(128 * centre_x(place.lungs))
    assert left[:, middle:].sum() > 0.98 * left.sum() and right[:, :middle].sum() > 0.98 * right.sum()
    both = chest.roi(place, RULE[finding], "bilateral")
    assert np.array_equal(both, chest.roi(place, RULE[finding]))
    assert (both >= np.maximum(left, right) - 1e-6).all()


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_region_covers_most_of_what_the_finding_changes(finding):
    covered, area = np.array([coverage(chest_xray.sample_patient(seed), finding, 128) for seed in PATIENTS]).T
    assert covered.mean() >= 0.9 and covered.min() > 0.8
    assert area.mean() <= 2.5  # times the area that changes


@pytest.mark.parametrize("finding", [*FINDINGS, NO_FINDING])
def test_a_region_is_soft_and_in_range(place, finding):
    region = chest.roi(place, RULE[finding])
    assert region.shape == (128, 128) and region.dtype == np.float32
    assert region.min() == 0 and 0.9 < region.max() <= 1
    assert ((region > 0.05) & (region < 0.95)).sum() > 30
    assert 0.03 < region.mean() < 0.7


def test_equal_images_give_equal_masks(picture):
    kept = picture.clone()
    first, _ = roi_mask(picture, plan_of("edema"))
    torch.manual_seed(1)
    chest.locate(1 - picture)
    again, _ = roi_mask(picture, plan_of("edema"))
    assert torch.equal(first, again) and torch.equal(picture, kept)
    assert first.shape == (1, 128, 128) and first.dtype == torch.float32
    assert torch.equal(roi_mask(torch.cat([picture, 1 - picture]), plan_of("edema"))[0], first)


@pytest.mark.parametrize("size", [(128, 200), (201, 131), (333, 77), (64, 64), (512, 512)])
def test_other_sizes(size):
    scores = []
    for _, image, mask in phantoms(200, 2, size=128):
        squeezed = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        wanted = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0.5
        found = chest.locate(as_image(squeezed))
        assert found.right.shape == found.left.shape == found.heart.shape == size
        for x0, y0, x1, y1 in (found.right_box, found.left_box):
            assert 0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0]
        scores.append(dice(found.lungs > 0.5, wanted))
    assert np.mean(scores) > 0.8
    assert roi_mask(as_image(squeezed), plan_of("cardiomegaly"))[0].shape == (1, *size)


@pytest.mark.parametrize("image", [torch.zeros(1, 128, 128, 3), torch.ones(1, 64, 96, 3)])
def test_an_empty_image_gets_the_usual_chest_and_a_warning(image):
    mask, note = roi_mask(image, plan_of("pleural effusion", "left"))
    assert "does not look like a frontal chest X-ray" in note and "draw a mask" in note
    assert centre_x(mask[0].numpy()) > 0.6


def test_the_note_of_a_found_chest(picture):
    assert roi_mask(picture, plan_of("edema"))[1].startswith("lung fields found (contrast 0.")


def test_bad_input_is_named(picture, place):
    for call, message in (
        (lambda: chest.locate(picture[0]), r"image: got 3 axes, want \[B, H, W, C\]"),
        (lambda: chest.locate(picture[:0]), "image: got an empty batch, want at least one picture"),
        (lambda: chest.locate(picture[:, :31]), "image: got 128 x 31 pixels, want at least 32 x 32"),
        (lambda: chest.locate(picture[:, :1, :1]), "image: got 1 x 1 pixels"),
        (lambda: chest.locate(picture * float("nan")), "image: got values that are not finite"),
        (lambda: chest.locate(picture / 0), "image: got values that are not finite"),
        (lambda: chest.roi(place, "gout"), "rule: got 'gout', want one of heart"),
        (lambda: chest.roi(place, "lungs", "up"), "side: got 'up', want one of left, right, bilateral"),
        (lambda: roi_mask(picture, plan_of("edema"), SKIN), "plan: got one for chest_xray, want skin"),
        (lambda: roi_mask(picture, plan_of("edema", domain="hand")), "domain: got 'hand', want one of chest_xray"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
