"""Figures 2, 4, 6 and 7 of the paper, of one patient (the first of each domain) or of all, for `tables`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...mvg.metrics.difference import difference_map, heat_map
from ...mvg.metrics.plot import contact_sheet
from . import methods
from .bars import interval
from .evaluation import Run, Scores, make
from .evaluation_setup import EvaluationSetup

COLORS = {
    methods.EXTRAPOLATION: "tab:orange",
    methods.WALK: "tab:green",
    f"{methods.PIE}, terminal": "tab:blue",
    f"{methods.PIE}, severity": "tab:purple",
    methods.TRUTH: "black",
}
STRIP = (0, 2, 4, 6, 8, 10)


Variants = Sequence[tuple[str, str, dict]]


def draw(setups: list[EvaluationSetup], variants: dict[str, Variants], settings: dict, stages: int, out: Path) -> None:
    """figure2.png, figure4.png, figure6.png and figure7.png in ``out``.

    variants: domain -> (method, mode of its plan or "", what it changes of the settings).
    """
    out.mkdir(parents=True, exist_ok=True)
    strips = {w.domain: _strips(w, variants[w.domain], settings, stages) for w in setups}
    sheets = [
        _differences(s) for states in strips.values() for name, s in states.items() if name.startswith(methods.PIE)
    ]
    save_image(same_width(sheets), out / "figure2.png")
    paths = {
        w.domain: {name_of(m, mode): w.scores(m, stages, **c) for m, mode, c in variants[w.domain]} for w in setups
    }
    _paths(paths, out / "figure4.png")
    save_image(same_width([_rows(name, states) for name, states in strips.items()]), out / "figure6.png")
    _curves(setups, paths, out / "figure7.png")


def name_of(method: str, mode: str) -> str:
    return f"{method}, {mode}" if mode else method


def _strips(setup: EvaluationSetup, variants: Variants, settings: dict, stages: int) -> dict[str, torch.Tensor]:
    """Method -> states [N + 1, H, W, 3] of the first patient."""
    group = setup.groups[0].part(0, 1)
    direction = setup.direction(group.finding)
    runs = {name_of(m, mode): Run.of(m, group, stages, settings | c) for m, mode, c in variants}
    return {name: make(setup.networks, group, run, direction)[:, 0] for name, run in runs.items()}


def _differences(states: torch.Tensor) -> torch.Tensor:
    """Figure 2: the stages of PIE and what each changed."""
    return contact_sheet(states, heat_map(difference_map(states[1:], states[:-1])), columns=len(states), cell=128)


def _rows(domain: str, states: dict[str, torch.Tensor]) -> torch.Tensor:
    """Figures 5 and 6: some stages of every method."""
    rows = []
    for method, all_states in states.items():
        shown = [n for n in STRIP if n < len(all_states)]
        rows.append(contact_sheet(all_states[shown], labels=[f"{domain}, {method}, {n}" for n in shown], cell=224))
    return torch.cat(rows)


def _paths(paths: dict[str, dict[str, list[Scores]]], file: Path) -> None:
    """Figure 4: the way of every method in the plane of the first two principal components of CLIP embeddings."""
    figure = Figure(figsize=(5 * len(paths), 4.6), layout="constrained")
    for axes, (domain, by_method) in zip(np.atleast_1d(figure.subplots(1, len(paths))), paths.items(), strict=True):
        ways = {m: np.concatenate([s.embeddings for s in runs]).mean(axis=0) for m, runs in by_method.items()}
        every = np.concatenate(list(ways.values()))
        centre = every.mean(axis=0)
        plane = np.linalg.svd(every - centre, full_matrices=False)[2][:2]
        for method, way in ways.items():
            x, y = ((way - centre) @ plane.T).T
            axes.plot(x, y, marker="o", markersize=3, color=COLORS[method], label=method)
            axes.annotate("N", (x[-1], y[-1]), color=COLORS[method])
        axes.scatter(x[:1], y[:1], color="black", zorder=3, label="stage 0")
        axes.set(title=domain, xlabel="first component", ylabel="second component")
        axes.legend(fontsize=8)
    _save(figure, file)


def _curves(setups: list[EvaluationSetup], paths: dict, file: Path) -> None:
    """Figure 7: Conf against stage, the mean of all patients, and below it the severity where a reader tells it."""
    figure = Figure(figsize=(5 * len(setups), 7), layout="constrained")
    for column, setup in zip(figure.subplots(2, len(setups), squeeze=False).T, setups, strict=True):
        for axes, score in zip(column, ("conf", "severity"), strict=True):
            for name, runs in paths[setup.domain].items():
                values = [getattr(s, score) for s in runs]
                if all(v is not None for v in values):
                    line = "--" if name == methods.TRUTH else "-"
                    _band(axes, np.concatenate(values), COLORS[name], name, linestyle=line)
            axes.set(title=setup.domain, xlabel="stage n", ylabel=score, ylim=(-0.03, 1.03))
        column[0].axhline(0.5, color="0.7", linewidth=0.8)
        column[0].legend(fontsize=8)
    _save(figure, file)


def _band(axes, values: np.ndarray, color: str, label: str, linestyle: str = "-") -> None:
    mean, low, high = np.array([interval(column) for column in values.T]).T
    axes.plot(mean, color=color, label=label, linestyle=linestyle, marker="o", markersize=3)
    axes.fill_between(range(len(mean)), low, high, color=color, alpha=0.15, linewidth=0)


def save_image(image: torch.Tensor, file: Path) -> None:
    """[H, W, 3] in [0, 1]."""
    from PIL import Image

    Image.fromarray((image.clamp(0, 1).numpy() * 255).round().astype(np.uint8)).save(file)


def _save(figure: Figure, file: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(file, dpi=110)


def same_width(images: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pictures [H, W, 3] one below the other, the narrower ones on white."""
    width = max(i.shape[1] for i in images)
    return torch.cat([torch.nn.functional.pad(i, (0, 0, 0, width - i.shape[1]), value=1.0) for i in images])
