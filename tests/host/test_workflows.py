"""The bundled workflows in the real host: they fit its nodes, what comes with us runs, what is missing is named."""

import json
import re
from collections.abc import Iterator

import pytest
from mvgen.tests.host.templates import COMPLETE, TEMPLATES, load, missing, small

WANTING = [name for name in TEMPLATES if name not in COMPLETE]
AUTOGROW, CHOICE = "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"


def sockets(definition: dict, given: dict) -> Iterator[tuple[str, str, bool]]:
    """Name in an API workflow, type and whether it is required, of every input that a node has with these values."""
    for kind in ("required", "optional"):
        for name, (type_, *more) in definition["input"].get(kind, {}).items():
            options = more[0] if more else {}
            if type_ == AUTOGROW:
                grown = options["template"]
                ((_, (inner, *_)),) = grown["input"]["required"].items()
                for n in range(grown["max"]):
                    yield f"{name}.{grown['prefix']}{n}", inner, n < grown["min"]
                continue
            yield name, type_, kind == "required"
            if type_ == CHOICE:
                (chosen,) = (choice for choice in options["options"] if choice["key"] == given.get(name, "auto"))
                for part, inner, needed in sockets({"input": chosen["inputs"]}, {}):
                    yield f"{name}.{part}", inner, needed


def test_every_node_is_in_a_workflow(definitions):
    ours = {name for name, node in definitions.items() if name.startswith("MVG_") and not node["dev_only"]}
    used = {node["class_type"] for name in TEMPLATES for node in load(f"api/{name}.json").values()}
    assert sorted(ours - used) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_workflow_fits_its_nodes(definitions, name):
    """Also where its files are missing, so that the host would say nothing of the nodes behind them."""
    graph = load(f"api/{name}.json")
    for key, node in graph.items():
        definition = definitions[node["class_type"]]
        assert not definition.get("deprecated"), f"{node['class_type']} is deprecated"
        known = {socket: (type_, needed) for socket, type_, needed in sockets(definition, node["inputs"])}
        required = {socket for socket, (_, needed) in known.items() if needed}
        assert required <= set(node["inputs"]) <= set(known), f"{name}: node {key}"
        for given, value in node["inputs"].items():
            if isinstance(value, list):
                kind, made = known[given][0], definitions[graph[value[0]]["class_type"]]["output"][value[1]]
                assert made == kind or made in str(kind).split(","), f"{name}: {key}.{given} is {made}"


@pytest.mark.parametrize("name", WANTING)
def test_missing_files_are_named_before_anything_runs(server, name):
    graph = load(f"api/{name}.json")
    wanted, named = missing(graph), set()
    for key, node in server.refuse(graph)["node_errors"].items():
        for error in node["errors"]:
            assert error["type"] in ("value_not_in_list", "custom_validation_failed"), error
            file = next((file for at, file in wanted if at == key and file in error["details"]), None)
            assert file, f"{name}: {error}"
            named.add((key, file))
    assert named == wanted


@pytest.mark.parametrize("name", COMPLETE)
def test_a_workflow_that_needs_no_other_files_runs_to_its_end(server, name):
    graph = small(load(f"api/{name}.json"))
    run = server.run(graph)
    assert run.error is None, run.error
    for key, node in graph.items():
        if node["class_type"] == "MVG_SaveTrajectory":
            for saved in run.outputs[key]["mvg_trajectory"]:
                folder = server.base / "output" / saved["subfolder"]
                assert folder.name.startswith(re.split("/", node["inputs"]["folder_prefix"])[-1])
                assert {"video.mp4", "stage_01.png", "scores.json", "provenance.json"} <= set(saved["files"])
                assert json.loads((folder / "scores.json").read_text())["synthetic"] is True
        if node["class_type"] == "MVG_ScoreTable":
            assert run.outputs[key]["text"][0].startswith("| stage ")
        if node["class_type"] == "MVG_ComparisonSheet":
            assert run.outputs[key]["text"][0].startswith("| method ") and len(run.outputs[key]["images"]) == 1
