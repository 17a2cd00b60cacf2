"""The templates in the page: found, loaded, equal to their API twins, run. The report's upload."""

import pytest
from mvgen.tests.host.hosting import EXTENSION
from mvgen.tests.host.templates import MODEL_LOADERS, ONLY_ON_THE_PAGE, TEMPLATES, load

EXTENSIONS_ENTRY = f"[...document.querySelectorAll('nav span')].find((e) => e.textContent.trim() === '{EXTENSION}')"
# one of the graph before, such as the page's own at its start, may go late
NO_OVERLAY = "document.querySelectorAll('[data-testid=error-overlay]').length === 0"
MISSING = """
const bad = app.rootGraph.nodes.filter((n) => n.has_errors || !(n.type in LiteGraph.registered_node_types))
return bad.map((n) => n.type)
"""
RUN = """
return await new Promise((done) => {
  for (const kind of ['execution_success', 'execution_error'])
    app.api.addEventListener(kind, (event) => done([kind, event.detail]), { once: true })
  app.queuePrompt(0, 1)
})
"""
DROP = """
const node = app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadReport')
const transfer = new DataTransfer()
transfer.items.add(new File([text], name, { type: 'text/plain' }))
const taken = node.onDragDrop({ dataTransfer: transfer })
return [taken, node.onDragOver({ dataTransfer: transfer })]
"""


def open_template(page, name):
    graph = load(f"{name}.json")
    page.run("await app.loadGraphData(graph, true, true, name)", graph=graph, name=name)
    wanting = {node["type"] for node in graph["nodes"]} & MODEL_LOADERS
    assert set(page.run(MISSING)) == wanting
    if not wanting:
        page.wait(NO_OVERLAY)


def widget(page, node_type, name, value=None):
    """Sets a widget where a value is given -> its value."""
    return page.run(
        """
        const node = app.rootGraph.nodes.find((n) => n.type === type)
        const widget = node.widgets.find((w) => w.name === name)
        if (value !== null) { widget.value = value; widget.callback?.(value) }
        return widget.value
        """,
        **{"type": node_type, "name": name, "value": value},
    )


def test_the_dialog_lists_the_templates_under_extensions(page):
    page.run("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.wait(EXTENSIONS_ENTRY)
    page.run(f"{EXTENSIONS_ENTRY}.click()")
    for name in TEMPLATES:
        card = f'[data-testid="template-workflow-{name}"]'
        page.wait(f"document.querySelector('{card} img')?.naturalWidth > 0")
    page.run(f"document.querySelector('[data-testid=\"template-workflow-{TEMPLATES[0]}\"]').click()")
    page.wait("app.rootGraph.nodes.some((n) => n.type === 'MVG_SaveTrajectory')")
    assert page.run(MISSING) == []
    page.wait(NO_OVERLAY)


def test_a_missing_node_would_be_seen(page):
    graph = load(f"{TEMPLATES[0]}.json")
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
    assert kept == load(f"api/{name}.json")


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_page_saves_it_as_it_is(page, name):
    """What our script adds to a node stays out of the file."""
    open_template(page, name)
    saved, shipped = page.run("return app.rootGraph.serialize()"), load(f"{name}.json")
    values = [{node["id"]: node.get("widgets_values", []) for node in graph["nodes"]} for graph in (saved, shipped)]
    assert values[0] == values[1]


def test_run_ends_well_and_shows_the_film(server, page, tmp_path):
    open_template(page, "mvg_chest_xray")
    widget(page, "MVG_Recaption", "stages", 2)
    widget(page, "MVG_PIELoop", "steps", 4)
    widget(page, "MVG_SEINETransition", "frames", 3)
    kind, detail = page.run(RUN, timeout=240)
    assert kind == "execution_success", detail
    assert (server.base / "output" / "mvg" / "chest_xray" / "video.mp4").is_file()
    page.wait("document.querySelector('video')?.videoWidth > 0")
    source = page.run("return document.querySelector('video').currentSrc")
    assert "filename=video.mp4" in source and "chest_xray" in source
    page.run("app.extensionManager.command.execute('Comfy.Canvas.FitView')")  # pictures out of view are not loaded
    for title in ("Stages", "Outline", "Difference maps", "Plot of the scores"):
        page.wait(f"app.rootGraph.nodes.find((n) => n.title === '{title}')?.imgs?.length > 0")
    plan = page.run("return app.rootGraph.nodes.find((n) => n.title === 'Plan in words').widgets.map((w) => w.value)")
    assert any("chest_xray" in str(value) for value in plan)
    page.screenshot(tmp_path / "page.png")


def test_a_report_can_be_dropped_on_its_node(server, page):
    open_template(page, "mvg_chest_xray")
    assert page.run(DROP, name="dropped.txt", text="Mild cardiomegaly.") == [True, True]
    page.wait("app.rootGraph.nodes.find((n) => n.type === 'MVG_LoadReport').widgets[0].value === 'dropped.txt'")
    assert (server.base / "input" / "dropped.txt").read_text() == "Mild cardiomegaly."
    assert page.run(DROP, name="scan.pdf", text="%PDF")[0] is False
    assert widget(page, "MVG_LoadReport", "report") == "dropped.txt"
    posted = page.run("return JSON.stringify((await app.graphToPrompt()))")
    assert "dropped.txt" in posted and "Mild cardiomegaly" not in posted
