"""The benches of the paper's tables and of the longitudinal comparison, at tiny sizes, with the embedded networks."""

import argparse
import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mvgen.models.standalone_host import use_host
from mvgen.mvg.metrics.table import read_csv, write_csv
from mvgen.research.bench import (
    evaluation,
    evaluation_setup,
    figures,
    first,
    follow_up,
    longitudinal,
    longitudinal_table,
    methods,
    report,
    series,
    tables,
    user_images,
)
from mvgen.research.bench.evaluation import PAPER, Run
from mvgen.research.bench.patients import patients
from PIL import Image

use_host()
TINY = PAPER | {"steps": 4, "guidance": 3.0}


@pytest.fixture(scope="module")
def phantom_setup(tmp_path_factory):
    torch.manual_seed(0)
    return evaluation_setup.phantom_setup("chest_xray", range(5000, 5002), 4, tmp_path_factory.mktemp("out"), TINY)


def test_patients_take_turns_at_the_findings(phantom_setup):
    assert [(g.finding, len(g.images)) for g in phantom_setup.groups] == [("cardiomegaly", 1), ("edema", 1)]
    assert len(phantom_setup.reference()) == 8


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_starts_at_the_input_and_keeps_what_lies_outside(phantom_setup, method):
    group = phantom_setup.groups[0]
    run = Run.of(method, group, 2, TINY | {"beta_1": 0.0})
    states = evaluation.make(phantom_setup.networks, group, run, phantom_setup.direction(group.finding))
    assert states.shape == (3, 1, 128, 128, 3)
    assert torch.equal(states[0], group.images)
    outside = group.masks[0] == 0
    assert torch.equal(states[2, 0][outside], group.images[0][outside])
    assert (states[2] - states[0]).abs().max() > 0.01


def test_a_run_that_is_done_is_not_made_again(phantom_setup):
    first = phantom_setup.scores(methods.PIE, 2)
    made = phantom_setup.evaluation.made
    again = phantom_setup.scores(methods.PIE, 2)
    assert phantom_setup.evaluation.made == made and phantom_setup.evaluation.found >= 2
    assert all(np.array_equal(a.conf, b.conf) for a, b in zip(first, again, strict=True))
    phantom_setup.scores(methods.PIE, 2, gamma=0.25)
    assert phantom_setup.evaluation.made == made + 2


def test_fewer_stages_are_the_first_of_many(phantom_setup):
    longer, shorter = phantom_setup.scores(methods.PIE, 2)[0], phantom_setup.scores(methods.PIE, 1)[0]
    assert np.allclose(longer.first(1).conf, shorter.conf, atol=1e-6)
    with pytest.raises(ValueError, match="others' stages depend on N"):
        phantom_setup.scores(methods.WALK, 2)[0].first(1)


def test_a_seed_counts_only_where_something_is_random(phantom_setup):
    group = phantom_setup.groups[0]
    for method, differs in ((methods.PIE, False), (methods.WALK, True), (methods.EXTRAPOLATION, False)):
        a, b = (Run.of(method, group, 2, TINY | {"seed": seed}) for seed in (0, 1))
        assert (a != b) == differs
        assert len(phantom_setup.seeds(method, 5)) == (5 if differs else 1)
    noisy = [Run.of(methods.PIE, group, 1, TINY | {"mode": "noise", "seed": seed}) for seed in (0, 1)]
    one, other = (evaluation.make(phantom_setup.networks, group, run) for run in noisy)
    assert (one[1] - other[1]).abs().max() > 0.01


def test_tables_are_written_and_say_what_the_paper_has(phantom_setup, tmp_path):
    options = argparse.Namespace(plans=["terminal"])
    variants = tables.variants(phantom_setup, options)
    lines = [report.Line("chest_xray", m, phantom_setup.scores(m, 2, **changed), mode) for m, mode, changed in variants]
    rows = list(csv.DictReader(report.as_csv("2", lines).splitlines()))
    assert [row["method"] for row in rows] == [*methods.METHODS, methods.TRUTH]
    assert [row["mode"] for row in rows] == ["", "", "terminal", ""]
    severity = {row["method"]: float(row["severity"]) for row in rows}
    assert severity[methods.TRUTH] == pytest.approx(0.85, abs=0.1)
    assert all(float(r["conf_low"]) <= float(r["conf"]) <= float(r["conf_high"]) for r in rows)
    assert "0.712 / 0.978" in report.as_markdown("2", lines, "about")
    tidy = report.tidy(lines, {"conf": "classifier", "clip_i": "clip"})
    write_csv(tidy, tmp_path / "scores.csv")
    assert read_csv(tmp_path / "scores.csv") == tidy
    assert {row.stage for row in tidy if row.metric == "conf"} == {0, 1, 2}
    assert json.loads(tidy[0].settings)["N"] == 2
    names = [verdict.name for verdict in first.compared(lines)]
    assert names[0] == "chest_xray, PIE terminal less Extrapolation, Conf"
    assert names[-1].startswith("chest_xray, PIE terminal less SD Walk, ")


def test_kid_has_its_sizes_with_it(phantom_setup):
    found = tables.kid_of(phantom_setup, phantom_setup.scores(methods.PIE, 2))
    assert (found["n"], found["m"], found["subset"]) == (8, 4, 4)


def test_figures_are_drawn(phantom_setup, tmp_path):
    variants = {"chest_xray": tables.variants(phantom_setup, argparse.Namespace(plans=["terminal"]))}
    figures.draw([phantom_setup], variants, TINY, 2, tmp_path)
    for name in ("figure2", "figure4", "figure6", "figure7"):
        assert Image.open(tmp_path / f"{name}.png").size[0] > 300


def test_options_of_own_material_belong_together(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    tables.add_options(parser)
    assert not tables.checked(parser, ["--quick"]).own
    with pytest.raises(SystemExit):
        tables.checked(parser, ["--checkpoint", "model.safetensors"])
    assert "want --classifier too" in capsys.readouterr().err


def test_none_is_a_number_too(capsys):
    parser = argparse.ArgumentParser()
    tables.add_options(parser)
    quick = tables.checked(parser, ["--quick"])
    assert (quick.patients, quick.steps, quick.seeds, quick.ablation_patients) == (8, 20, 1, 1)
    full = tables.checked(parser, ["--ablation-patients", "0", "--guidance", "0"])
    assert (full.patients, full.steps, full.seeds, full.ablation_patients, full.guidance) == (50, 50, 5, 0, 0)
    for option in ("--patients", "--steps", "--seeds"):
        with pytest.raises(SystemExit):
            tables.checked(parser, ["--quick", option, "0"])
        assert "want integers >= 1" in capsys.readouterr().err


def picture(path, value=128, size=(40, 32)):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((size[1], size[0]), value, dtype=np.uint8)).save(path)


def test_own_images_and_masks(tmp_path):
    for name in ("a", "b"):
        picture(tmp_path / "images" / f"{name}.png")
        picture(tmp_path / "masks" / f"{name}.png", 255)
    options = argparse.Namespace(
        images=tmp_path / "images", masks=tmp_path / "masks", finding="x", prompt="ill", healthy_prompt="well"
    )
    group = user_images.user_patients(options, 32)
    assert group.images.shape == (2, 32, 32, 3) and group.masks.shape == (2, 32, 32)
    plans = group.part(0, 1).plans(3, "terminal")
    assert len(plans) == 1 and [s.prompt for s in plans[0].stages] == ["ill"] * 3
    assert plans[0].stages[0].source == "well"
    assert replace(group, prompt="worse").names != group.names
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(ValueError, match="--masks: got none for b"):
        user_images.user_patients(options, 32)
    with pytest.raises(ValueError, match=r"--images: got .*nowhere"):
        user_images.user_patients(argparse.Namespace(images=tmp_path / "nowhere"), 32)


def test_a_later_image_is_matched_in_brightness():
    first = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.2
    assert torch.allclose(series.matched(first * 0.7 + 0.1, first, torch.ones(32, 32)), first, atol=1e-4)
    flat = torch.full((32, 32, 3), 0.5)
    assert series.matched(flat, first, torch.ones(32, 32)) is flat


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient_id,days,files\n", "no column 'course'"),
        ("patient_id,days,files,course\n", "no series"),
        ("patient_id,days,files,course\np,0 1,a.png,x\n", "line 2: got 2 days, 1 files"),
        ("patient_id,days,files,course\np,0,a.png,x\n", "line 2: got 1 image, want at least 2"),
        ("patient_id,days,files,course\np,0 1\n", "line 2: got 2 days, 0 files"),
    ],
)
def test_a_series_file_that_does_not_fit_is_named(tmp_path, text, words):
    path = tmp_path / "series.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        series.read_series(path)


def test_the_phantom_comparison_scores_persistence_as_one(phantom_setup, monkeypatch):
    monkeypatch.setattr(follow_up, "REFERENCES", 4)
    settings = TINY | {"plan": "ladder"}
    later = longitudinal.phantom_visits("chest_xray", "edema", range(5000, 5001), 2, settings, control=False)
    directions = follow_up.directions_of(phantom_setup.networks, "chest_xray")
    ends = follow_up.simulate(phantom_setup.networks, later, settings, directions)
    rows = [row | {"group": "g"} for row in follow_up.score(phantom_setup.networks, later, ends)]
    lines = {line["method"]: line for line in longitudinal_table.summary(rows, "group")}
    assert lines[follow_up.PERSISTENCE]["ratio"] == 1
    assert set(lines) == set(follow_up.ROWS)
    assert patients("chest_xray", "edema", [5000]).at(0.85).shape == later[0].later[None].shape
