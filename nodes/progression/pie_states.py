"""Where the stages of PIE Loop come together: a list of pictures, latents and changes a patient."""

import json
import math
from collections.abc import Sequence
from typing import Any

import torch
from comfy_api.latest import io

from ...mvg import pie
from ...mvg.severity import TOO_LITTLE, changes
from ..support import sampling, trajectory
from ..support.preview import write_preview
from .pie_inputs import MAX_STAGES


class PIEStates(io.ComfyNode):
    """Collects what the stages of MVG_PIELoop made; part of that node's expansion.

    Its inputs are lazy: a stage behind the one at which the loop has converged is never asked for, so never computed.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        stages = range(1, MAX_STAGES + 1)
        return io.Schema(
            node_id="MVG_PIEStates",
            display_name="PIE States",
            category="MVG/progression",
            description="Puts the stages of a progression behind the input image. PIE Loop adds it by itself.",
            search_aliases=["collect stages"],
            is_dev_only=True,
            inputs=[
                io.Image.Input("state_0", tooltip="The input pictures, one a patient."),
                io.Latent.Input("latent_0", tooltip="The input pictures as latents."),
                io.Float.Input("delta", tooltip="The change below which a patient's stages end; 0 never ends them."),
                io.String.Input("about", tooltip="The settings in words: a line for all, then one a stage."),
                io.String.Input("round_trip", optional=True, force_input=True, tooltip="Notes of DDIM Invert."),
                io.String.Input("spacing", optional=True, force_input=True, tooltip="Notes of Stage Spacing."),
                io.Model.Input("model", optional=True, tooltip="For the bound of eq. 7 where the change must fall."),
                io.Int.Input("steps", default=50, optional=True, tooltip="T, for the bound."),
                io.Combo.Input("scheduler", options=sampling.SCHEDULERS, optional=True, tooltip="For the bound."),
                io.String.Input("expected", optional=True, tooltip="The finding that the pictures are to show."),
                io.Image.Input("unchanged", optional=True, tooltip="What they look like where nothing has changed."),
                io.Mask.Input("mask", optional=True, tooltip="Where they are to show it."),
                io.String.Input("viewer", optional=True, tooltip="Where the page's viewer looks for the pictures."),
                io.String.Input("planned", optional=True, tooltip="Prompt and severity of each stage for the viewer."),
                *(io.Latent.Input(f"latent_{n}", optional=True, lazy=True, tooltip=f"Stage {n}.") for n in stages),
                *(io.Image.Input(f"state_{n}", optional=True, lazy=True, tooltip=f"Stage {n}.") for n in stages),
            ],
            outputs=[
                io.Image.Output("states", tooltip="A list of N + 1 pictures a patient, the input image first."),
                io.Latent.Output("latents", tooltip="A list of N + 1 latents a patient."),
                io.String.Output("curve", tooltip="A list of the changes from stage to stage as JSON, one a patient."),
                io.String.Output("notes", tooltip="A list of the run in words, one a patient."),
            ],
        )

    @classmethod
    def check_lazy_status(cls, delta: float, viewer: str = "", planned: str = "[]", **stages: Any) -> list[str]:
        latents, count = known_latents(stages)
        curves = pie.row_curves(latents)
        ends = pie.stop_stages(curves, delta)
        last = max(count if end is None else end for end in ends)
        newest = len(latents) - 1
        if viewer and newest:  # who watches sees each stage as it is made; else they are decoded together at the end
            if stages[f"state_{newest}"] is None:
                return [f"state_{newest}"]
            if newest < last:
                show_so_far(viewer, planned, [stages[f"state_{n}"] for n in range(newest + 1)], curves, ends)
        wanted = [f"latent_{n}" for n in range(len(latents), last + 1)]
        if wanted:
            return wanted[:1]  # one at a time: in their order, also where no stage builds on another
        return [f"state_{n}" for n in range(1, last + 1) if stages[f"state_{n}"] is None]

    @classmethod
    def execute(
        cls,
        delta: float,
        about: str,
        round_trip: str | None = None,
        spacing: str | None = None,
        model: io.Model.Type | None = None,
        steps: int = 50,
        scheduler: str = sampling.UNIFORM,
        expected: str = "",
        unchanged: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        viewer: str = "",
        planned: str = "[]",
        **stages: Any,
    ) -> io.NodeOutput:
        latents, _ = known_latents(stages)
        curves = pie.row_curves(latents)
        ends = pie.stop_stages(curves, delta)
        last = [len(latents) - 1 if end is None else end for end in ends]
        pictures = [stages[f"state_{n}"] for n in range(max(last) + 1)]
        for n, picture in enumerate(pictures):
            check_picture(n, picture, pictures[0])
        bounds = None if model is None else change_bounds(model, steps, scheduler, latents[0], curves.shape[1])
        columns: tuple[list, ...] = ([], [], [], [])
        warnings: list[str] = []
        for row, (end, stopped) in enumerate(zip(last, ends, strict=True)):
            values = [float(change) for change in curves[row, :end]]
            curve: dict[str, Any] = {"metric": "change", "values": values, "delta": delta or None, "stopped": stopped}
            if bounds is not None:
                curve["bound"] = bounds[row][:end]
            shown = course([picture[row] for picture in pictures[: end + 1]])
            if unchanged is not None and end:
                place = None if mask is None else mask[row % len(mask)]
                if note := no_answer(expected, unchanged[row], shown[1:], place):
                    curve["notes"] = [note]
                    warnings.append(note)
            one = (
                shown,
                {"samples": torch.stack([latent[row] for latent in latents[: end + 1]])},
                json.dumps(curve),
                describe(about, values, delta, stopped, round_trip, spacing, curve.get("notes", [])),
            )
            for column, value in zip(columns, one, strict=True):
                column.append(value)
        ui: dict[str, list] = {"mvg_notes": warnings} if warnings else {}
        if viewer:
            told = [json.loads(curve) for curve in columns[2]]
            index = write_preview(viewer, columns[0], told, json.loads(planned))
            ui["mvg_progressions_in"] = [index]
        trajectory.finish()
        return io.NodeOutput(*columns, ui=ui or None)


def known_latents(stages: dict[str, Any]) -> tuple[list[torch.Tensor], int]:
    """The latents of stages 0, 1, ... up to the first that has not been computed, and N."""
    count = sum(name.startswith("latent_") for name in stages) - 1
    latents = []
    for n in range(count + 1):
        if (latent := stages[f"latent_{n}"]) is None:
            break
        latents.append(latent["samples"])
    return latents, count


def show_so_far(
    viewer: str, planned: str, pictures: list[torch.Tensor], curves: torch.Tensor, ends: Sequence[int | None]
) -> None:
    """Gives the page's viewer the stages that there are while the next one is computed.

    Args:
        viewer, planned: of MVG_PIEStates.
        pictures: stage 0, 1, ..., [B, H, W, C] each.
        curves: their changes, [B, stages].
        ends: the stage that a row ended with.
    """
    for n, picture in enumerate(pictures):
        check_picture(n, picture, pictures[0])
    patients, told = [], []
    for row, end in enumerate(ends):
        last = len(pictures) - 1 if end is None else end
        patients.append(course([picture[row] for picture in pictures[: last + 1]]))
        told.append({"values": [float(change) for change in curves[row, :last]]})
    trajectory.show(write_preview(viewer, patients, told, json.loads(planned)))


def course(pictures: list[torch.Tensor]) -> torch.Tensor:
    """Pictures [H, W, C] as [N + 1, H, W, C], where the first is: with --gpu-only the VAE leaves its own on the GPU."""
    return torch.stack([picture.to(pictures[0].device) for picture in pictures])


def check_picture(stage: int, picture: torch.Tensor, original: torch.Tensor) -> None:
    if picture.shape != original.shape:
        raise ValueError(
            f"image: stage {stage} came back as {picture.shape[2]} x {picture.shape[1]}, want the input's "
            f"{original.shape[2]} x {original.shape[1]}; give a size that the VAE keeps (a multiple of 8)"
        )
    if not torch.isfinite(picture).all():
        raise ValueError(f"stage {stage}: the VAE returned values that are not finite (NaN)")


def describe(
    about: str,
    changes: list[float],
    delta: float,
    stopped: int | None,
    round_trip: str | None,
    spacing: str | None = None,
    notes: Sequence[str] = (),
) -> str:
    """The notes of one patient."""
    head, *lines = about.splitlines()
    lines = [f"{line}, change {change:.4g}" for line, change in zip(lines, changes, strict=False)]
    if stopped is not None:
        lines.append(f"ended after stage {stopped}: its change is below delta, {delta:g}")
    if round_trip is not None:
        lines.append(f"inversion of the input image: {round_trip}")
    lines += [f"note: {note}" for note in notes]
    return "\n".join([head, *([] if spacing is None else [spacing]), *lines])


def no_answer(expected: str, unchanged: torch.Tensor, stages: torch.Tensor, mask: torch.Tensor | None) -> str | None:
    """What to say of stages [N, H, W, C] that are but the unchanged picture [H, W, C] where the mask [H, W] is."""
    reached = max(changes([unchanged, stage], mask)[0] for stage in stages)
    if reached >= TOO_LITTLE:
        return None
    return (
        f"the model does not answer to the prompt of {expected}: no stage changes the picture by more than "
        f"{reached:.4f} of 1, which is nothing to see"
    )


def change_bounds(
    model: io.Model.Type, steps: int, scheduler: str, x_0: torch.Tensor, stages: int
) -> list[list[float]] | None:
    """Eq. 7 for every row of x_0 [B, C, h, w], in the unit of its latents; None where a model has no alphas for it."""
    process = sampling.process_of(model)
    low = [float(s) for s in sampling.schedule(model, scheduler, steps, min(steps, 2)) if s > 0][-2:]
    if len(low) < 2 or not math.isclose(process.scale(1.0), math.sqrt(0.5), rel_tol=1e-3):
        return None
    a_1, a_0 = (1 / (1 + sigma * sigma) for sigma in low)
    one = torch.ones_like(x_0[:1], dtype=torch.float32)
    unit = float((process.from_network(one) - process.from_network(0 * one)).square().mean().sqrt())
    norms = process.to_network(x_0).double().flatten(1).square().mean(1).sqrt()
    return [[unit * bound for bound in pie.change_bound(float(norm), a_0, a_1, stages)] for norm in norms]
