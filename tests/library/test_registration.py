"""Registration: known motions of phantom films come back, and what cannot be registered says so."""

import cv2
import numpy as np
import pytest
import torch
from mvgen.mvg.metrics.registration import red_cyan, register
from mvgen.research.phantom.chest_xray import render, sample_patient

SIZE = 128


def image(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32))[..., None].expand(-1, -1, 3).contiguous()


def moved(film: np.ndarray, angle: float, shift: tuple[float, float], scale: float = 1.0):
    """The film after a motion of the patient, and that motion: the place of each of its pixels in the new film."""
    size = len(film)
    motion = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, scale)
    motion[:, 2] += shift
    later = cv2.warpAffine(film, motion, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(later, 0, 1), motion


def error(found: torch.Tensor, motion: np.ndarray, size: int = SIZE) -> float:
    """The largest distance in pixels over the whole image: it is at a corner."""
    corners = np.array([[x, y, 1] for x in (0, size - 1) for y in (0, size - 1)])
    return float(np.linalg.norm(corners @ (found.numpy() - motion).T, axis=1).max())


@pytest.mark.parametrize("disease", [{}, {"pleural effusion": 0.6}, {"cardiomegaly": 0.9}, {"edema": 0.8}])
@pytest.mark.parametrize(("angle", "shift"), [(0, (0, 12)), (3, (5, -4)), (-6, (-8, 6))])
def test_a_rigid_motion_comes_back_whatever_the_disease_did(disease, angle, shift):
    patient = sample_patient(3)
    later, motion = moved(render(patient, disease, SIZE), angle, shift)
    found = register(image(0.8 * later + 0.1), image(render(patient, size=SIZE)), "rigid")
    assert error(found.matrix, motion) < 1
    assert found.after > found.before and found.note == "registered (rigid)"
    linear = found.matrix[:, :2]
    assert torch.allclose(linear @ linear.T, torch.eye(2, dtype=torch.float64), atol=1e-5)


def test_an_affine_motion_comes_back_and_the_image_with_it():
    film = render(sample_patient(1), size=200)
    later, motion = moved(film, 2, (4, 3), scale=1.04)
    found = register(image(later), image(film), "affine")
    assert error(found.matrix, motion, 200) < 1
    difference = (found.image - image(film)).abs().mean(-1)
    assert found.image.shape == (200, 200, 3) and found.valid.shape == (200, 200)
    assert float(difference[found.valid].mean()) < 0.01 < float((image(later) - image(film)).abs().mean())


def test_valid_marks_what_the_later_image_shows():
    film = render(sample_patient(2), size=SIZE)
    later, _ = moved(film, 0, (0, 10))
    found = register(image(later), image(film))
    rows = found.valid.double().mean(1)
    assert rows[:110].min() == 1 and rows[-8:].max() == 0


def test_registered_already_is_kept_bit_for_bit():
    film = image(render(sample_patient(4), size=SIZE))
    found = register(film, film)
    assert torch.equal(found.image, film) and found.valid.all()
    assert torch.equal(found.matrix, torch.eye(2, 3, dtype=torch.float64))
    assert found.before == found.after == pytest.approx(1) and "kept" in found.note


def test_it_is_deterministic():
    film = render(sample_patient(5), size=SIZE)
    later, _ = moved(film, 4, (3, 3))
    first, second = (register(image(later), image(film), "affine") for _ in range(2))
    assert torch.equal(first.matrix, second.matrix) and torch.equal(first.image, second.image)


def test_noise_keeps_the_identity_or_correlates_better():
    noise, film = np.random.default_rng(0).random((SIZE, SIZE)), render(sample_patient(6), size=SIZE)
    found = register(image(noise), image(film))
    assert found.after >= found.before
    assert "registered" in found.note or torch.equal(found.image, image(noise))


def test_bad_images_are_refused_by_name():
    film = image(render(sample_patient(0), size=32))
    nan = film.clone()
    nan[3, 3] = torch.nan
    for later, earlier, motion, words in (
        (film[:16], film, "rigid", r"later: got \(16, 32, 3\)"),
        (nan, film, "rigid", "later: got values that are not finite"),
        (film, nan, "rigid", "earlier: got values that are not finite"),
        (torch.full_like(film, 0.5), film, "rigid", "later: got a constant image"),
        (film, torch.zeros_like(film), "rigid", "earlier: got a constant image"),
        (film, film, "elastic", "motion: got 'elastic', want one of rigid, affine"),
    ):
        with pytest.raises(ValueError, match=words):
            register(later, earlier, motion)


def test_red_cyan():
    one, two = torch.full((2, 2, 3), 0.25), torch.full((2, 2, 1), 0.75)
    assert red_cyan(one, two)[0, 0].tolist() == [0.25, 0.75, 0.75]
