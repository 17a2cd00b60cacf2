"""Where stages by severity lie: as planned, or so that one differs from the next as the next does."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from comfy_api.latest import io

from ...models.densenet import Classifier
from ...mvg import pie, roi
from ...mvg.ddim import ddim_invert
from ...mvg.metrics.conf import find_label, label_key
from ...mvg.severity import PROBES, SPACINGS, TOO_LITTLE, changes, equal_change, equal_reading
from ..support import sampling, types
from ..support.guider import SeverityGuider
from .pie_inputs import MAX_STAGES, beta_inputs, gamma_input, guidance_input, scheduler_input
from .severity import scale_input

PROBE_STEPS = 16


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
        k = pie.n_inverted(settings["steps"], settings["gamma"])
        self.sigmas = sampling.schedule(model, settings["scheduler"], settings["steps"], k)
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
    """The severities at which the stages of a plan are drawn."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_StageSpacing",
            display_name="Stage Spacing",
            category="MVG/progression",
            description="Places the stages of a progression so that it moves evenly, by quick probes of what the model "
            "draws. PIE Loop does it by itself (its spacing).",
            search_aliases=["even stages", "arc length", "equal change", "severity"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                io.Vae.Input("vae", tooltip="Decodes the probes."),
                scale_input(),
                io.Conditioning.Input("source", tooltip="What the input image shows, for its inversion."),
                io.Conditioning.Input("negative", tooltip="What guidance pulls away from, such as 'no finding'."),
                io.Latent.Input("latent_0", tooltip="The input image's latent."),
                io.String.Input(
                    "planned",
                    default="0.3, 0.6, 0.85",
                    tooltip="The severities of the stages, rising, with commas between. equal change keeps their "
                    "number and the last of them.",
                ),
                io.Combo.Input(
                    "spacing",
                    options=list(SPACINGS[1:]),
                    tooltip="equal change: the picture changes by the same amount from stage to stage. equal severity: "
                    "the classifier reads the planned severities.",
                ),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                scheduler_input(),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Where the image may change, and where its change is measured."
                ),
                types.Classifier.Input(
                    "classifier", optional=True, tooltip="A graded one, for stages of equal severity."
                ),
                io.String.Input(
                    "finding", default="", optional=True, tooltip="The classifier's output that is read: such as edema."
                ),
                io.Int.Input(
                    "steps",
                    default=PROBE_STEPS,
                    min=1,
                    max=1000,
                    optional=True,
                    tooltip="T of the probes. For equal severity best that of the stages: with other steps a model "
                    "may answer at other severities. Half of it is enough for equal change.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    "severities",
                    is_output_list=True,
                    tooltip="One a stage, for Severity Stage, which then runs once for each.",
                ),
                io.String.Output("notes", tooltip="The severities in words, and what could not be made even."),
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
        gamma: float,
        guidance: float,
        beta_1: float,
        beta_2: float,
        scheduler: str,
        mask: torch.Tensor | None = None,
        classifier: Classifier | None = None,
        finding: str = "",
        steps: int = PROBE_STEPS,
    ) -> io.NodeOutput:
        wanted = rising_severities(planned)
        read = severity_reader(classifier, finding) if spacing == SPACINGS[2] else None
        if spacing == SPACINGS[2] and read is None:
            spacing = f"equal change, as the classifier reads no {finding}"
        if pie.n_inverted(steps, gamma) == 0:
            note = f"{spacing}: gamma {gamma:g} of a probe's {steps} steps is no step; stages as planned"
            return io.NodeOutput(wanted, note)
        x_0 = latent_0["samples"]
        inside = None if mask is None else sampling.latent_mask(model, mask, x_0)
        probe = Probe(
            model,
            vae,
            scale,
            source,
            negative,
            x_0,
            **{"steps": steps, "gamma": gamma, "guidance": guidance, "beta_1": beta_1, "beta_2": beta_2},
            **{"scheduler": scheduler, "mask": inside},
        )
        probed = [wanted[-1] * n / PROBES for n in range(PROBES + 1)]
        pictures = [probe(severity) for severity in probed]
        seen = mean_changes(pictures, mask)
        if sum(seen) < TOO_LITTLE:
            note = (
                f"{spacing}: the model does not answer to the prompt (the picture changes by {sum(seen):.4f} in all, "
                f"less than {TOO_LITTLE:g}); stages as planned"
            )
            return io.NodeOutput(wanted, note)
        if read is None:
            asked = equal_change(probed, seen, len(wanted))
        else:
            asked = equal_reading(wanted, probed, list(map(read, pictures)), lambda severity: read(probe(severity)))
        return io.NodeOutput(asked, f"{spacing}: stages at {', '.join(f'{severity:.2f}' for severity in asked)}")


class PickSeverity(io.ComfyNode):
    """One of several severities, so that PIE Loop's stages are cached one by one; part of its expansion."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_PickSeverity",
            display_name="Pick Severity",
            category="MVG/progression",
            description="Takes the severity of a stage from those of Stage Spacing. PIE Loop adds it by itself.",
            search_aliases=["list item"],
            is_dev_only=True,
            is_input_list=True,
            inputs=[
                io.Float.Input("severities", force_input=True, tooltip="From Stage Spacing."),
                io.Int.Input("stage", default=1, min=1, max=MAX_STAGES, tooltip="Which of them, from 1."),
            ],
            outputs=[io.Float.Output("severity", tooltip="That of the stage.")],
        )

    @classmethod
    def execute(cls, severities: list[float], stage: list[int]) -> io.NodeOutput:
        return io.NodeOutput(severities[stage[0] - 1])


def rising_severities(text: str) -> list[float]:
    """The severities of a text such as "0.3, 0.6".

    Args:
        text: numbers with commas between.

    Returns:
        1 to MAX_STAGES numbers in [0, 1], rising.

    Raises:
        ValueError: naming what of it is none, or does not rise.
    """
    out: list[float] = []
    for n, word in enumerate(text.split(","), start=1):
        try:
            severity = float(word)
        except ValueError:
            raise ValueError(f"planned, stage {n}: got {word.strip()[:40]!r}, want a number in [0, 1]") from None
        if not 0 <= severity <= 1:
            raise ValueError(f"planned, stage {n}: got {severity:g}, want a number in [0, 1]")
        if out and severity <= out[-1]:
            raise ValueError(f"planned, stage {n}: got {severity:g} after {out[-1]:g}, want severities that rise")
        out.append(severity)
    if len(out) > MAX_STAGES:
        raise ValueError(f"planned: got {len(out)} stages, want at most {MAX_STAGES}")
    return out


def severity_reader(classifier: Classifier | None, finding: str) -> Callable[[torch.Tensor], float] | None:
    """What a graded classifier reads of a finding, the mean over pictures [B, H, W, 3].

    Args:
        classifier: of the workflow.
        finding: of the plan.

    Returns:
        The reader; None where the classifier knows other findings alone.

    Raises:
        ValueError: the classifier reads no severities.
    """
    if classifier is None or not classifier.graded:
        got = "nothing" if classifier is None else f"{classifier.name}, which reads no severities"
        raise ValueError(f"classifier: got {got}, want a graded one for stages of equal severity")
    if label_key(finding) not in map(label_key, classifier.outputs):
        return None
    column = find_label(finding, classifier.outputs)
    return lambda pictures: float(classifier.severity(pictures)[:, column].mean())


def mean_changes(pictures: Sequence[torch.Tensor], mask: torch.Tensor | None) -> list[float]:
    """How much pictures [B, H, W, C] change from each to the next inside the mask, the mean over the batch."""
    place = None if mask is None else roi.check_mask(mask, pictures[0])
    rows = [
        changes([picture[row] for picture in pictures], None if place is None else place[min(row, len(place) - 1)])
        for row in range(len(pictures[0]))
    ]
    return [sum(step) / len(rows) for step in zip(*rows, strict=True)]
