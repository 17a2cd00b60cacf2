"""Stages by severity: words with a number, the guider between them, and one stage drawn with it."""

import torch
from comfy_api.latest import io

from ...mvg import pie
from ..support import sampling
from ..support.guider import SeverityGuider, with_severity
from .pie_inputs import (
    MAX_STAGES,
    beta_inputs,
    gamma_input,
    guidance_input,
    scheduler_input,
    steps_input,
)


def severity_input() -> io.Float.Input:
    return io.Float.Input(
        "severity",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="How severe the finding is to be, from 0 (none) to 1; 0.25 mild, 0.55 moderate, 0.85 severe in the "
        "bundled domains.",
    )


def scale_input() -> io.Conditioning.Input:
    return io.Conditioning.Input(
        "scale",
        tooltip="The words of several severities, each through Conditioning Severity, joined by the host's "
        "Conditioning (Combine).",
    )


class ConditioningSeverity(io.ComfyNode):
    """How severe what a prompt describes is, as a number beside its words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_ConditioningSeverity",
            display_name="Conditioning Severity",
            category="MVG/progression",
            description="Says how severe a prompt's finding is. Join several with Conditioning (Combine) to a scale "
            "for Severity Guider.",
            search_aliases=["severity", "grade", "anchor", "set severity"],
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="An encoded prompt, such as that of 'mild edema'."),
                severity_input(),
            ],
            outputs=[io.Conditioning.Output("conditioning", tooltip="The same prompt with its severity.")],
        )

    @classmethod
    def execute(cls, conditioning: io.Conditioning.Type, severity: float) -> io.NodeOutput:
        return io.NodeOutput(with_severity(conditioning, severity))


class SeverityGuiderNode(io.ComfyNode):
    """Guidance towards a severity between two words, for the host's own samplers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SeverityGuider",
            display_name="Severity Guider",
            category="MVG/progression",
            description="Draws a severity that has no word: the predictions of the words next to it are mixed by where "
            "it lies between them. For SamplerCustomAdvanced.",
            search_aliases=["severity", "guider", "mix prompts", "interpolate prompts"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                scale_input(),
                io.Conditioning.Input("negative", tooltip="What guidance pulls away from, such as 'no finding'."),
                severity_input(),
                guidance_input(),
            ],
            outputs=[io.Guider.Output("guider", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        scale: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        severity: float,
        guidance: float,
    ) -> io.NodeOutput:
        return io.NodeOutput(SeverityGuider(model, scale, negative, severity, guidance))


class SeverityStage(io.ComfyNode):
    """One stage by severity: the input image's noise map denoised towards it, blended by eq. 6."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SeverityStage",
            display_name="Severity Stage",
            category="MVG/progression",
            description="Draws the patient at a severity: denoises the noise map that DDIM Invert found, between the "
            "words next to it, and keeps the patient's own picture outside the mask.",
            search_aliases=["severity", "progression", "edit step"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                scale_input(),
                io.Conditioning.Input("negative", tooltip="What guidance pulls away from, such as 'no finding'."),
                io.Latent.Input("noise_map", tooltip="From DDIM Invert, with the same steps, strength and scheduler."),
                io.Latent.Input("latent_0", tooltip="The input image's latent, against which eq. 6 blends."),
                severity_input(),
                steps_input(),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                scheduler_input(),
                io.Mask.Input("mask", optional=True, tooltip="Where the image may change; the image's own size."),
                io.Int.Input(
                    "stage", default=1, min=1, max=MAX_STAGES, optional=True, advanced=True, tooltip="For messages."
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip="x_n.")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        scale: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        noise_map: io.Latent.Type,
        latent_0: io.Latent.Type,
        severity: float,
        steps: int,
        gamma: float,
        guidance: float,
        beta_1: float,
        beta_2: float,
        scheduler: str,
        mask: torch.Tensor | None = None,
        stage: int = 1,
    ) -> io.NodeOutput:
        x_0 = latent_0["samples"]
        for name, samples in (("noise_map", noise_map["samples"]), ("latent_0", x_0)):
            if not torch.isfinite(samples).all():
                raise ValueError(f"stage {stage}, {name}: got values that are not finite (NaN)")
        k = pie.n_inverted(steps, gamma)
        sigmas = sampling.schedule(model, scheduler, steps, k)
        guider = SeverityGuider(model, scale, negative, severity, guidance)
        denoise = sampling.HostRun(guider, sampling.Progress(model, k).part(k))
        x = pie.severity_stage(
            noise_map["samples"],
            x_0,
            sigmas,
            denoise=denoise,
            mask=None if mask is None else sampling.latent_mask(model, mask, x_0),
            beta_1=beta_1,
            beta_2=beta_2,
            process=denoise.process,
            stage=stage,
        )
        return io.NodeOutput({"samples": x})
