"""The viewer on PIE Loop and Save Trajectory: filled by a run, also by a cached one; by keyboard; in both themes."""

import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from mvgen.tests.browser.comfy import RUN, open_comfy

STAGES = 3
CONF = r"[01]\.\d\d"
BOTH_READ = rf"{CONF}, severity {CONF}"
HINT = "Run to see the stages."
BOTH = ("MVG_PIELoop", "MVG_SaveTrajectory")
GRAPH = {  # all else is left at its default
    "1": ("MVG_LoadEmbedded", {"domain": "chest_xray"}),
    "2": ("MVG_LoadMedicalImage", {"image": "mvg_chest_xray.png", "size": 128}),
    "3": ("MVG_LoadReport", {"report": "mvg_chest_xray.txt"}),
    "4": ("MVG_Recaption", {"report": ["3", 0], "domain": "chest_xray", "stages": STAGES}),
    "5": ("MVG_AnatomicalROI", {"image": ["2", 0], "plan": ["4", 0]}),
    "6": (
        "MVG_PIELoop",
        {
            **{"model": ["1", 0], "clip": ["1", 1], "vae": ["1", 2], "image": ["2", 0], "plan": ["4", 0]},
            **{"mask": ["5", 0], "steps": 4, "gamma": 1.0, "guidance": 1.1, "refine": 0, "seed": 0},
        },
    ),
    "8": ("MVG_Conf", {"classifier": ["1", 4], "images": ["6", 0], "finding": "plan", "plan": ["4", 0]}),
    "10": ("MVG_DifferenceMap", {"images": ["6", 0], "reference": "previous"}),
    "12": (
        "MVG_SaveTrajectory",
        {
            **{"states": ["6", 0], "folder_prefix": "viewer", "difference": ["10", 0]},
            **{"conf": ["8", 0], "curve": ["6", 2]},
        },
    ),
}
VIEWER = """
const of = (type) => {
  const node = app.rootGraph.nodes.find((n) => n.type === type)
  const element = node.widgets.find((w) => w.name === 'mvg_stages').element
  const image = (index) => element.querySelectorAll('img')[index]
  return { node, element, image, slider: element.querySelector('input'), hint: element.querySelector('p') }
}
"""
STATE = """
const { node, element, slider, hint, image } = of(type)
const shown = (e) => !e.closest('[hidden]')
const picture = (e) => shown(e) ? { source: e.currentSrc, alt: e.alt, width: e.naturalWidth } : null
return {
  hint: shown(hint) ? hint.textContent : null,
  stage: Number(slider.value),
  last: Number(slider.max),
  said: slider.getAttribute('aria-valuetext'),
  caption: element.querySelector('figcaption').textContent,
  focused: document.activeElement === slider,
  outline: getComputedStyle(slider).outlineStyle,
  patients: shown(element.querySelector('select')),
  picture: picture(image(0)),
  map: picture(image(1)),
  chart: element.querySelector('svg')?.getAttribute('aria-label') ?? null,
  marked: [...element.querySelectorAll('circle')].findIndex((c) => c.getAttribute('r') === '5'),
  points: element.querySelectorAll('circle').length,
  place: [...node.pos]
}
"""
LOOK = """
const { node } = of(type)
app.canvas.ds.scale = 1
app.canvas.ds.offset = [200 - node.pos[0], 120 - node.pos[1]]
app.canvas.setDirty(true, true)
"""
CONTRAST = """
const { element, slider } = of(type)
const light = (rgb) => rgb.map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
const numbers = (text) => text.match(/[\\d.]+/g).map(Number)
const back = numbers(getComputedStyle(element).backgroundColor)
if (back.length === 4 && back[3] < 1) throw new Error('the background is not opaque')
const colours = [...element.querySelectorAll('figcaption, svg text, p')].map((e) =>
  getComputedStyle(e)[e.localName === 'text' ? 'fill' : 'color'])
colours.push(getComputedStyle(element.querySelector('.line')).stroke, getComputedStyle(slider).accentColor)
return colours.map((colour) => {
  const pair = [light(numbers(colour).slice(0, 3)), light(back.slice(0, 3))].sort((a, b) => a - b)
  return (pair[1] + 0.05) / (pair[0] + 0.05)
})
"""


SET = """
const { node } = of('MVG_PIELoop')
for (const w of node.widgets) if (w.name in values) w.value = values[w.name]
"""
WATCH = """
const { api } = app
const { element, node } = of('MVG_PIELoop')
const bar = node.widgets.find((w) => w.name === 'mvg_progress').element
window.seen = { stages: [], bars: [], kinds: [] }
const look = new MutationObserver(() => {
  const said = element.querySelector('input').getAttribute('aria-valuetext')
  if (said && said !== window.seen.stages.at(-1)) window.seen.stages.push(said)
})
look.observe(element, { subtree: true, attributes: true })
api.addEventListener('mvg_progress', () => {
  window.seen.kinds.push(bar.dataset.kind)
  window.seen.bars.push([bar.querySelector('progress').value, bar.textContent])
})
"""
"""What the loop's viewer and bar show while the page runs."""


def state(page, node_type):
    return page.run(VIEWER + STATE, **{"type": node_type})


def settled(page, node_type):
    """The state when the pictures of the present stage are there."""
    shown = f"((type) => {{ {VIEWER} return of(type) }})('{node_type}')"
    page.wait(f"(({{ image }}) => image(0).complete && (image(1).hidden || image(1).complete))({shown})")
    return state(page, node_type)


def focus(page, node_type):
    """The slider, after the node has been brought into view: the host hides what is outside."""
    page.run(VIEWER + LOOK, **{"type": node_type})
    page.wait(f"((type) => {{ {VIEWER} return of(type).slider.checkVisibility() }})('{node_type}')")
    page.run(VIEWER + "of(type).slider.focus()", **{"type": node_type})


def api_graph():
    return {key: {"class_type": kind, "inputs": dict(inputs)} for key, (kind, inputs) in GRAPH.items()}


def open_small(page):
    page.run("await app.loadApiJson(graph, 'viewer'); app.rootGraph.arrange()", graph=api_graph())
    for node_type in BOTH:
        widgets = f"app.rootGraph.nodes.find((n) => n.type === '{node_type}')?.widgets"
        page.wait(f"{widgets}.some((w) => w.name === 'mvg_stages')")


def run_small(page):
    kind, detail = page.run(RUN)
    assert kind == "execution_success", detail
    for node_type in BOTH:
        page.wait(f"((type) => {{ {VIEWER} return of(type).hint.hidden }})('{node_type}')")


BAR = "node.widgets.find((w) => w.name === 'mvg_progress').element"


def mark(page, node_type):
    """[kind, words] of what the page says of a run on a node."""
    return page.run(
        VIEWER + f"const {{ node }} = of(type); return [{BAR}.dataset.kind, {BAR}.textContent]", type=node_type
    )


@pytest.fixture(scope="module")
def filled(page):
    open_small(page)
    before = [state(page, node_type) for node_type in BOTH]
    run_small(page)
    return before


def test_before_a_run_there_is_a_hint(filled):
    assert [viewer["hint"] for viewer in filled] == [HINT, HINT]
    assert [viewer["picture"] for viewer in filled] == [None, None]


@pytest.mark.parametrize("node_type", BOTH)
def test_every_stage_is_reached_by_keyboard(page, filled, node_type):
    assert state(page, node_type)["last"] == STAGES
    focus(page, node_type)
    seen = {}
    for key, stage in [("Home", 0), ("ArrowRight", 1), ("ArrowUp", 2), ("End", 3), ("ArrowLeft", 2), ("ArrowDown", 1)]:
        page.press(key)
        now = settled(page, node_type)
        assert now["stage"] == stage and now["focused"] and now["outline"] == "solid"
        assert now["picture"]["width"] == 128, f"stage {stage} is not shown"
        assert f"stage_{stage:02d}.png" in now["picture"]["source"]
        assert now["picture"]["alt"] == (f"Stage {stage} of {STAGES}, simulated" if stage else "Input image")
        assert now["caption"] == now["picture"]["alt"] and now["said"].startswith(now["caption"])
        assert (now["map"] is None) == (stage == 0)
        if stage:
            assert f"difference_{stage:02d}.png" in now["map"]["source"] and now["map"]["width"] == 128
            assert now["map"]["alt"] == f"Heat map of the change at stage {stage}"
        seen[stage] = urllib.request.urlopen(now["picture"]["source"], timeout=30).read()
    assert len(set(seen.values())) == STAGES + 1, "two stages have the same picture"
    assert now["place"] == filled[BOTH.index(node_type)]["place"], "the arrow keys moved the node"
    assert not now["patients"]


def test_the_curve_marks_the_stage(page, filled):
    focus(page, "MVG_SaveTrajectory")
    page.press("Home")
    for stage in range(STAGES + 1):
        now = state(page, "MVG_SaveTrajectory")
        assert now["marked"] == stage and now["points"] == STAGES + 1
        assert re.fullmatch(
            rf"Conf of pleural effusion: stage 0 {BOTH_READ}(, stage \d {BOTH_READ}){{{STAGES}}}", now["chart"]
        )
        assert re.search(rf", Conf of pleural effusion {BOTH_READ}$", now["said"])
        page.press("ArrowRight")
    focus(page, "MVG_PIELoop")
    page.press("End")
    now = state(page, "MVG_PIELoop")
    assert now["chart"].startswith("Change: stage 1 ") and now["points"] == STAGES
    assert now["marked"] == STAGES - 1, "the input has no change, so the first point is stage 1"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_can_be_read_in_both_themes(page, filled, theme, tmp_path):
    page.run("await app.extensionManager.setting.set('Comfy.ColorPalette', theme)", theme=theme)
    try:
        for node_type in BOTH:
            ratios = page.run(VIEWER + CONTRAST, **{"type": node_type})
            assert len(ratios) > STAGES + 3 and min(ratios) >= 4.5, (node_type, ratios)
            focus(page, node_type)
            page.press("ArrowLeft")
            settled(page, node_type)
            page.run("await new Promise((done) => setTimeout(done, 500))")
            page.screenshot(tmp_path / f"{theme}_{node_type}.png")
    finally:
        page.run("await app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")


def test_a_cached_run_fills_a_page_that_was_just_opened(server, browser, filled):
    with open_comfy(server, browser) as page:
        open_small(page)
        assert [state(page, node_type)["hint"] for node_type in BOTH] == [HINT, HINT]
        run_small(page)
        for node_type in BOTH:
            now = settled(page, node_type)
            assert now["last"] == STAGES and now["picture"]["width"] == 128
    (entry,) = server.get("/history?max_items=1").values()
    cached = dict(entry["status"]["messages"])["execution_cached"]["nodes"]
    assert {"6", "12"} <= set(cached), "this was to be a cached run"


def test_the_blurred_pictures_of_the_work_are_gone_after_a_run(page, filled):
    height = page.run(VIEWER + "return of('MVG_PIELoop').node.size[1]")
    page.run(VIEWER + SET, values={"guidance": 1.15})
    run_small(page)
    left = "return [Object.keys(app.nodePreviewImages).length, of('MVG_PIELoop').node.imgs ?? null]"
    assert page.run(VIEWER + left) == [0, None]
    page.wait("!document.querySelector('[data-node-id] img[src^=\"blob:\"]')")  # Nodes 2.0
    assert page.run(VIEWER + "return of('MVG_PIELoop').node.size[1]") == height


def test_several_patients_can_be_chosen_from(page, server, filled):
    outputs = [nodes["12"] for entry in server.get("/history").values() if "12" in (nodes := entry["outputs"])]
    (run,) = outputs[-1]["mvg_progressions"]
    shorter = run | {"stages": run["stages"][:2], "conf": None, "change": []}
    page.run(VIEWER + "of(type).node.onExecuted({ mvg_progressions: runs })", type=BOTH[1], runs=[run, shorter])
    focus(page, BOTH[1])
    page.press("End")
    assert state(page, BOTH[1])["patients"] and state(page, BOTH[1])["stage"] == STAGES
    choose = "const list = of(type).element.querySelector('select'); list.value = 1; "
    page.run(VIEWER + choose + "list.dispatchEvent(new Event('change'))", **{"type": BOTH[1]})
    now = settled(page, BOTH[1])
    assert (now["stage"], now["last"], now["chart"]) == (1, 1, None)
    assert now["said"] == "Stage 1 of 1, simulated"


def test_pictures_that_are_gone_are_not_shown_as_broken(page, filled):
    gone = {"filename": "stage_00.png", "subfolder": "mvg/gone", "type": "temp"}
    run = {"stages": [gone], "maps": [], "conf": None, "change": []}
    page.run(VIEWER + "of(type).node.onExecuted({ mvg_progressions: [run] })", type=BOTH[0], run=run)
    page.wait(f"((type) => {{ {VIEWER} return !of(type).hint.hidden }})('{BOTH[0]}')")
    now = state(page, BOTH[0])
    assert "no longer there" in now["hint"] and now["picture"] is None


def test_no_word_of_the_report_is_in_what_the_viewer_is_given(server, filled):
    words = (server.base / "input" / "mvg_chest_xray.txt").read_text(encoding="utf-8").split(".")[0].strip()
    outputs = [entry["outputs"] for entry in server.get("/history").values()]
    told = [v for nodes in outputs for node in nodes.values() for k, v in node.items() if k.startswith("mvg_")]
    assert told and words not in str(told)
    for file in (server.base / "temp").rglob("stages.json"):
        assert words not in file.read_text(encoding="utf-8")


def test_a_headless_run_leaves_no_pictures_behind(server, page, filled):
    """What it wants by the API's rule: all inputs of the nodes, as the page posts them."""
    posted = page.run("return (await app.graphToPrompt()).output")
    posted["6"]["inputs"]["seed"] = 1
    before = list((server.base / "temp" / "mvg").iterdir())
    with ThreadPoolExecutor(1) as elsewhere:  # playwright's event loop runs in this thread
        run = elsewhere.submit(server.run, posted).result()
    assert run.error is None and "6" in run.executed
    assert "6" not in run.outputs and "mvg_progressions" in run.outputs["12"]
    assert list((server.base / "temp" / "mvg").iterdir()) == before


def test_stages_come_one_by_one_while_the_run_goes_on(page, filled):
    page.run(VIEWER + SET, values={"guidance": 1.2, "steps": 60})  # seconds a stage, which a slow page needs too
    page.run(VIEWER + WATCH)
    run_small(page)
    seen = page.run("return window.seen")
    said = [words.partition(", ")[0] for words in seen["stages"]]
    assert said[-1] == f"Stage {STAGES} of {STAGES}" and len(said) > 1, "nothing was shown before the end"
    assert set(said) <= {f"Stage {n} of {STAGES}" for n in range(1, STAGES + 1)} and said == sorted(said)
    assert set(seen["kinds"]) == {"running", "done"} and seen["kinds"][-1] == "done"
    values = [value for value, _ in seen["bars"]]
    assert values == sorted(values[:-1]) + values[-1:], "the bar goes back"
    assert any(words.startswith(f"stage 2 of {STAGES}") for _, words in seen["bars"])


def test_what_is_shown_is_marked_when_a_run_is_cancelled(page, filled):
    page.run(VIEWER + SET, values={"guidance": 1.3, "steps": 200})
    cancel = """
    const { api } = app
    const cancel = ({ detail }) => {
      if (detail.stage !== 2) return
      api.removeEventListener('mvg_progress', cancel)
      api.interrupt()
    }
    api.addEventListener('mvg_progress', cancel)
    """
    page.run(cancel)
    kind, _ = page.run(RUN)
    assert kind == "execution_interrupted"
    shown = mark(page, "MVG_PIELoop")
    assert shown[0] == "cancelled" and re.fullmatch(rf"Cancelled at stage [23] of {STAGES}", shown[1]), shown
    assert mark(page, "MVG_SaveTrajectory") == ["earlier", "From an earlier run"]
    said = f"((type) => {{ {VIEWER} return of(type).slider.getAttribute('aria-valuetext') }})('MVG_PIELoop')"
    page.wait(f"/^Stage [12] of {STAGES}/.test({said})")  # the stage that was reached stays
    assert state(page, "MVG_SaveTrajectory")["last"] == STAGES, "of the run before"
    page.run(VIEWER + SET, values={"guidance": 1.1, "steps": 4})
    run_small(page)
    assert settled(page, "MVG_PIELoop")["last"] == STAGES


def test_the_loops_large_viewer_says_what_was_asked_for(page, filled):
    page.run(VIEWER + "of('MVG_PIELoop').element.querySelector('button').click()")
    words = "document.querySelector('.mvg-panel dl').innerText"
    page.wait(f"{words}.includes('Severity asked for')")
    assert "pleural effusion" in page.run(f"return {words}").split("Severity asked for")[0]
    page.press("Escape")
    page.wait("!document.querySelector('.mvg-panel')")
