"""CSV files as spreadsheets, people and other systems write them: no patient is lost, and what can be read is."""

import unicodedata

import pytest
from mvgen import cohort
from mvgen.cohort.csv_rows import read_table
from mvgen.cohort.workflow import parse
from mvgen.tests.library.cohort_files import HEADER, manifest, workflow


def refused(tmp_path, content: str | bytes, told: str) -> None:
    path = manifest(tmp_path, [])
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(cohort.CohortError, match=told):
        cohort.build(path, workflow(tmp_path))


def patients(tmp_path, content: str | bytes) -> list[str]:
    path = manifest(tmp_path, [])
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [patient.patient_id for patient in cohort.build(path, workflow(tmp_path)).patients]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ('P1,a.png,"Small effusion\nP2,a.png,No edema\n', "row 2: a quote is never closed"),
        ('P1,a.png,Edema\nP2,a.png,"Small effusion\nP3,a.png,x\n', "row 3: a quote is never closed"),
        ('P1,a.png,"Small effusion\nP2,a.png,No edema"\nP3,a.png,Edema\n', "row 2: .* look like rows"),
        ('P1,a.png,"Small effusion\nP2,a.png,No edema\n"\nP3,a.png,Edema\n', "row 2: .* look like rows"),
        ('P1,a.png,"Small effusion\r\nP2,scans/IM 1,No edema"\r\n', "row 2: .* look like rows"),
        ('P1,a.png,"Small effusion\nP2,a.png,"No edema"\n', "row 2: .* goes on after its closing quote in line 3"),
        ('P1,a.png,Edema\nP2,a.png,Small 5" effusion\n', "row 3: a quote stands in the middle of a cell"),
        ('P1,a.png,Edema\nP2,a.png,"Small" effusion\n', "row 3: .* goes on after its closing quote in line 3"),
        ('P1,a.png,"Small \\"left\\" effusion"\n', "row 2: .* goes on after its closing quote"),
    ],
)
def test_rows_that_quotes_would_swallow_are_named(tmp_path, rows, told):
    refused(tmp_path, "patient_id,image,prompt\n" + rows, told)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("patient_id,prompt,image", 'P1,"Small effusion,a.png\nP2,No edema",b.png\n'),
        ("prompt,patient_id,image", '"Small effusion,P1,a.png\nNo edema",P2,b.png\n'),
        ("patient_id, image, prompt", 'P1, a.png, "Small effusion\nP2, IM1, No edema"\n'),
        ("patient_id;image;prompt", 'P1;a.png;"Small effusion\nP2;IM1;No edema"\n'),
        ("prompt,patient_id,image", '"Edema, mild, stable,P1,c 1.png\nNo edema",P2,b.png\n'),
        ("prompt,image,patient_id", '"Edema, mild, stable,IM1,P1\n""Edema, mild",a.png,P2\n'),
    ],
)
def test_rows_in_a_quoted_cell_are_seen_wherever_the_columns_stand(tmp_path, header, rows):
    refused(tmp_path, f"{header}\n{rows}", "row 2: .* look like rows")


def test_a_row_that_was_swallowed_in_part_is_seen(tmp_path):
    rows = 'P0;IM0;"Mild edema\nP1;IM1";\nP2;a.png;Small left effusion\n'
    refused(tmp_path, f"patient_id;image;prompt\n{rows}", "row 2: it has 4 cells, want 3")


def test_a_row_that_alone_is_longer_is_named(tmp_path):
    rows = "a.png,No edema,P1,\na.png,Edema, growing,P2,\n"
    refused(tmp_path, f"image,prompt,patient_id,finding\n{rows}", "row 3: it has 5 cells, want 4")


def test_a_report_of_several_lines_may_stand_in_a_cell(tmp_path):
    text = 'FINDINGS: Small left effusion, no edema, and\n\nclear lungs, as before.\nIMPRESSION: ""Effusion"".'
    path = manifest(tmp_path, [])
    path.write_text(f'patient_id,image,prompt\nP1,a.png,"{text}"\nP2,b.png,"Edema, ""mild"""\n')
    table = read_table(path, "image")
    assert [number for number, _ in table.rows] == [2, 6]
    assert table.rows[0][1]["prompt"] == text.replace('""', '"')
    assert table.rows[1][1]["prompt"] == 'Edema, "mild"'


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\npatient_id;image;report\r\n007;a.png;report.txt\r\n",
        "\ufeffsep=,\npatient_id,image,report\n007,a.png,report.txt\n",
        "sep=\t\npatient_id\timage\treport\n007\ta.png\treport.txt\n",
        '"sep=;"\npatient_id;image;report\n007;a.png;report.txt\n',
        "patient_id,image,report\r007,a.png,report.txt\r",
        "patient_id,image,report,,\n007,a.png,report.txt,,\n",
        "patient_id,image,report\n007,a.png,report.txt,,\n",
        "patient_id;image;report;;\n007;a.png;report.txt;;\n;;;;\n",
        'patient_id, image, report\n007, a.png, "report.txt"\n',
        "patient_id,image,report\n007,.\\\\a.png,report.txt\n",
        "patient_id,image,report\n007,a.png,report.txt\n".encode("utf-16"),
        "\ufeffpatient_id\timage\treport\n007\ta.png\treport.txt\n".encode("utf-16-be"),
    ],
)
def test_what_other_systems_write_is_read(tmp_path, content):
    assert patients(tmp_path, content) == ["007"]


def test_lines_are_counted_as_an_editor_does(tmp_path):
    refused(tmp_path, "sep=;\npatient_id;image;report\nA;a.png;report.txt\nB;none.png;report.txt\n", r"row 4 \(B\)")


@pytest.mark.parametrize(("typed", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_found_in_either_unicode_form(tmp_path, typed, there):
    path = manifest(tmp_path, [])
    folder = tmp_path / unicodedata.normalize(there, "Bücher")
    folder.mkdir()
    (tmp_path / "a.png").rename(folder / unicodedata.normalize(there, "Bild-ä.png"))
    cell = unicodedata.normalize(typed, "Bücher\\Bild-ä.png")
    path.write_text(f"patient_id,image,report\nP1,{cell},report.txt\n", encoding="utf-8")
    assert len(cohort.build(path, workflow(tmp_path)).patients) == 1


@pytest.mark.parametrize(
    ("first", "second"), [("p1", "P1"), ("Jörg", "Jo\u0308rg"), ("P1", "Ｐ１"), ("Strauß", "STRAUSS")]
)
def test_ids_that_people_take_for_the_same_are_refused(tmp_path, first, second):
    rows = [[first, "a.png", "report.txt", ""], [second, "b.png", "report.txt", ""]]
    with pytest.raises(cohort.CohortError, match=r"row 3 .*patient_id: row 2 has it too as .* more than capitals"):
        cohort.build(manifest(tmp_path, rows, HEADER), workflow(tmp_path))


@pytest.mark.parametrize("name", ["CON", "nul.txt", "COM1", "LPT9", "P1."])
def test_names_that_windows_keeps_are_no_ids(tmp_path, name):
    with pytest.raises(cohort.CohortError, match="on Windows"):
        cohort.build(manifest(tmp_path, [[name, "a.png", "report.txt", ""]], HEADER), workflow(tmp_path))


def test_an_overlong_name_tells_no_folder(tmp_path):
    with pytest.raises(cohort.CohortError) as error:
        cohort.build(manifest(tmp_path, [["P", "x" * 5000, "report.txt", ""]], HEADER), workflow(tmp_path))
    (problem,) = error.value.problems
    assert str(tmp_path) not in str(problem) and len(str(problem)) < 200 and "xxx" in str(problem)


def test_numbers_may_have_a_decimal_comma():
    assert [parse(text, 1.5) for text in ("2,5", "-0,125", ",5", "2,50")] == [2.5, -0.125, 0.5, 2.5]
    assert parse("7,0", 7) == 7
    for text in ("1,500", "1,2,3", "1.000,5"):
        with pytest.raises(ValueError, match="want a number"):
            parse(text, 1.5)
