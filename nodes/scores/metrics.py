"""Figures of a progression. A score travels as JSON text: {"metric", "values", ...}, readable in any preview."""

import json

import torch
from comfy_api.latest import io

from ...mvg.finite import check_finite
from ...mvg.metrics.clip_i import clip_i_per_stage
from ...mvg.metrics.difference import PEAK, difference_map, heat_map
from ...mvg.metrics.plot import progression_plot
from ..support.score_text import parse_scores


class CLIPI(io.ComfyNode):
    """CLIP-I (section 5): mean cosine similarity of the image embeddings of x_1..x_N with that of x_0."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_CLIPI",
            display_name="CLIP-I",
            category="MVG/metrics",
            description="How near every stage stays to the first picture, as an image encoder sees it.",
            search_aliases=["clip similarity", "identity", "score"],
            inputs=[
                io.ClipVision.Input("clip_vision", display_name="clip vision", tooltip="The image encoder to ask."),
                io.Image.Input("images", tooltip="The stages of a progression, the input image first."),
            ],
            outputs=[
                io.String.Output("scores", tooltip="The similarity of stages 1 to N as JSON, with the model's name."),
                io.Float.Output("mean", tooltip="CLIP-I, their mean; 1 where there is the input image only."),
            ],
        )

    @classmethod
    def execute(cls, clip_vision: io.ClipVision.Type, images: torch.Tensor) -> io.NodeOutput:
        if len(images) < 1:
            raise ValueError("images: got an empty batch, want the input image at least")
        check_finite("images", images)
        embeddings = clip_vision.encode_image(images)["image_embeds"].float().cpu()
        check_finite("clip_vision (embeddings)", embeddings)
        values = [float(v) for v in clip_i_per_stage(embeddings[1:], embeddings[:1])]
        mean = sum(values) / len(values) if values else 1.0
        scores = {"metric": "clip_i", "model": cls.name_of(clip_vision), "values": values, "mean": mean}
        return io.NodeOutput(json.dumps(scores), mean)

    @staticmethod
    def name_of(clip_vision: io.ClipVision.Type) -> str:
        config = clip_vision.config
        size = f"{config.get('num_hidden_layers')} layers of {config.get('hidden_size')}, {clip_vision.image_size} px"
        return f"{config.get('name') or config.get('model_type', 'clip vision')} ({size})"


class DifferenceMap(io.ComfyNode):
    """|x_n - x_{n-1}| as a heat map (figure 2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_DifferenceMap",
            display_name="Difference Map",
            category="MVG/metrics",
            description="Shows where a stage differs from the one before, or from the input image.",
            search_aliases=["heat map", "absolute difference", "change map"],
            inputs=[
                io.Image.Input("images", tooltip="The stages of a progression, the input image first."),
                io.Combo.Input(
                    "reference",
                    options=["previous", "first"],
                    tooltip="What every stage is compared with: the stage before, or the input image.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "maps",
                    tooltip=f"N heat maps on one scale for all runs: black none, yellow "
                    f"{PEAK:.0%} of the full range or more.",
                )
            ],
        )

    @classmethod
    def execute(cls, images: torch.Tensor, reference: str) -> io.NodeOutput:
        before = images[:-1] if reference == "previous" else images[:1].expand_as(images[1:])
        if len(images) == 1:
            return io.NodeOutput(images.new_zeros(0, *images.shape[1:3], 3))
        return io.NodeOutput(heat_map(difference_map(images[1:], before), PEAK))


class ProgressionPlot(io.ComfyNode):
    """Conf against stage (figure 7), with severity, CLIP-I and the convergence curve where given."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_ProgressionPlot",
            display_name="Progression Plot",
            category="MVG/metrics",
            description="Draws the scores of a progression against its stages.",
            search_aliases=["graph", "curve", "chart", "figure"],
            inputs=[
                io.String.Input("conf", force_input=True, tooltip="Scores of Conf."),
                io.String.Input("clip_i", optional=True, force_input=True, tooltip="Scores of CLIP-I."),
                io.String.Input("curve", optional=True, force_input=True, tooltip="The curve of PIE Loop."),
                io.String.Input("title", default="Simulated progression", tooltip="Words above the plot."),
                io.String.Input(
                    "real",
                    optional=True,
                    force_input=True,
                    tooltip="Scores of Conf on real pictures of the patient, one a stage; drawn dashed.",
                ),
            ],
            outputs=[io.Image.Output("plot", tooltip="The plot as a picture.")],
        )

    @classmethod
    def execute(
        cls, conf: str, title: str, clip_i: str | None = None, curve: str | None = None, real: str | None = None
    ) -> io.NodeOutput:
        scores = parse_scores("conf", conf)
        beside = parse_scores("real", real) if real else None
        change: dict = parse_scores("curve", curve) if curve else {"values": ()}
        finding, scale = scores.get("finding", "conf"), scores.get("scale", "probability")
        graded = scores.get("severity")
        plot = progression_plot(
            {finding: scores["values"]},
            change["values"],
            parse_scores("clip_i", clip_i)["values"] if clip_i else (),
            severity={finding: graded["values"]} if graded else None,
            real={beside.get("finding", "conf"): beside["values"]} if beside else None,
            conf_label=f"Conf ({scale}) and severity" if graded else f"Conf ({scale})",
            delta=change.get("delta"),
            bound=change.get("bound", ()),
            title=title,
        )
        return io.NodeOutput(torch.as_tensor(plot)[None])
