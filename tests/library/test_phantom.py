"""Phantom patients: determinism, anatomy and disease apart, and the caption grammar."""

import numpy as np
import pytest
from mvgen.mvg.domains.severity import band_of
from mvgen.research.phantom import captions, chest_xray


def test_a_seed_is_a_patient_and_streams_never_meet():
    image = chest_xray.render(chest_xray.sample_patient(3))
    assert np.array_equal(image, chest_xray.render(chest_xray.sample_patient(3)))
    assert not np.array_equal(image, chest_xray.render(chest_xray.sample_patient(4)))
    assert not np.array_equal(image, chest_xray.render(chest_xray.sample_patient(3, chest_xray.TRAINING)))
    assert image.shape == (128, 128) and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("finding", chest_xray.FINDINGS)
def test_severity_changes_the_region_of_interest_and_nothing_else(finding):
    patient = chest_xray.sample_patient(11)
    healthy = chest_xray.render(patient)
    region = chest_xray.roi(patient, finding)
    changes = [np.abs(chest_xray.render(patient, {finding: s}) - healthy) for s in (0.25, 0.55, 0.85)]
    inside = [float((c * region).sum()) for c in changes]
    assert inside[0] < inside[1] < inside[2]
    assert changes[2][region == 0].mean() < 0.002
    assert 0.02 < region.mean() < 0.7


def test_severity_zero_is_the_healthy_image():
    patient = chest_xray.sample_patient(5)
    assert np.array_equal(
        chest_xray.render(patient, dict.fromkeys(chest_xray.FINDINGS, 0.0)), chest_xray.render(patient)
    )


def test_effusion_is_on_the_patients_side():
    patient = next(p for p in map(chest_xray.sample_patient, range(50)) if p.sides["pleural effusion"] == "left")
    change = np.abs(chest_xray.render(patient, {"pleural effusion": 0.9}) - chest_xray.render(patient))
    assert change[:, 64:].sum() > 20 * change[:, :60].sum()  # the patient's left is on the image's right


def test_cardiomegaly_widens_the_heart():
    patient = chest_xray.sample_patient(2)
    x, y = chest_xray._grid(patient, 128)
    widths = [
        (chest_xray._heart(patient, x, y, s) > 0.5).any(axis=0).sum() / 128 / (2 * patient.lungs[1].outer)
        for s in (0.0, 0.5, 1.0)
    ]
    assert 0.35 < widths[0] < widths[1] < widths[2] < 0.85  # cardiothoracic ratio
    assert widths[0] < 0.50 < 0.55 < widths[2]  # 0.5 is the usual limit of normal


def test_size_is_free():
    patient = chest_xray.sample_patient(8)
    small, large = chest_xray.render(patient, size=64), chest_xray.render(patient, size=256)
    shrunk = large.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 0.01


@pytest.mark.parametrize(
    "severities, message",
    [({"gout": 0.5}, "gout"), ({"edema": 1.5}, "edema: got 1.5"), ({"edema": float("nan")}, "edema: got nan")],
)
def test_bad_severities_are_refused(severities, message):
    with pytest.raises(ValueError, match=message):
        chest_xray.render(chest_xray.sample_patient(0), severities)


def test_captions():
    sides = {"pleural effusion": "left", "consolidation": "right"}
    assert captions.caption({}, sides) == "frontal chest x-ray, no finding"
    both = captions.caption({"pleural effusion": 0.85, "edema": 0.2, "cardiomegaly": 0.05}, sides)
    assert both == "frontal chest x-ray, mild edema, severe left pleural effusion"
    varied = {captions.caption({"edema": 0.5}, sides, np.random.default_rng(i)) for i in range(40)}
    assert "frontal chest x-ray, moderate edema" in varied and len(varied) > 2


@pytest.mark.parametrize(
    "severity, word", [(0.1, "mild"), (0.39, "mild"), (0.4, "moderate"), (0.7, "severe"), (1.0, "severe")]
)
def test_severity_words(severity, word):
    assert band_of(severity) == word


def test_severity_word_below_the_bands():
    with pytest.raises(ValueError, match=r"severity: got 0\.05"):
        band_of(0.05)
