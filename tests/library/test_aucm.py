"""AUC maximisation against its closed case and all pairs, step by step; scores against torchmetrics and scipy."""

import numpy as np
import pytest
import torch
from mvgen.training.aucm import PESG, AUCMLoss
from mvgen.training.classifier_scores import (
    auroc,
    auroc_draws,
    auroc_table,
    calibrate,
    calibration_error,
    cross_calibrated,
    mean_of,
    plot_reliability,
)
from torchmetrics.classification import BinaryAUROC, BinaryCalibrationError

POSITIVE, NEGATIVE = torch.tensor([0.9, 0.4, 0.7]), torch.tensor([0.1, 0.5, 0.3, 0.2, 0.6])


@pytest.fixture
def batch():
    scores = torch.cat([POSITIVE, NEGATIVE])[:, None]
    targets = torch.cat([torch.ones(3), torch.zeros(5)])[:, None]
    return scores, targets, torch.ones_like(targets)


def closed_form(margin):
    """Variance of either kind, and what the distance of their means lacks of the margin."""
    lack = max(margin - float(POSITIVE.mean() - NEGATIVE.mean()), 0.0)
    return float(POSITIVE.var(correction=0) + NEGATIVE.var(correction=0)) + lack**2, lack


@pytest.mark.parametrize("margin", [1.0, 0.2])
def test_the_saddle_point_is_the_closed_form(batch, margin):
    loss = AUCMLoss(torch.tensor([3 / 8]), margin)
    value, lack = closed_form(margin)
    optimizer = PESG([loss.a, loss.b], [loss.alpha], lr=0.2, epoch_decay=0.0, weight_decay=0.0)
    for _ in range(200):
        optimizer.zero_grad()
        loss(*batch).backward()
        optimizer.step()
    assert loss.a.item() == pytest.approx(float(POSITIVE.mean()), abs=1e-5)
    assert loss.b.item() == pytest.approx(float(NEGATIVE.mean()), abs=1e-5)
    assert loss.alpha.item() == pytest.approx(lack, abs=1e-5)
    assert loss(*batch).item() == pytest.approx(value, abs=1e-5)


def test_with_a_margin_of_1_it_is_the_square_loss_of_all_pairs(batch):
    pairs = (1 - POSITIVE[:, None] + NEGATIVE[None]).square().mean()
    assert closed_form(1.0)[0] == pytest.approx(pairs.item(), abs=1e-6)


def test_its_gradient_at_the_saddle_is_that_of_all_pairs(batch):
    scores, targets, weights = batch
    scores = scores.clone().requires_grad_()
    loss = AUCMLoss(torch.tensor([3 / 8]))
    with torch.no_grad():
        loss.a.fill_(POSITIVE.mean()), loss.b.fill_(NEGATIVE.mean()), loss.alpha.fill_(closed_form(1.0)[1])
    loss(scores, targets, weights).backward()
    own = torch.cat([POSITIVE, NEGATIVE]).requires_grad_()
    (1 - own[:3, None] + own[None, 3:]).square().mean().backward()
    assert torch.allclose(scores.grad[:, 0], own.grad, atol=1e-6)


def test_unknown_labels_do_not_count_and_a_soft_one_counts_in_part(batch):
    scores, targets, weights = batch
    loss = AUCMLoss(torch.tensor([3 / 8, 0.5]))
    torch.nn.init.constant_(loss.alpha, 0.4)
    more = torch.cat([scores, scores], dim=1), torch.cat([targets, targets], dim=1)
    cut = torch.cat([weights, torch.zeros_like(weights)], dim=1)
    single = AUCMLoss(torch.tensor([3 / 8]))
    torch.nn.init.constant_(single.alpha, 0.4)
    assert loss(*more, cut).item() == pytest.approx(single(scores, targets, weights).item(), abs=1e-6)
    assert loss(*more, torch.zeros_like(cut)).item() == 0
    hard = [single(scores, torch.full_like(targets, y), weights) for y in (0.0, 1.0)]
    soft = single(scores, torch.full_like(targets, 0.7), weights)
    assert soft.item() == pytest.approx(0.3 * hard[0].item() + 0.7 * hard[1].item(), abs=1e-5)
    with pytest.raises(ValueError, match=r"positives: got \[0\.0\], want shares above 0 and below 1"):
        AUCMLoss(torch.tensor([0.0]))


def test_pesg_takes_the_steps_of_the_algorithm():
    v, alpha = (torch.nn.Parameter(torch.tensor([x])) for x in (1.0, 0.1))
    optimizer = PESG([v], [alpha], lr=0.1, epoch_decay=0.5, weight_decay=0.2, period=2)
    wanted, dual, reference, seen = 1.0, 0.1, 1.0, []
    for step in range(5):
        v.grad, alpha.grad = torch.tensor([1.0 + step]), torch.tensor([0.3 if step < 2 else -2.0])
        if step == 2:  # a run that goes on has the same state
            other = PESG([v], [alpha], lr=0.7)
            other.load_state_dict(optimizer.state_dict())
            optimizer = other
        optimizer.step()
        wanted -= 0.1 * ((1.0 + step) + 0.5 * (wanted - reference) + 0.2 * wanted)
        dual = max(dual + 0.1 * (0.3 if step < 2 else -2.0), 0.0)
        seen.append(wanted)
        if len(seen) == 2:
            reference, seen = sum(seen) / 2, []
        assert v.item() == pytest.approx(wanted, abs=1e-6) and alpha.item() == pytest.approx(dual, abs=1e-6)
    with pytest.raises(ValueError, match="period: got 0, want 1 or more"):
        PESG([v], [], period=0)
    with pytest.raises(ValueError, match="lr: got -1, want 0 or more"):
        PESG([v], [], lr=-1)


def drawn(rng, n=400):
    positive = rng.random(n) < 0.3
    return (rng.normal(size=n) + positive).round(1), positive


def test_auroc_equals_torchmetrics_with_ties_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    scores, positive = drawn(rng)
    want = BinaryAUROC(thresholds=None)(torch.from_numpy(scores), torch.from_numpy(positive).int())
    assert auroc(scores, positive) == pytest.approx(float(want), abs=1e-6)
    assert np.isnan(auroc(scores, np.ones(400, dtype=bool)))
    told = np.stack([scores, scores], axis=1), np.stack([positive, positive], axis=1).astype(float)
    known = np.ones((400, 2), dtype=bool)
    known[np.flatnonzero(positive)[4:], 1] = False
    patients = [f"p{n // 4}" for n in range(400)]
    row, few = table = auroc_table(*told, known, patients, ("edema", "mass"), draws=300)
    assert row.low < row.value < row.high and row.value == auroc(scores, positive)
    assert (few.positives, few.negatives) == (4, 400 - positive.sum()) and np.isnan([few.value, few.low]).all()
    value, low, high = mean_of(table, auroc_draws(*told, known, patients, draws=300, seed=0))
    assert (value, low, high) == (row.value, row.low, row.high)


def test_an_interval_over_patients_is_that_of_scipy_where_each_has_one_picture():
    from scipy.stats import bootstrap

    scores, positive = drawn(np.random.default_rng(1), 200)
    own = auroc_table(scores[:, None], positive[:, None].astype(float), np.ones((200, 1), dtype=bool),
                      [str(n) for n in range(200)], ("a",), draws=1000)[0]  # fmt: skip
    want = bootstrap((np.arange(200),), lambda i: auroc(scores[i], positive[i]), method="percentile", rng=0,
                     n_resamples=1000, vectorized=False).confidence_interval  # fmt: skip
    assert (own.low, own.high) == (pytest.approx(want.low, abs=0.01), pytest.approx(want.high, abs=0.01))


def test_calibration_undoes_a_scale_and_an_offset(tmp_path):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=20000) * 2
    positive = rng.random(20000) < 1 / (1 + np.exp(-logits))
    scale, offset = calibrate(3 * logits + 1, positive)
    assert scale == pytest.approx(1 / 3, rel=0.05) and offset == pytest.approx(-1 / 3, abs=0.05)
    assert calibrate(logits[:50], np.arange(50) < 4) == (1.0, 0.0)
    probability = 1 / (1 + np.exp(-logits))
    assert calibration_error(probability, positive) < 0.01
    want = BinaryCalibrationError(n_bins=10, norm="l1")
    even = (rng.permutation(20000) + 0.5) / 20000  # bins of equal count are then bins of equal width
    own = calibration_error(even, positive)
    assert own == pytest.approx(float(want(torch.from_numpy(even), torch.from_numpy(positive).int())), abs=1e-3)
    patients = [str(n // 2) for n in range(20000)]
    known = np.ones((20000, 1), dtype=bool)
    crossed = cross_calibrated((3 * logits + 1)[:, None], positive[:, None].astype(float), known, patients)
    wrong = 1 / (1 + np.exp(-(3 * logits + 1)))
    before, after = plot_reliability(
        wrong[:, None], crossed, positive[:, None].astype(float), known, tmp_path / "plot.png"
    )
    assert before > 0.1 and after < 0.02 and (tmp_path / "plot.png").stat().st_size > 5000
