"""Makes the subgraph blueprints: ``python -m mvgen.workflows.blueprints`` writes subgraphs/NAME.json.

A development tool; it needs Chromium. A blueprint is a group of nodes of a bundled workflow that a user's own graph
needs more than once; the page offers it among the nodes, as one node.
"""

import json
import re
import sys
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..launch.browser import find_browser
from ..tests.browser.chromium import Page, open_browser
from ..tests.browser.comfy import open_comfy
from ..tests.host.hosting import running

FOLDER = Path(__file__).parent
TARGET = FOLDER.parent / "subgraphs"
SIDE, SOCKETS = 300, 128  # pixels: room at either side, of which the box of sockets takes some


@dataclass(frozen=True)
class Blueprint:
    """Nodes of workflows/api/WORKFLOW.json, by columns, and sockets that get another name."""

    workflow: str
    columns: tuple[tuple[str, ...], ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


BLUEPRINTS = {
    "MVG Scores of a Trajectory": Blueprint(
        workflow="mvg_chest_xray",
        columns=(("8", "9", "10"), ("11",)),
        inputs={"images": "states"},
        outputs={"scores": "conf", "scores_1": "clip_i"},
    ),
    "MVG Stage with a Mask of its Own": Blueprint(
        workflow="mvg_stage_by_stage",
        columns=(("30", "31"), ("32", "33"), ("34", "35")),
        inputs={"destination": "region", "negative": "source", "original": "patient"},
        outputs={"CONDITIONING": "conditioning", "image": "picture"},
    ),
}

CONVERT = """
app.loadApiJson(api, 'mvg')
const graph = app.rootGraph
let x = 0
for (const column of columns) {
  let y = 0
  let width = 0
  for (const id of column) {
    const node = graph.getNodeById(id)
    for (const widget of node.widgets ?? []) if (widget.name === 'control_after_generate') widget.value = 'fixed'
    node.setSize([Math.max(300, node.size[0]), node.computeSize()[1]])
    node.pos = [x, y]
    y += node.size[1] + 60
    width = Math.max(width, node.size[0])
  }
  x += width + 60
}
const { subgraph, node } = graph.convertToSubgraph(new Set(columns.flat().map((id) => graph.getNodeById(id))))
subgraph.name = name
node.title = name
return { id: Number(node.id), graph: graph.serialize() }
"""


def build(page: Page, name: str) -> dict:
    """The blueprint ``name`` as a dict."""
    wanted = BLUEPRINTS[name]
    api = json.loads((FOLDER / "api" / f"{wanted.workflow}.json").read_text(encoding="utf-8"))
    made = page.run(CONVERT, api=api, columns=wanted.columns, name=name)
    (node,) = (node for node in made["graph"]["nodes"] if node["id"] == made["id"])
    (definition,) = made["graph"]["definitions"]["subgraphs"]
    tidy(definition, name)
    for kind, names in (("inputs", wanted.inputs), ("outputs", wanted.outputs)):
        for number, (outer, inner) in enumerate(zip(node[kind], definition[kind], strict=True)):
            for slot in (outer, inner):
                slot["name"] = names.get(slot["name"], slot["name"])
                slot.pop("localized_name", None)
            inner["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {kind} {number}"))
    for slot in node["inputs"]:
        slot["link"] = None
    for slot in node["outputs"]:
        slot["links"] = []
    node |= {"id": 1, "type": definition["id"], "pos": [0, 0], "order": 0, "title": name}
    top = {"revision": 0, "last_node_id": 1, "last_link_id": 0, "nodes": [node], "links": [], "version": 0.4}
    return {**top, "definitions": {"subgraphs": [definition]}}


def tidy(definition: dict, name: str) -> None:
    """Takes out what differs from one building to the next, and puts the sockets beside the nodes."""
    number = {link["id"]: new for new, link in enumerate(definition["links"], start=1)}
    for link in definition["links"]:
        link["id"] = number[link["id"]]
    for node in definition["nodes"]:
        if "title" in node:  # the workflow's stage has a number
            node["title"] = re.sub(r"stage \d", "the stage", re.sub(r"Stage \d", "The stage", node["title"]))
        for slot in node.get("inputs", []):
            slot["link"] = number.get(slot.get("link"))
        for slot in node.get("outputs", []):
            slot["links"] = [number[link] for link in slot.get("links") or []]
    for slot in (*definition["inputs"], *definition["outputs"]):
        slot["linkIds"] = [number[link] for link in slot["linkIds"]]
    right = max(node["pos"][0] + node["size"][0] for node in definition["nodes"])
    for side, x in (("inputNode", -SIDE), ("outputNode", right + SIDE - SOCKETS)):
        definition[side]["bounding"][:2] = [x, 0]
    definition["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    definition["state"] |= {"lastLinkId": len(number), "lastNodeId": max(node["id"] for node in definition["nodes"])}


def main(names: list[str]) -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("no Chromium found: install one (Debian: apt-get install chromium)")
    TARGET.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder)) as server,
        open_browser(executable) as browser,
        open_comfy(server, browser) as page,
    ):
        for name in names or BLUEPRINTS:
            text = json.dumps(build(page, name), indent=1) + "\n"
            (TARGET / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
