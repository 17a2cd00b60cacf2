"""Where the stages of PIE Loop come together: a list of pictures, latents and changes a patient."""

import json
from typing import Any

import torch
from comfy_api.latest import io

from ...mvg import pie
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
                io.String.Input("viewer", optional=True, tooltip="Where the page's viewer looks for the pictures."),
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
    def check_lazy_status(cls, delta: float, **stages: Any) -> list[str]:
        latents, count = known_latents(stages)
        ends = pie.stop_stages(pie.row_curves(latents), delta)
        last = max(count if end is None else end for end in ends)
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
        viewer: str = "",
        **stages: Any,
    ) -> io.NodeOutput:
        latents, _ = known_latents(stages)
        curves = pie.row_curves(latents)
        ends = pie.stop_stages(curves, delta)
        last = [len(latents) - 1 if end is None else end for end in ends]
        pictures = [stages[f"state_{n}"] for n in range(max(last) + 1)]
        for n, picture in enumerate(pictures):
            check_picture(n, picture, pictures[0])
        columns: tuple[list, ...] = ([], [], [], [])
        for row, (end, stopped) in enumerate(zip(last, ends, strict=True)):
            changes = [float(change) for change in curves[row, :end]]
            curve = {"metric": "change", "values": changes, "delta": delta or None, "stopped": stopped}
            one = (
                course([picture[row] for picture in pictures[: end + 1]]),
                {"samples": torch.stack([latent[row] for latent in latents[: end + 1]])},
                json.dumps(curve),
                describe(about, changes, delta, stopped, round_trip, spacing),
            )
            for column, value in zip(columns, one, strict=True):
                column.append(value)
        if not viewer:
            return io.NodeOutput(*columns)
        index = write_preview(viewer, columns[0], [json.loads(curve) for curve in columns[2]])
        return io.NodeOutput(*columns, ui={"mvg_progressions_in": [index]})


def known_latents(stages: dict[str, Any]) -> tuple[list[torch.Tensor], int]:
    """The latents of stages 0, 1, ... up to the first that has not been computed, and N."""
    count = sum(name.startswith("latent_") for name in stages) - 1
    latents = []
    for n in range(count + 1):
        if (latent := stages[f"latent_{n}"]) is None:
            break
        latents.append(latent["samples"])
    return latents, count


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
) -> str:
    """The notes of one patient."""
    head, *lines = about.splitlines()
    lines = [f"{line}, change {change:.4g}" for line, change in zip(lines, changes, strict=False)]
    if stopped is not None:
        lines.append(f"ended after stage {stopped}: its change is below delta, {delta:g}")
    if round_trip is not None:
        lines.append(f"inversion of the input image: {round_trip}")
    return "\n".join([head, *([] if spacing is None else [spacing]), *lines])
