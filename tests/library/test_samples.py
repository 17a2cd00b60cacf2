"""The bundled examples: small, credited, of the val split and of real pictures that the product understands."""

import csv
from pathlib import Path

import numpy as np
import pytest
from mvgen.launch import host
from mvgen.mvg.picture_file import read_picture
from mvgen.mvg.regions import chest
from mvgen.research.courses import courses
from mvgen.research.courses.fundus_photographs import VALIDATION
from mvgen.samples import make

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = sorted(p for p in make.FOLDER.rglob("*") if p.suffix in host.SAMPLE_SUFFIXES)
IMAGES = [p for p in FILES if p.suffix != ".txt"]


def test_each_is_small_and_in_the_credits():
    credits = (make.FOLDER / "README.md").read_text("utf-8")
    most = {".jpg": 60_000, ".png": 150_000, ".dcm": 150_000}
    for path in IMAGES:
        assert path.stat().st_size <= most[path.suffix], path
        name = path.name if path.parent == make.FOLDER else f"{path.parent.name}/"
        assert f"`{name}`" in credits, path


def test_the_film_is_one_to_draw_on_and_so_is_its_dicom_file():
    film, dicom = (read_picture(make.FOLDER / f"chest_xray.{kind}").image for kind in ("png", "dcm"))
    for image in (film, dicom):
        assert chest.locate(image[None]).fitted
        assert courses("chest_xray").fit(image[..., 0].numpy()) is not None
    assert float((film - film.mean()).std()) == pytest.approx(float((dicom - dicom.mean()).std()), abs=0.01)


def test_the_others_are_too():
    skin, fundus = (read_picture(make.FOLDER / f"{name}.png").image.numpy() for name in ("skin", "fundus"))
    assert courses("skin").fit(skin) is not None and courses("fundus").fit(fundus) is not None


def test_films_that_an_earlier_version_drew_leave_the_input_folder(tmp_path):
    for name in ("mvg_chest_xray_healthy/01.png", "mvg_chest_xray_effusion/16.png", "mvg_chest_xray_healthy/mine.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    host.copy_samples(tmp_path)
    left = {p.name for p in (tmp_path / "mvg_chest_xray_healthy").iterdir()}
    assert left == {f"{n:02d}.jpg" for n in range(1, 9)} | {"mine.png"}
    assert not (tmp_path / "mvg_chest_xray_effusion" / "16.png").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="the sources of the examples are not here")
def test_they_are_of_the_val_split_and_can_be_made_again(tmp_path):
    split = {}
    for table in ("cxr.csv", "skin.csv"):
        with (DATA / "train" / table).open(newline="") as file:
            split |= {f"train/{row['file']}": (row["split"], row.get("patient")) for row in csv.DictReader(file)}
    films = [f"train/cxr/{name}.jpg" for names in make.SETS.values() for name in names]
    assert {split[name][0] for name in (*make.PICTURES.values(), *films)} == {"val"}
    assert Path(make.FUNDUS).stem in VALIDATION
    patients = [split[name][1] for name in films]
    assert len(set(patients)) == 16 and split[make.FILM][1] not in patients
    make.write(DATA, tmp_path)
    for path in IMAGES:
        made, kept = (read_picture(p).image.numpy() for p in (tmp_path / path.relative_to(make.FOLDER), path))
        assert np.array_equal(made, kept), path
