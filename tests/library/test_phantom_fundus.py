"""The fundus phantom: patient and disease are apart, and the future follows from what a healthy eye shows."""

from dataclasses import replace

import numpy as np
import pytest
from mvgen.research.phantom import captions, domains, fundus

FINDING = "diabetic retinopathy"
SEVERITIES = np.arange(1, 11) / 10


def drawn(patient, severity):
    return fundus.render(patient, {FINDING: severity})


def test_a_seed_is_a_patient():
    a, b = fundus.sample_patient(3), fundus.sample_patient(3)
    assert np.array_equal(drawn(a, 0.6), drawn(b, 0.6))
    others = fundus.sample_patient(4), fundus.sample_patient(3, fundus.TRAINING)
    assert all(np.abs(fundus.render(a) - fundus.render(other)).mean() > 0.01 for other in others)


def test_pictures_are_in_range_and_black_outside_the_field():
    for seed in range(4):
        patient = fundus.sample_patient(seed)
        for severity in (0.0, 0.5, 1.0):
            image = drawn(patient, severity)
            assert image.shape == (128, 128, 3) and image.dtype == np.float32
            assert image.min() >= 0 and image.max() <= 1
            assert image[fundus.fundus_mask(patient) == 0].max() < 0.06


@pytest.mark.parametrize("seed", range(4))
def test_the_change_grows_evenly_and_stays_in_the_region(seed):
    patient = fundus.sample_patient(seed)
    healthy, region = fundus.render(patient), fundus.roi(patient, FINDING)
    inside = [float((np.abs(drawn(patient, s) - healthy).mean(2) * region).sum() / region.sum()) for s in SEVERITIES]
    steps = np.diff(inside)
    assert (steps > 0).all() and steps.max() < 5 * steps.min()
    assert 0.03 < inside[-1] < 0.15
    change = np.abs(drawn(patient, 1.0) - healthy).mean(2)
    assert (change * (1 - region)).sum() < 0.02 * change.sum()


def test_most_of_the_future_follows_from_the_healthy_image(monkeypatch):
    """Without what the healthy image does not show (outlines, aneurysms) the drawing changes little."""
    noise = fundus._noise
    for seed in range(4):
        patient = fundus.sample_patient(seed)
        healthy, ill, region = fundus.render(patient), drawn(patient, 0.85), fundus.roi(patient, FINDING)[..., None]
        with monkeypatch.context() as patch:
            patch.setattr(fundus, "_noise", lambda p, kind, n, size: 0 if kind in (3, 4) else noise(p, kind, n, size))
            ruled = drawn(replace(patient, aneurysms=patient.aneurysms[:0]), 0.85)
        missed = (np.abs(ruled - ill) * region).sum() / (np.abs(ill - healthy) * region).sum()
        assert missed < 0.2


def test_grades():
    assert [fundus.grade(s) for s in (0, 0.09, 0.1, 0.4, 0.7, 0.9, 1)] == [0, 0, 1, 2, 3, 4, 4]
    with pytest.raises(ValueError, match=r"severity: got 1\.5"):
        fundus.grade(1.5)


def test_bad_input_is_named():
    patient = fundus.sample_patient(0)
    with pytest.raises(ValueError, match="edema"):
        fundus.render(patient, {"edema": 0.5})
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="severity of diabetic retinopathy"):
            drawn(patient, bad)
    with pytest.raises(ValueError, match="seed: got -1"):
        fundus.sample_patient(-1)


def test_every_domain_has_the_same_face():
    for name, module in domains.PHANTOMS.items():
        patient = module.sample_patient(1)
        finding = captions.FINDINGS[name][0]
        assert domains.picture(name, patient, {finding: 0.5}).shape == (module.SIZE, module.SIZE, 3)
        assert module.roi(patient, finding).shape == (module.SIZE, module.SIZE)
        assert set(domains.sides(name, patient)) == set(captions.sided(name))
    with pytest.raises(ValueError, match="domain: got 'brain'"):
        domains.phantom("brain")
