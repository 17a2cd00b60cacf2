"""What a cohort is summed up in: means and intervals that other code gives too, and every file of the end."""

import csv
import json
import os

import numpy as np
import pandas as pd
import pytest
from mvgen import cohort
from mvgen.cohort import page, tables
from mvgen.mvg.plan import NO_FINDING
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
            record = {"plan": {"finding": "edema", "notes": ["<noted>", "twice"]}}
            (partial / "provenance.json").write_text(json.dumps(record))
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
    ((mean, low, high),) = tables.intervals(values[None])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=50_000, rng=1).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    assert tables.intervals(values[None]).tolist() == [[mean, low, high]]
    assert np.isnan(tables.intervals(values[None, :1])[:, 1:]).all()
    equal, other = tables.intervals(np.array([[30.0, np.inf], [1.0, 2.0]]))  # the PSNR of equal images
    assert equal[0] == np.inf and np.isnan(equal[1:]).all() and other.tolist() == [1.5, 1.0, 2.0]


def test_many_patients_are_summed_up_in_seconds():
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (_, low, high), *_ = tables.intervals(np.random.default_rng(3).normal(0, 1, (2, 10_000)))
    assert high - low == pytest.approx(2 * 1.96 / 100, rel=0.06)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_seeds_are_averaged_before_patients_are(made):
    means = cohort.read(made[1].out, "summary").set_index(["series", "metric"])
    assert set(means["finding"]) == {"edema"}
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
    assert set(scores["finding"]) == {"edema"} and set(scores["notes"]) == {"<noted>; twice"}
    chains = cohort.read(store.out, "chains")
    assert list(chains["status"]) == ["done"] * 5 + ["failed"] and list(chains["chain"]) == [c.id for c in plan.chains]
    assert list(chains["finding"]) == ["edema"] * 5 + [""] and chains["notes"].iloc[0] == "<noted>; twice"
    assert chains["error"].iloc[-1] == "<broken>" and chains["seconds"].iloc[4] == 4.0
    with pytest.raises(ValueError, match="want one of chains, scores, summary"):
        cohort.read(store.out, "table")


def test_page_and_markdown_tell_the_same_and_need_nothing_else(made):
    out = made[1].out
    html, text = (out / "report.html").read_text(), (out / "summary.md").read_text()
    assert html.count("data:image/jpeg;base64,") == 10 and "<P0>" not in html and "&lt;P0&gt;" in html
    assert "http" not in html and "<P" not in html and "<noted>" not in html and html.count("&lt;noted&gt;") == 10
    for told in ("3 patients, 6 chains: 5 done, 1 failed, 0 missing", "edema", "Simulated disease progression"):
        assert told in html and told in text
    assert "| edema |  | kid | m |  | all | 3 |" in text
    assert "<broken>" in text and "&lt;broken&gt;" in html
    chain = made[0].chains[0].id
    assert f'href="chains/{chain}/provenance.json"' in html and f'href="chains/{chain}/"' in html
    assert "<h3>edema</h3>" in html and "<h3>edema, SD Walk</h3>" in html
    assert "no finding" not in html and "no finding" not in text


def test_a_table_shows_the_finding_that_progresses_stage_by_stage(tmp_path):
    rows = [
        (finding, "", "conf", "m", json.dumps({"finding": scored}), stage, 2, 2, mean, mean - 0.1, mean + 0.1)
        for finding, scored, stage, mean in (
            ("edema", "edema", 0, 0.25),
            ("edema", "edema", 1, 0.5),
            ("edema", "pneumonia", 1, 0.75),
            ("pneumonia", "pneumonia", 0, 0.125),
        )
    ]
    means = pd.DataFrame(rows, columns=[*tables.SERIES, "patients", "chains", "mean", "low", "high"])
    first, second = page.score_tables(means.astype({"stage": "Int64"}))
    assert first.title == "edema" and first.head == ["metric", "by", "patients", "stage 0", "stage 1"]
    assert first.rows == [["conf", "m, finding edema", 2, "0.25 (0.15 to 0.35)", "0.5 (0.4 to 0.6)"]]
    assert second.title == "pneumonia" and second.rows[0][3] == "0.125 (0.025 to 0.225)"


def test_chains_without_a_finding_count_in_no_mean(tmp_path):
    plan = cohort.build(
        manifest(tmp_path, [[f"P{n}", "a.png", "report.txt", str(n)] for n in range(3)]), workflow(tmp_path)
    )
    store = cohort.Store(tmp_path / "out")
    with store.lock():
        for n, (chain, finding) in enumerate(zip(plan.chains, ("edema", NO_FINDING, "edema"), strict=True)):
            partial = store.partial(chain.id)
            (partial / "scores.csv").write_text(f"{TABLE}{chain.id},1,clip_i,{n},m,{{}}\n")
            (partial / "provenance.json").write_text(json.dumps({"plan": {"finding": finding, "notes": []}}))
            store.keep(chain.id, partial)
        means = cohort.write(plan, store)
    assert means[["finding", "patients", "mean"]].to_numpy().tolist() == [["edema", 2, 1.0]]
    assert set(cohort.read(store.out)["finding"]) == {"edema", NO_FINDING}
    told = "1 chain shows no disease, as its plan has no finding, and is left out of the means."
    assert told in (store.out / "report.html").read_text() and told in (store.out / "summary.md").read_text()


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
    told = (store.out / "report.html").read_text()
    assert "stage_01.png is not as it was written" in told and "2 damaged" in told
    assert [chain.id for chain in plan.todo(store)] == [first.id, second.id]


def test_a_picture_that_broke_unseen_is_told_and_made_again(made):
    """The disk gave other bytes than were written, and the time of the file is the old one."""
    plan, store = made
    stage = store.folder(plan.chains[0].id) / "stage_01.png"
    before = stage.stat()
    stage.write_bytes(stage.read_bytes()[:50])
    os.utime(stage, ns=(before.st_atime_ns, before.st_mtime_ns))
    cohort.write(plan, store)
    told = (store.out / "report.html").read_text()
    assert "stage_01.png is no whole picture" in told and str(store.out) not in told
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
