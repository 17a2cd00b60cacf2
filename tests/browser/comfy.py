"""The host's page, ready for work."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from playwright import sync_api

from ..host.hosting import Server
from ..host.templates import LOADERS, load_page
from .chromium import Page, open_page

# with its first workflow, which would else replace one that a test has loaded
READY = """window.app?.extensionManager?.workflow?.activeWorkflow && app.canvas
&& LiteGraph.registered_node_types.MVG_PIELoop"""
# one of the graph before, such as the page's own at its start, may go late
NO_OVERLAY = "document.querySelectorAll('[data-testid=error-overlay]').length === 0"
MISSING = """
const bad = app.rootGraph.nodes.filter((n) => n.has_errors || !(n.type in LiteGraph.registered_node_types))
return bad.map((n) => n.type)
"""
RUN = """
return await new Promise((done) => {
  for (const kind of ['execution_success', 'execution_error', 'execution_interrupted'])
    app.api.addEventListener(kind, (event) => done([kind, event.detail]), { once: true })
  app.queuePrompt(0, 1)
})
"""
SHRINK = """
for (const graph of [app.rootGraph, ...app.rootGraph.subgraphs.values()])
  for (const node of graph.nodes)
    for (const widget of node.widgets ?? []) if (widget.name in sizes && widget.value) widget.value = sizes[widget.name]
"""


def set_settings(server: Server, values: dict[str, Any]) -> None:
    """Settings of the page, which the server keeps, beside those that it has."""
    data = json.dumps(values).encode()
    request = urllib.request.Request(f"http://{server.address}/settings", data=data, method="POST")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=30).close()


@contextlib.contextmanager
def open_comfy(server: Server, browser: sync_api.Browser) -> Iterator[Page]:
    """A tab with the server's page, its nodes registered and no welcome dialog over it."""
    set_settings(server, {"Comfy.TutorialCompleted": True})
    with open_page(browser) as page:
        page.tab.goto(f"http://{server.address}/")
        page.wait(READY, 120)
        yield page


def open_template(page: Page, name: str) -> None:
    """One of workflows/, with no node missing but where its model is."""
    graph = load_page(name)
    page.run("await app.loadGraphData(graph, true, true, name)", graph=graph, name=name)
    wanting = {node["type"] for node in graph["nodes"]} & set(LOADERS)
    assert set(page.run(MISSING)) == wanting
    if not wanting:
        page.wait(NO_OVERLAY)


def widget(page: Page, node_type: str, name: str, value: Any = None) -> Any:
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
