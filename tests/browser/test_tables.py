"""Tables as a browser shows them: report.html of a batch, also on paper; scores on Score Table and Comparison Sheet."""

import csv
import json

import pytest
from mvgen import cohort
from mvgen.tests.browser.chromium import CONTRASTS
from mvgen.tests.browser.comfy import RUN, SHRINK, open_template
from mvgen.tests.host.templates import SMALL
from mvgen.tests.library.cohort_files import HEADER, manifest, workflow
from PIL import Image

PATIENTS, STAGES = 11, 8
REASON = "image: got a picture of one gray level, want one that shows more; see a_long_name_of_a_file_0123456789.png"
PAPER = {"width": 718, "height": 1047}  # A4 at 96 dots an inch, less 1 cm at each side
CHAINS = "h2:text-is('Chains') + .scroll table"
CUT = """
return [...document.querySelectorAll('body *')].filter((e) => {
  const { left, right } = e.getBoundingClientRect()
  const hides = getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth
  return left < 0 || right > innerWidth || (hides && e.localName !== 'svg')
}).map((e) => `${e.localName}: ${e.textContent.slice(0, 60)}`)
"""
"""Elements whose content no paper shows: they end beside it, or have to be scrolled."""
METHODS = {"PIE": "pie", "SD Walk": "sd_walk", "Extrapolation": "extrapolation"}
CONF = "pleural effusion: Conf (0 to 1)"
TABLE = """
const node = app.rootGraph.nodes.find((n) => n.title === title)
app.canvas.ds.scale = 1
app.canvas.ds.offset = [200 - node.pos[0], 120 - node.pos[1]]
app.canvas.setDirty(true, true)
const { element } = node.widgets.find((w) => w.name === 'mvg_table')
for (let n = 0; n < 100 && !element.checkVisibility(); n++) await new Promise((done) => setTimeout(done, 50))
await new Promise((done) => setTimeout(done, 200))
const texts = (query) => [...element.querySelectorAll(query)].map(({ cells }) => [...cells].map((e) => e.textContent))
return {
  head: texts('thead tr')[0],
  rows: texts('tbody tr'),
  scopes: [...element.querySelectorAll('th')].map((cell) => cell.scope),
  seen: element.checkVisibility(),
  hidden: [element.scrollWidth - element.clientWidth, element.scrollHeight - element.clientHeight]
}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The file of eleven patients, the last of which failed. Patient n took 100 - n seconds."""
    folder = tmp_path_factory.mktemp("batch")
    rows = [[f"P{n}", "a.png", "report.txt", "0", str(n)] for n in range(PATIENTS)]  # equal ones would be one chain
    plan = cohort.build(manifest(folder, rows, [*HEADER, "guidance"]), workflow(folder))
    store = cohort.Store(folder / "out")
    with store.lock():
        for n, chain in enumerate(plan.chains[:-1]):
            partial = store.partial(chain.id)
            scores = [
                f'{chain.id},{stage},{metric},{(n + stage) / 20},densenet,"{{""finding"": ""edema""}}"'
                for metric in ("conf", "clip_i", "severity")
                for stage in range(STAGES + 1)
            ]
            (partial / "scores.csv").write_text("\n".join(["chain,stage,metric,value,model,settings", *scores]))
            (partial / "provenance.json").write_text(json.dumps({"plan": {"finding": "edema", "notes": ["as told"]}}))
            for stage in range(STAGES + 1):
                Image.new("RGB", (240, 320), (90, 90, 20 * stage)).save(partial / f"stage_{stage:02d}.png")
            store.keep(chain.id, partial)
            store.note(event="done", chain=chain.id, seconds=100.0 - n)
        store.fail(plan.chains[-1].id, {"error": REASON, "kind": "wrong"})
        cohort.write(plan, store)
    return store.out / "report.html"


@pytest.fixture
def tab(browser, report):
    """It, opened as a double click opens it, and all that it asked for on the way."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    opened = context.new_page()
    opened.goto(report.as_uri(), wait_until="networkidle")
    yield opened
    context.close()
    assert asked and all(address.startswith(("file:", "data:")) for address in asked), asked


def evaluate(tab, script, **values):
    return tab.evaluate(f"([{', '.join(values)}]) => {{ {script} }}", list(values.values()))


def column(tab, title):
    """What stands below a title, and how the page says that it is sorted."""
    number = tab.locator(f"{CHAINS} th").all_inner_texts().index(title)
    cells = tab.locator(f"{CHAINS} tbody td:nth-child({number + 1})").all_inner_texts()
    return cells, tab.locator(f"{CHAINS} th").nth(number).get_attribute("aria-sort")


def test_a_click_on_a_title_sorts_the_rows(tab):
    head = tab.locator(CHAINS)
    patients = [f"P{n}" for n in range(PATIENTS)]
    head.get_by_role("button", name="seconds").click()
    slowest_last = ["", *(f"{seconds:.1f}" for seconds in sorted(100.0 - n for n in range(PATIENTS - 1)))]
    assert column(tab, "seconds") == (slowest_last, "ascending")
    assert column(tab, "patient") == ([patients[-1], *patients[-2::-1]], None), "rows stay whole"
    head.get_by_role("button", name="seconds").click()
    assert column(tab, "seconds") == (slowest_last[::-1], "descending")
    head.get_by_role("button", name="patient").focus()
    tab.keyboard.press("Enter")
    assert column(tab, "patient") == (patients, "ascending"), "P10 is after P9"
    assert column(tab, "seconds")[1] is None, "one column sorts"
    assert tab.locator("[aria-sort]").count() == 1, "the other tables stay as they are"


def test_the_pictures_are_large_enough_to_be_looked_at(tab):
    sizes = tab.locator(".strip img").evaluate_all("all => all.map((e) => [e.height, e.naturalHeight, e.width])")
    assert len(sizes) == (PATIENTS - 1) * (STAGES + 1)
    assert all(shown >= 160 and held >= 160 and width == 120 for shown, held, width in sizes), "240 x 320 at first"
    assert evaluate(tab, "return document.documentElement.scrollWidth <= innerWidth")


def test_a_chain_that_failed_says_why(tab):
    failed = tab.locator("h2:text-is('Failed') + .scroll tbody tr")
    assert failed.locator("td").all_inner_texts() == [f"P{PATIENTS - 1}", "0", REASON]
    row = tab.locator(f"{CHAINS} tbody tr", has_text="failed")
    assert row.count() == 1 and row.get_by_text(REASON).is_visible() and row.get_by_role("link").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_both_schemes(tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    found = evaluate(tab, CONTRASTS, root="body")
    assert len(found) > 100 and [pair for pair in found if pair[1] < 4.5] == []


def test_on_paper_nothing_is_cut(tab, tmp_path):
    tab.set_viewport_size(PAPER)
    tab.emulate_media(media="print")
    assert evaluate(tab, CUT) == []
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert tab.get_by_role("columnheader", name="patient").first.is_visible()


@pytest.fixture(scope="module")
def compared(page):
    """The page after PIE, SD Walk and Extrapolation of two stages."""
    open_template(page, "mvg_compare_baselines")
    page.run(SHRINK, sizes={**SMALL, "size": 128, "width": 128, "height": 128})
    kind, detail = page.run(RUN)
    assert kind == "execution_success", detail
    page.wait("document.querySelectorAll('.mvg-table td').length > 0")
    return page


def saved(server, method):
    """(metric, stage) -> value of the finding that progresses, in full, from the file of the run."""
    (file,) = (server.base / "output" / "mvg" / "compare_baselines").glob(f"{METHODS[method]}/scores.csv")
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [
            row for row in csv.DictReader(lines) if "pleural effusion" in row["settings"] or row["metric"] == "clip_i"
        ]
    return {(row["metric"], int(row["stage"])): float(row["value"]) for row in rows if row["stage"]}


def is_rounded(cell, value):
    """To three digits behind the point."""
    return len(cell.partition(".")[2]) <= 3 and float(cell) == pytest.approx(value, abs=0.0005001)


@pytest.mark.parametrize("method", METHODS)
def test_a_score_table_shows_a_row_a_stage_on_its_node(compared, server, method):
    table, values = compared.run(TABLE, title=f"Scores of {method}"), saved(server, method)
    assert table["head"][:2] == ["stage", CONF] and "CLIP-I (cosine)" in table["head"]
    assert set(table["scopes"]) == {"col"} and table["seen"] and max(table["hidden"]) <= 0, table["hidden"]
    assert [row[0] for row in table["rows"]] == [*"012", "all"]
    clip_i = table["head"].index("CLIP-I (cosine)")
    for stage, row in enumerate(table["rows"][:3]):
        assert is_rounded(row[1], values["conf", stage])
        assert is_rounded(row[clip_i], values["clip_i", stage]) if stage else not row[clip_i]


def test_the_comparison_sheet_shows_a_row_a_method_on_its_node(compared, server, tmp_path):
    table = compared.run(TABLE, title="All three side by side")
    compared.screenshot(tmp_path / "page.png")
    assert table["head"][:2] == ["method", f"{CONF}, last stage"] and "CLIP-I (cosine), mean" in table["head"]
    assert [row[0] for row in table["rows"]] == list(METHODS) and table["seen"] and max(table["hidden"]) <= 0
    clip_i = table["head"].index("CLIP-I (cosine), mean")
    for method, row in zip(METHODS, table["rows"], strict=True):
        values = saved(server, method)
        assert is_rounded(row[1], values["conf", 2])
        assert is_rounded(row[clip_i], (values["clip_i", 1] + values["clip_i", 2]) / 2)
