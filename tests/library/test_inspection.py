"""mvg/inspection.py and `run.py inspect`: what is made of a file before anyone runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mvgen.mvg.inspection import in_words, inspect_file
from PIL import Image

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str | bytes, name: str = "report.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_report_is_read_planned_and_cleaned(tmp_path):
    path = written(tmp_path, "Patient: John Smith\nFindings: small left pleural effusion. No pneumothorax.\n")
    found = inspect_file(path, "chest_xray")
    assert found["kind"] == "report" and found["language"] == "en"
    assert found["findings"]["pleural effusion"] == {"status": "present", "severity": "mild", "side": "left"}
    assert found["findings"]["pneumothorax"]["status"] == "absent"
    assert [stage["severity"] for stage in found["plan"]] == pytest.approx([0.35, 0.45, 0.55, 0.65, 0.75, 0.85])
    assert found["plan"][-1]["prompt"] == "frontal chest x-ray, severe left pleural effusion"
    assert "Smith" not in found["sent"] and "pleural effusion" in found["sent"]
    assert "pleural effusion: present (mild left)" in in_words(found)


@pytest.mark.parametrize(
    "text, language, note",
    [
        ("Kein Erguss. Die Lunge ist frei und das Herz ist normal.", "other", "not in English"),
        ("The lungs are clear. Heart size is normal.", "en", "names no finding"),
        ("The weather is fine today.", "en", "says nothing of any finding"),
    ],
)
def test_where_nothing_progresses_there_is_no_plan(tmp_path, text, language, note):
    found = inspect_file(written(tmp_path, text), "chest_xray")
    assert found["plan"] is None and found["language"] == language
    assert note in " ".join(found["notes"])
    assert "nothing progresses" in in_words(found)


def test_a_report_of_windows_is_read(tmp_path):
    found = inspect_file(written(tmp_path, "Small left pleural effusion.".encode("utf-16")), "chest_xray")
    assert found["findings"]["pleural effusion"]["side"] == "left"


def test_a_picture_is_measured(tmp_path):
    levels = np.zeros((20, 30), np.uint8)
    levels[2:10] = 200
    Image.fromarray(levels).save(tmp_path / "a.png")
    found = inspect_file(tmp_path / "a.png", "chest_xray")
    assert (found["kind"], found["width"], found["height"]) == ("image", 30, 20)
    assert found["minimum"] == 0 and found["maximum"] == pytest.approx(200 / 255)
    assert found["spacing"] is None and "8-bit gray" in found["notes"]


def test_a_film_has_its_spacing():
    found = inspect_file(ROOT / "samples" / "chest_xray.dcm", "chest_xray")
    assert found["kind"] == "dicom" and found["spacing"] == [1.4, 1.4]


@pytest.mark.parametrize(
    "content, name, message",
    [
        (b"", "report.txt", "is empty"),
        (b"\0\1\2", "report.txt", "is no text file"),
        (b"x" * 1_000_001, "report.txt", "larger than 1000000 bytes"),
        (b"no picture", "a.png", "a.png"),
        (None, "absent.txt", "cannot be opened"),
        (None, "absent.png", "cannot be opened"),
    ],
)
def test_what_is_refused_says_why(tmp_path, content, name, message):
    path = tmp_path / name if content is None else written(tmp_path, content, name)
    found = inspect_file(path, "chest_xray")
    assert set(found) == {"file", "error"} and message in found["error"]
    assert str(tmp_path) not in found["error"]


def test_a_folder_and_an_unknown_domain_are_named(tmp_path):
    assert "is a folder" in inspect_file(tmp_path, "chest_xray")["error"]
    with pytest.raises(ValueError, match="domain: got 'hand'"):
        inspect_file(tmp_path, "hand")


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mvgen.launch.inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_a_line_a_file_and_ends_in_1_where_one_is_refused(tmp_path):
    good = written(tmp_path, "Moderate cardiomegaly.", "good.txt")
    bad = written(tmp_path, b"", "bad.txt")
    done = run("--json", bad, good)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 1
    assert first["file"] == str(bad) and "is empty" in first["error"]
    assert second["plan"][0]["finding"] == "cardiomegaly"
    assert run("--json", good).returncode == 0


def test_the_command_names_an_unknown_domain(tmp_path):
    done = run(tmp_path, "--domain", "hand")
    assert done.returncode == 2 and done.stdout == "" and "domain: got 'hand'" in done.stderr
