"""Edit Plan on the page: what ran is shown, taken over by a button, and kept out of the file."""

import pytest
from mvgen.tests.browser.comfy import RUN, widget

MADE = """
await app.loadGraphData({ nodes: [], links: [], version: 0.4 })
const nodes = {}
for (const type of ['MVG_LoadReport', 'MVG_Recaption', 'MVG_EditPlan']) {
  nodes[type] = LiteGraph.createNode(type)
  app.graph.add(nodes[type])
}
nodes.MVG_LoadReport.widgets.find((w) => w.name === 'report').value = 'report.txt'
nodes.MVG_LoadReport.connect(0, nodes.MVG_Recaption, 'report')
nodes.MVG_Recaption.connect(0, nodes.MVG_EditPlan, 'plan')
"""
SHOWN = (
    "app.rootGraph.nodes.find((n) => n.type === 'MVG_EditPlan').widgets.find((w) => w.name === 'shown').element.value"
)
PRESS = "app.rootGraph.nodes.find((n) => n.type === 'MVG_EditPlan').widgets.find((w) => w.type === 'button').callback()"


@pytest.fixture
def plan(page):
    page.run(MADE)
    yield page
    page.run("app.rootGraph.clear()")


def test_the_plan_is_shown_taken_over_and_edited(plan, tmp_path):
    assert plan.run(RUN)[0] == "execution_success"
    plan.wait(f"{SHOWN}.startsWith('domain: chest_xray')")
    shown = plan.run(f"return {SHOWN}")
    assert "finding: cardiomegaly" in shown and widget(plan, "MVG_EditPlan", "text") == ""
    plan.run(PRESS)
    assert widget(plan, "MVG_EditPlan", "text") == shown
    widget(plan, "MVG_EditPlan", "text", shown.replace("severe cardiomegaly", "my own words"))
    assert plan.run(RUN)[0] == "execution_success"
    plan.wait(f"{SHOWN}.includes('my own words')")
    plan.screenshot(tmp_path / "edit_plan.png")


def test_what_is_shown_is_in_no_file(plan):
    plan.run(RUN)
    plan.wait(f"{SHOWN}.startsWith('domain: chest_xray')")
    saved = plan.run("return JSON.stringify([app.rootGraph.serialize(), await app.graphToPrompt()])")
    assert "cardiomegaly" not in saved


def test_an_engine_brings_its_own_inputs(plan):
    names = "return app.rootGraph.nodes.find((n) => n.type === 'MVG_Recaption').widgets.map((w) => w.name)"
    before = plan.run(names)
    assert widget(plan, "MVG_Recaption", "engine") == "offline" and "engine.endpoint" not in before
    widget(plan, "MVG_Recaption", "engine", "openai")
    assert {"engine.endpoint", "engine.timeout", "engine.attempts"} <= set(plan.run(names))
    posted = plan.run("return (await app.graphToPrompt()).output")
    (asked,) = (node["inputs"] for node in posted.values() if node["class_type"] == "MVG_Recaption")
    assert asked["engine"] == "openai" and asked["engine.attempts"] == 4
    widget(plan, "MVG_Recaption", "engine", "offline")
    assert plan.run(names) == before
