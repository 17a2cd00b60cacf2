"""The parts of the demo: what it makes of a user's files, the graph it sends, its progress and the result folder."""

import argparse
import json
import os
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from mvgen.cohort.chains import graph_of
from mvgen.cohort.demo import inputs, progress, result
from mvgen.launch import arguments
from mvgen.launch.errors import LaunchError, UsageError
from mvgen.mvg.plan_text import parse_plan
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
    (tmp_path / "german.txt").write_text("Kleiner Pleuraerguss links. Das Herz ist vergroessert und die Lunge frei.")
    (tmp_path / "normal.txt").write_text("The lungs are clear. Heart size is normal. No pleural effusion.")
    (tmp_path / "other.txt").write_text("The weather is fine today.")
    (tmp_path / "narrow.txt").write_text("Moderate right pneumothorax.")
    Image.new("RGB", (40, 32), (200, 90, 60)).save(tmp_path / "color.png")
    edge = np.zeros((32, 96), np.uint8)
    edge[:, 90:] = 255
    Image.fromarray(edge).save(tmp_path / "edge.png")
    Image.effect_noise((96, 32), 50).save(tmp_path / "wide.png")
    (tmp_path / "blank.txt").write_text(" \n\t")
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    shutil.copy(ROOT / "samples" / "chest_xray.dcm", tmp_path / "film.dcm")
    return tmp_path


def given(files: Path, **names) -> argparse.Namespace:
    """The options of a demo with these files and words."""
    chosen = {"image": "image.png", "report": "report.txt", "mask": None}
    words = {"finding": None, "prompt": None, "domain": "chest_xray", "stages": 3, "strength": 0.25, "seed": 7}
    paths = {name: names.get(name, value) for name, value in chosen.items()}
    paths = {name: files / value if value else None for name, value in paths.items()}
    return argparse.Namespace(**paths, **words | {name: value for name, value in names.items() if name in words})


def filled(options: argparse.Namespace) -> dict:
    request = inputs.read(options, "demo-1")
    return graph_of(request.workflow, request.patient, request.patient.seeds[0], "demo-1")


def told(options: argparse.Namespace) -> str:
    return "\n".join(inputs.read(options, "demo-1").lines)


FINDINGS = {"chest_xray": "pleural effusion", "fundus": "diabetic retinopathy", "skin": "melanoma"}


@pytest.mark.parametrize("domain", arguments.domains())
def test_the_graph_takes_the_request(files, domain):
    (files / "report.txt").write_text(f"Mild {FINDINGS[domain]}.")
    graph = filled(given(files, domain=domain, image="image.png" if domain == "chest_xray" else "color.png"))
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
    assert inputs.read(given(files, image="x.jpg"), "t").patient.files[0].name == "t.png"


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
        (
            "image",
            "color.png",
            "color.png is in color, and --domain chest_xray is for gray images. Give --domain fundus or --domain skin?",
        ),
        ("report", "blank.txt", "blank.txt is empty, want the clinical report as text"),
        ("report", "binary.txt", "binary.txt is no text file"),
    ],
)
def test_what_the_nodes_would_refuse_is_one_line_with_its_option(files, option, name, told):
    with pytest.raises(UsageError) as error:
        filled(given(files, **{option: name}))
    message = str(error.value)
    assert message.startswith(f"--{option}: ") and told in message and "\n" not in message


def test_a_gray_image_in_a_domain_of_colors_is_refused(files):
    with pytest.raises(
        UsageError, match=r"image\.png is gray, and --domain fundus is for images in color\. Give --domain"
    ):
        filled(given(files, report=None, domain="fundus", finding="diabetic retinopathy"))


def test_a_mask_outside_of_the_part_that_is_used_is_refused(files):
    with pytest.raises(UsageError, match=r"--mask: .*edge\.png is black in what is used of the image \(centre 32 x 32"):
        filled(given(files, image="wide.png", mask="edge.png"))


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ("german.txt", "german.txt is not in English, the only language that the rules read"),
        ("other.txt", "other.txt says nothing of any finding of chest_xray"),
        ("normal.txt", "normal.txt names nothing as present: it reads as normal, and nothing would progress"),
        ("narrow.txt", "pneumothorax, which the"),
    ],
)
def test_a_report_without_a_plan_asks_for_a_finding(files, report, reason):
    with pytest.raises(LaunchError) as error:
        filled(given(files, report=report))
    message = str(error.value)
    assert error.value.exit_code == 1 and reason in message and "\n" not in message
    assert message.endswith("--finding NAME, one of pleural effusion, edema, consolidation, cardiomegaly, atelectasis.")
    plan = inputs.read(given(files, report=report, finding="edema"), "demo-1").plan
    assert plan.finding == "edema" and any("edema was asked for" in note for note in plan.notes)


def test_a_finding_takes_the_place_of_a_report(files):
    options = given(files, report=None, finding=" Pleural  EFFUSION ")
    request = inputs.read(options, "demo-1")
    assert (request.plan.finding, request.plan.side, len(request.plan.stages)) == ("pleural effusion", "bilateral", 3)
    assert "report:" not in "\n".join(request.lines)
    (recaption,) = (node for node in filled(options).values() if node["class_type"] == "MVG_Recaption")
    assert recaption["inputs"]["finding"] == "pleural effusion"
    with pytest.raises(UsageError, match="--finding: got 'scoliosis', want one of pleural effusion, edema"):
        filled(given(files, report=None, finding="scoliosis"))
    with pytest.raises(LaunchError, match=r"(?s)fracture.* want one of|--finding is about fracture"):
        filled(given(files, report=None, finding="fracture"))


def test_a_prompt_is_what_the_last_stage_shows(files):
    words = "frontal chest x-ray, severe left pleural effusion"
    options = given(files, report=None, prompt=words)
    graph = filled(options)
    (plan,) = (parse_plan(node["inputs"]["text"]) for node in graph.values() if node["class_type"] == "MVG_EditPlan")
    assert (plan.finding, plan.side) == ("pleural effusion", "left")
    assert {stage.prompt for stage in plan.stages} == {words}
    assert [stage.severity for stage in plan.stages] == pytest.approx([1 / 3, 2 / 3, 1], abs=1e-4)
    assert [(grade.severity, grade.prompt) for grade in plan.scale] == [(0, plan.stages[0].source), (1, words)]
    assert plan.stages[0].source == "frontal chest x-ray, no finding"
    (loop,) = (node["inputs"] for node in graph.values() if node["class_type"] == "MVG_PIELoop")
    assert loop["stages"] == 3 and graph[loop["plan"][0]]["class_type"] == "MVG_EditPlan"
    assert not {node["class_type"] for node in graph.values()} & {"MVG_Recaption", "MVG_LoadReport"}
    assert all(value[0] in graph for n in graph.values() for value in n["inputs"].values() if isinstance(value, list))
    assert [file.name for file in inputs.read(options, "demo-1").patient.files] == ["demo-1.png"]


@pytest.mark.parametrize(
    ("prompt", "finding", "message"),
    [
        ("a happy dog", None, "--prompt says nothing of any finding"),
        ("chest x-ray, no finding", None, "--prompt names nothing that could progress"),
        ("frontal chest x-ray, worse", "scoliosis", "--finding: got 'scoliosis'"),
    ],
)
def test_a_prompt_that_names_nothing_is_refused(files, prompt, finding, message):
    with pytest.raises(UsageError) as error:
        filled(given(files, report=None, prompt=prompt, finding=finding))
    assert str(error.value).startswith(message)
    graph = filled(given(files, report=None, prompt=prompt, finding="edema"))
    assert any("finding: edema" in str(node["inputs"].get("text")) for node in graph.values())


def test_what_is_worth_knowing_is_said_before_the_run(files):
    lines = told(given(files, image="wide.png", strength=0.0))
    assert "wide.png: 96 x 32 PNG, 8-bit gray, centre 32 x 32 cut out, resized to 256 x 256" in lines
    assert "plan: left pleural effusion (chest_xray), 3 stages, in the left lung base\n  1. " in lines
    assert "note: --strength 0 inverts no step: no stage changes the image" in lines
    assert "draws nothing: seeds change 'Film between the stages' alone" in lines
    assert "--strength" not in told(given(files)) and "seeds" not in told(given(files, seed=None))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_what_a_kill_would_leave_is_for_its_owner_alone(tmp_path):
    modes = []

    def write(folder):
        modes.append(stat.S_IMODE(folder.parent.stat().st_mode))
        for name in result.NEEDED:
            (folder / name).touch()

    target = result.publish(tmp_path / "out", write)
    assert modes == [0o700] and target.parent == tmp_path / "out"


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
    told("executed", {"node": "6", "output": {"mvg_notes": ["the image already reads as edema"]}})
    told("executed", {"node": "9", "output": None})
    for node in ("6.0.0.stage.1", "6.0.0.stage.2", "9"):
        told("executing", {"node": node, "display_node": node[0]})
    told("execution_success", {})
    lines = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert lines.pop(0) == "note" and lines == ["stage 1 of 2", "stage 2 of 2", "Progression", "MVG_Conf"]
    assert list(told.timing.seconds) == ["upload", "Progression", "MVG_Conf"]
