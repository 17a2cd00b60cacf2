"""mvg/regions: regions of retinopathy and melanoma, on phantoms whose truth is known and on real photographs."""

import csv
import math
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from mvgen.mvg.regions import fundus as fundus_region
from mvgen.mvg.regions import roi_mask
from mvgen.mvg.regions import skin as skin_region
from mvgen.research.bench.anatomy import DATA, dice
from mvgen.research.bench.patients import patients as bench_patients
from mvgen.research.bench.patients import scored_findings
from mvgen.research.phantom import fundus, skin
from PIL import Image

PATIENTS = range(6000, 6024)
PHANTOMS = {"fundus": (fundus, fundus_region.fundus_roi), "skin": (skin, skin_region.skin_roi)}
RETINA, MELANOMA = fundus.FINDINGS[0], skin.FINDINGS[0]


def as_image(picture):
    return torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32))[None]


@cache
def healthy(domain, size=128):
    module, _ = PHANTOMS[domain]
    return as_image(module.render(module.sample_patient(6000), {}, size))


def coverage(domain, seed, severity, size=128):
    """(share of the true region found, area of the region over the true one's)."""
    module, roi = PHANTOMS[domain]
    patient, finding = module.sample_patient(seed), module.FINDINGS[0]
    truth = module.roi(patient, finding, size) > 0.5
    found = roi(as_image(module.render(patient, {finding: severity}, size)))[0].numpy() > 0.5
    return float((found & truth).sum() / truth.sum()), float(found.sum() / truth.sum())


def real(domain):
    """Files of the real photographs of a domain; none where they are absent."""
    manifest = DATA / "manifest.csv"
    if not manifest.is_file():
        return []
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["domain"] == domain]
    return [DATA / row["file"] for row in rows if (DATA / row["file"]).is_file()]


def photograph(path):
    return as_image(np.asarray(Image.open(path).convert("RGB")) / np.float32(255))


@pytest.mark.parametrize("severity", [0.0, 0.5])
@pytest.mark.parametrize("domain", PHANTOMS)
def test_a_region_covers_what_the_disease_changes(domain, severity):
    covered, area = np.array([coverage(domain, seed, severity) for seed in PATIENTS]).T
    assert covered.mean() >= 0.9 and covered.min() >= 0.8
    assert area.max() <= 2.5 and area.mean() <= 1.8


@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_disc_and_fovea_of_phantoms(severity):
    for seed in PATIENTS[:12]:
        patient = fundus.sample_patient(seed)
        found = fundus_region.find_fundus(as_image(fundus.render(patient, {RETINA: severity})))
        side = found.field.shape[0]
        for mine, true, radii in ((found.disc, patient.disc, 0.4), (found.fovea, patient.fovea, 0.8)):
            assert math.dist(np.add(mine, 0.5) / side, true) < radii * patient.disc_radius
        assert found.side == patient.side and found.disc_score > fundus_region.SURE_DISC
        assert dice(found.field, fundus.fundus_mask(patient, side) > 0.5) > 0.98


@pytest.mark.parametrize("severity", [0.0, 0.5])
def test_lesion_of_phantoms(severity):
    for seed in PATIENTS:
        patient = skin.sample_patient(seed)
        found = skin_region.find_lesion(as_image(skin.render(patient, {MELANOMA: severity})))
        assert dice(found.inside, skin.lesion_mask(patient, severity, len(found.inside)) > 0.5) > 0.9


def test_the_retinal_region_leaves_the_disc_and_the_dark_out():
    patient = fundus.sample_patient(6001)
    mask = fundus_region.fundus_roi(as_image(fundus.render(patient)))[0].numpy()
    row, column = (round(128 * value) for value in reversed(patient.disc))
    assert mask[row, column] < 0.05
    assert mask[fundus.fundus_mask(patient) == 0].mean() < 0.05
    row, column = (round(128 * value) for value in reversed(patient.fovea))
    assert mask[row, column] > 0.99


@pytest.mark.skipif(not real("fundus"), reason=f"no fundus photographs in {DATA}")
def test_real_fundus_photographs():
    on_disc, covered = [], []
    for path in real("fundus"):
        image = photograph(path)
        mask, words = fundus_region.fundus_roi(image)
        found = fundus_region.find_fundus(image)
        assert 0.4 < float((mask > 0.5).sum()) / (found.field.mean() * mask.numel()) < 1, path.name
        assert "guess" not in words, path.name
        box_file = path.parent.parent / "masks" / f"{path.stem}_discbox.png"
        if box_file.is_file():  # drawn by a reader
            box = np.argwhere(np.asarray(Image.open(box_file).convert("L")) > 127)
            (y0, x0), (y1, x1) = box.min(axis=0), box.max(axis=0)
            scale = image.shape[2] / found.field.shape[1]
            x, y = scale * (found.disc[0] + 0.5), scale * (found.disc[1] + 0.5)
            on_disc.append(x0 <= x <= x1 and y0 <= y <= y1)
        lesions_file = path.parent.parent / "masks" / f"{path.stem}_lesionboxes.png"
        if lesions_file.is_file():
            lesions = np.asarray(Image.open(lesions_file).convert("L")) > 127
            covered.append(float((mask.numpy()[lesions] > 0.5).mean()))
    assert all(on_disc)
    assert not covered or np.mean(covered) > 0.85  # the rest lies at the rim of the field, outside of the pole


@pytest.mark.skipif(not real("skin"), reason=f"no dermoscopic images in {DATA}")
def test_real_skin_photographs():
    overlaps = []
    for path in real("skin"):
        image = photograph(path)
        mask = skin_region.skin_roi(image)[0].numpy()
        found = skin_region.find_lesion(image)
        lesion = cv2.resize(found.inside.astype(np.float32), mask.shape[::-1]) > 0.5
        assert 0.005 < lesion.mean() < 0.6 and 0.03 < (mask > 0.5).mean() < 0.97, path.name
        assert (mask[lesion] > 0.5).mean() > 0.99, path.name
        drawn = path.parent.parent / "masks" / f"{'_'.join(path.stem.split('_')[:2])}_lesion.png"
        if drawn.is_file():
            truth = np.asarray(Image.open(drawn).convert("L")) > 127
            overlaps.append(dice(lesion, truth))
            assert (mask[truth] > 0.5).mean() > 0.95, path.name
    assert not overlaps or np.median(overlaps) > 0.8


@pytest.mark.parametrize("domain", PHANTOMS)
@pytest.mark.parametrize("size", [129, 331, 1024])
def test_other_sizes_give_the_same_region(domain, size):
    module, roi = PHANTOMS[domain]
    patient = module.sample_patient(6002)
    small, large = (roi(as_image(module.render(patient, {}, side)))[0].numpy() for side in (128, size))
    assert large.shape == (size, size)
    assert dice(cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA) > 0.5, small > 0.5) > 0.95


@pytest.mark.parametrize("domain", PHANTOMS)
def test_a_wide_frame(domain):
    _, roi = PHANTOMS[domain]
    picture = healthy(domain)[0].numpy()
    edge = cv2.BORDER_REPLICATE if domain == "skin" else cv2.BORDER_CONSTANT
    wide = cv2.copyMakeBorder(picture, 0, 0, 31, 42, edge)
    found = roi(as_image(wide))[0]
    assert found.shape == (128, 201)
    assert dice(found.numpy()[:, 31:159] > 0.5, roi(healthy(domain))[0].numpy() > 0.5) > 0.9


@pytest.mark.parametrize("domain", PHANTOMS)
def test_a_region_is_soft_in_range_and_repeatable(domain):
    _, roi = PHANTOMS[domain]
    image = healthy(domain)
    kept = image.clone()
    mask, words = roi(image)
    assert mask.shape == (128, 128) and mask.dtype == torch.float32 and "found" in words
    assert mask.min() == 0 and 0.99 < mask.max() <= 1
    assert ((mask > 0.05) & (mask < 0.95)).sum() > 100
    assert torch.equal(roi(torch.cat([image, 1 - image]))[0], mask) and torch.equal(image, kept)


@pytest.mark.parametrize("domain", PHANTOMS)
def test_bad_input_is_named(domain):
    _, roi = PHANTOMS[domain]
    image = healthy(domain)
    for bad, message in (
        (image[0], r"image: got 3 axes, want \[B, H, W, 3\]"),
        (image[..., :1], "image: got 1 channels, want 3"),
        (image[:0], "image: got an empty batch"),
        (image[:, :31], "image: got 128 x 31 pixels, want at least 32 x 32"),
        (image[:, :, :0], "image: got 0 x 128 pixels"),
        (image * float("nan"), "image: got values that are not finite"),
        (image * 255, "image: got values from .* want them in"),
        (torch.zeros(1, 64, 64, 3), "image: got a constant picture"),
        (torch.full((1, 64, 64, 3), 0.5), "image: got a constant picture"),
        (image.mean(dim=-1, keepdim=True).repeat(1, 1, 1, 3), "image: got a gray picture"),
    ):
        with pytest.raises(ValueError, match=message):
            roi(bad)


def test_no_field_of_view_is_named():
    spark = torch.zeros(1, 128, 128, 3)
    spark[:, 55:75, 55:75] = torch.tensor([0.8, 0.4, 0.2])
    for bad in (spark, healthy("fundus").flip(-1)):  # too little lit; a blue eye
        with pytest.raises(ValueError, match="image: got no field of view"):
            fundus_region.fundus_roi(bad)


def test_no_lesion_is_named():
    patient = skin.sample_patient(6001)
    bare = skin._skin(patient, 128) * skin._light(patient, 128)[..., None] + skin._grain(patient, 128)
    with pytest.raises(ValueError, match="image: got no lesion that stands out from the skin"):
        skin_region.skin_roi(as_image(np.clip(bare, 0, 1)))


def test_a_small_circle_in_a_dark_frame():
    height, width = np.mgrid[:256, :256]
    inside = (np.hypot(height - 128, width - 128) < 88)[..., None]
    picture = skin.render(skin.sample_patient(6000), {}, 256)
    mask, words = skin_region.skin_roi(as_image(picture * inside))
    whole = skin_region.skin_roi(as_image(picture))[0]
    assert "lesion found" in words and dice(mask.numpy() > 0.5, whole.numpy() > 0.5) > 0.8


def test_a_picture_without_a_disc_says_so():
    assert "the disc is a guess" in fundus_region.fundus_roi(healthy("skin"))[1]


def test_hairs_are_no_lesion():
    haired = next(p for p in map(skin.sample_patient, PATIENTS) if len(p.hairs) >= 3)
    small = skin.render(haired, {}, 256)
    lines = skin._hair(haired, 256) > 0.9
    away = lines & (skin.lesion_mask(haired, 0.0, 256) < 0.01)
    before, after = small[away].mean(), skin_region._without_hairs(small)[away].mean()
    assert after - before > 0.15


@pytest.mark.parametrize("domain", ["chest_xray", "fundus", "skin"])
def test_the_plan_says_which_region(domain):
    patients = bench_patients(domain, scored_findings(domain)[0], [6000])
    mask, words = roi_mask(patients.images, patients.plans(1, "terminal")[0])
    assert mask.shape == patients.masks.shape and "found" in words
    assert torch.equal(mask, patients.masks)
    truth = patients.true_masks > 0.5
    assert float((mask[truth] > 0.5).float().mean()) >= 0.8
    both = patients.images.repeat(2, 1, 1, 1)
    again, more = roi_mask(both, patients.plans(1, "terminal")[0])
    assert torch.equal(again, mask) and more.startswith(f"{words}; of 2 pictures the first was looked at")
