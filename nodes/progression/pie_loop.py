"""The loop over the stages of PIE, as an expansion of the graph that the host caches stage by stage."""

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder

from ...mvg import pie
from ...mvg.film_check import film_notes
from ...mvg.plan import NO_FINDING, Plan, Stage
from ...mvg.severity import PROBES, SPACINGS, probe_steps
from ..support import trajectory, types
from ..support.embedded import check_embedded
from ..support.notices import tell
from ..support.preview import index_of, new_token
from .fixed_mask import mask_to_text
from .pie_inputs import (
    MAX_STAGES,
    beta_inputs,
    check_start,
    check_use,
    composite_input,
    gamma_input,
    guidance_input,
    mask_input,
    mode_input,
    refine_input,
    scheduler_input,
    seed_input,
    stages_input,
    steps_input,
)

SPACED = ("model", "scale", "negative", "latent_0", "gamma", "beta_1", "beta_2", "scheduler", "mask")
"""What MVG_StageSpacing is given of the settings of a stage by severity."""


class PIELoop(io.ComfyNode):
    """Stage 1 of MVG: N stages of PIE, each on the latent of the one before, blended against the original."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_PIELoop",
            display_name="PIE Loop",
            category="MVG/progression",
            description="Simulates the N stages of a plan. Stages are cached one by one: changing a late prompt, or "
            "asking for more stages, computes only what is new, and a cancelled run goes on where it stopped. A plan "
            "of mode severity is drawn from the input image's one inversion, at a number between the words.",
            search_aliases=["progressive image editing", "disease progression", "simulate", "MVG"],
            enable_expand=True,
            has_intermediate_output=True,  # so that the host tells a reloaded page again where the pictures are
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.Model.Input("model", raw_link=True, tooltip="Any image model; LoRA and other patches apply."),
                io.Clip.Input("clip", raw_link=True, tooltip="Encodes the plan's prompts."),
                io.Vae.Input("vae", raw_link=True, tooltip="Encodes the image once, and decodes every stage for show."),
                io.Image.Input(
                    "image",
                    tooltip="The patient's image, both sides a multiple of 8. A batch of pictures advances together.",
                ),
                types.Plan.Input("plan", tooltip="The prompt of every stage, from Recaption Report."),
                steps_input(),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                mode_input(),
                composite_input(),
                refine_input(),
                scheduler_input(),
                seed_input(),
                mask_input(),
                stages_input(),
                io.Float.Input(
                    "delta",
                    display_name="stop below change",
                    default=0.0,
                    min=0.0,
                    max=100.0,
                    step=0.001,
                    optional=True,
                    tooltip="delta: ends the loop once a stage changes the latent by less than this (RMS, as in "
                    "curve); later stages are not computed. 0: off. For a plan of mode terminal: where every stage "
                    "has words or a severity of its own the change need not fall, and nothing ends it.",
                ),
                io.Boolean.Input(
                    "round_trip",
                    display_name="measure round trip",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="On: also inverts and denoises the input image with nothing changed and says in notes how "
                    "near it comes back. Costs as many model calls as one stage. Nothing in mode noise, which inverts "
                    "nothing.",
                ),
                io.Combo.Input(
                    "spacing",
                    options=list(SPACINGS),
                    optional=True,
                    tooltip="For a plan of mode severity. as planned: stages at the plan's severities. equal change: "
                    "where the picture changes by the same amount from stage to stage, found by a few quick probes. "
                    "equal severity: where the connected classifier reads the plan's severities.",
                ),
                types.Classifier.Input(
                    "classifier", optional=True, tooltip="One that reads severities, for stages of equal severity."
                ),
            ],
            outputs=[
                io.Image.Output(
                    "states", is_output_list=True, tooltip="N + 1 pictures; the first is exactly the input image."
                ),
                io.Latent.Output("latents", is_output_list=True, tooltip="N + 1 latents, for the transition."),
                io.String.Output(
                    "curve",
                    is_output_list=True,
                    tooltip="How much each stage changed, as JSON; it falls as the loop converges.",
                ),
                io.String.Output(
                    "notes", is_output_list=True, tooltip="The settings and change of every stage in words."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        clip: io.Clip.Type,
        vae: io.Vae.Type,
        image: torch.Tensor,
        plan: Plan,
        steps: int,
        gamma: float,
        guidance: float,
        beta_1: float,
        beta_2: float,
        mode: str,
        composite: bool,
        refine: int,
        scheduler: str,
        seed: int,
        mask: torch.Tensor | None = None,
        stages: int = 0,
        delta: float = 0.0,
        round_trip: bool = False,
        spacing: str = SPACINGS[0],
        classifier: Any = None,
    ) -> io.NodeOutput:
        mask = check_start(image, mask)
        check_use(mask, beta_1, beta_2)
        wanted = pie.pick_stages(plan.stages, stages)
        if len(wanted) > MAX_STAGES:
            raise ValueError(f"plan: got {len(wanted)} stages, want at most {MAX_STAGES}")

        links = cls.hidden.dynprompt.get_node(cls.hidden.unique_id)["inputs"]
        warnings = check_embedded(plan, image, cls.hidden.dynprompt, links["model"])
        falls = len({(stage.prompt, stage.gamma, stage.guidance) for stage in wanted}) == 1 and not plan.scale
        warnings += film_notes(image, plan.domain) + idle_inputs(plan, spacing, delta, falls)
        tell(cls.hidden.unique_id, warnings)
        image_link = links["image"]
        graph = GraphBuilder()
        mask_link = None if mask is None else graph.node("MVG_FixedMask", "mask", data=mask_to_text(mask)).out(0)

        def text(prompt: str) -> list:
            name = "pie.text." + hashlib.sha256(prompt.encode()).hexdigest()[:12]
            return graph.node("CLIPTextEncode", name, clip=clip, text=prompt).out(0)

        def decode(n: int, latent: list) -> list:
            return graph.node("VAEDecode", f"pie.decode.{n}", samples=latent, vae=vae).out(0)

        x0 = graph.node("VAEEncode", "pie.encode", pixels=image_link, vae=vae).out(0)
        exact = composite and mask_link is not None and len(wanted) > 0
        decoded = decode(0, x0) if exact else None
        collected = {"state_0": image_link, "latent_0": x0}
        about = [f"mode {mode}, T = {steps}, {scheduler}, refine {refine}, beta_1 {beta_1:g}, beta_2 {beta_2:g}"]
        about += [f"note: {warning}" for warning in warnings]
        common = {"model": model, "steps": steps, "refine": refine, "scheduler": scheduler}
        masked = {} if mask_link is None else {"mask": mask_link}
        betas = {"beta_1": beta_1, "beta_2": beta_2}
        by_severity = {}
        if plan.scale and wanted:
            check_graded(plan, wanted, mode)
            by_severity = {
                "model": model,
                "scale": scale_link(graph, text, plan),
                "negative": text(plan.unguided(wanted[0])),
                "noise_map": graph.node(
                    "MVG_DDIMInvert",
                    "pie.invert",
                    positive=text(wanted[0].source),
                    latent=x0,
                    gamma=gamma,
                    round_trip=False,
                    **common,
                ).out(0),
                "latent_0": x0,
                "steps": steps,
                "gamma": gamma,
                "scheduler": scheduler,
                **betas,
                **masked,
            }
        spaced = None
        if len(plan.scale) > 1 and wanted and spacing != SPACINGS[0]:
            spaced = graph.node(
                "MVG_StageSpacing",
                "pie.spacing",
                vae=vae,
                source=text(wanted[0].source),
                planned=", ".join(repr(stage.severity) for stage in wanted),
                spacing=spacing,
                finding=plan.finding,
                guidance=guidance,
                steps=probe_steps(spacing, steps),
                **{name: by_severity[name] for name in SPACED if name in by_severity},
                **({} if classifier is None else {"classifier": links["classifier"]}),
            )
            collected["spacing"] = spaced.out(1)
        x = x0
        parts: dict[str, tuple[int, int]] = {}  # what computes: number of its stage, and its model calls
        if by_severity:
            if spaced is not None:
                probe = pie.n_inverted(probe_steps(spacing, steps), gamma)
                parts[graph.prefix + "pie.spacing"] = 0, (PROBES + 1) * probe
            parts[graph.prefix + "pie.invert"] = 0, pie.n_inverted(steps, gamma) * (refine + 1)
        for n, stage in enumerate(wanted, start=1):
            strength = gamma if stage.gamma is None else stage.gamma
            stage_guidance = guidance if stage.guidance is None else stage.guidance
            if by_severity:
                severity: Any = stage.severity
                if spaced is not None:
                    severity = graph.node(
                        "MVG_PickSeverity", f"pie.severity.{n}", severities=spaced.out(0), stage=n
                    ).out(0)
                if n == 1 or len(plan.scale) > 1:  # else all stages are one
                    x = graph.node(
                        "MVG_SeverityStage",
                        f"stage.{n}",
                        severity=severity,
                        guidance=stage_guidance,
                        stage=n,
                        **by_severity,
                    ).out(0)
                    parts[f"{graph.prefix}stage.{n}"] = n, pie.n_inverted(steps, strength)
            else:
                x = graph.node(
                    "MVG_PIEStep",
                    f"stage.{n}",
                    positive=text(stage.prompt),
                    negative=text(plan.unguided(stage)),
                    source=text(stage.source),
                    latent=x,
                    latent_0=x0,
                    gamma=strength,
                    guidance=stage_guidance,
                    mode=mode,
                    seed=seed if mode == "noise" else 0,
                    stage=n,
                    **betas,
                    **common,
                    **masked,
                ).out(0)
                up = refine + 1 if mode == "ddim" else 0
                parts[f"{graph.prefix}stage.{n}"] = n, pie.n_inverted(steps, strength) * (up + 1)
            picture = decode(n, x)
            if exact:
                picture = graph.node(
                    "MVG_ROIBlend",
                    f"pie.blend.{n}",
                    image=picture,
                    original=image_link,
                    mask=mask_link,
                    beta_1=beta_1,
                    beta_2=1.0,
                    decoded=decoded,
                ).out(0)
            collected |= {f"state_{n}": picture, f"latent_{n}": x}
            about.append(f"stage {n}: k = {pie.n_inverted(steps, strength)}, guidance {stage_guidance:g}")
        if round_trip and wanted and mode == "ddim":
            first = wanted[0]
            parts = {graph.prefix + "round_trip": (0, pie.n_inverted(steps, gamma) * (refine + 2)), **parts}
            collected["round_trip"] = graph.node(
                "MVG_DDIMInvert",
                "round_trip",
                positive=text(first.source),
                latent=x0,
                gamma=gamma if first.gamma is None else first.gamma,
                round_trip=True,
                **common,
            ).out(2)
        # only the page sends this; a headless run needs no pictures for a viewer
        token = new_token() if cls.hidden.extra_pnginfo else ""
        if token:
            collected["viewer"] = token
            asked = [{"prompt": stage.prompt, "severity": stage.severity} for stage in wanted]
            collected["planned"] = json.dumps(asked)
        if falls:  # where eq. 7 holds
            collected |= {"model": model, "steps": steps, "scheduler": scheduler}
        if plan.finding != NO_FINDING:
            unchanged = image_link if exact else decode(0, x0)
            collected |= {"expected": plan.finding, "unchanged": unchanged, **masked}
        out = graph.node("MVG_PIEStates", "states", delta=delta if falls else 0.0, about="\n".join(about), **collected)
        parts[graph.prefix + "states"] = len(wanted), 1
        trajectory.begin(cls.hidden.dynprompt.get_display_node_id(cls.hidden.unique_id), len(wanted), parts)
        ui: dict[str, list] = {"mvg_progressions_in": [index_of(token)]} if token else {}
        if warnings:
            ui["mvg_notes"] = warnings
        return io.NodeOutput(*(out.out(i) for i in range(4)), ui=ui or None, expand=graph.finalize())


def idle_inputs(plan: Plan, spacing: str, delta: float, falls: bool) -> list[str]:
    """A sentence on each input that has no effect on such a plan. One of no finding has nothing to space."""
    notes = []
    if spacing != SPACINGS[0] and not plan.scale and plan.finding != NO_FINDING:
        notes.append(f"spacing {spacing} has no effect: the plan is not of mode severity")
    if delta > 0 and not falls:
        notes.append("delta has no effect: the change need not fall where each stage has a target of its own")
    return notes


def check_graded(plan: Plan, stages: Sequence[Stage], mode: str) -> None:
    """ValueError for what the stages of a plan with a scale cannot have: they share one inversion of the input."""
    if mode != "ddim":
        raise ValueError(f"mode: got {mode!r}, want ddim for a plan of mode severity, which inverts the image once")
    if len(stages) > len(plan.stages):
        raise ValueError(
            f"plan: got 1 stage for {len(stages)}, want one each in a plan of mode severity, whose stages differ by "
            "their severities alone"
        )
    for n, stage in enumerate(stages, start=1):
        if stage.gamma is not None:
            raise ValueError(
                f"stage {n}, gamma: got {stage.gamma:g}, want none in a plan of mode severity: its stages share one "
                "inversion"
            )


def scale_link(graph: GraphBuilder, text: Callable[[str], list], plan: Plan) -> list:
    """The prompts of a plan's scale, each with its severity, as one CONDITIONING."""
    links = [
        graph.node(
            "MVG_ConditioningSeverity",
            f"pie.grade.{place}",
            conditioning=text(grade.prompt),
            severity=grade.severity,
        ).out(0)
        for place, grade in enumerate(plan.scale)
    ]
    joined = links[0]
    for place, link in enumerate(links[1:], start=1):
        joined = graph.node(
            "ConditioningCombine", f"pie.scale.{place}", conditioning_1=joined, conditioning_2=link
        ).out(0)
    return joined
