"""The skin phantom: a nevus and the melanoma it becomes, determinism, and the ABCD facts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from mvgen.research.phantom import skin

SEVERITIES = (0.0, 0.25, 0.55, 0.85)


def test_a_seed_is_a_patient_and_streams_never_meet():
    image = skin.render(skin.sample_patient(3))
    assert np.array_equal(image, skin.render(skin.sample_patient(3)))
    assert not np.array_equal(image, skin.render(skin.sample_patient(4)))
    assert not np.array_equal(image, skin.render(skin.sample_patient(3, skin.TRAINING)))
    assert image.shape == (128, 128, 3) and image.dtype == np.float32
    assert not skin.sample_patient(3).sides


@pytest.mark.parametrize("seed", range(6))
def test_severity_changes_the_region_of_interest_and_nothing_else(seed):
    patient = skin.sample_patient(seed)
    nevus, region = skin.render(patient), skin.roi(patient, "melanoma")
    changes = [np.abs(skin.render(patient, {"melanoma": s}) - nevus).mean(axis=-1) for s in (*SEVERITIES, 1.0)]
    inside = [float((c * region).sum() / region.sum()) for c in changes]
    assert inside[0] == 0 and np.all(np.diff(inside) > 0)
    assert 0.1 < inside[3] < 0.25
    assert max(c[region == 0].max() for c in changes) < 1e-4
    assert 0.15 < region.mean() < 0.7


def test_the_change_is_about_even():
    patient = skin.sample_patient(1)
    frames = [skin.render(patient, {"melanoma": s}) for s in np.linspace(0.1, 0.9, 17)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 2.2 * min(steps)


@pytest.mark.parametrize("seed", range(6))
def test_the_facts_of_the_abcd_rule_grow(seed):
    facts = np.array([skin.abcd(skin.sample_patient(seed), s) for s in SEVERITIES])
    assert np.all(np.diff(facts, axis=0) > 0)
    area, asymmetry, colour_variety, diameter = facts.T
    assert area[3] > 2.5 * area[0] and diameter[3] > 1.6 * diameter[0]
    assert asymmetry[0] < 0.10 and colour_variety[3] > 1.35 * colour_variety[0]


def test_the_facts_agree_with_the_outline_of_a_circle():
    patient = skin.sample_patient(0)
    circle = replace(patient.nevus, centre=(0.5, 0.5), radius=0.15, ellipticity=0.0, outline=np.zeros((3, 2)))
    facts = skin.abcd(replace(patient, nevus=circle), 0.0)
    assert facts.area == pytest.approx(np.pi * 0.15**2, rel=0.02)
    assert facts.diameter == pytest.approx(0.30, abs=0.015)
    assert facts.asymmetry < 0.03


@pytest.mark.parametrize("seed", range(6))
def test_it_grows_along_the_nevus_towards_its_darker_end(seed):
    patient = skin.sample_patient(seed)
    axis = np.array([np.cos(patient.nevus.axis), np.sin(patient.nevus.axis)])
    y, x = np.mgrid[:128, :128]

    def along(weight):
        return axis @ np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()

    before = skin.lesion_mask(patient)
    bare = replace(patient, hairs=np.empty((0, 7)))
    assert along(before * (1 - skin.render(bare).mean(axis=-1))) > along(before) + 0.3  # visibly darker, in pixels
    assert along(skin.lesion_mask(patient, 0.85)) > along(before) + 2


@pytest.mark.parametrize("stream", [skin.EVALUATION, skin.TRAINING])
def test_every_picture_is_in_range(stream):
    for seed in range(12):
        patient = skin.sample_patient(seed, stream)
        for severity in (0.0, 1.0):
            image = skin.render(patient, {"melanoma": severity})
            mask = skin.lesion_mask(patient, severity)
            assert image.min() >= 0 and image.max() <= 1 and np.isfinite(image).all()
            assert mask.min() >= 0 and mask.max() <= 1 and mask.dtype == np.float32


def test_size_is_free():
    patient = skin.sample_patient(8)
    small, large = (skin.render(patient, {"melanoma": 0.6}, size) for size in (64, 256))
    shrunk = large.reshape(64, 4, 64, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 0.015


@pytest.mark.parametrize(
    "severities, message",
    [
        ({"edema": 0.5}, "edema"),
        ({"melanoma": 1.5}, "melanoma: got 1.5"),
        ({"melanoma": -0.1}, "melanoma: got -0.1"),
        ({"melanoma": float("nan")}, "melanoma: got nan"),
    ],
)
def test_bad_severities_are_refused(severities, message):
    with pytest.raises(ValueError, match=message):
        skin.render(skin.sample_patient(0), severities)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="seed: got -1"):
        skin.sample_patient(-1)
    with pytest.raises(ValueError, match="melanoma: got 2"):
        skin.lesion_mask(skin.sample_patient(0), 2)
    with pytest.raises(ValueError, match="gout"):
        skin.roi(skin.sample_patient(0), "gout")
