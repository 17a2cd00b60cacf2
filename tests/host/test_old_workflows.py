"""Workflows that were saved with release 0.1.0: they fit today's nodes, and their plans and expansions are the same."""

import hashlib
import json

import pytest
from mvgen.mvg.recaption.offline import recaption
from mvgen.tests.host.hosting import ROOT, running
from mvgen.tests.host.templates import small
from mvgen.tests.host.test_workflows import sockets

FOLDER = ROOT / "tests" / "workflows_0_1"
NAMES = sorted(file.stem for file in (FOLDER / "api").glob("*.json"))
PLANS = json.loads((FOLDER / "plans.json").read_text(encoding="utf-8"))


def load(path):
    return json.loads((FOLDER / path).read_text(encoding="utf-8"))


def plan_inputs(graph):
    (node,) = (node["inputs"] for node in graph.values() if node["class_type"] == "MVG_Recaption")
    return node, graph[node["report"][0]]["inputs"]["report"]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_of_it_is_still_known_and_none_is_missing(definitions, name):
    for node in load(f"api/{name}.json").values():
        definition = definitions[node["class_type"]]
        known = {socket: needed for socket, _, needed in sockets(definition, node["inputs"])}
        required = {socket for socket, needed in known.items() if needed}
        assert required <= set(node["inputs"]) <= set(known), node["class_type"]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_finds_every_socket_and_widget_where_it_was(definitions, name):
    graph = load(f"{name}.json")
    for node in (node for node in graph["nodes"] if node["type"].startswith("MVG_")):
        definition = definitions[node["type"]]
        made = definition["output_name"][: len(node["outputs"])]
        assert [out["name"] for out in node["outputs"]] == made, node["type"]
        now = [input_ for kind in ("required", "optional") for input_ in definition["input"].get(kind, {})]
        widgets = [given["name"] for given in node["inputs"] if "widget" in given]
        then = [given for given in widgets if "." not in given and given != "upload"]  # a button of the page's own
        assert [input_ for input_ in now if input_ in then] == then, node["type"]


@pytest.mark.parametrize("key", PLANS)
def test_its_plan_is_the_same(key):
    name, stages = key.split(", ")
    inputs, report = plan_inputs(load(f"api/{name}.json"))
    text = (ROOT / "samples" / report.removeprefix("mvg_")).read_text(encoding="utf-8")
    finding = None if inputs["finding"] == "auto" else inputs["finding"]
    count = int(stages.split()[0])
    plan = recaption(text, inputs["domain"], count, inputs["mode"], finding, strict=inputs["strict"])
    assert {**json.loads(plan.to_json()), "notes": []} == {**PLANS[key], "notes": []}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mvg_chest_xray"])
def test_the_host_takes_it_as_far_as_its_plan(server, name):
    graph = small(load(f"api/{name}.json"))
    graph = {key: node for key, node in graph.items() if node["class_type"] in ("MVG_LoadReport", "MVG_Recaption")}
    (plan,) = (key for key, node in graph.items() if node["class_type"] == "MVG_Recaption")
    graph["text"] = {"class_type": "PreviewAny", "inputs": {"source": [plan, 1]}}
    run = server.run(graph)
    assert run.error is None, run.error
    assert all(stage["prompt"] in run.outputs["text"]["text"][0] for stage in PLANS[f"{name}, 2 stages"]["stages"])


def test_it_expands_into_the_same_prompts_and_stages(tmp_path):
    """On a server of its own, which has nothing in its caches."""
    with running(tmp_path / "comfyui") as fresh:
        run = fresh.run(small(load("api/mvg_chest_xray.json")))
    assert run.error is None, run.error
    stages = PLANS["mvg_chest_xray, 2 stages"]["stages"]
    asked = {stage[text] for stage in stages for text in ("prompt", "source")}
    digests = {hashlib.sha256(text.encode()).hexdigest()[:12] for text in asked}
    assert {node.rsplit(".", 1)[1] for node in run.executed if "pie.text." in node} == digests
    assert run.stages_run() == [1, 2]
