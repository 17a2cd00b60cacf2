"""Bundled workflows: a report that nobody could read never passes as a normal one."""

import json
from pathlib import Path

import pytest
from mvgen.workflows.titles import page_file

FOLDER = Path(__file__).parents[2] / "workflows"
NAMES = sorted(file.stem for file in (FOLDER / "api").glob("*.json") if "MVG_Recaption" in file.read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_reports_are_read_strictly(name):
    api = json.loads((FOLDER / "api" / f"{name}.json").read_text("utf-8"))
    page = json.loads(page_file(name).read_text("utf-8"))
    asked = [node["inputs"] for node in api.values() if node["class_type"] == "MVG_Recaption"]
    shown = [node["widgets_values"] for node in page["nodes"] if node["type"] == "MVG_Recaption"]
    assert len(asked) == len(shown) >= 1
    for inputs, values in zip(asked, shown, strict=True):
        assert inputs["strict"] is True and values[4] is True
