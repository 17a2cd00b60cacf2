"""The benches of simulated courses: seeds kept apart, figures of a course, bars, and stages as the nodes draw them."""

import argparse
import json

import numpy as np
import pytest
import torch
from mvgen.models.embedded import loader
from mvgen.models.standalone_host import use_host
from mvgen.mvg import roi
from mvgen.research.bench import bars, course, first, methods, phantom, seeds
from mvgen.research.bench.bars import Bar, interval
from mvgen.research.bench.evaluation import PAPER, Run, Scores
from mvgen.research.bench.networks import Networks
from mvgen.research.bench.patients import patients
from mvgen.research.bench.workflow import workflow_settings
from mvgen.research.phantom.captions import FINDINGS

use_host()


@pytest.fixture(scope="module")
def networks():
    return Networks.embedded("chest_xray")


@pytest.fixture(scope="module")
def group():
    return patients("chest_xray", "pleural effusion", [5000, 5001])


def test_seeds_of_one_purpose_are_refused_to_the_other(tmp_path, monkeypatch):
    record = tmp_path / "seeds.jsonl"
    assert seeds.claim("tuning", "phantom", "skin", 7250, 5, record) == range(7250, 7255)
    assert seeds.claim("report", "tables", "skin", 7300, 8, record) == range(7300, 7308)
    seeds.claim("report", "tables", "skin", 7300, 8, record)
    assert [json.loads(line)["purpose"] for line in record.read_text().splitlines()] == ["tuning", "report"]
    for purpose, start, words in (
        ("report", 7254, "got seeds 7254 to 7261, want 7300"),
        ("tuning", 7295, "want 7200 to 7299 in a tuning run"),
        ("report", 5000, r"\(release 0.1.0, reports\)"),
    ):
        with pytest.raises(ValueError, match=words):
            seeds.claim(purpose, "phantom", "skin", start, 8, record)
    everywhere = dict.fromkeys(seeds.RANGES, range(10_000))
    monkeypatch.setattr(seeds, "RANGES", everywhere)  # the record alone refuses too, both ways
    with pytest.raises(ValueError, match=r"got seed 7250, which seeds.jsonl has from a tuning run of phantom"):
        seeds.claim("report", "tables", "skin", 7248, 5, record)
    with pytest.raises(ValueError, match=r"got seed 7307, which seeds.jsonl has from a report run of tables"):
        seeds.claim("tuning", "phantom", "skin", 7307, 1, record)
    with pytest.raises(ValueError, match="--patients: got 0, want an integer >= 1"):
        seeds.claim("tuning", "phantom", "skin", 7200, 0, record)


def test_the_record_that_is_kept_holds_no_seed_of_both_purposes():
    used: dict[str, set[int]] = {"tuning": set(), "report": set()}
    for line in seeds.RECORD.read_text().splitlines():
        entry = json.loads(line)
        used[entry["purpose"]] |= set(range(entry["first"], entry["first"] + entry["count"]))
    assert used["tuning"] and not used["tuning"] & used["report"]
    assert used["tuning"] <= set(seeds.RANGES["tuning"]) and used["report"] <= set(seeds.RANGES["report"])


def test_interval_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(3, 1, 400)
    mean, low, high = interval(values)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert interval([0.5]) == (0.5, 0.5, 0.5)
    for bad in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="values"):
            interval(bad)


def test_bars_are_judged_by_finding_and_by_kind():
    table = (
        Bar("mae", high=0.08, each=False),
        Bar("mae", high=0.10),
        Bar("mae", low=0.98, high=1.02, of="control"),
        Bar("detail", low=0.1, findings=("b",)),
        Bar("last", high=0.5),
    )
    rows = [
        {"kind": "PIE", "finding": "a", "mae": 0.05, "detail": 9.0, "last": 0.4},
        {"kind": "PIE", "finding": "b", "mae": 0.12, "detail": None, "last": 0.9},
        {"kind": "control", "finding": "a", "mae": 1.03},
    ]
    verdicts = bars.judge(table, rows)
    assert [(v.name, v.bar, v.met) for v in verdicts] == [
        ("PIE, mae, all findings", "<= 0.08", False),
        ("PIE, mae, a", "<= 0.1", True),
        ("PIE, mae, b", "<= 0.1", False),
        ("control, mae, a", "0.98 to 1.02", False),
        ("PIE, last, a", "<= 0.5", True),
        ("PIE, last, b", "<= 0.5", False),
    ]
    assert verdicts[0].mean == pytest.approx(0.085)
    assert bars.exit_code(verdicts) == 1 and bars.exit_code(verdicts[1:2]) == 0
    assert "| PIE, mae, b | <= 0.1 | 0.120 | 0.120 to 0.120 | 1 | MISSED |" in bars.markdown(verdicts)


def test_how_severities_follow_a_plan():
    found = course.steps_of(np.array([0.0, 0.3, 0.2, 0.9]), [0.3, 0.6, 0.9])
    assert found["severity_mae"] == pytest.approx(0.4 / 3)
    assert (found["largest_step"], found["smallest_step"]) == pytest.approx((0.7, -0.1))
    assert found["monotone"] is False
    assert course.steps_of(np.array([0.0, 0.5, 0.4995]), [0.3, 0.6])["monotone"] is True


def test_the_true_course_scores_as_the_truth_and_an_unchanged_image_as_none(networks, group):
    planned = [[0.425, 0.85]] * 2
    truth = group.course([0.0, 0.425, 0.85])
    for row in course.measure(networks, truth, truth, group.masks, planned, group.finding):
        assert row["mae_ratio_stages"] == row["mae_ratio_last"] == 0
        assert row["severity_mae"] < 0.1 and row["monotone"] and row["crossed"]
        assert 0.05 < row["high_pass"] < 0.3  # fluid covers the vessels
    still = truth[:1].expand_as(truth)
    for row in course.measure(networks, still, truth, group.masks, planned, group.finding):
        assert row["mae_ratio_stages"] == row["mae_ratio_last"] == row["mae_ratio_each"] == 1
        assert row["high_pass"] is None and row["clip_i"] == pytest.approx(1) and not row["crossed"]
    shining = (truth[-1, 0] - truth[0, 0]).mean(-1, keepdim=True).clamp(0.2, 1) + truth[0, 0]  # vessels and all
    assert course.covered_detail(shining, truth[0, 0]) > course.covered_detail(truth[-1, 0], truth[0, 0])


def test_clip_i_is_compared_where_two_courses_are_equally_severe():
    def scores(severity, near):
        run = Run("PIE", "chest_xray", "edema", 2, {})
        return Scores(run, ("p",), np.zeros((1, 3)), np.array([near]), np.zeros((1, 3, 2)), np.array([severity]))

    slow = (scores([0.0, 0.2, 0.4], [0.98, 0.96]), 0)
    fast = (scores([0.0, 0.4, 0.8], [0.97, 0.80]), 0)
    assert first.equal_severity([fast], [slow]) == pytest.approx(0.97 - 0.96)
    assert first.clip_i_at(*fast, 0.6) == pytest.approx(0.885)
    assert first.equal_severity([(scores([0.0, 0.01, 0.02], [1.0, 1.0]), 0)], [fast]) is None
    assert first.equal_severity([slow], [slow, fast]) == pytest.approx(0.96 - (0.96 + 0.97) / 2)


def test_a_patient_at_a_severity_is_what_the_node_draws(networks, group):
    from mvgen.nodes.progression.spacing import Probe
    from mvgen.nodes.support.guider import with_severity

    settings = PAPER | {"gamma": 0.5, "guidance": 1.1}
    start, plans = methods.Start(networks, group.images, group.masks, settings), group.plans(3, "severity")
    ours = networks.decode(methods.GradedStages(start, plans, settings["steps"], refine=1).at([0.1, 0.5]))[1]

    def text(prompt):
        return networks.clip.encode_from_tokens_scheduled(networks.clip.tokenize(prompt))

    plan, latent = plans[1], networks.vae.encode(group.images[1:])
    scale = [entry for grade in plan.scale for entry in with_severity(text(grade.prompt), grade.severity)]
    words = (text(plan.stages[0].source), text(plan.unguided(plan.stages[0])))
    mask = roi.latent_mask(group.masks[1:], latent)
    given = {name: settings[name] for name in ("steps", "gamma", "guidance", "beta_1", "beta_2", "scheduler")}
    with torch.inference_mode():
        probe = Probe(networks.patcher, networks.vae, scale, *words, latent, **given, mask=mask)
        assert torch.allclose(probe(0.5)[0], ours, atol=1e-4)


def test_in_a_batch_stages_of_equal_change_lie_where_they_lie_for_a_patient_alone(networks, group):
    settings = PAPER | {"steps": 4, "gamma": 0.5, "guidance": 1.1, "spacing": "equal change"}
    plans = group.plans(3, "severity")
    asked = methods.placed(methods.Start(networks, group.images, group.masks, settings), plans)
    alone = methods.Start(networks, group.images[1:], group.masks[1:], settings)
    assert methods.placed(alone, plans[1:])[0] == pytest.approx(asked[1], abs=1e-3)
    assert all(0 < one[0] < one[1] < one[2] and one[2] == pytest.approx(0.85) for one in asked)


def test_no_node_loads_the_reader_of_the_benches():
    for domain in FINDINGS:
        reader = loader.find_weights("reader", domain)
        files = loader.weight_files(domain)
        assert reader not in files.values() and reader.read_bytes() != files["classifier"].read_bytes()


def test_the_settings_are_those_of_the_bundled_workflow_unless_others_are_named():
    options = argparse.Namespace(domain="chest_xray", paper=False, guidance=None, plan="ladder")
    assert phantom.settings_of(options) == workflow_settings("chest_xray") | {"plan": "ladder"}
    options.paper = True
    assert {k: phantom.settings_of(options)[k] for k in ("gamma", "beta_2", "steps", "refine")} == {
        "gamma": 0.6,
        "beta_2": 0.75,
        "steps": 50,
        "refine": 0,
    }


def test_a_patient_that_is_done_is_not_made_again(tmp_path, monkeypatch):
    settings = workflow_settings("chest_xray") | {"plan": "terminal", "steps": 2, "refine": 0}
    bench = phantom.Bench("chest_xray", 1, settings, tmp_path)
    rows = list(bench.run("edema", [5000, 5001], ["PIE", "control"]))
    assert [(row["kind"], row["seed"]) for row in rows] == [
        (kind, seed) for kind in ("true course", "PIE", "control") for seed in (5000, 5001)
    ]
    assert bench.strip(rows[0]).shape == (128, 256, 3)
    monkeypatch.setattr(phantom, "patients", None)
    assert list(bench.run("edema", [5000, 5001], ["PIE", "control"])) == rows
    text = phantom.markdown(rows, "about")
    assert "| edema | control | 2 |" in text
    phantom.save_pictures(bench, rows, tmp_path / "all.png")
