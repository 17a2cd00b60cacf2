"""How well a classifier tells: AUROC with intervals over patients, calibration, and a reliability plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LEAST = 5
"""Positives, and negatives, of a finding below which its figures would say nothing."""
BINS = 10
FOLDS = 5


@dataclass(frozen=True)
class Auroc:
    """A finding's AUROC with the bounds of its 95 % interval; NaN where it has fewer than LEAST of a kind."""

    finding: str
    positives: int
    negatives: int
    value: float
    low: float
    high: float


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counting half.

    Args:
        scores: [n].
        positive: bool [n].

    Returns:
        In [0, 1]; NaN where there are no positives or no negatives.
    """
    from scipy.stats import rankdata

    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * others))


def auroc_table(
    scores: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    patients: Sequence[str],
    findings: Sequence[str],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[Auroc]:
    """AUROC of every finding with a percentile bootstrap over patients, as films of one patient are alike.

    Args:
        scores: [n, k].
        targets: [n, k] in [0, 1], positive from 0.5.
        known: bool [n, k].
        patients: n names.
        findings: k names.
        draws: of the bootstrap.
        seed: of them.

    Returns:
        One a finding.
    """
    samples = [auroc(scores[known[:, k], k], targets[known[:, k], k] >= 0.5) for k in range(len(findings))]
    drawn = auroc_draws(scores, targets, known, patients, draws=draws, seed=seed)
    table = []
    for k, finding in enumerate(findings):
        positive = targets[known[:, k], k] >= 0.5
        counts = int(positive.sum()), int((~positive).sum())
        enough = min(counts) >= LEAST
        low, high = np.nanpercentile(drawn[:, k], (2.5, 97.5)) if enough else (np.nan, np.nan)
        table.append(Auroc(finding, *counts, samples[k] if enough else float("nan"), float(low), float(high)))
    return table


def auroc_draws(
    scores: np.ndarray, targets: np.ndarray, known: np.ndarray, patients: Sequence[str], *, draws: int, seed: int
) -> np.ndarray:
    """AUROCs of patients drawn with replacement; equal seeds draw the same, so that two classifiers can be compared.

    Args:
        scores, targets, known, patients, draws, seed: as in `auroc_table`.

    Returns:
        [draws, k], NaN where a draw has no positive or no negative.
    """
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    rows = [np.flatnonzero(number == i) for i in range(number.max() + 1)]
    rng = np.random.Generator(np.random.PCG64(seed))
    out = np.empty((draws, scores.shape[1]))
    for draw in range(draws):
        chosen = np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))])
        for k in range(scores.shape[1]):
            own = chosen[known[chosen, k]]
            out[draw, k] = auroc(scores[own, k], targets[own, k] >= 0.5)
    return out


def mean_of(table: Sequence[Auroc], drawn: np.ndarray) -> tuple[float, float, float]:
    """Mean AUROC over the findings with figures, and the bounds of its 95 % interval.

    Args:
        table, drawn: of `auroc_table` and `auroc_draws`.

    Returns:
        Value, low, high; NaN where no finding has figures.
    """
    places = [k for k, row in enumerate(table) if np.isfinite(row.value)]
    if not places:
        return (float("nan"),) * 3
    means = np.nanmean(drawn[:, places], axis=1)
    low, high = np.nanpercentile(means, (2.5, 97.5))
    return float(np.mean([table[k].value for k in places])), float(low), float(high)


def calibrate(logits: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Scale and offset with which logits become probabilities (Platt 1999; the scale is one over the temperature).

    Args:
        logits: [n] of one finding.
        positive: bool [n].

    Returns:
        (scale, offset), for sigmoid(scale * logit + offset); (1, 0) where there are fewer than LEAST of a kind, as a
        fit would be chance.
    """
    from scipy.optimize import minimize

    count, others = int(positive.sum()), int((~positive).sum())
    if min(count, others) < LEAST:
        return 1.0, 0.0
    # Platt's targets: not 1 and 0, but what as many draws make one believe
    target = np.where(positive, (count + 1) / (count + 2), 1 / (others + 2))

    def loss(parameters: np.ndarray) -> float:
        z = np.exp(parameters[0]) * logits + parameters[1]
        return float(np.mean(np.logaddexp(0, z) - target * z))

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-7, 7), (-50, 50)])
    return float(np.exp(found.x[0])), float(found.x[1])


def cross_calibrated(
    logits: np.ndarray, targets: np.ndarray, known: np.ndarray, patients: Sequence[str], *, seed: int = 0
) -> np.ndarray:
    """Probabilities of pictures by a calibration fitted on the others' patients, so that it can be judged on them.

    Args:
        logits: [n, k].
        targets, known, patients: as in `auroc_table`.
        seed: of the FOLDS that patients are dealt into.

    Returns:
        [n, k] in [0, 1].
    """
    names, number = np.unique(np.asarray(patients), return_inverse=True)
    fold = np.random.Generator(np.random.PCG64(seed)).permutation(len(names))[number] % FOLDS
    out = np.empty(logits.shape)
    for k in range(logits.shape[1]):
        for held in range(FOLDS):
            rest, own = known[:, k] & (fold != held), fold == held
            scale, offset = calibrate(logits[rest, k], targets[rest, k] >= 0.5)
            out[own, k] = 1 / (1 + np.exp(-(scale * logits[own, k] + offset)))
    return out


def reliability(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often what is said to be so likely is so.

    Args:
        probability: [n].
        positive: bool [n].

    Returns:
        Mean probability, share of positives and count of up to BINS bins of equal count.
    """
    parts = [part for part in np.array_split(np.argsort(probability, kind="stable"), BINS) if len(part)]
    mean = np.array([probability[part].mean() for part in parts])
    share = np.array([positive[part].mean() for part in parts])
    return mean, share, np.array([len(part) for part in parts])


def calibration_error(probability: np.ndarray, positive: np.ndarray) -> float:
    """Expected calibration error over the bins of `reliability`.

    Args:
        probability, positive: as there.

    Returns:
        In [0, 1].
    """
    mean, share, count = reliability(probability, positive)
    return float((np.abs(mean - share) * count).sum() / count.sum())


def plot_reliability(
    before: np.ndarray, after: np.ndarray, targets: np.ndarray, known: np.ndarray, path: Path
) -> tuple[float, float]:
    """Draws what was likely against what was so, over all findings, before and after calibration.

    Args:
        before, after: probabilities [n, k].
        targets, known: as in `auroc_table`.
        path: of the PNG.

    Returns:
        The calibration errors before and after.
    """
    from matplotlib.figure import Figure

    positive = targets[known] >= 0.5
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    errors = []
    for name, probability, color in (("as trained", before, "tab:orange"), ("calibrated", after, "tab:blue")):
        mean, share, _ = reliability(probability[known], positive)
        errors.append(calibration_error(probability[known], positive))
        axes.plot(mean, share, marker="o", color=color, label=f"{name}: error {errors[-1]:.3f}")
    axes.set(xlabel="probability that is said", ylabel="share of pictures with the finding", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)
    return errors[0], errors[1]
