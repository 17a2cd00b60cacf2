"""Makes the page's workflow from its API twin: ``python -m mvgen.workflows.build NAME`` writes workflows/NAME.json.

A development tool; it needs Chromium. The host's own page turns workflows/api/NAME.json into its format, so the
order of widgets is the page's; this file adds what only a reader wants: places, groups, previews and a note.
"""

import json
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from ..launch.browser import find_browser
from ..tests.browser.comfy import open_comfy
from ..tests.browser.devtools import Page
from ..tests.host.hosting import running

FOLDER = Path(__file__).parent
LEFT, TOP, GAP, TITLE, MARGIN = 40, 80, 24, 34, 16  # pixels
VIEW = {
    "scale": 0.6,
    "offset": [100, 90],
}  # all of it on a wide screen, and just large enough for the page to write text


@dataclass(frozen=True)
class Group:
    """A box of the page: columns of (node id, width, least height); right of the box before, or below it."""

    title: str
    colour: str
    columns: tuple[tuple[tuple[str, int, int], ...], ...]
    below: bool = False


SYNTHETIC = """
**What is synthetic.** Every picture but the first. It is no prognosis and not for diagnosis.

Each node has a help page: select the node, then press **?** (Node Info).
"""

NOTES = {
    "mvg_chest_xray": """# Disease progression as a film

1. **Patient image**: drop a frontal chest X-ray (PNG or JPEG) on the node.
2. **Clinical report**: choose a text file (.txt). Its words stay in that file: nothing that is saved holds them.
3. **Progression plan**: how many stages, and of which finding (*auto*: what the report makes most of).
4. Press **Run**. Read *Plan in words* and *How the chest was found*, and look at *Outline*: only there may the
   picture change.

**What is synthetic.** Every picture but the first. The networks here are small and know drawn patients only:
this shows how the method works. It is no prognosis and not for diagnosis.

**Where the results lie.** ComfyUI's output folder, `mvg/chest_xray`, a numbered folder for each later run: the film,
every stage, the difference maps, the plot, scores.json and provenance.json, all marked as synthetic.

Each node has a help page: select the node, then press **?** (Node Info).
""",
    "mvg_transition_seine": """# The film by SEINE, at full size

1. **Models**: a Stable Diffusion 1.4 that was fine-tuned on chest X-rays (*models/checkpoints*) and SEINE
   (*models/mvg/seine*: `seine.pt`, or what `python3 run.py convert seine.pt` makes of it). SEINE takes the text encoder
   and the autoencoder of Stable Diffusion 1.x, which the checkpoint brings.
2. **Patient image** and **Clinical report**: files of yours.
3. Press **Run**. Clips are kept one by one: after an error or a cancel, Run goes on where it stopped.

16 frames a transition, guidance 8, prompt *smooth transition.*, 8 frames a second: 4 transitions are 61 frames, 7.6 s.
The released sampler is *ddpm* with 250 steps; *ddim* does with fewer.
"""
    + SYNTHETIC,
    "mvg_transition_wan": """# The film by Wan, in place of SEINE

1. **Models**: a Stable Diffusion 1.4 that was fine-tuned on chest X-rays, and Wan 2.1's first-last-frame model with its
   text encoder, autoencoder and image encoder.
2. **Patient image** and **Clinical report**: files of yours.
3. Press **Run**. *Ends of every transition* gives two lists; all that is connected behind it runs once a transition.
   *Film between the stages* joins the clips, keeps the patient's picture outside the outline (eq. 10) and puts the
   stages in bit for bit.

33 frames a transition, 16 frames a second: 4 transitions are 129 frames, 8 s. Wan wants 4 n + 1 frames and sides that
are a multiple of 16.
"""
    + SYNTHETIC,
    "mvg_transition_interpolation": """# The film by frame interpolation, in place of SEINE

1. **Model**: a RIFE (4.25 or newer) or FILM checkpoint in *models/frame_interpolation*. The rest comes with MVG.
2. **Patient image** and **Clinical report**: files of yours.
3. Press **Run**. *Interpolate* makes 15 steps of every transition, so K = 16 frames with both ends counted; *Film
   between the stages* keeps the patient's picture outside the outline (eq. 10) and puts the stages in bit for bit.

Interpolation follows motion. A disease that appears in place moves nothing: this is the baseline of a video model.
"""
    + SYNTHETIC,
}

PREVIEWS = {
    "101": {"class_type": "PreviewAny", "inputs": {"source": ["4", 1]}, "_meta": {"title": "Plan in words"}},
    "102": {"class_type": "PreviewAny", "inputs": {"source": ["5", 1]}, "_meta": {"title": "How the chest was found"}},
    "103": {"class_type": "MaskPreview", "inputs": {"mask": ["5", 0]}, "_meta": {"title": "Outline"}},
    "104": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}, "_meta": {"title": "Stages"}},
    "105": {"class_type": "PreviewAny", "inputs": {"source": ["8", 1]}, "_meta": {"title": "Conf of the last stage"}},
    "106": {"class_type": "PreviewAny", "inputs": {"source": ["9", 1]}, "_meta": {"title": "Mean CLIP-I"}},
    "107": {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}, "_meta": {"title": "Difference maps"}},
    "108": {"class_type": "PreviewImage", "inputs": {"images": ["11", 0]}, "_meta": {"title": "Plot of the scores"}},
}

FRONT = (
    Group("Input", "#3f789e", ((("note", 360, 520), ("1", 360, 0)), (("2", 300, 400), ("3", 300, 0)))),
    Group("Plan", "#88a", ((("4", 300, 0), ("101", 300, 330)), (("5", 240, 0), ("102", 240, 160), ("103", 240, 280)))),
    Group("Progression", "#b58b2a", ((("6", 320, 700), ("104", 320, 330)),)),
)

# a node with a live preview is given the height for it
LAYOUT = {
    "mvg_chest_xray": (
        *FRONT,
        Group("Film", "#a1309b", ((("7", 640, 630),),)),
        Group(
            "Scores",
            "#8a8",
            (
                (("8", 250, 0), ("105", 250, 110), ("9", 250, 0), ("106", 250, 110)),
                (("11", 366, 0), ("108", 366, 280), ("10", 366, 0), ("107", 366, 260)),
            ),
            below=True,
        ),
        Group("Save", "#b06634", ((("12", 400, 620),),)),
    ),
    "mvg_transition_seine": (
        *FRONT,
        Group("Film", "#a1309b", ((("7", 340, 0), ("8", 340, 630)),)),
        Group("Save", "#b06634", ((("9", 340, 0), ("10", 340, 420), ("11", 340, 420)),)),
    ),
    "mvg_transition_wan": (
        *FRONT,
        Group(
            "Wan",
            "#a1309b",
            (
                (("7", 300, 0), ("8", 300, 0), ("9", 300, 0), ("10", 300, 0), ("11", 300, 0)),
                (("12", 300, 0), ("13", 300, 0), ("14", 300, 120), ("15", 300, 120)),
                (("16", 320, 0), ("17", 320, 0), ("18", 320, 0), ("19", 320, 0)),
            ),
        ),
        Group("Film", "#8a8", ((("20", 300, 0),),)),
        Group("Save", "#b06634", ((("21", 340, 0), ("22", 340, 420), ("23", 340, 420)),)),
    ),
    "mvg_transition_interpolation": (
        *FRONT,
        Group("Film", "#a1309b", ((("7", 320, 0), ("8", 320, 0), ("9", 320, 0)),)),
        Group("Save", "#b06634", ((("10", 340, 0), ("11", 340, 420), ("12", 340, 420)),)),
    ),
}

ARRANGE = """
app.loadApiJson(api, 'mvg')
const graph = app.rootGraph
const note = LiteGraph.createNode('MarkdownNote')
graph.add(note)
note.title = 'Read me'
note.widgets[0].value = text
const node = (id) => id === 'note' ? note : graph.getNodeById(id)
let right = left - gap
let box = null
for (const { title, colour, columns, below } of groups) {
  const start = below ? box.pos[0] : right + gap
  const ceiling = below ? box.pos[1] + box.size[1] + gap : top
  let x = start + margin
  let bottom = 0
  for (const column of columns) {
    let y = ceiling + titleHeight + margin
    let width = 0
    for (const [id, wanted, least] of column) {
      for (const widget of node(id).widgets ?? []) if (widget.name === 'control_after_generate') widget.value = 'fixed'
      const height = Math.max(least, Math.ceil(node(id).computeSize()[1]))
      node(id).pos = [x, y + titleHeight]
      node(id).setSize([wanted, height])
      y += titleHeight + height + gap
      width = Math.max(width, wanted)
    }
    bottom = Math.max(bottom, y)
    x += width + gap
  }
  box = new LiteGraph.LGraphGroup(title)
  box.pos = [start, ceiling]
  box.size = [x - gap + margin - start, bottom - gap + margin - ceiling]
  box.color = colour
  graph.add(box)
  right = Math.max(right, start + box.size[0])
}
return graph.serialize()
"""


def build(page: Page, name: str) -> dict:
    """The page's workflow of ``name`` as a dict."""
    api = json.loads((FOLDER / "api" / f"{name}.json").read_text(encoding="utf-8"))
    groups = [vars(group) for group in LAYOUT[name]]
    sizes = {"left": LEFT, "top": TOP, "gap": GAP, "titleHeight": TITLE, "margin": MARGIN}
    shown = {id_ for group in LAYOUT[name] for column in group.columns for id_, *_ in column}
    previews = {id_: node for id_, node in PREVIEWS.items() if id_ in shown}
    graph = page.run(ARRANGE, api={**api, **previews}, groups=groups, text=NOTES[name], **sizes)
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
    graph["extra"] = {"ds": VIEW}
    return graph


def main(names: list[str]) -> None:
    browser = find_browser()
    if browser is None:
        sys.exit("no Chromium found: install one (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server, open_comfy(server, browser) as page:
        for name in names or LAYOUT:
            graph = build(page, name)
            (FOLDER / f"{name}.json").write_text(json.dumps(graph, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
