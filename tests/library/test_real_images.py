"""The measurements on real pictures: on phantoms that stand as the films of a small data set."""

import argparse

import cv2
import numpy as np
import pytest
import torch
from mvgen.models.standalone_host import use_host
from mvgen.mvg.plan import NO_FINDING
from mvgen.research.bench import judges as judges_bench
from mvgen.research.bench.bars import CONTROL, PIE, exit_code
from mvgen.research.bench.real_images import bad_input, distance, drawn, judges, later, memorisation, options, reader
from mvgen.research.bench.real_images.judges import Judge
from mvgen.research.bench.real_images.later_report import meaning_bars, pixel_bars
from mvgen.research.bench.real_images.pictures import as_image, courses_of, healthy_pictures, part_of
from mvgen.research.bench.real_images.round_trip import worst
from mvgen.research.bench.real_images.simulated import Simulator, severities
from mvgen.research.bench.workflow import workflow_settings
from mvgen.research.courses.dataset import is_judges
from mvgen.research.phantom import chest_xray
from mvgen.training.data import read

use_host()
EFFUSION = "pleural effusion"
QUICK = {"steps": 2, "refine": 0, "spacing": "as planned"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Twelve patients of train, three of val; one of these has an effusion on a second film."""
    folder = tmp_path_factory.mktemp("films")
    lines = ["file,patient,offset,labels,split,view,sex"]
    for i in range(16):
        patient = 14 if i == 15 else i
        person = chest_xray.sample_patient(patient)
        image = chest_xray.render(person, {EFFUSION: 0.9} if i in (3, 15) else {}, size=160)
        cv2.imwrite(str(folder / f"{i}.png"), np.round(image * 255).astype(np.uint8))
        label = "Effusion" if i in (3, 15) else "No Finding"
        lines.append(f"{i}.png,p{patient},{i},{label},{'val' if patient > 11 else 'train'},PA,F")
    (folder / "films.csv").write_text("\n".join(lines) + "\n")
    return read(folder / "films.csv", domain="chest_xray")


@pytest.fixture(scope="module")
def starts(table):
    return healthy_pictures(table, "val", 5, 128)


def test_pictures_are_of_val_and_one_a_patient(table, starts):
    assert sorted(start.patient for start in starts) == ["p12", "p13", "p14"]
    assert [s.patient for s in healthy_pictures(table, "val", 1, 128, first=1)] == [starts[1].patient]
    theirs = part_of(table, "judges")
    assert theirs and all(r.split == "train" and is_judges("chest_xray", r.patient) for r in theirs)
    with pytest.raises(ValueError, match="got 3 pictures of val"):
        healthy_pictures(table, "val", 5, 128, first=3)


def test_a_drawn_course_scores_as_the_truth_and_an_unchanged_picture_as_none(starts):
    case = courses_of(starts, EFFUSION)[0]
    planned = severities(2)
    truth, region = case.truth(planned), case.region((EFFUSION,))
    assert torch.equal(truth[0], case.image()) and truth.shape == (3, 128, 128, 3)
    found = drawn.measure(truth, truth, region, np.array(planned), planned)
    assert found["last"] == found["each"] == found["whole"] == found["severity_mae"] == 0
    still = truth[:1].expand_as(truth)
    found = drawn.measure(still, truth, region, np.zeros(3), planned)
    assert found["last"] == found["each"] == 1 and found["severity_mae"] == pytest.approx(0.6375)
    assert [c.side for c in courses_of(starts, EFFUSION, 1)] == ["right", "bilateral", "left"]


def test_a_course_that_is_made_is_not_made_again(starts, tmp_path, monkeypatch):
    settings = workflow_settings("chest_xray") | QUICK
    made = Simulator("chest_xray", 128, settings, tmp_path, batch=2)
    cases = courses_of(starts, EFFUSION)
    first = made.states(cases, PIE, 1)
    assert all(states.shape == (2, 128, 128, 3) for states in first)
    assert all(torch.allclose(s[0], c.image(), atol=1e-3) for s, c in zip(first, cases, strict=True))
    monkeypatch.setattr(Simulator, "_made", None)
    again = Simulator("chest_xray", 128, settings, tmp_path, batch=2)
    assert all(torch.equal(a, b) for a, b in zip(again.states(cases, PIE, 1), first, strict=True))
    other = Simulator("chest_xray", 128, settings | {"steps": 3}, tmp_path)
    assert other.path(cases[0], PIE, 1) != made.path(cases[0], PIE, 1) != made.path(cases[0], CONTROL, 1)


def test_the_reader_learns_from_pairs_and_is_read_back_as_it_was(table, starts, tmp_path):
    first, after, truth = reader.pairs(table, 20, seed=1)
    assert first.shape == after.shape == (20, 1, 128, 128) and truth.shape == (20, 5)
    still = truth.max(axis=1) == 0
    assert still.any() and (first[still] == after[still]).all()
    assert (np.abs(first[~still].astype(int) - after[~still]).max(axis=(1, 2, 3)) > 0).all()
    network = reader.train(first, after, truth, ("a", "b", "c", "d", "e"), steps=3)
    reader.save(network, tmp_path / "reader.safetensors")
    image = starts[0].image()
    later_ones = torch.stack([image, image.flip(0)])
    read = network.severity(image, later_ones)
    assert read.shape == (2, 5) and (read >= 0).all() and (read <= 1).all()
    assert np.array_equal(reader.load(tmp_path / "reader.safetensors").severity(image, later_ones), read)
    with pytest.raises(ValueError, match="bench judges"):
        reader.load(tmp_path / "none.safetensors")


def test_judges_learn_from_their_own_patients_alone(table, tmp_path):
    judges_bench.write_table(table, tmp_path / "own" / "table.csv")
    own = read(tmp_path / "own" / "table.csv", domain="chest_xray")
    assert all(is_judges("chest_xray", r.patient) == (r.split == "train") for r in own.records)
    assert not {r.patient for r in own.records} & {"p12", "p13", "p14"}
    found = judges.parts(table)
    assert sum(map(len, found.values())) == 16 and len(found["val"]) == 4
    assert judges.truth(found["val"], "chest_xray").sum() == 1
    scores = np.arange(100) / 100
    assert judges_bench.threshold(scores, scores > 0.995) == pytest.approx(0.79, abs=0.01)
    with pytest.raises(ValueError, match="fundus no picture has a real label"):
        judges.load("fundus")
    with pytest.raises(ValueError, match="bench judges --domain skin"):
        judges.load("skin", tmp_path)


def test_sets_are_compared_over_patients():
    rng = np.random.default_rng(0)
    real, near, far = (rng.normal(shift, 1, (60, 8)).astype(np.float32) for shift in (0, 0.1, 1))
    people = [f"a{i // 2}" for i in range(60)], [f"b{i // 2}" for i in range(60)]
    one, other, low, high = distance.kid_difference(real, people[0], near, far, people[1], people[1])
    assert one < other and low < one - other < high < 0
    _, _, low, high = distance.kid_difference(real, people[0], near, near, people[1], people[1])
    assert low == high == 0
    scores, positive, _ = distance.cross_judged(far, people[1], real, people[0])
    assert scores[positive].mean() > 0.7 > 0.3 > scores[~positive].mean()


def test_a_copy_is_far_nearer_than_its_next_neighbours():
    rng = np.random.default_rng(1)
    training = rng.normal(size=(80, 50))
    training /= np.linalg.norm(training, axis=1, keepdims=True)
    owners = [f"p{i}" for i in range(80)]
    fresh = rng.normal(size=(5, 50))
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    x = np.concatenate([training[:1] + 0.001, fresh])
    distances, places, ratios = memorisation.nearest(x, training, owners)
    assert places[0] == 0 and distances[0] < 0.01 and ratios[0] < 0.5 < ratios[1:].min()
    _, places, _ = memorisation.nearest(training[:1], training, owners, ["p0"])
    assert places[0] != 0
    twice = np.concatenate([training, training[:1] * 0.99 + training[1:2] * 0.1])
    twice /= np.linalg.norm(twice, axis=1, keepdims=True)
    _, places, ratios = memorisation.nearest(twice[:1], twice, [*owners, "p0"], ["p0"], own=True)
    assert places[0] == 80 and ratios[0] < 0.5
    assert memorisation.pixels(torch.rand(3, 70, 70, 3)).shape == (3, memorisation.PIXELS**2)


def test_pairs_are_the_first_film_and_what_the_later_label_says(table):
    (pair,) = later.table_pairs(table, 128, (EFFUSION, "edema"), {"14.png": "F"})
    assert (pair.patient, pair.day, pair.finding, pair.new, pair.sex, pair.views) == (
        "p14", "15", EFFUSION, True, "F", "PA, PA"
    )  # fmt: skip
    plan = pair.plan(2, "severity", (EFFUSION, "edema"))
    assert (plan.finding, plan.side, len(plan.stages)) == (EFFUSION, "bilateral", 2)
    (none,) = later.table_pairs(table, 128, ("edema",), {})
    assert none.finding == NO_FINDING and none.plan(2, "severity", ("edema",)).finding == NO_FINDING
    ends = {"persistence": pair.first, PIE: pair.later}
    rows = later.score(pair, pair.region((EFFUSION,)), ends)
    assert rows[0]["mae_roi"] > 0 and rows[1]["mae_roi"] == 0
    assert exit_code(pixel_bars(rows)) == 0 and exit_code(pixel_bars([r | {"mae_roi": 1.0} for r in rows])) == 0

    def whiteness(pictures: torch.Tensor) -> np.ndarray:
        return pictures[:, 64:].mean(dim=(1, 2, 3)).numpy()[:, None]

    level = float((whiteness(pair.first[None]) + whiteness(pair.later[None]))[0, 0] / 2)
    judge = Judge("white", (EFFUSION,), whiteness, {EFFUSION: level})
    both = {"SD Walk": pair.first, "Extrapolation": pair.first}
    ends = {name: [picture] for name, picture in (ends | both).items()}
    rows = later.meaning(judge, [pair], ends)
    told = {row["method"]: row["told"] for row in rows}
    assert told == {"first film": False, "later film": True, "persistence": False, PIE: True, "SD Walk": False,
                    "Extrapolation": False}  # fmt: skip
    assert exit_code(meaning_bars(rows)) == 0


def test_bad_files_are_made_of_a_film(starts, tmp_path):
    film = starts[0].image()
    files = dict(bad_input.bad_files(film, tmp_path, []))
    others = {f"{name}{end}" for name in (bad_input.SLICE, bad_input.CAT) for end in ("", " as a gray PNG")}
    assert set(files) == {"as it is", "upside down", "inverted", "mirrored", *others}
    own = {name: path for name, path in files.items() if path.parent == tmp_path}
    pixels = {name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for name, path in own.items()}
    assert (pixels["inverted"] == 255 - pixels["as it is"]).all()
    assert (pixels["mirrored"] == pixels["as it is"][:, ::-1]).all()
    assert (pixels["upside down"] == pixels["as it is"][::-1, ::-1]).all()
    case = bad_input.Given("chest_xray", EFFUSION, film)
    assert case.plan(1, "severity", (EFFUSION,)).side == "left" and case.region((EFFUSION,)).shape == (128, 128)


def test_options_that_cannot_be_are_named():
    parser = argparse.ArgumentParser()
    options.add(parser)
    for text, words in (("--count 0", "--count: got 0"), ("--size 100", "--size: got 100, want a multiple of 8")):
        with pytest.raises(ValueError, match=words):
            options.check(parser.parse_args(["--data", "x.csv", *text.split()]))
    assert options.by_patient([1.0, 3.0, 5.0], ["a", "a", "b"]) == [2.0, 5.0]
    assert worst(np.arange(40.0)).tolist() == [0.0, 1.0] and worst(np.array([3.0])).tolist() == [3.0]
    assert as_image(np.zeros((4, 5), np.float32)).shape == (4, 5, 3)
