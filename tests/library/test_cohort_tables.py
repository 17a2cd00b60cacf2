"""What a cohort is summed up in: means and intervals that other code gives too, and every file of the end."""

import csv
import json
import os

import numpy as np
import pytest
from mvgen import cohort
from mvgen.cohort import tables
from mvgen.tests.library.cohort_files import HEADER, manifest, workflow
from PIL import Image
from scipy import stats

TABLE = "chain,stage,metric,value,model,settings\n"


@pytest.fixture
def made(tmp_path) -> tuple[cohort.Cohort, cohort.Store]:
    """Three patients of two seeds, one chain failed; Conf of patient p and seed s at stage 1 is p + s / 10."""
    rows = [[f"<P{n}>", "a.png", "report.txt", "0 1", str(n)] for n in range(3)]
    plan = cohort.build(manifest(tmp_path, rows, [*HEADER, "guidance"]), workflow(tmp_path))
    store = cohort.Store(tmp_path / "out")
    with store.lock():
        for n, chain in enumerate(plan.chains[:-1]):
            partial = store.partial(chain.id)
            value = n // 2 + chain.seed / 10
            rows = f'{chain.id},1,conf,{value},m,"{{""finding"": ""edema""}}"\n{chain.id},,kid,{value},m,{{}}\n'
            (partial / "scores.csv").write_text(TABLE + rows + f"{chain.id}/SD Walk,1,conf,0.5,m,{{}}\n")
            for stage in range(2):
                Image.new("RGB", (64, 64), (90, 90, 90)).save(partial / f"stage_{stage:02d}.png")
            store.keep(chain.id, partial)
            store.note(event="done", chain=chain.id, seconds=float(n))
        store.fail(plan.chains[-1].id, {"error": "<broken>", "kind": "wrong"})
        cohort.write(plan, store)
    return plan, store


def odd_workflow(folder):
    """The chest workflow with a widget of a class that is not ours."""
    path = workflow(folder)
    graph = json.loads(path.read_text())
    graph["99"] = {"class_type": "PrimitiveString", "inputs": {"values": "a"}}
    path.write_text(json.dumps(graph))
    return path


def test_the_interval_is_the_percentile_bootstrap_of_the_mean():
    values = np.random.default_rng(3).normal(5, 2, 40)
    mean, low, high = tables.interval(values)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=50_000, rng=1).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    assert tables.interval(values) == (mean, low, high)
    assert np.isnan(tables.interval(values[:1])[1:]).all()
    mean, low, high = tables.interval(np.array([30.0, np.inf]))  # the PSNR of equal images
    assert mean == np.inf and np.isnan([low, high]).all()


def test_many_patients_are_summed_up_in_seconds():
    _, low, high = tables.interval(np.random.default_rng(3).normal(0, 1, 10_000))
    assert high - low == pytest.approx(2 * 1.96 / 100, rel=0.05)


def test_seeds_are_averaged_before_patients_are(made):
    means = cohort.read(made[1].out, "summary").set_index(["series", "metric"])
    conf = means.loc[("", "conf")]
    assert (conf["patients"], conf["chains"], conf["stage"]) == (3, 5, 1)
    assert conf["mean"] == pytest.approx((0.05 + 1.05 + 2.0) / 3)
    assert conf["low"] < conf["mean"] < conf["high"]
    assert means.loc[("SD Walk", "conf")]["mean"] == 0.5
    assert means.loc[("", "kid")].isna()["stage"]


def test_tables_are_read_as_frames(made):
    plan, store = made
    scores = cohort.read(store.out)
    assert len(scores) == 15 and scores["stage"].isna().sum() == 5
    assert set(scores[scores["patient_id"] == "<P2>"]["6.guidance"]) == {2.0}
    chains = cohort.read(store.out, "chains")
    assert list(chains["status"]) == ["done"] * 5 + ["failed"] and list(chains["chain"]) == [c.id for c in plan.chains]
    assert chains["error"].iloc[-1] == "<broken>" and chains["seconds"].iloc[4] == 4.0
    with pytest.raises(ValueError, match="want one of chains, scores, summary"):
        cohort.read(store.out, "table")


def test_page_and_markdown_tell_the_same_and_need_nothing_else(made):
    out = made[1].out
    page, text = (out / "report.html").read_text(), (out / "summary.md").read_text()
    assert page.count("data:image/jpeg;base64,") == 5 and "<P0>" not in page and "&lt;P0&gt;" in page
    assert "http" not in page and "<script" not in page
    for told in ("3 patients, 6 chains: 5 done, 1 failed, 0 missing", "finding edema", "Simulated disease progression"):
        assert told in page and told in text
    assert "| kid | m |  | all | 3 |" in text
    assert "<broken>" in text and "&lt;broken&gt;" in page


def test_a_chain_with_a_broken_picture_is_told_and_made_again(made):
    plan, store = made
    first, second = plan.chains[:2]
    stage = store.folder(first.id) / "stage_01.png"
    stage.write_bytes(stage.read_bytes()[:50])
    (store.folder(second.id) / "stage_00.png").unlink()
    cohort.write(plan, store)
    chains = cohort.read(store.out, "chains").set_index("chain")
    assert chains.loc[first.id][["status", "error"]].tolist() == ["damaged", "stage_01.png is not as it was written"]
    assert chains.loc[second.id][["status", "error"]].tolist() == ["damaged", "stage_00.png is missing"]
    assert set(cohort.read(store.out)["chain"]) == {chain.id for chain in plan.chains[2:-1]}
    page = (store.out / "report.html").read_text()
    assert "stage_01.png is not as it was written" in page and "2 damaged" in page
    assert [chain.id for chain in plan.todo(store)] == [first.id, second.id]


def test_a_picture_that_broke_unseen_is_told_and_made_again(made):
    """The disk gave other bytes than were written, and the time of the file is the old one."""
    plan, store = made
    stage = store.folder(plan.chains[0].id) / "stage_01.png"
    before = stage.stat()
    stage.write_bytes(stage.read_bytes()[:50])
    os.utime(stage, ns=(before.st_atime_ns, before.st_mtime_ns))
    cohort.write(plan, store)
    page = (store.out / "report.html").read_text()
    assert "stage_01.png is no whole picture" in page and str(store.out) not in page
    assert [chain.id for chain in plan.todo(store)] == [plan.chains[0].id]


def test_a_spreadsheet_runs_no_cell(tmp_path):
    hostile = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=1", "-5", "x|y"]
    rows = [[name, "a.png", "report.txt", str(n), "-0.5"] for n, name in enumerate(hostile)]
    plan = cohort.build(manifest(tmp_path, rows, [*HEADER, "99.values"]), odd_workflow(tmp_path))
    store = cohort.Store(tmp_path / "out")
    with store.lock():
        for chain in plan.chains:
            store.fail(chain.id, {"error": "\t=cmd", "kind": "wrong"})
        cohort.write(plan, store)
    with (store.out / "chains.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    assert [row["patient_id"] for row in cells] == ["'" + name for name in hostile[:5]] + hostile[5:]
    assert {row["error"] for row in cells} == {"'\t=cmd"} and {row["99.values"] for row in cells} == {"-0.5"}
    text = (store.out / "summary.md").read_text()
    assert "| '=1+1 |" in text and "| x\\|y |" in text and "| =1" not in text


def test_a_cohort_without_any_chain_has_tables_too(tmp_path):
    plan = cohort.build(manifest(tmp_path, [["A", "a.png", "report.txt", ""]]), workflow(tmp_path))
    store = cohort.Store(tmp_path / "out")
    with store.lock():
        cohort.write(plan, store)
    assert len(cohort.read(store.out, "summary")) == 0 and list(cohort.read(store.out, "chains")["status"]) == [
        "missing"
    ]
