"""What is told of pictures that are no upright frontal chest film."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mvgen.mvg import film_check
from mvgen.mvg.film_check import film_notes, look
from mvgen.mvg.inspection import inspect_file
from mvgen.mvg.picture_file import read_picture
from mvgen.research.bench.bad_input import MADE, table
from mvgen.research.phantom import chest_xray
from mvgen.samples.make import FOLDER
from scipy.stats import rankdata

FILMS = [FOLDER / "chest_xray.png", FOLDER / "chest_xray_later.png", *sorted((FOLDER / "chest_xray_healthy").iterdir())]


def gray(path: Path) -> np.ndarray:
    return read_picture(path).image[..., 0].numpy()


@pytest.mark.parametrize("path", FILMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind or "as it is")
def test_films_are_told_from_what_was_done_to_them(path, kind):
    assert look(MADE[kind](gray(path))) == kind


@pytest.mark.parametrize("size", [64, 200, 1000])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_neither_size_nor_exposure_matters(size, gamma):
    film = cv2.resize(gray(FILMS[0]), (size, size), interpolation=cv2.INTER_AREA) ** gamma
    assert look(0.2 + 0.5 * film) == ""
    assert look(film[::-1]) == "upside down"
    wide = np.pad(film, ((0, 0), (size // 4, size // 4)))
    assert look(wide) == "" and look(1 - wide) == "inverted", (
        "the centre is looked at, as Load Medical Image cuts it out"
    )


def test_what_is_no_film_is_told_and_what_is_blank_is_not():
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    for picture in (np.exp(-4 * (x**2 + y**2)), np.random.default_rng(0).random((256, 256)), np.sin(9 * x) * y):
        assert look(picture.astype(np.float32)) == "no frontal film"
    assert look(gray(FOLDER / "skin.png")) == "no frontal film"
    assert look(np.full((50, 60), 0.3)) == ""


def test_phantoms_are_films():
    seen = [look(chest_xray.render(chest_xray.sample_patient(seed))) for seed in range(40)]
    assert seen == [""] * 40


def test_ranks_are_those_of_scipy():
    image = np.random.default_rng(1).integers(0, 9, (7, 8))
    want = rankdata(image).reshape(7, 8)
    want = (want - want.mean()) / np.linalg.norm(want - want.mean())
    np.testing.assert_allclose(film_check.ranks(image), want, atol=1e-12)


def test_left_and_right_are_not_told_apart():
    assert all(look(gray(path)[:, ::-1]) == "" for path in FILMS)


def test_a_batch_names_its_images_and_other_domains_are_left_alone():
    film = read_picture(FILMS[0]).image
    images = torch.stack([film, film.flip(0), 1 - film, film.flip(0)])
    first, second = film_notes(images, "chest_xray")
    assert first.startswith("the image (2, 4 of the batch) seems to be upside down")
    assert second.startswith("the image (3 of the batch) seems to be inverted")
    assert film_notes(film.flip(0)[None], "chest_xray")[0].startswith("the image seems to be upside down: want")
    assert film_notes(images, "fundus") == [] == film_notes(film[None], "chest_xray")
    many = film_notes(film.flip(0)[None].expand(12, -1, -1, -1), "chest_xray")[0]
    assert many.startswith("the image (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ... of the batch) seems")


def test_inspect_tells_it(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.round(gray(FILMS[0])[::-1] * 255))
    assert any("seems to be upside down" in note for note in inspect_file(tmp_path / "a.png", "chest_xray")["notes"])
    assert not any("upside" in note for note in inspect_file(tmp_path / "a.png", "skin")["notes"])


def test_the_table_counts_right_and_wrong_notes():
    text = table({"": Counter({"": 98, "inverted": 2}), "inverted": Counter({"inverted": 3, "": 1}), "cat": Counter()})
    assert "| a film as it is | 100 | 2.0 % (0.6 to 7.0) | none wanted | inverted 2 |" in text
    assert (
        "| inverted | 4 | 75.0 % (30.1 to 95.4) | 75.0 % (30.1 to 95.4) |  |" in text
        and "| cat | 0 | - | - |  |" in text
    )
