"""Manifests: what is read, and what is wrong, of all rows at once."""

import numpy as np
import pytest
from mvgen import cohort
from mvgen.cohort import notes
from mvgen.cohort.manifest import read as read_manifest
from mvgen.cohort.seeds import parse_seeds, seed_note
from mvgen.cohort.workflow import Slot, Workflow
from mvgen.tests.library.cohort_files import HEADER, REPORT, ROOT, manifest, workflow
from PIL import Image


def problems(tmp_path, rows, header=HEADER, name="mvg_chest_xray") -> list[str]:
    with pytest.raises(cohort.CohortError) as error:
        cohort.build(manifest(tmp_path, rows, header), workflow(tmp_path, name))
    return [str(problem).replace(str(tmp_path) + "/", "") for problem in error.value.problems]


def test_seeds():
    assert parse_seeds("") == (0,)
    assert parse_seeds("1 2 3") == (1, 2, 3)
    assert parse_seeds("1-5, 9") == (1, 2, 3, 4, 5, 9)
    for text, told in (("x", "'x'"), ("5-1", "smaller"), ("1 1", "1 twice"), ("0-99999", "more than"), ("-1", "'-1'")):
        with pytest.raises(ValueError, match=told):
            parse_seeds(text)


def test_seeds_that_change_nothing_are_named(tmp_path):
    header = [*HEADER, "MVG_PIELoop.mode"]
    rows = [
        ["A", "a.png", "report.txt", "0-4", ""],
        ["B", "a.png", "report.txt", "0-4", "noise"],
        ["C", "a.png", "report.txt", "7", "ddim"],
    ]
    assert problems(tmp_path, rows, header, "mvg_dicom") == [
        "row 2 (A): seeds: got 5, want one: mode ddim of 'Progression' draws nothing; mode noise does"
    ]
    plan = cohort.build(manifest(tmp_path, rows[1:], header), workflow(tmp_path, "mvg_dicom"))
    noise, ddim = (patient.values for patient in plan.patients)
    assert seed_note(plan.workflow, [noise]) is None and seed_note(plan.workflow, []) is None
    nothing = "note: mode ddim of 'Progression' draws nothing: the seed changes nothing"
    assert seed_note(plan.workflow, [ddim]) == nothing
    film = cohort.build(manifest(tmp_path, rows[:1], header), workflow(tmp_path))
    assert len(film.chains) == 5
    told = "note: mode ddim of 'Progression' draws nothing: seeds change 'Film between the stages' alone"
    assert seed_note(film.workflow, [film.patients[0].values]) == told


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_become_patients(tmp_path, separator):
    header = ["patient_id", "image", "report", "prompt", "mask", "seeds", "guidance", "stages", "finding"]
    path = manifest(
        tmp_path,
        [
            ["P1", "a.png", "report.txt", "", "small.png", "1-2", "2.5", "3", "edema"],
            [""] * 9,
            ["P ü", "b.png", "", REPORT, "", "", "", "", ""],
        ],
        header,
        separator,
    )
    with pytest.raises(cohort.CohortError, match=r"row 2 \(P1\): mask: .* is 32 x 32 pixels and the image 64 x 64"):
        read_manifest(path, Workflow.load(workflow(tmp_path)))
    path.write_text(path.read_text(encoding="utf-8").replace("small.png", "b.png"), encoding="utf-8")
    first, second = read_manifest(path, Workflow.load(workflow(tmp_path)))
    assert (first.row, first.patient_id, first.seeds) == (2, "P1", (1, 2))
    assert first.mask is not None and second.mask is None
    assert first.values[Slot("6", "guidance")] == 2.5 and Slot("7", "guidance") not in first.values
    assert first.values[Slot("4", "stages")] == 3 and first.values[Slot("4", "finding")] == "edema"
    assert (second.row, second.patient_id, second.seeds) == (4, "P ü", (0,))
    # the same words, from a file and from a cell, are the same input; no name of a patient's file is in a graph
    assert first.values[Slot("3", "report")] == second.values[Slot("3", "report")]
    assert set(second.values) == {Slot("2", "image"), Slot("3", "report")}
    assert all(str(value).startswith("mvg_cohort/") for value in second.values.values())


def test_every_problem_of_every_row_is_told(tmp_path):
    header = [*HEADER, "prompt", "mask", "MVG_PIELoop.steps", "composite"]
    told = problems(
        tmp_path,
        [
            ["P1", "a.png", "report.txt", "1", "", "", "", ""],
            ["P1", "none.png", "report.txt", "1", "", "", "", ""],
            ["", "words.png", "blank.txt", "one", "", "", "many", "perhaps"],
            ["P4", "a.png", "report.txt", "1", "and words", "black.png", "", ""],
            ["P5", "", "", "1", "", "", "", ""],
            ["P6", "."],
        ],
        header,
    )
    assert told == [
        "row 3 (P1): image: there is no file none.png",
        "row 3 (P1): patient_id: row 2 has it too",
        "row 4: patient_id: it is empty, want a name",
        "row 4: image: the content of words.png is no PNG, JPEG, TIFF or DICOM image that is read",
        "row 4: report: blank.txt is empty, want the clinical report as text",
        "row 4: MVG_PIELoop.steps: got 'many', want a number",
        "row 4: composite: got 'perhaps', want true or false",
        "row 4: seeds: got 'one', want whole numbers as 1 2 3 or ranges as 1-5",
        "row 5 (P4): report and prompt: both are given, want one",
        "row 6 (P5): report and prompt: both are empty, want one",
        "row 6 (P5): image: it is empty, want a file",
        "row 7: it has 2 cells, want 8, one a column",
    ]


def test_every_problem_of_the_columns_is_told(tmp_path):
    header = ["patient", "image", "image", "colour", "model", "domain", "beta_1", "guidance", "6.guidance"]
    told = problems(tmp_path, [["x"] * len(header)], header)
    assert told == [
        "columns: 'image' is there 2 times",
        "columns: patient_id is missing",
        "columns: 'patient' is no input of the workflow",
        "columns: 'colour' is no input of the workflow",
        "columns: 'model' is no input of the workflow that can be set: another node feeds 6.model, 7.model",
        "columns: report or prompt is missing: the workflow reads a report",
        "columns: 2 columns set 6.guidance",
    ]


def test_every_file_that_a_workflow_reads_has_a_column(tmp_path):
    row = ["P1", "a.png", "report.txt", "1"]
    told = problems(tmp_path, [row], name="mvg_longitudinal")
    assert told == ["columns: 7.image is missing: the workflow reads a file there (Real later image)"]
    path = manifest(tmp_path, [[*row, "b.png"]], [*HEADER, "Real later image.image"])
    (chain,) = cohort.build(path, workflow(tmp_path, "mvg_longitudinal")).chains
    assert len(chain.patient.files) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"nodes": []}', "page's format"),
        ('{"1": {"class_type": "A", "inputs": {}}}', "saves nothing"),
        ("[]", "no workflow"),
        ('{"1": {"class_type": "A", "inputs": []}}', "no workflow"),
        ('{"1": {"class_type": "A", "inputs": {"model": ["9", 0], "folder_prefix": "x"}}}', "model from node 9, which"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_what_is_no_workflow_is_named(tmp_path, text, told):
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(cohort.CohortError, match=told):
        cohort.build(manifest(tmp_path, [["P", "a.png", "report.txt", ""]]), tmp_path / "w.json")


def test_masks_that_would_change_nothing_are_named(tmp_path):
    """Labels of 0 and 1, as other tools write them, are all but black; 16 bits are read at their own depth."""
    path = manifest(tmp_path, [["P", "a.png", "report.txt", "", "mask.png"]], [*HEADER, "mask"])
    for levels, told in (
        (np.full((64, 64), 1, np.uint8), "all but black"),
        (np.full((64, 64), 300, np.uint16), "all but black"),
        (np.zeros((64, 64), np.uint16), "black"),
    ):
        Image.fromarray(levels).save(tmp_path / "mask.png")
        with pytest.raises(cohort.CohortError, match=f"mask.png is {told}: nothing could change"):
            cohort.build(path, workflow(tmp_path))
    Image.fromarray(np.full((64, 64), 65535, np.uint16)).save(tmp_path / "mask.png")
    assert cohort.build(path, workflow(tmp_path)).patients[0].mask is not None


def test_dicom_that_cannot_be_used_is_named_before_anything_runs(tmp_path):
    film = ROOT / "samples" / "chest_xray.dcm"
    path = manifest(tmp_path, [["P", str(film), "report.txt", ""]])
    assert cohort.build(path, workflow(tmp_path)).patients[0].files[0].name.endswith(".dcm")
    graph = workflow(tmp_path).read_text().replace("MVG_LoadMedicalImage", "LoadImage")
    (tmp_path / "other.json").write_text(graph)
    with pytest.raises(cohort.CohortError, match="is DICOM, which the workflow's Load Image cannot read"):
        cohort.build(path, tmp_path / "other.json")
    (tmp_path / "a.png").write_bytes(film.read_bytes()[:400])
    path.write_text(f"{','.join(HEADER)}\nP,a.png,report.txt,\n")
    with pytest.raises(cohort.CohortError, match=r"row 2 \(P\): image: a\.png has no pixel data"):
        cohort.build(path, workflow(tmp_path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("patient_id,image,report\nP,a.png,report.txt\nJörg,a.png,report.txt\n".encode("cp1252"), "in line 3"),
        ("patient_id,image,report\nP,a.png,report.txt\n".encode("utf-16-le"), "a zero byte in line 1"),
        (b"patient_id,image,report,,\nP,a.png,report.txt,x,\n", "columns: column 4 has no name"),
        (b"patient_id,image,report\nP,~nobody-of-that-name/a.png,report.txt\n", "image: there is no file ~nobody"),
    ],
)
def test_what_spreadsheets_write_is_named(tmp_path, content, told):
    path = manifest(tmp_path, [])
    path.write_bytes(content)
    with pytest.raises(cohort.CohortError, match=told):
        cohort.build(path, workflow(tmp_path))


REPORTS = {
    "german": "Kleiner Pleuraerguss links. Das Herz ist vergroessert und die Lunge frei.",
    "other": "The weather is fine today.",
    "narrow": "Moderate right pneumothorax.",
    "normal": "The lungs are clear. Heart size is normal. No pleural effusion.",
}


def test_reports_that_cannot_be_read_are_all_named_before_anything_runs(tmp_path):
    rows = [[name, "a.png", f"{name}.txt", ""] for name in REPORTS]
    path = manifest(tmp_path, rows)
    for name, text in REPORTS.items():
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(cohort.CohortError) as error:
        cohort.build(path, workflow(tmp_path))
    told = [str(problem) for problem in error.value.problems]
    assert len(told) == 3
    assert told[0].startswith("row 2 (german): report: it is not in English") and "a column finding names" in told[0]
    assert told[1].startswith("row 3 (other): report: it says nothing of any finding of chest_xray")
    assert told[2].startswith("row 4 (narrow): report: ") and "pneumothorax, which the" in told[2]
    lenient = cohort.build(path, workflow(tmp_path, MVG_Recaption={"strict": False, "finding": "edema"}))
    assert [patient.plan.finding for patient in lenient.patients] == ["edema"] * 4


def test_the_plan_of_a_row_is_known_unless_the_host_alone_makes_it(tmp_path):
    path = manifest(tmp_path, [["P", "a.png", "report.txt", ""]])
    (patient,) = cohort.build(path, workflow(tmp_path)).patients
    assert (patient.plan.finding, patient.plan.side, len(patient.plan.stages)) == ("pleural effusion", "left", 6)
    (patient,) = cohort.build(path, workflow(tmp_path, MVG_Recaption={"engine": "openai"})).patients
    assert patient.plan is None
    (patient,) = cohort.build(path, workflow(tmp_path, MVG_Recaption={"domain": "hand_xray"})).patients
    assert patient.plan is None


def test_what_progresses_and_what_is_resized_is_said_before_the_run(tmp_path):
    header = ["patient_id", "image", "prompt", "size"]
    rows = [
        ["A", "a.png", REPORT, "64"],
        ["B", "a.png", REPORTS["normal"], "128"],
        ["C", "b.png", "Possible edema.", "256"],
    ]
    whole = cohort.build(manifest(tmp_path, rows, header), workflow(tmp_path))
    assert notes.plans(whole) == [
        "plans: 1 of pleural effusion, 1 of no finding, 1 of edema",
        "  row 2 (A): left pleural effusion (chest_xray), 6 stages, in the left lung base",
        "  row 3 (B): no finding (chest_xray), 6 stages",
        "    note: the report names no finding that the chest_xray model draws as present",
        "  row 4 (C): edema (chest_xray), 6 stages, in the lungs",
        "    note: the report is not sure of the edema",
    ]
    (idle,) = notes.idle_plans(whole)
    assert idle.startswith("note: nothing progresses in row 3 (B): ")
    assert notes.image_notes(whole) == [
        "note: 2 of 3 images get another size, as row 3 (B): 64 x 64 to 128 x 128",
        "note: images of 64 x 64 for the embedded model, which was made for 256 x 256",
    ]


def test_films_that_are_turned_are_named_before_the_run(tmp_path):
    with Image.open(ROOT / "samples" / "chest_xray.png") as film:
        film.save(tmp_path / "film.png")
        film.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "turned.png")
    rows = [["A", "film.png", REPORT], ["B", "turned.png", REPORT]]
    whole = cohort.build(manifest(tmp_path, rows, ["patient_id", "image", "prompt"]), workflow(tmp_path))
    assert notes.film_notes(whole) == ["note: row 3 (B): the image seems to be upside down: want the head at the top"]


def test_colors_that_do_not_fit_are_named(tmp_path):
    path = manifest(tmp_path, [["P", "color.png", "report.txt", ""], ["Q", "equal.png", "report.txt", ""]])
    path.write_text(path.read_text("utf-8-sig") + "R,color.png,report.txt,\n")
    Image.new("RGB", (64, 64), (200, 90, 60)).save(tmp_path / "color.png")
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "equal.png")
    with pytest.raises(cohort.CohortError) as error:
        cohort.build(path, workflow(tmp_path))
    problem, shared = error.value.problems
    assert shared.where == "row 4 (R)"
    assert str(problem) == (
        "row 2 (P): image: color.png is in color, and the workflow wants gray ones; is its domain fundus or skin?"
    )
    header = ["patient_id", "image", "prompt"]
    (told,) = problems(tmp_path, [["P", "a.png", "Mild diabetic retinopathy."]], header, "mvg_fundus")
    assert told == "row 2 (P): image: a.png is gray, and the workflow wants ones in color; is its domain chest_xray?"


def test_lines_may_end_as_on_windows_and_be_blank(tmp_path):
    path = manifest(tmp_path, [])
    (tmp_path / "Bilder ä").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "Bilder ä" / "ein Bild.png")
    text = "\ufeff\r\npatient_id;image;prompt\r\n\r\nP;Bilder ä/ein Bild.png;" + REPORT + "\r\n;;\r\n"
    path.write_bytes(text.encode())
    (patient,) = cohort.build(path, workflow(tmp_path)).patients
    assert (patient.row, patient.patient_id) == (4, "P")


def test_files_are_found_from_any_folder(tmp_path, monkeypatch):
    """Ray's actors work elsewhere."""
    manifest(tmp_path, [["P", "a.png", "report.txt", ""]])
    monkeypatch.chdir(tmp_path)
    plan = cohort.build("cohort.csv", workflow(tmp_path))
    monkeypatch.chdir("/")
    assert all(file.read() for file in plan.patients[0].files)


def test_empty_manifests_are_named(tmp_path):
    assert "holds no patient" in problems(tmp_path, [])[0]
    (told,) = problems(tmp_path, [['"' + "x" * 200_000, "", "", ""]])
    assert told == "row 2: cohort.csv cannot be read as a table: field larger than field limit (131072)"
    with pytest.raises(cohort.CohortError, match="there is no file"):
        cohort.build(tmp_path / "none.csv", workflow(tmp_path))
