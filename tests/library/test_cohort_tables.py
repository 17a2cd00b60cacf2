"""What a cohort is summed up in: means and intervals that other code gives too, and every file of the end."""

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


def test_a_cohort_without_any_chain_has_tables_too(tmp_path):
    plan = cohort.build(manifest(tmp_path, [["A", "a.png", "report.txt", ""]]), workflow(tmp_path))
    store = cohort.Store(tmp_path / "out")
    with store.lock():
        cohort.write(plan, store)
    assert len(cohort.read(store.out, "summary")) == 0 and list(cohort.read(store.out, "chains")["status"]) == [
        "missing"
    ]
