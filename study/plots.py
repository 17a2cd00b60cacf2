"""Win rates and Bradley-Terry scores as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .results import Win
from .statistics import Score

DPI = 120
ROW_INCHES = 0.32


def win_rates(path: Path, wins: Sequence[Win], method: str) -> None:
    """The win rates of a method over each other with their intervals, a row each; a line at one half.

    Args:
        path: Of the PNG.
        wins: Of all methods.
        method: The one that is shown.
    """
    shown = [win for win in wins if win.method == method]
    labels = [f"{win.domain}: over {win.over}" for win in shown]
    spans = [(win.rate.rate, win.rate.low, win.rate.high) for win in shown]
    figure, axes = _rows(labels, spans, f"win rate of {method}; thick: Wilson 95 %, thin: clustered by rater and case")
    for n, win in enumerate(shown):
        axes.plot(win.clustered, [n, n], color="tab:blue", linewidth=0.8)
    axes.axvline(0.5, color="0.5", linewidth=1, linestyle="--")
    axes.set_xlim(0, 1)
    figure.savefig(path)


def scores(path: Path, found: Mapping[str, Sequence[Score]]) -> None:
    """Bradley-Terry scores with their intervals, a row a domain and method.

    Args:
        path: Of the PNG.
        found: Domain -> scores.
    """
    rows = [(domain, score) for domain, scores in found.items() for score in scores]
    labels = [f"{domain}: {score.method}" for domain, score in rows]
    figure, axes = _rows(labels, [(s.score, s.low, s.high) for _, s in rows], "Bradley-Terry score (log odds), 95 %")
    axes.axvline(0, color="0.5", linewidth=1, linestyle="--")
    figure.savefig(path)


def _rows(labels: list[str], spans: list[tuple[float, float, float]], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 1.2 + ROW_INCHES * max(1, len(labels))), dpi=DPI, facecolor="white", layout="tight")
    axes = figure.add_subplot()
    for n, (middle, low, high) in enumerate(spans):
        axes.plot([low, high], [n, n], color="tab:blue", linewidth=3, solid_capstyle="butt")
        axes.plot([middle], [n], "o", color="tab:blue")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(title)
    axes.grid(axis="x", alpha=0.3)
    return figure, axes
