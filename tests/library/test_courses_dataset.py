"""The training examples of real pictures: on phantoms that stand as the films of a small data set."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from mvgen.mvg.severity_prompt import weighted_prompts
from mvgen.research.courses.chest import FINDINGS
from mvgen.research.courses.dataset import GROUP, Examples, drawn_caption, is_judges, of_part, write
from mvgen.research.phantom import chest_xray
from mvgen.training.data import read


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Six patients of train, two of val; a black film that no lung can be found in; two films with a label."""
    folder = tmp_path_factory.mktemp("films")
    lines = ["file,patient,labels,split,view"]
    for i in range(9):
        image = chest_xray.render(chest_xray.sample_patient(i), size=256) if i != 5 else np.zeros((256, 256))
        cv2.imwrite(str(folder / f"{i}.png"), np.round(image * 255).astype(np.uint8))
        label = {3: "Effusion|Mass", 4: "Edema"}.get(i, "No Finding")
        lines.append(f"{i}.png,p{i},{label},{'val' if i > 6 else 'train'},PA")
    (folder / "films.csv").write_text("\n".join(lines) + "\n")
    return read(folder / "films.csv", domain="chest_xray")


def _lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "examples.jsonl").read_text().splitlines()]


def test_files_are_complete_mixed_and_repeatable(table, tmp_path):
    about = write(Examples(table, "train", 60, size=192, seed=4), tmp_path / "a")
    write(Examples(table, "train", 60, size=192, seed=4), tmp_path / "b")
    for name in ("images.npy", "examples.jsonl", "about.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    images, lines = np.load(tmp_path / "a" / "images.npy", mmap_mode="r"), _lines(tmp_path / "a")
    assert images.shape == (60, 192, 192) and images.dtype == np.uint8 and len(lines) == 60
    assert min(image.std() for image, line in zip(images, lines, strict=True) if line["file"] != "5.png") > 5
    assert set(Counter(line["kind"] for line in lines)) == {"drawn", "real", "phantom"} == set(about["kinds"])
    assert about["without_anatomy"] == ["5.png"]
    assert all(line["patient"] in {f"p{i}" for i in range(7)} for line in lines if line["kind"] != "phantom")
    drawn = [line for line in lines if line["kind"] == "drawn"]
    assert {line["finding"] for line in drawn} == {"", *FINDINGS}
    assert not any(line["file"] in ("3.png", "4.png", "5.png") for line in drawn)
    groups = [[line for line in drawn if line["group"] == group] for group in {line["group"] for line in drawn}]
    assert all(len({line["file"] for line in group}) == 1 and len(group) <= GROUP for group in groups)
    assert all([line["finding"] for line in group].count("") == 1 for group in groups)
    for line in (line for line in drawn if line["finding"]):
        assert 0 < line["severity"] <= 1 and line["findings"] == {line["finding"]: line["severity"]}
        assert bool(line["side"]) == (line["finding"] in ("pleural effusion", "consolidation", "atelectasis"))
    real = {line["file"]: line for line in lines if line["kind"] == "real"}
    assert real["3.png"]["findings"] == {"pleural effusion": None}
    assert "mass" not in real["3.png"]["caption"]


def test_the_other_split_has_other_patients(table):
    examples = [example for _, _, example in Examples(table, "val", 20, size=128, shares=(1, 0, 0))]
    assert {example.patient for example in examples} == {"p7", "p8"}


def test_a_group_shares_its_background(table):
    found: dict[int, list] = {}
    for _, image, example in Examples(table, "train", 30, size=192, shares=(1, 0, 0)):
        found.setdefault(example.group, []).append((example, image.astype(float)))
    for group in (group for group in found.values() if len(group) == GROUP):
        (healthy,) = (image for example, image in group if not example.finding)
        faint = [image for example, image in group if 0 < example.severity < 0.2]
        assert all(np.median(abs(image - healthy)) < 2 for image in faint)


def test_judges_have_patients_of_their_own(table):
    players, judges = (of_part(table, part) for part in ("players", "judges"))
    mine, theirs = ({record.patient for record in part.part("train")} for part in (players, judges))
    assert mine | theirs == {record.patient for record in table.part("train")} and not mine & theirs
    assert players.part("val") == judges.part("val") == table.part("val")
    assert 0.35 < np.mean([is_judges("chest_xray", f"nih:{n}") for n in range(2000)]) < 0.45
    assert not any(is_judges("fundus", f"IDRiD_{n}") for n in range(100))


def test_captions_are_prompts_with_numbers_or_words():
    rng = np.random.default_rng(0)
    said = [drawn_caption("chest_xray", [("pleural effusion", 0.43, "left")], rng) for _ in range(200)]
    numbers = [text for text in said if "0.430" in text]
    assert 120 < len(numbers) < 180
    assert "frontal chest x-ray, 0.430 left pleural effusion" in numbers
    assert "frontal chest x-ray, mild to moderate left pleural effusion" in said
    assert len(weighted_prompts(numbers[0])) == 2
    assert drawn_caption("chest_xray", [], np.random.default_rng(1)).startswith(("frontal", "chest", "PA"))


def test_bad_input_is_named(table):
    with pytest.raises(ValueError, match="count: got 0"):
        Examples(table, "train", 0)
    with pytest.raises(ValueError, match="shares: got"):
        Examples(table, "train", 1, shares=(1, 0))
    with pytest.raises(ValueError, match="split: got no picture in 'test'"):
        Examples(table, "test", 1)
