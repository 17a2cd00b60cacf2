"""Figures 2, 4, 6 and 7 of the paper, of one patient (the first of each domain) or of all, for `tables`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ...mvg.metrics.conf import conf
from ...mvg.metrics.difference import difference_map, heat_map
from ...mvg.metrics.plot import contact_sheet
from . import methods
from .evaluation import Run, Scores, interval, make
from .evaluation_setup import EvaluationSetup
from .patients import TARGET, Patients

COLORS = {methods.EXTRAPOLATION: "tab:orange", methods.WALK: "tab:green", methods.PIE: "tab:blue"}
STRIP = (0, 2, 4, 6, 8, 10)


def draw(setups: list[EvaluationSetup], settings: dict, stages: int, out: Path) -> None:
    """figure2.png, figure4.png, figure6.png and figure7.png in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    strips = {setup.domain: _strips(setup, settings, stages) for setup in setups}
    save_image(same_width([_differences(states[methods.PIE]) for states in strips.values()]), out / "figure2.png")
    paths = {w.domain: {m: w.scores(m, stages) for m in methods.METHODS} for w in setups}
    _paths(paths, out / "figure4.png")
    save_image(same_width([_rows(name, states) for name, states in strips.items()]), out / "figure6.png")
    _curves(setups, paths, stages, out / "figure7.png")


def _strips(setup: EvaluationSetup, settings: dict, stages: int) -> dict[str, torch.Tensor]:
    """Method -> states [N + 1, H, W, 3] of the first patient."""
    group = setup.groups[0].part(0, 1)
    direction = setup.direction(group.finding)
    runs = {m: Run.of(m, group, stages, settings) for m in methods.METHODS}
    return {m: make(setup.networks, group, run, direction)[:, 0] for m, run in runs.items()}


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


def _curves(setups: list[EvaluationSetup], paths: dict, stages: int, file: Path) -> None:
    """Figure 7: Conf against stage, the mean of all patients, and that of their true course where it is known."""
    figure = Figure(figsize=(5 * len(setups), 4), layout="constrained")
    for axes, setup in zip(np.atleast_1d(figure.subplots(1, len(setups))), setups, strict=True):
        for method, runs in paths[setup.domain].items():
            _band(axes, np.concatenate([s.conf for s in runs]), COLORS[method], method)
        phantoms = [group for group in setup.groups if isinstance(group, Patients)]
        if phantoms:
            true = np.concatenate([_true_conf(setup, group, stages) for group in phantoms])
            _band(axes, true, "black", "true course", linestyle="--")
        axes.set(title=setup.domain, xlabel="stage n", ylabel="Conf", ylim=(-0.03, 1.03))
        axes.axhline(0.5, color="0.7", linewidth=0.8)
        axes.legend(fontsize=8)
    _save(figure, file)


def _true_conf(setup: EvaluationSetup, group: Patients, stages: int) -> np.ndarray:
    """[B, N + 1]: Conf of the patients at severities that rise evenly to the one that is asked for."""
    index = list(setup.networks.classifier.outputs).index(group.finding)
    with torch.inference_mode():
        read = [setup.networks.classifier.logits(group.at(TARGET * n / stages)) for n in range(stages + 1)]
    return torch.stack([conf(logits)[:, index] for logits in read], dim=1).numpy()


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
