"""A package that cannot be imported costs the nodes that need it and no others, in a real ComfyUI and in doctor."""

import os
from pathlib import Path

import pytest
from mvgen.launch import doctor
from mvgen.launch.host import Host
from mvgen.launch.paths import PACKAGE_PATH
from mvgen.tests.host.hosting import HOST, running

SCORES = {"MVG_Conf", "MVG_CLIPI", "MVG_KID", "MVG_DifferenceMap", "MVG_ProgressionPlot"}
OTHERS = {"MVG_LoadEmbedded", "MVG_Recaption", "MVG_AnatomicalROI", "MVG_PIELoop", "MVG_SEINETransition"}
REASON = "ImportError: torchmetrics is broken on purpose"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch) -> str:
    """A PYTHONPATH on which torchmetrics cannot be imported."""
    folder = tmp_path / "broken" / "torchmetrics"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('torchmetrics is broken on purpose')\n")
    return str(folder.parent)


def test_the_other_families_stay(tmp_path, broken, monkeypatch, definitions):
    assert set(definitions) >= SCORES | OTHERS
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([broken, os.environ.get("PYTHONPATH", "")]))
    with running(tmp_path / "base") as server:
        found = set(server.get("/object_info"))
        assert found >= OTHERS | {"MVG_SaveTrajectory"} and not found & SCORES
        lines = [line for line in (server.base / "server.log").read_text().splitlines() if REASON in line]
    assert len(lines) == 1 and "nodes/scores" in lines[0]


def test_doctor_names_the_family_and_the_reason(broken, monkeypatch):
    monkeypatch.setattr(doctor, "find_host", lambda: Host(HOST, "", "tests"))
    assert doctor.nodes().state == "ok"
    path = os.pathsep.join([broken, str(PACKAGE_PATH)])
    monkeypatch.setattr(doctor, "module_environment", lambda host: {**os.environ, "PYTHONPATH": path})
    row = doctor.nodes()
    assert row.state == "missing" and row.found == f"scores: {REASON}"
