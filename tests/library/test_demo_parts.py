"""The parts of the demo: what it makes of a user's files, the graph it sends, its progress and the result folder."""

import argparse
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from mvgen.cohort.chains import graph_of
from mvgen.cohort.demo import inputs, progress, result
from mvgen.launch import arguments
from mvgen.launch.errors import LaunchError, UsageError
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path) -> Path:
    """What a user might give, some of it by mistake."""
    for name, size, gray in (("image", (40, 32), 90), ("mask", (40, 32), 255), ("small", (32, 16), 255)):
        Image.new("L", size, gray).save(tmp_path / f"{name}.png")
    Image.new("L", (40, 32)).save(tmp_path / "black.png")
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    Image.fromarray(np.full((32, 40), 1, np.uint8)).save(tmp_path / "labels.png")
    Image.effect_noise((40, 32), 50).save(tmp_path / "noise.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "noise.png").read_bytes()[:200])
    (tmp_path / "words.png").write_text("no picture")
    (tmp_path / "report.txt").write_text("Small left pleural effusion.")
    (tmp_path / "blank.txt").write_text(" \n\t")
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    shutil.copy(ROOT / "samples" / "chest_xray.dcm", tmp_path / "film.dcm")
    return tmp_path


def given(files: Path, **names: str) -> argparse.Namespace:
    """The options of a demo with these files."""
    chosen = {"image": "image.png", "report": "report.txt", "mask": None, **names}
    paths = {name: files / value if value else None for name, value in chosen.items()}
    return argparse.Namespace(**paths, domain="chest_xray", stages=3, strength=0.25, seed=7)


def filled(options: argparse.Namespace) -> dict:
    workflow = inputs.load_workflow(options.domain)
    return graph_of(workflow, inputs.patient(options, workflow, "demo-1"), options.seed, "demo-1")


@pytest.mark.parametrize("domain", arguments.domains())
def test_the_graph_takes_the_request(files, domain):
    graph = filled(argparse.Namespace(**{**vars(given(files)), "domain": domain}))
    values = {(node["class_type"], name): value for node in graph.values() for name, value in node["inputs"].items()}
    assert values["MVG_LoadEmbedded", "domain"] == values["MVG_Recaption", "domain"] == domain
    assert values["MVG_LoadMedicalImage", "image"] == "demo-1.png"
    assert values["MVG_LoadReport", "report"] == "demo-1.txt"
    assert values["MVG_Recaption", "stages"] == 3
    assert values["MVG_PIELoop", "gamma"] == 0.25
    assert values["MVG_PIELoop", "seed"] == 7
    assert values["MVG_SaveTrajectory", "folder_prefix"] == "demo-1"


def test_a_mask_is_connected_wherever_one_is_used(files):
    template = inputs.load_workflow("chest_xray").graph
    graph = filled(given(files, mask="mask.png"))
    users = {key for key, node in template.items() if "mask" in node["inputs"]}
    assert users
    assert all(graph[key]["inputs"]["mask"] == ["mask_channel", 0] for key in users)
    image = next(node for node in template.values() if node["class_type"] == "MVG_LoadMedicalImage")
    assert graph["mask_file"]["inputs"] == {**image["inputs"], "image": "demo-1-mask.png", "gray": False}


def test_a_film_is_taken_wherever_a_picture_is(files):
    graph = filled(given(files, image="film.dcm", mask="film.dcm"))
    assert graph["mask_file"]["inputs"]["image"] == "demo-1-mask.dcm"
    with pytest.raises(
        UsageError, match=r"--mask: .*mask\.png is 40 x 32 pixels and the image \d+ x \d+, want the same"
    ):
        filled(given(files, image="film.dcm", mask="mask.png"))


def test_a_name_that_lies_about_its_content_is_corrected(files):
    (files / "image.png").rename(files / "x.jpg")
    workflow = inputs.load_workflow("chest_xray")
    assert inputs.patient(given(files, image="x.jpg"), workflow, "t").files[0].name == "t.png"


@pytest.mark.parametrize(
    ("option", "name", "told"),
    [
        ("image", "words.png", "words.png is no PNG, JPEG, TIFF or DICOM image"),
        ("image", "cut.png", "cut.png is damaged"),
        ("image", "dot.png", "dot.png is 1 x 1 pixels, want at least 16 x 16"),
        ("image", "report.txt", "is no PNG, JPEG, TIFF or DICOM image"),
        ("image", "gone.png", "there is no file"),
        ("mask", "small.png", "small.png is 32 x 16 pixels and the image 40 x 32, want the same"),
        ("mask", "black.png", "black.png is black: nothing could change"),
        ("mask", "labels.png", "labels.png is all but black: nothing could change"),
        ("mask", "cut.png", "cut.png is damaged"),
        ("report", "blank.txt", "blank.txt is empty, want the clinical report as text"),
        ("report", "binary.txt", "binary.txt is no text file"),
    ],
)
def test_what_the_nodes_would_refuse_is_one_line_with_its_option(files, option, name, told):
    with pytest.raises(UsageError) as error:
        filled(given(files, **{option: name}))
    message = str(error.value)
    assert message.startswith(f"--{option}: ") and told in message and "\n" not in message


def test_an_image_larger_than_the_node_reads_is_named(files, recwarn):
    for side in (8001, 10_000, 14_000):  # Pillow warns from 9,460 on, and refuses from 13,378 on
        Image.new("1", (side, side)).save(files / "large.png")
        with pytest.raises(UsageError, match="64 megapixels"):
            filled(given(files, image="large.png"))
    assert not [warning for warning in recwarn.list if "Decompression" in str(warning.message)]


def whole(folder: Path) -> None:
    for name in result.NEEDED:
        (folder / name).write_text("{}")


def test_a_result_appears_whole_under_a_free_name(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "demo-20260101-000000")
    first, second = (result.publish(tmp_path / "out", whole) for _ in range(2))
    assert (first.name, second.name) == ("demo-20260101-000000", "demo-20260101-000000-2")
    assert json.loads((first / "scores.json").read_text()) == {}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [first.name, second.name]


def test_an_incomplete_result_leaves_nothing(tmp_path):
    with pytest.raises(LaunchError, match=r"left out contact_sheet\.png, plot\.png"):
        result.publish(tmp_path / "out", lambda folder: (folder / "video.mp4").touch())
    with pytest.raises(KeyboardInterrupt):
        result.publish(tmp_path / "out", interrupted)
    assert not (tmp_path / "out").exists()


def interrupted(folder: Path) -> None:
    whole(folder)
    raise KeyboardInterrupt


def test_scratch_files_go_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr(result, "BASE", tmp_path)
    for name in ("input", "output/demo-1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "input" / "demo-1.txt").write_text("report")
    with pytest.raises(KeyboardInterrupt), result.scratch("demo-1"):
        raise KeyboardInterrupt
    assert not list((tmp_path / "input").iterdir()) and not list((tmp_path / "output").iterdir())


def test_a_part_takes_the_time_since_the_one_before(capsys):
    clock = progress.Timing()
    time.sleep(0.2)
    first = clock.part("a")
    time.sleep(0.1)
    second = clock.part("b")
    assert first >= 0.2 and second >= 0.1 and list(clock.seconds.values()) == [first, second]
    clock.line("short", 0.01)
    clock.line("long", 2.04)
    clock.table()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  long: 2.0 s" and [line.split()[0] for line in lines[1:]] == ["a", "b", "in"]


def test_stages_and_nodes_have_a_line_as_they_end(capsys, monkeypatch):
    monkeypatch.setattr(progress, "WORTH_A_LINE", 0.0)
    graph = {"6": {"class_type": "MVG_PIELoop", "_meta": {"title": "Progression"}}, "9": {"class_type": "MVG_Conf"}}
    told = progress.Progress(progress.Timing(), graph, stages=2)
    told("execution_start", {})
    for node in ("6.0.0.stage.1", "6.0.0.stage.2", "9"):
        told("executing", {"node": node, "display_node": node[0]})
    told("execution_success", {})
    lines = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["stage 1 of 2", "stage 2 of 2", "Progression", "MVG_Conf"]
    assert list(told.timing.seconds) == ["upload", "Progression", "MVG_Conf"]
