"""Pictures of a run: the curves of a progression and the contact sheet of its stages. No global plot state."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.nn.functional import interpolate

DPI = 100


def _figure(width: int, height: int) -> Figure:
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")


def _pixels(figure: Figure) -> Tensor:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    return torch.from_numpy(rgba[..., :3].copy()).float() / 255


def progression_plot(
    conf: Mapping[str, Sequence[float]],
    convergence: Sequence[float] = (),
    clip_i: Sequence[float] = (),
    *,
    severity: Mapping[str, Sequence[float]] | None = None,
    real: Mapping[str, Sequence[float]] | None = None,
    delta: float | None = None,
    bound: Sequence[float] = (),
    conf_label: str = "Conf (probability)",
    change_label: str = "RMS change of the latent",
    title: str = "",
    width: int = 900,
    height: int = 600,
) -> Tensor:
    """The curves of a run in one picture (figure 7 and proposition 2). An empty curve has no panel.

    Args:
        conf: finding -> Conf of stages 0 .. N.
        convergence: |x_n - x_(n-1)| of stages 1 .. N.
        clip_i: similarity of stages 1 .. N with stage 0.
        severity: finding -> severity of stages 0 .. N in [0, 1], dotted, on the axis of conf.
        real: finding -> Conf of the patient's real pictures, dashed.
        delta: the threshold of convergence.
        bound: what eq. 7 allows stages 1 .. N to change, dashed.
        conf_label: the scale of conf.
        change_label: what convergence measures.
        title: above the panels.
        width: in pixels.
        height: in pixels.

    Returns:
        Image [height, width, 3] in [0, 1].
    """
    figure = _figure(width, height)
    panels = [name for name, curve in (("convergence", convergence), ("clip_i", clip_i)) if len(curve)]
    grid = figure.add_gridspec(2 if panels else 1, max(len(panels), 1), height_ratios=[3, 2] if panels else None)
    figure.set_layout_engine("constrained")
    if title:
        figure.suptitle(title, fontsize=13)

    top = figure.add_subplot(grid[0, :])
    for name, curve in conf.items():
        top.plot(range(len(curve)), [float(v) for v in curve], marker="o", label=name)
    colors = {line.get_label(): line.get_color() for line in top.get_lines()}
    for name, curve in (severity or {}).items():
        values, label = [float(v) for v in curve], f"{name}, severity"
        top.plot(range(len(values)), values, marker="^", linestyle=":", color=colors.get(name), label=label)
    for name, curve in (real or {}).items():
        values, label = [float(v) for v in curve], f"{name} (real)"
        top.plot(range(len(values)), values, marker="s", linestyle="--", color=colors.get(name), label=label)
    top.axhline(0.5, color="0.6", linestyle="--", linewidth=1)
    top.set(ylabel=conf_label, ylim=(-0.03, 1.03), xlabel="stage n")
    if conf or severity or real:
        top.legend(loc="best", fontsize=9)

    for column, name in enumerate(panels):
        axes = figure.add_subplot(grid[1, column])
        curve = [float(v) for v in (convergence if name == "convergence" else clip_i)]
        color = "tab:purple" if name == "convergence" else "tab:green"
        axes.plot(range(1, len(curve) + 1), curve, marker="o", color=color)
        axes.set(xlabel="stage n")
        if name == "convergence":
            axes.set(ylabel=f"{change_label}\n" r"$|x_n - x_{n-1}|$")
            if len(bound):
                axes.plot(range(1, len(bound) + 1), bound, color="0.4", linestyle="--", label="eq. 7, one step a stage")
            axes.set_ylim(bottom=0, top=None if any([*curve, *bound]) else 1)
            if delta is not None:
                axes.axhline(delta, color="tab:red", linestyle=":", label=f"δ = {delta:g}")
            if delta is not None or len(bound):
                axes.legend(fontsize=9)
        else:
            axes.set(ylabel="CLIP-I with stage 0\n(cosine similarity)", ylim=(min(0.8, *curve) - 0.02, 1.01))
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    return _pixels(figure)


def _cells(images: Tensor, height: int, width: int) -> Tensor:
    rgb = images.detach().cpu().float().expand(-1, -1, -1, 3).movedim(-1, 1)
    return interpolate(rgb, (height, width), mode="bilinear", align_corners=False, antialias=True).movedim(1, -1)


def contact_sheet(
    stages: Tensor,
    heat_maps: Tensor | None = None,
    labels: Sequence[str] = (),
    *,
    columns: int = 7,
    cell: int = 192,
) -> Tensor:
    """The stages of a run in even rows.

    Args:
        stages: [N + 1, H, W, 1 or 3] in [0, 1].
        heat_maps: [N, H, W, 3], that of stage n under stage n.
        labels: N + 1 short texts above the stages, by default "stage n".
        columns: stages in a row at most.
        cell: width of a picture in pixels; the height follows the images.

    Returns:
        Image [H', W', 3] in [0, 1].

    Raises:
        ValueError: stages has another shape, or the heat maps or labels are not as many.
    """
    count, rows_high, cols_wide, channels = stages.shape
    if count < 1 or channels not in (1, 3):
        raise ValueError(f"stages: got {tuple(stages.shape)}, want [N + 1, H, W, C] with C = 1 or 3")
    if heat_maps is not None and len(heat_maps) != count - 1:
        raise ValueError(f"heat_maps: got {len(heat_maps)}, want {count - 1}, one a stage but the first")
    labels = list(labels) or [f"stage {n}" for n in range(count)]
    if len(labels) != count:
        raise ValueError(f"labels: got {len(labels)}, want {count}, one a stage")

    gap, strip = 8, 26
    tall = max(1, round(cell * rows_high / cols_wide))
    across = math.ceil(count / math.ceil(count / columns))
    block = strip + tall + gap + (tall + gap if heat_maps is not None and count > 1 else 0)
    width, height = across * (cell + gap) + gap, math.ceil(count / across) * block + gap
    figure = _figure(width, height)
    pictures = _cells(stages, tall, cell)
    heats = _cells(heat_maps, tall, cell) if heat_maps is not None and count > 1 else None
    placed = []
    for n in range(count):
        x, y = gap + n % across * (cell + gap), n // across * block + gap
        centre = ((x + cell / 2) / width, 1 - (y + strip / 2) / height)
        figure.text(*centre, labels[n], ha="center", va="center", fontsize=10)
        placed.append((pictures[n], x, y + strip))
        if heats is not None and n > 0:
            placed.append((heats[n - 1], x, y + strip + tall + gap))
    sheet = _pixels(figure)
    for picture, x, y in placed:
        sheet[y : y + tall, x : x + cell] = picture.clamp(0, 1)
    return sheet


def comparison_sheet(methods: Mapping[str, Tensor], *, cell: int = 192) -> Tensor:
    """The stages of several methods, a row each.

    Args:
        methods: [N + 1, H, W, 1 or 3] in [0, 1] by the name of the method; N may differ from row to row.
        cell: width of a picture in pixels; the height follows the first method's images.

    Returns:
        Image [H', W', 3] in [0, 1].

    Raises:
        ValueError: there is no method, or a method has no picture.
    """
    if not methods or any(len(stages) < 1 for stages in methods.values()):
        raise ValueError("methods: got none or one without a picture, want the input image of each at least")
    gap, strip, side = 8, 26, 130
    first = next(iter(methods.values()))
    tall = max(1, round(cell * first.shape[1] / first.shape[2]))
    across = max(map(len, methods.values()))
    width, height = side + across * (cell + gap) + gap, strip + len(methods) * (tall + gap) + gap
    figure = _figure(width, height)
    for n in range(across):
        x = side + gap + n * (cell + gap)
        label = f"stage {n}" if n else "input"
        figure.text((x + cell / 2) / width, 1 - strip / 2 / height, label, ha="center", va="center", fontsize=10)
    placed = []
    for row, (name, stages) in enumerate(methods.items()):
        y = strip + gap + row * (tall + gap)
        figure.text(gap / width, 1 - (y + tall / 2) / height, textwrap.fill(name, 16), va="center", fontsize=10)
        pictures = _cells(stages, tall, cell)
        placed += [(picture, side + gap + n * (cell + gap), y) for n, picture in enumerate(pictures)]
    sheet = _pixels(figure)
    for picture, x, y in placed:
        sheet[y : y + tall, x : x + cell] = picture.clamp(0, 1)
    return sheet
