"""Makes the page's workflow from its API twin: ``python -m mvgen.workflows.build NAME`` writes the file of titles.py.

A development tool; it needs Chromium. The host's own page turns workflows/api/NAME.json into its format, so the
order of widgets is the page's; here it gets what only a reader wants: places, groups, subgraphs and previews
(layout.py) and a note (notes/NAME.md).
"""

import json
import sys
import tempfile
import uuid
from pathlib import Path

from ..launch.browser import find_browser
from ..tests.browser.chromium import Page, open_browser
from ..tests.browser.comfy import open_comfy
from ..tests.host.hosting import running
from . import blueprints
from .layout import COLLAPSED, LAYOUT, PREVIEWS, SOCKETS, SUBGRAPH, SUBGRAPHS
from .titles import page_file

FOLDER = Path(__file__).parent
LEFT, TOP, GAP, TITLE, MARGIN = 40, 80, 24, 34, 16  # pixels
VIEW = {
    "scale": 0.6,
    "offset": [100, 90],
}  # all of it on a wide screen, and just large enough for the page to write text


ARRANGE = """
app.loadApiJson(api, 'mvg')
const graph = app.rootGraph
const note = LiteGraph.createNode('MarkdownNote')
graph.add(note)
note.title = 'Read me'
note.widgets[0].value = text
let sub = null
if (inside) {
  let x = 0
  for (const column of inside.columns) {
    let y = 0
    for (const id of column) {
      const node = graph.getNodeById(id)
      for (const widget of node.widgets ?? []) if (widget.name === 'control_after_generate') widget.value = 'fixed'
      node.pos = [x, y]
      node.setSize([360, node.computeSize()[1]])
      y += node.size[1] + 60
    }
    x += 420
  }
  const made = graph.convertToSubgraph(new Set(inside.columns.flat().map((id) => graph.getNodeById(id))))
  made.subgraph.name = inside.title
  made.node.title = inside.title
  sub = made.node
}
const node = (id) => id === 'note' ? note : id === 'sub' ? sub : graph.getNodeById(id)
let right = left - gap
let box = null
let row = null
for (const { title, colour, columns, at } of groups) {
  if (at === 'right') row = { x: right + gap, y: top, bottom: top }
  if (at === 'below') row = { x: row.x, y: row.bottom + gap, bottom: row.bottom }
  const start = at === 'beside' ? box.pos[0] + box.size[0] + gap : row.x
  const ceiling = row.y
  const border = title ? margin : 0
  let x = start + border
  let bottom = 0
  for (const column of columns) {
    let y = ceiling + (title ? titleHeight : 0) + border
    let width = 0
    for (const [id, wanted, least] of column) {
      for (const widget of node(id).widgets ?? []) if (widget.name === 'control_after_generate') widget.value = 'fixed'
      const height = Math.max(least, Math.ceil(node(id).computeSize()[1]))
      node(id).pos = [x, y + titleHeight]
      node(id).setSize([wanted, height])
      if (least === collapsed) node(id).flags.collapsed = true
      y += titleHeight + (least === collapsed ? 0 : height) + gap
      width = Math.max(width, wanted)
    }
    bottom = Math.max(bottom, y)
    x += width + gap
  }
  box = new LiteGraph.LGraphGroup(title)
  box.pos = [start, ceiling]
  box.size = [x - gap + border - start, bottom - gap + border - ceiling]
  box.color = colour
  if (title) graph.add(box)
  right = Math.max(right, start + box.size[0])
  row.bottom = Math.max(row.bottom, ceiling + box.size[1])
}
return graph.serialize()
"""


def build(page: Page, name: str) -> dict:
    """The page's workflow of ``name`` as a dict."""
    api = json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))
    groups = [vars(group) for group in LAYOUT[name]]
    sizes = {"left": LEFT, "top": TOP, "gap": GAP, "titleHeight": TITLE, "margin": MARGIN, "collapsed": COLLAPSED}
    shown = {id_ for group in LAYOUT[name] for column in group.columns for id_, *_ in column}
    nodes = {**api, **PREVIEWS[name]}
    inside = None
    if name in SUBGRAPHS:
        title, columns = SUBGRAPHS[name]
        inside = {"title": title, "columns": columns}
        shown = (shown - {SUBGRAPH}) | {id_ for column in columns for id_ in column}
    if shown != {"note", *nodes}:
        sys.exit(f"{name}: layout.py and the API twin differ in {', '.join(sorted(shown ^ {'note', *nodes}))}")
    text = (FOLDER / "notes" / f"{name}.md").read_text(encoding="utf-8")
    graph = page.run(ARRANGE, api=nodes, groups=groups, inside=inside, text=text, **sizes)
    return tidy(graph, name)


def tidy(graph: dict, name: str) -> dict:
    """Without what differs from one building to the next: link numbers, the graph's id and the view."""
    number = {link[0]: new for new, link in enumerate(graph["links"], start=1)}
    for link in graph["links"]:
        link[0] = number[link[0]]
    for node in graph["nodes"]:
        for slot in node.get("inputs", []):
            slot["link"] = number.get(slot["link"])
        for slot in node.get("outputs", []):
            slot["links"] = [number[link] for link in slot["links"] or []]
    graph["last_link_id"] = len(number)
    graph["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    for definition in graph.get("definitions", {}).get("subgraphs", []):
        (node,) = (node for node in graph["nodes"] if node["type"] == definition["id"])
        blueprints.tidy(definition, f"{name} subgraph")
        node["type"] = definition["id"]
        for kind in ("inputs", "outputs"):
            for number, (outer, slot) in enumerate(zip(node[kind], definition[kind], strict=True)):
                for named in (outer, slot):
                    named["name"] = SOCKETS.get(named["name"], named["name"])
                    named.pop("localized_name", None)
                slot["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {kind} {number}"))
    graph["extra"] = {"ds": VIEW}
    return graph


def main(names: list[str]) -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("no Chromium found: install one (Debian: apt-get install chromium)")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), api_nodes=True) as server,
        open_browser(executable) as browser,
        open_comfy(server, browser) as page,
    ):
        for name in names or LAYOUT:
            graph = build(page, name)
            page_file(name).write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
