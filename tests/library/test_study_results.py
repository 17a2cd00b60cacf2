"""What the votes say, against known preferences, published figures and closed forms."""

import json
import math
import time

import numpy as np
import pandas as pd
import pytest
from mvgen.study import report, results, session, statistics
from mvgen.study.manifest import StudyError
from mvgen.study.store import raters, votes
from mvgen.tests.library.study_films import opened, unfilmed

METHODS = ["MVG", "Pika", "PixVerse", "CogVideoX"]
TASTE = {"MVG": 1.0, "PixVerse": 0.2, "Pika": -0.2, "CogVideoX": -1.0}
DOMAINS = ["chest_xray", "skin", "fundus"]


def simulate(store, count, seed, careless=()):
    """Raters who choose by Bradley-Terry's model, as rows of the database."""
    rng = np.random.default_rng(seed)
    study, rows = store.study, []
    broken = {check.broken for check in study.checks}
    for rater in range(1, count + 1):
        for n, item in enumerate(session.items(study, rater)):
            row = {"rater": rater, "item": n, "kind": item.kind, "left": item.left, "right": item.right}
            row |= {"seconds": 1.0, "made": "2026-01-01T00:00:00+00:00"}
            if item.kind == "film":
                row |= {"real": rng.random() < 0.3, "finding": "edema", "realism": int(rng.integers(1, 6))}
                row |= {"expected": bool(rng.random() < 0.762), "comment": "=1+1"}
            elif item.kind == "check":
                row["choice"] = "left" if (item.left in broken) == (rater in careless) else "right"
            else:
                gap = TASTE[study.film(item.left).method] - TASTE[study.film(item.right).method]
                row["choice"] = "left" if rng.random() < 1 / (1 + math.exp(-gap)) else "right"
            rows.append(row)
    blank = dict.fromkeys(("choice", "real", "finding", "realism", "expected", "comment"))
    with store.engine.begin() as connection:
        connection.execute(raters.insert(), [{"number": n, "token": str(n), "made": ""} for n in range(1, count + 1)])
        connection.execute(votes.insert(), [blank | row for row in rows])
    return len(rows)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    study = unfilmed(METHODS, DOMAINS, 10, pairs=45, repeats=2, questionnaire=2, checked=True)
    store = opened(tmp_path_factory.mktemp("simulated") / "s", study)
    count = simulate(store, 200, seed=1, careless=(7, 11))
    assert count == 200 * 50
    return store


@pytest.fixture(scope="module")
def found(simulated):
    return results.evaluate(simulated.study, results.read(simulated))


def test_known_preferences_are_found_within_their_intervals(found):
    assert (found.raters, found.finished, found.left_out, found.votes) == (200, 200, 2, 10_000)
    inside = []
    for win in found.wins:
        truth = 1 / (1 + math.exp(TASTE[win.over] - TASTE[win.method]))
        inside.append(win.rate.low <= truth <= win.rate.high)
        assert abs(win.rate.rate - truth) < 0.08
    assert len(inside) == 4 * 12 and np.mean(inside) >= 0.9
    for domain in (*DOMAINS, results.ALL):
        scores = found.scores[domain]
        assert [score.method for score in scores] == list(TASTE) and [score.rank for score in scores] == [1, 2, 3, 4]
    for score in found.scores[results.ALL]:
        assert score.low <= TASTE[score.method] <= score.high and score.high - score.low < 0.2
    expected = next(row for row in found.questions if row["domain"] == results.ALL and row["method"] == "MVG")
    assert expected["course as expected"].low < 0.762 < expected["course as expected"].high
    assert found.left_side.low < 0.5 < found.left_side.high
    agree = np.mean([p * p + (1 - p) * (1 - p) for p in _chances()])
    assert found.retest.low < agree < found.retest.high


def _chances():
    """How often the first of two methods wins, for each pair of them."""
    pairs = [(one, other) for n, one in enumerate(METHODS) for other in METHODS[n + 1 :]]
    return [1 / (1 + math.exp(TASTE[other] - TASTE[one])) for one, other in pairs]


def test_ten_thousand_votes_are_exported_within_two_seconds(simulated, tmp_path):
    started = time.process_time()  # others may work on the machine, too
    report.export(tmp_path, results.read(simulated))
    assert time.process_time() - started < 2
    frame = pd.read_csv(tmp_path / "votes.csv")
    assert len(frame) == 10_000 and len(json.loads((tmp_path / "votes.json").read_text())) == 10_000
    assert set(frame["comment"].dropna()) == {"'=1+1"}  # no spreadsheet runs it
    assert {"left", "right", "winner", "rater", "domain", "patient"} <= set(frame.columns)
    assert not any("token" in name for name in frame.columns)


def test_the_report_has_the_layout_of_table_3(simulated, found, tmp_path):
    text = report.write(tmp_path, simulated.study, found)
    lines = text.splitlines()
    start = lines.index("## Win rate of MVG over the others")
    assert lines[start + 2] == "|  | Pika | PixVerse | CogVideoX |"
    assert [line.split("|")[1].strip() for line in lines[start + 4 : start + 8]] == [*DOMAINS, "all domains"]
    content = json.loads((tmp_path / "results.json").read_text())
    rate = content["wins"][0]["rate"]
    assert rate["rate"] == pytest.approx(rate["hits"] / rate["count"])
    for name in ("win_rates.png", "bradley_terry.png", "win_rates.csv", "results.md"):
        assert (tmp_path / name).stat().st_size > 500


def test_no_votes_and_none_that_counts_are_told(tmp_path):
    study = unfilmed(["MVG", "Pika"], ["skin"], 3, checked=True)
    store = opened(tmp_path / "s", study)
    with pytest.raises(StudyError, match="there are no votes yet"):
        results.evaluate(study, results.read(store))
    simulate(store, 1, seed=0, careless=(1,))
    with pytest.raises(StudyError, match="no rater has passed the attention checks"):
        results.evaluate(study, results.read(store))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.255, 0.366), (0, 20, 0.0, 0.161), (24, 30, 0.627, 0.905)],  # Newcombe 1998, table I, and closed form
)
def test_wilson(hits, count, low, high):
    rate = statistics.wilson(hits, count)
    assert (round(rate.low, 3), round(rate.high, 3)) == (low, high)
    z, p = 1.959964, hits / count
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    assert rate.high - rate.low == pytest.approx(2 * half, abs=1e-4)


def test_alpha_of_krippendorffs_own_example():
    """K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: 0.743, and 0.815 as ordinal."""
    data = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    rows = [
        {"rater": rater, "unit": unit, "value": int(answer)}
        for rater, line in enumerate(data)
        for unit, answer in enumerate(line.split())
        if answer != "."
    ]
    frame = pd.DataFrame(rows)
    assert statistics.alpha(frame, ["unit"], "value") == pytest.approx(0.743, abs=5e-4)
    assert statistics.alpha(frame, ["unit"], "value", ordinal=True) == pytest.approx(0.815, abs=5e-4)
    assert math.isnan(statistics.alpha(frame[frame["rater"].eq(0)], ["unit"], "value"))


def test_bradley_terry_of_two_methods_is_the_log_odds():
    sides = [("A", "B") if n < 150 else ("B", "A") for n in range(200)]
    pairs = pd.DataFrame(sides, columns=["winner", "loser"]).assign(rater=[n % 10 for n in range(200)])
    best, other = statistics.bradley_terry(pairs, ["B", "A"])
    assert best.method == "A" and best.score - other.score == pytest.approx(math.log(3), abs=0.01)
    always = pairs.assign(winner="A", loser="B")
    assert math.isfinite(statistics.bradley_terry(always, ["A", "B"])[0].score)


def test_clustered_is_the_plain_interval_of_independent_votes_and_wider_else():
    rng = np.random.default_rng(0)
    rater, case = (part.ravel() for part in np.meshgrid(np.arange(40), np.arange(40), indexing="ij"))
    plain = pd.Series(rng.random(1600) < 0.5)
    low, high = statistics.clustered(plain, pd.Series(rater), pd.Series(case))
    assert (high - low) / (2 * 2.02 * 0.5 / 40) == pytest.approx(1, abs=0.2)
    taste = pd.Series(rng.random(1600) < np.where(rater % 2, 0.9, 0.1))
    assert np.ptp(statistics.clustered(taste, pd.Series(rater), pd.Series(case))) > 3 * (high - low)


def test_power_is_right_at_no_preference_and_grows():
    at_half = statistics.power(0.5, 10, 20, studies=2000)
    assert 0.01 < at_half < 0.045  # 2.5 % of the studies err to one side
    few, many = statistics.power(0.65, 5, 10, studies=400), statistics.power(0.65, 20, 60, studies=400)
    assert few < 0.4 < 0.85 < many
