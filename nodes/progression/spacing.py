"""Where the stages of a plan of severities lie: as planned, or so that one differs from the next as the next does."""

import json
from functools import cached_property
from typing import Any

import torch
from comfy_api.latest import io

from ...models.densenet import Classifier
from ...mvg import pie, roi
from ...mvg.ddim import ddim_invert
from ...mvg.metrics.conf import find_label
from ...mvg.severity import PROBES, SPACINGS, changes, equal_change, equal_reading
from ..support import sampling, types
from ..support.guider import SeverityGuider
from .pie_inputs import MAX_STAGES, beta_inputs, gamma_input, guidance_input, scheduler_input
from .severity import scale_input

PROBE_STEPS = 10
"""T of a probe, which only has to tell how much the picture changes."""
TOO_LITTLE = 0.002
"""A mean change of the picture inside the mask, in [0, 1], below which the model does not answer to the prompt."""


class Probe:
    """Quick looks at what a model draws at a severity, by few steps from one inversion."""

    def __init__(
        self,
        model: io.Model.Type,
        vae: io.Vae.Type,
        scale: io.Conditioning.Type,
        source: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        latent: torch.Tensor,
        **settings: Any,
    ):
        self.model, self.vae, self.scale, self.negative = model, vae, scale, negative
        self.x_0, self.settings = latent, settings
        k = pie.n_inverted(PROBE_STEPS, settings["gamma"])
        if k == 0:
            raise ValueError(f"gamma: got {settings['gamma']:g}, want more for stages of equal change")
        self.sigmas = sampling.schedule(model, settings["scheduler"], PROBE_STEPS, k)
        self.progress = sampling.Progress(model, (PROBES + 1) * k)
        self.k = k
        self.source = source

    @cached_property
    def noise_map(self) -> torch.Tensor:
        run = sampling.HostRun(sampling.guided(self.model, self.source, self.source, 1.0), self.progress.part(self.k))
        process = run.process
        top = float(self.sigmas[0])
        up = run(ddim_invert, process.to_network(self.x_0), None, self.sigmas.flip(0), refine=1, process=process)
        return process.from_network(up / process.scale(top))

    def __call__(self, severity: float) -> torch.Tensor:
        """The patients at a severity, [B, H, W, C] in [0, 1]."""
        guider = SeverityGuider(self.model, self.scale, self.negative, severity, self.settings["guidance"])
        denoise = sampling.HostRun(guider, self.progress.part(self.k))
        x = pie.severity_stage(
            self.noise_map,
            self.x_0,
            self.sigmas,
            denoise=denoise,
            mask=self.settings["mask"],
            beta_1=self.settings["beta_1"],
            beta_2=self.settings["beta_2"],
            process=denoise.process,
        )
        return self.vae.decode(x)


class StageSpacing(io.ComfyNode):
    """The severities at which the stages of a plan are drawn; part of MVG_PIELoop's expansion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_StageSpacing",
            display_name="Stage Spacing",
            category="MVG/progression",
            description="Places the stages of a progression so that it moves evenly. PIE Loop adds it by itself.",
            search_aliases=["even stages", "arc length"],
            is_dev_only=True,
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                io.Vae.Input("vae", tooltip="Decodes the probes."),
                scale_input(),
                io.Conditioning.Input("source", tooltip="What the input image shows, for its inversion."),
                io.Conditioning.Input("negative", tooltip="What guidance pulls away from."),
                io.Latent.Input("latent_0", tooltip="The input image's latent."),
                io.String.Input("planned", tooltip="The plan's severities, as JSON."),
                io.Combo.Input("spacing", options=list(SPACINGS[1:]), tooltip="What is made even."),
                io.String.Input("finding", tooltip="What progresses."),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                scheduler_input(),
                io.Mask.Input("mask", optional=True, tooltip="Where the image may change."),
                types.Classifier.Input("classifier", optional=True, tooltip="One that reads severities."),
            ],
            outputs=[
                io.String.Output("notes", tooltip="The severities in words."),
                *(io.Float.Output(f"severity_{n}", tooltip=f"Of stage {n}.") for n in range(1, MAX_STAGES + 1)),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        vae: io.Vae.Type,
        scale: io.Conditioning.Type,
        source: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        latent_0: io.Latent.Type,
        planned: str,
        spacing: str,
        finding: str,
        gamma: float,
        guidance: float,
        beta_1: float,
        beta_2: float,
        scheduler: str,
        mask: torch.Tensor | None = None,
        classifier: Classifier | None = None,
    ) -> io.NodeOutput:
        wanted = json.loads(planned)
        x_0 = latent_0["samples"]
        inside = None if mask is None else sampling.latent_mask(model, mask, x_0)
        probe = Probe(
            model,
            vae,
            scale,
            source,
            negative,
            x_0,
            **{"gamma": gamma, "guidance": guidance, "beta_1": beta_1, "beta_2": beta_2},
            **{"scheduler": scheduler, "mask": inside},
        )
        probed = [wanted[-1] * n / PROBES for n in range(PROBES + 1)]
        pictures = [probe(severity) for severity in probed]
        place = None if mask is None else roi.check_mask(mask, pictures[0])
        steps = [
            changes([picture[row] for picture in pictures], None if place is None else place[min(row, len(place) - 1)])
            for row in range(len(x_0))
        ]
        mean = [float(step) for step in torch.tensor(steps).mean(dim=0)]
        if sum(mean) < TOO_LITTLE:
            raise ValueError(
                f"model: got a change of {sum(mean):.4f} up to severity {wanted[-1]:g}, want one that answers to the "
                f"prompt of {finding}"
            )
        if spacing == "equal change":
            asked = equal_change(probed, mean, len(wanted))
        else:
            if classifier is None or not classifier.graded:
                got = "nothing" if classifier is None else f"{classifier.name}, which reads no severities"
                raise ValueError(f"classifier: got {got}, want a graded one for stages of equal severity")
            column = find_label(finding, classifier.outputs)

            def read(picture: torch.Tensor) -> float:
                return float(classifier.severity(picture)[:, column].mean())

            asked = equal_reading(
                wanted, probed, [read(picture) for picture in pictures], lambda severity: read(probe(severity))
            )
        shown = ", ".join(f"{severity:.2f}" for severity in asked)
        asked += [asked[-1]] * (MAX_STAGES - len(asked))
        return io.NodeOutput(f"{spacing}: stages at {shown}", *asked)
