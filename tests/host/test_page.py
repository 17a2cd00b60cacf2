"""What the page is given, without a browser: templates that say the same as their API twins, help, thumbnails."""

import json
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest
from mvgen.tests.host.hosting import EXTENSION, ROOT
from mvgen.tests.host.templates import COMPLETE, ONLY_ON_THE_PAGE, TEMPLATES, load, load_page
from mvgen.workflows import locale
from mvgen.workflows.layout import SUBGRAPHS
from mvgen.workflows.titles import TITLES, page_file
from PIL import Image

BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
ADDED_BY_THE_PAGE = {"IMAGEUPLOAD"}  # widgets without a value of their own


def unfold(page: dict) -> dict:
    """The page's workflow with the nodes of its subgraph in the subgraph's place."""
    for inner in page.get("definitions", {}).get("subgraphs", []):
        (node,) = (node for node in page["nodes"] if node["type"] == inner["id"])
        own = {(link["target_id"], link["target_slot"]): link for link in inner["links"]}
        outer = {(link[3], link[4]): link for link in page["links"]}
        first = max(link[0] for link in page["links"]) + 1
        links = [link for link in page["links"] if link[3] != node["id"]]
        for link in links:
            if link[1] == node["id"]:  # what comes out of it
                made = own[inner["outputNode"]["id"], link[2]]
                link[1:3] = [made["origin_id"], made["origin_slot"]]
        widgets = set()  # shown on the subgraph's node, and with the same value on the node inside
        for number, link in enumerate(inner["links"], start=first):
            came = [link["origin_id"], link["origin_slot"]]
            if came[0] == inner["inputNode"]["id"]:
                if (node["id"], came[1]) not in outer:
                    widgets.add(link["id"])
                    continue
                came = outer[node["id"], came[1]][1:3]
            links.append([number, *came, link["target_id"], link["target_slot"], link["type"]])
        for one in inner["nodes"]:
            for slot in one.get("inputs", []):
                slot["link"] = None if slot["link"] in {None, *widgets} else slot["link"] + first - 1
        page["links"] = links
        page["nodes"] = [one for one in page["nodes"] if one is not node] + inner["nodes"]
    return page


def to_api(page: dict, definitions: dict) -> dict:
    """The page's workflow as the page itself would post it."""
    origin = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    graph = {}
    for node in page["nodes"]:
        if node["type"] in ONLY_ON_THE_PAGE:
            continue
        definition = definitions[node["type"]]
        options = {}
        for kind in ("required", "optional"):
            options |= {name: spec[1] for name, spec in definition["input"].get(kind, {}).items() if len(spec) > 1}
        values = iter(node.get("widgets_values", []))
        inputs = {}
        for slot in node["inputs"]:
            value = next(values) if "widget" in slot else None
            if slot["link"] is not None:
                inputs[slot["name"]] = origin[slot["link"]]
            elif "widget" in slot and slot["type"] not in ADDED_BY_THE_PAGE:
                inputs[slot["name"]] = value
            by_itself = slot["name"] in ("seed", "noise_seed")  # where the page adds the control unasked
            if "widget" in slot and options.get(slot["name"], {}).get("control_after_generate", by_itself):
                assert next(values) == "fixed", f"{node['type']}: a second Run would differ from the first"
        assert list(values) == [], f"{node['type']} has more values than widgets"
        title = node.get("title", definition["display_name"])
        graph[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return graph


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_page_workflow_says_what_its_api_twin_says(definitions, name):
    same = to_api(unfold(load_page(name)), definitions) == load(f"api/{name}.json")
    assert same, f"{page_file(name).name} is behind its API twin: python -m mvgen.workflows.build {name}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_page_workflow_explains_itself(name):
    page = load_page(name)
    (note,) = (node for node in page["nodes"] if node["type"] == "MarkdownNote")
    assert "synthetic" in note["widgets_values"][0] and "Run" in note["widgets_values"][0]
    if name in SUBGRAPHS:  # few enough nodes to need no boxes
        return
    boxes = [group["bounding"] for group in page["groups"]]
    for node in page["nodes"]:
        (x, y), (width, height) = node["pos"], node["size"]
        inside = [
            b for b in boxes if b[0] <= x and b[1] <= y and x + width <= b[0] + b[2] and y + height <= b[1] + b[3]
        ]
        assert len(inside) == 1, f"{node['type']} is in {len(inside)} groups"


def test_every_workflow_has_both_forms_and_a_thumbnail():
    assert sorted(TITLES) == TEMPLATES
    assert sorted(file.stem for file in (ROOT / "workflows").glob("*.json")) == sorted(TITLES.values())
    for name in TEMPLATES:
        picture = page_file(name, ".jpg")
        assert picture.stat().st_size < 60_000
        assert max(Image.open(picture).size) <= 400


def test_what_needs_nothing_comes_first():
    order = sorted(TEMPLATES, key=TITLES.__getitem__)
    assert order[: len(COMPLETE)] == sorted(COMPLETE, key=TITLES.__getitem__)


def test_the_host_lists_and_serves_them(server):
    assert sorted(server.get("/workflow_templates")[EXTENSION]) == sorted(TITLES.values())
    for name in TEMPLATES:
        address = f"http://{server.address}/api/workflow_templates/{EXTENSION}/{quote(TITLES[name])}"
        with urllib.request.urlopen(f"{address}.json", timeout=30) as answer:
            assert json.load(answer) == load_page(name)
        with urllib.request.urlopen(f"{address}.jpg", timeout=30) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"


def test_the_host_offers_the_blueprints_and_their_nodes_are_there(server, definitions):
    files = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in BLUEPRINTS}
    offered = {id_: e for id_, e in server.get("/global_subgraphs").items() if EXTENSION in e["info"]["node_pack"]}
    assert files and {entry["name"] for entry in offered.values()} == set(files)
    for id_, entry in offered.items():
        blueprint = json.loads(server.get(f"/global_subgraphs/{id_}")["data"])
        assert blueprint == files[entry["name"]]
        (one,), (inside,) = blueprint["nodes"], blueprint["definitions"]["subgraphs"]
        assert one["type"] == inside["id"] and inside["name"] == entry["name"]
        assert {node["type"] for node in inside["nodes"]} <= set(definitions)


def test_every_node_has_a_help_page_that_names_its_sockets(server, definitions):
    ours = {name: node for name, node in definitions.items() if name.startswith("MVG_") and not node["dev_only"]}
    pages = {file.stem for file in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(ours)
    for name, node in ours.items():
        address = f"http://{server.address}/extensions/{EXTENSION}/docs/{name}.md"
        with urllib.request.urlopen(address, timeout=30) as answer:
            page = answer.read().decode()
        assert page.startswith(f"# {node['display_name']}\n"), name
        assert "**Connect**" in page and "**Paper**" in page, name
        inputs, outputs = page.split("**Inputs**")[1].split("**Outputs**")
        for kind in ("required", "optional"):
            for key, spec in node["input"].get(kind, {}).items():
                shown = spec[1].get("display_name") or key
                assert f"`{shown}`" in inputs, f"{name} does not explain its input {shown}"
        for shown in node["output_name"]:
            assert f"`{shown}`" in outputs, f"{name} does not explain its output {shown}"


def test_the_page_gets_our_script(server):
    scripts = server.get("/extensions")
    assert f"/extensions/{EXTENSION}/file_upload.js" in scripts
    assert {Path(path).name for path in scripts if EXTENSION in path} == {
        file.name for file in (ROOT / "web").rglob("*.js")
    }


def test_the_english_locale_says_what_the_nodes_say(server, definitions):
    current = locale.FILE.read_text(encoding="utf-8") == locale.write(definitions)
    assert current, "locales/en/nodeDefs.json is behind the nodes: python -m mvgen.workflows.locale"
    served = server.get("/i18n")["en"]["nodeDefs"]
    assert served["MVG_PIELoop"]["display_name"] == "PIE Loop"
    assert set(served["MVG_PIELoop"]["inputs"]["gamma"]) == {"name", "tooltip"}


def test_the_locale_leaves_out_what_the_page_would_take_for_syntax():
    assert locale.texts(name="|x|", tooltip="plain", description="") == {"tooltip": "plain"}
