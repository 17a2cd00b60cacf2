"""One real ComfyUI server for all tests of this folder."""

import json
import os
import uuid
from pathlib import Path

import pytest
from mvgen.launch.study_arguments import VARIABLE
from mvgen.tests.host.hosting import ROOT, Server, running
from mvgen.tests.library.llm_server import KEY, KEY_ENV
from mvgen.tests.library.study_films import made


@pytest.fixture(scope="session")
def server(tmp_path_factory, studied) -> Server:
    os.environ[KEY_ENV] = KEY  # the host takes it over as it starts
    base = tmp_path_factory.mktemp("comfyui")
    os.environ[VARIABLE] = os.pathsep.join([str(studied), str(base / "output" / "study")])
    with running(base, api_nodes=True) as started:
        yield started


@pytest.fixture(scope="session")
def studied(tmp_path_factory) -> Path:
    """A study that the server serves."""
    return made(tmp_path_factory.mktemp("study"), patients=1, repeats=1, checks=1, questionnaire=1)


@pytest.fixture(scope="session")
def definitions(server: Server) -> dict:
    return server.get("/object_info")


@pytest.fixture
def workflow() -> dict:
    """The API workflow at a size for tests: 2 stages of 2 + 2 steps, 3 frames a transition in 2 steps."""
    graph = json.loads((ROOT / "workflows" / "api" / "mvg_chest_xray.json").read_text(encoding="utf-8"))
    by_class = {node["class_type"]: node["inputs"] for node in graph.values()}
    by_class["MVG_LoadMedicalImage"]["image"] = "film.png"
    by_class["MVG_LoadReport"]["report"] = "report.txt"
    by_class["MVG_Recaption"]["stages"] = 2
    by_class["MVG_PIELoop"].update(steps=4, gamma=0.5, guidance=3.0, refine=0)
    by_class["MVG_SEINETransition"].update(frames=3, steps=2)
    by_class["MVG_SaveTrajectory"]["folder_prefix"] = f"test/{uuid.uuid4().hex[:8]}"
    return graph


@pytest.fixture
def inputs(workflow):
    """Inputs of the workflow's node of a class."""

    def find(class_type: str) -> dict:
        return next(node["inputs"] for node in workflow.values() if node["class_type"] == class_type)

    return find
