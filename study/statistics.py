"""What votes say: win rates, Bradley-Terry scores, agreement. Tables of ``results`` come in, plain numbers go out."""

from collections.abc import Sequence
from dataclasses import dataclass

import choix
import krippendorff
import numpy as np
import pandas as pd
from scipy import stats

RESAMPLES = 500
PRIOR = 0.01  # choix's regularization: a method that won or lost every time keeps a finite score


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval. low, high: nan where count is 0."""

    hits: int
    count: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share, nan of none."""
        return self.hits / self.count if self.count else float("nan")


def wilson(hits: int, count: int) -> Rate:
    """A share with Wilson's 95 % interval (E. B. Wilson, JASA 1927), by scipy.

    Args:
        hits: Of count.
        count: 0 or more.

    Returns:
        The share.
    """
    if not count:
        return Rate(0, 0, float("nan"), float("nan"))
    interval = stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return Rate(hits, count, float(interval.low), float(interval.high))


def win_matrices(pairs: pd.DataFrame, methods: Sequence[str]) -> np.ndarray:
    """How often each method won against each other, in the eyes of each rater.

    Args:
        pairs: With the columns rater, winner and loser.
        methods: Their order.

    Returns:
        [R, M, M], row over column.
    """
    places = {method: n for n, method in enumerate(methods)}
    numbers, names = pd.factorize(pairs["rater"])
    wins = np.zeros((len(names), len(methods), len(methods)))
    np.add.at(wins, (numbers, pairs["winner"].map(places), pairs["loser"].map(places)), 1)
    return wins


@dataclass(frozen=True)
class Score:
    """A method's Bradley-Terry score with its 95 % interval.

    Attributes:
        score: Log odds; all methods' have the mean 0. exp of a difference is the odds of winning.
        rank: From 1, the best.
        low, high: Percentiles over samples of the raters; nan where there are fewer than 2.
    """

    method: str
    score: float
    low: float
    high: float
    rank: int


def bradley_terry(pairs: pd.DataFrame, methods: Sequence[str], seed: int = 0) -> list[Score]:
    """Bradley-Terry scores by choix (Luce spectral ranking), with intervals from resampling raters.

    Raters are drawn rather than votes, as the votes of a rater go together.

    Args:
        pairs: With the columns rater, winner and loser.
        methods: To be scored.
        seed: Of the samples.

    Returns:
        A score a method, best first; none where there are no pairs.
    """
    if not len(pairs):
        return []
    each = win_matrices(pairs, methods)
    scores = _scores(each.sum(0))
    low = high = np.full(len(methods), np.nan)
    if len(each) > 1:
        rng = np.random.default_rng(seed)
        weights = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), RESAMPLES)
        drawn = np.stack([_scores(np.tensordot(weight, each, 1), scores) for weight in weights])
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    order = np.argsort(-scores, kind="stable")
    ranked = enumerate(order, start=1)
    return [Score(methods[n], float(scores[n]), float(low[n]), float(high[n]), rank) for rank, n in ranked]


def _scores(wins: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """near: where to begin."""
    found = choix.ilsr_pairwise_dense(wins, alpha=PRIOR, initial_params=near, tol=1e-6)
    return found - found.mean()


def clustered(values: pd.Series, raters: pd.Series, cases: pd.Series) -> tuple[float, float]:
    """The 95 % interval of a mean whose votes depend on each other, by rater and by case.

    Two-way clustered variance (Cameron, Gelbach and Miller, J. Bus. Econ. Stat. 2011) and Student's t with one degree
    of freedom less than the fewer of raters and cases. Wilson's interval takes votes for independent, and is too narrow
    where raters differ in taste or some cases are better than others.

    Args:
        values: Numbers or booleans.
        raters: Whose each is.
        cases: What each is about.

    Returns:
        Low and high, nan where there are fewer than 2 raters or cases.
    """
    off = values.astype(float) - values.astype(float).mean()
    parts = [off.groupby(raters).sum().to_numpy(), off.groupby(cases).sum().to_numpy(), off.to_numpy()]
    half = _half(*parts)
    return float(values.mean() - half), float(values.mean() + half)


def _half(raters: np.ndarray, cases: np.ndarray, votes: np.ndarray) -> float:
    """Half the interval of ``clustered``, from the sums of what differs from the mean."""
    fewer = min(len(raters), len(cases))
    if fewer < 2:
        return float("nan")
    of_raters, of_cases, of_votes = (len(part) / (len(part) - 1) * (part**2).sum() for part in (raters, cases, votes))
    variance = max(of_raters + of_cases - of_votes, of_raters, of_cases) / votes.size**2
    return float(stats.t.ppf(0.975, fewer - 1) * np.sqrt(variance))


def alpha(votes: pd.DataFrame, unit: Sequence[str], value: str, *, ordinal: bool = False) -> float:
    """Krippendorff's alpha: 1 for raters who agree, 0 for no more agreement than by chance.

    Args:
        votes: With the columns rater, those of unit and value.
        unit: What tells one question from another.
        value: What was answered.
        ordinal: Whether answers are numbers in an order, else they are names.

    Returns:
        alpha; nan where no question has two raters, or all answers are the same.
    """
    table = votes.pivot_table(index="rater", columns=list(unit), values=value, aggfunc="first", observed=True)
    if not ordinal:
        codes = {kind: n for n, kind in enumerate(sorted(votes[value].unique()))}
        table = table.map(codes.get, na_action="ignore")
    numbers = table.to_numpy(float, na_value=np.nan)
    shared = (~np.isnan(numbers)).sum(0) >= 2
    if not shared.any() or len(np.unique(numbers[:, shared][~np.isnan(numbers[:, shared])])) < 2:
        return float("nan")
    return float(krippendorff.alpha(numbers, level_of_measurement="ordinal" if ordinal else "nominal"))


def power(
    win_rate: float, raters: int, pairs: int, *, spread: float = 0.3, studies: int = 1000, seed: int = 0
) -> float:
    """How often a study would show that a method is preferred: the interval of ``clustered`` lies above one half.

    A vote is won where a normal number, the sum of what rater, case and vote bring, is above 0. Rater and case share
    ``spread`` of its variance evenly; that makes votes depend on each other, and a study less telling than its count
    of votes. The share that is won overall is ``win_rate`` exactly.

    Args:
        win_rate: The true one, between 0 and 1.
        raters: Their number, at least 2.
        pairs: How many pairs (cases) each sees, at least 2; the same for all.
        spread: Share of the variance, from 0 to below 1.
        studies: Simulated.
        seed: Of the simulation.

    Returns:
        Share of the studies.
    """
    rng = np.random.default_rng(seed)
    common, own = np.sqrt(spread / 2), np.sqrt(1 - spread)
    middle = stats.norm.ppf(win_rate)
    shown = 0
    for _ in range(studies):
        tastes, cases = common * rng.standard_normal((raters, 1)), common * rng.standard_normal((1, pairs))
        won = middle + tastes + cases + own * rng.standard_normal((raters, pairs)) > 0
        off = won - won.mean()
        shown += won.mean() - _half(off.sum(1), off.sum(0), off.ravel()) > 0.5
    return shown / studies
