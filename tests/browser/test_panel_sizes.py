"""The large viewer on the screens that people have: nothing cut off, pictures large, words that can be read."""

import json

import pytest
from mvgen.tests.browser.chromium import CONTRASTS, SIZE
from mvgen.tests.browser.test_viewer_panel import OPEN, PANEL, write_run
from mvgen.tests.library.study_films import film

STAGES = 8
SCREENS = {"1600x1000": (1600, 1000), "1280x720": (1280, 720)}
PROMPT = "Chest X-ray, frontal view, moderate to severe bilateral pleural effusion with blunted costophrenic angles"
LONG = "Extrapolation from a set of healthy to a set of diseased pictures"
ADD = """
const list = document.querySelector('.mvg-panel [aria-label="Compare with another result"]')
list.value = [...list.options].find((option) => option.text === title).value
list.dispatchEvent(new Event('input'))
"""
LAYOUT = """
const panel = document.querySelector('.mvg-panel')
const inside = (a, b) => Math.min(a.left - b.left, b.right - a.right, a.top - b.top, b.bottom - a.bottom) >= -1
const box = (e) => e.getBoundingClientRect()
const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight }
// a picture may be larger than its view, and the words of a stage are scrolled
const own = [...panel.querySelectorAll('*')].filter((e) =>
  e.checkVisibility() && e.localName !== 'option' && !e.closest('.frame, .told > *, .levels'))
const told = [...panel.querySelectorAll('.told')]
return {
  over: [panel.scrollWidth - panel.clientWidth, panel.scrollHeight - panel.clientHeight],
  outside: own.filter((e) => !inside(box(e), box(panel))).map((e) => `${e.localName} ${e.textContent.slice(0, 40)}`),
  wide: told.map((e) => e.scrollWidth - e.clientWidth),
  words: told.map((e) => e.clientHeight),
  pictures: [...panel.querySelectorAll('.frame')].map((e) => Math.round(box(e).height)),
  seen: [panel, ...panel.querySelectorAll('.frame, .timeline')].every((e) => inside(box(e), screen)),
  timeline: box(panel.querySelector('.timeline')).width
}
"""


@pytest.fixture(scope="module")
def runs(server):
    """Three results with all that a run may save, and long words."""
    made = [write_run(server.base / "output" / f"sizes_{n}", STAGES, 512, 16) for n in range(3)]
    stages = [{"prompt": f"{PROMPT}, stage {n}", "severity": n / STAGES} for n in range(1, STAGES + 1)]
    for n, run in enumerate(made):
        folder, place = server.base / "output" / f"sizes_{n}", {"subfolder": f"sizes_{n}", "type": "output"}
        film(folder / "video.mp4", 40, 2 * STAGES + 1, (512, 512))
        (folder / "provenance.json").write_text(json.dumps({"plan": {"stages": stages}}), encoding="utf-8")
        run |= {
            **{"film": {"filename": "video.mp4", **place}, "about": {"filename": "provenance.json", **place}},
            **{"sheet": {"filename": "stage_00.png", **place}, "fps": 8},
            "film_frames": [2 * stage for stage in range(STAGES + 1)],
            "dicom": [{"filename": f"stage_{stage:02d}.png", **place} for stage in range(STAGES + 1)],
            "severity": [stage / STAGES for stage in range(STAGES + 1)],
        }
    return made


@pytest.fixture
def panel(page, runs):
    """The panel of the first result; the two others are on nodes beside it."""
    page.run(OPEN.replace("'SD Walk']", "'SD Walk', 'Extrapolation']"), runs=runs)
    page.wait(f"{PANEL}.querySelector('.pane').dataset.shown === '{STAGES}'")
    page.wait(f"{PANEL}.querySelector('dl').innerText.includes('Prompt')")
    yield page
    page.run(f"{PANEL}?.close(); app.rootGraph.clear()")
    page.tab.set_viewport_size(SIZE)


def add(page, title):
    page.wait(f"[...{PANEL}.querySelectorAll('option')].some((option) => option.text === '{title}')")
    before = page.run(f"return {PANEL}.querySelectorAll('.pane').length")
    page.run(ADD, title=title)
    page.wait(f"{PANEL}.querySelectorAll('.pane').length === {before + 1}")
    page.wait(f"[...{PANEL}.querySelectorAll('.pane')].every((pane) => pane.dataset.shown === '{STAGES}')")


def layout(page, path):
    page.run("await new Promise((done) => setTimeout(done, 300))")
    page.screenshot(path)
    return page.run(LAYOUT)


def check(found, picture):
    """Nothing is cut off, and every picture is at least that high."""
    assert found["outside"] == [] and max(found["over"]) <= 0 and found["seen"], found
    assert max(found["wide"]) <= 0 and min(found["words"]) >= 100, found
    assert min(found["pictures"]) >= picture and found["timeline"] >= 400, found


@pytest.mark.parametrize("screen", SCREENS)
def test_one_result_fits_with_every_tool_open(panel, screen, tmp_path):
    width, height = SCREENS[screen]
    panel.tab.set_viewport_size({"width": width, "height": height})
    check(layout(panel, tmp_path / "page.png"), height * 0.6)
    panel.press("h")
    panel.press("b")
    check(layout(panel, tmp_path / "tools.png"), height * 0.55)
    panel.press("f")
    check(layout(panel, tmp_path / "film.png"), height * 0.6)
    panel.run(f"{PANEL}.querySelector('summary').click()")
    check(layout(panel, tmp_path / "keys.png"), height * 0.4)


@pytest.mark.parametrize("screen", SCREENS)
def test_three_results_fit_side_by_side(panel, screen, tmp_path):
    width, height = SCREENS[screen]
    panel.tab.set_viewport_size({"width": width, "height": height})
    add(panel, "SD Walk")
    check(layout(panel, tmp_path / "two.png"), height * 0.3)
    add(panel, "Extrapolation")
    panel.press("h")
    check(layout(panel, tmp_path / "page.png"), height * 0.25)


def test_a_long_title_cuts_nothing_off(panel, tmp_path):
    """It ends in dots, and the button that removes its result stays."""
    panel.tab.set_viewport_size({"width": 1280, "height": 720})
    panel.run("app.rootGraph.nodes.at(-1).title = title", title=LONG)
    add(panel, "SD Walk")
    add(panel, LONG)
    check(layout(panel, tmp_path / "page.png"), 720 * 0.25)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_word_can_be_read_in_both_themes(panel, theme, tmp_path):
    panel.run("await app.extensionManager.setting.set('Comfy.ColorPalette', theme)", theme=theme)
    try:
        panel.press("h")
        panel.run(f"{PANEL}.querySelector('summary').click()")
        panel.run("await new Promise((done) => setTimeout(done, 300))")
        panel.screenshot(tmp_path / "page.png")
        found = panel.run(CONTRASTS, root=".mvg-panel")
        assert len(found) > 60 and [pair for pair in found if pair[1] < 4.5] == []
    finally:
        panel.run("await app.extensionManager.setting.set('Comfy.ColorPalette', 'dark')")
