"""The templates in the page: found, loaded, equal to their API twins, run. The report's upload."""

import json

import pytest
from mvgen.tests.browser.chromium import SIZE
from mvgen.tests.browser.comfy import MISSING, NO_OVERLAY, RUN, SHRINK, open_template, widget
from mvgen.tests.host.hosting import EXTENSION, ROOT
from mvgen.tests.host.templates import COMPLETE, ONLY_ON_THE_PAGE, SMALL, TEMPLATES, flat, load, load_page
from mvgen.workflows.blueprints import BLUEPRINTS
from mvgen.workflows.layout import SUBGRAPHS
from mvgen.workflows.titles import TITLES

EXTENSIONS_ENTRY = f"[...document.querySelectorAll('nav span')].find((e) => e.textContent.trim() === '{EXTENSION}')"
CARDS = '[data-testid^="template-workflow-"]'  # the page makes them, and loads their pictures, as they come into view
OVERLAPS = """
const box = ({ pos, size }) => [pos[0], pos[1] - 30, pos[0] + size[0], pos[1] + size[1]]
const meet = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
const nodes = app.rootGraph.nodes
return nodes.flatMap((a, n) => nodes.slice(n + 1).filter((b) => meet(box(a), box(b))).map((b) => [a.title, b.title]))
"""
# by the classic nodes, or by Nodes 2.0
PICTURED = """(() => {{
  const node = app.rootGraph.nodes.find((n) => n.title === '{title}')
  return node?.imgs?.length || document.querySelector(`[data-node-id="${{node?.id}}"] img`)?.naturalWidth
}})()"""
DROP = """
const node = app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadReport')
const transfer = new DataTransfer()
transfer.items.add(new File([text], name, { type: 'text/plain' }))
const taken = node.onDragDrop({ dataTransfer: transfer })
return [taken, node.onDragOver({ dataTransfer: transfer })]
"""


def test_the_dialog_lists_the_templates_under_extensions(page):
    page.run("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.wait(EXTENSIONS_ENTRY)
    page.run(f"{EXTENSIONS_ENTRY}.click()")
    for name in map(TITLES.get, TEMPLATES):
        card = f'[data-testid="template-workflow-{name}"]'
        seen = f"document.querySelector('{card}') ?? [...document.querySelectorAll('{CARDS}')].at(-1)"
        page.wait(f"(({seen})?.scrollIntoView(), document.querySelector('{card} img')?.naturalWidth > 0)")
    page.run(f"document.querySelector('[data-testid=\"template-workflow-{TITLES[TEMPLATES[0]]}\"]').click()")
    page.wait("app.rootGraph.nodes.some((n) => n.type === 'MVG_SaveTrajectory')")
    assert page.run(MISSING) == []
    page.wait(NO_OVERLAY)


@pytest.mark.parametrize("name", SUBGRAPHS)
def test_a_starter_is_readable_as_it_opens(page, name):
    """At 1600 x 1000, as the dialog opens it: the page shows all of a template."""
    page.tab.set_viewport_size({"width": 1600, "height": 1000})
    try:
        page.wait("app.canvas.canvas.width === 1600")
        page.run(
            "await app.loadGraphData(graph, true, true, name, { openSource: 'template' })",
            graph=load_page(name),
            name=name,
        )
        page.wait("app.canvas.ds.scale >= 0.8 && app.canvas.ds.scale < 0.9")
        assert len(page.run("return app.rootGraph.nodes.map((node) => node.id)")) <= 9
        assert page.run(OVERLAPS) == []
    finally:
        page.tab.set_viewport_size(SIZE)


def test_a_missing_node_would_be_seen(page):
    graph = load_page(TEMPLATES[0])
    graph["nodes"][0]["type"] = "MVG_NoSuchNode"
    page.run("await app.loadGraphData(graph, true, true, 'bogus')", graph=graph)
    assert page.run(MISSING) == ["MVG_NoSuchNode"]
    page.run("app.rootGraph.clear()")
    page.wait(NO_OVERLAY)


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_the_page_posts_is_the_api_twin(page, name):
    open_template(page, name)
    posted = page.run("return (await app.graphToPrompt()).output")
    kept = {key: node for key, node in posted.items() if node["class_type"] not in ONLY_ON_THE_PAGE}
    assert flat(kept) == load(f"api/{name}.json")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_page_saves_it_as_it_is(page, name):
    """What our script adds to a node stays out of the file."""
    open_template(page, name)
    saved, shipped = page.run("return app.rootGraph.serialize()"), load_page(name)
    values = [{node["id"]: node.get("widgets_values", []) for node in graph["nodes"]} for graph in (saved, shipped)]
    assert values[0] == values[1]


@pytest.mark.parametrize("name", BLUEPRINTS)
def test_a_blueprint_holds_the_nodes_of_its_workflow(page, name):
    file = ROOT / "subgraphs" / f"{name}.json"
    graph = json.loads(file.read_text(encoding="utf-8"))
    page.run("await app.loadGraphData(graph, true, true, name)", graph=graph, name=name)
    assert page.run(MISSING) == []
    posted = page.run("return (await app.graphToPrompt()).output")
    api = load(f"api/{BLUEPRINTS[name].workflow}.json")
    kept = {id_ for column in BLUEPRINTS[name].columns for id_ in column}
    assert {key.removeprefix("1:") for key in posted} == kept
    for key, node in posted.items():
        own = api[key.removeprefix("1:")]
        assert node["class_type"] == own["class_type"]
        for given, value in own["inputs"].items():
            if not isinstance(value, list):
                assert node["inputs"][given] == value
            elif value[0] in kept:
                assert node["inputs"][given] == [f"1:{value[0]}", value[1]]


def test_run_ends_well_and_shows_the_film(server, page, tmp_path):
    open_template(page, "mvg_chest_xray")
    widget(page, "MVG_Recaption", "stages", 2)
    widget(page, "MVG_PIELoop", "steps", 4)
    widget(page, "MVG_SEINETransition", "frames", 3)
    kind, detail = page.run(RUN)
    assert kind == "execution_success", detail
    assert (server.base / "output" / "mvg" / "chest_xray" / "video.mp4").is_file()
    page.wait("document.querySelector('video')?.videoWidth > 0")
    source = page.run("return document.querySelector('video').currentSrc")
    assert "filename=video.mp4" in source and "chest_xray" in source
    page.run("app.extensionManager.command.execute('Comfy.Canvas.FitView')")  # pictures out of view are not loaded
    for title in ("Stages", "Outline", "Difference maps", "Plot of the scores"):
        page.wait(PICTURED.format(title=title))
    plan = page.run("return app.rootGraph.nodes.find((n) => n.title === 'Plan in words').widgets.map((w) => w.value)")
    assert any("chest_xray" in str(value) for value in plan)
    page.screenshot(tmp_path / "page.png")


@pytest.mark.parametrize("name", COMPLETE)
def test_a_workflow_that_needs_no_other_files_runs_on_the_page(page, name):
    open_template(page, name)
    page.run(SHRINK, sizes=SMALL)
    kind, detail = page.run(RUN)
    assert kind == "execution_success", detail
    assert page.run(MISSING) == []


def test_a_report_can_be_dropped_on_its_node(server, page):
    open_template(page, "mvg_chest_xray")
    assert page.run(DROP, name="dropped.txt", text="Mild cardiomegaly.") == [True, True]
    page.wait("app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadReport').widgets[0].value === 'dropped.txt'")
    assert (server.base / "input" / "dropped.txt").read_text() == "Mild cardiomegaly."
    assert page.run(DROP, name="scan.pdf", text="%PDF")[0] is False
    assert widget(page, "MVG_LoadReport", "report") == "dropped.txt"
    posted = page.run("return JSON.stringify((await app.graphToPrompt()))")
    assert "dropped.txt" in posted and "Mild cardiomegaly" not in posted
