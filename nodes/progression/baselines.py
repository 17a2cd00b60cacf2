"""The paper's two baselines, under the same weights and the same region of interest as PIE Loop."""

import math

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ...mvg import baselines, pie, roi
from ...mvg.plan import Plan
from ..support import sampling, types
from . import pie_states
from .pie_inputs import (
    MAX_STAGES,
    beta_inputs,
    check_start,
    composite_input,
    gamma_input,
    guidance_input,
    mask_input,
    scheduler_input,
    stages_input,
    steps_input,
)

MOST_REPEATS = 4  # of a text, up to which the host repeats one to the length of another


def outputs() -> list[io.Output]:
    return [
        io.Image.Output("states", is_output_list=True, tooltip="N + 1 pictures; the first is exactly the input image."),
        io.Latent.Output("latents", is_output_list=True, tooltip="N + 1 latents, for the transition."),
        io.String.Output("notes", is_output_list=True, tooltip="The settings and change of every stage in words."),
    ]


class Start:
    """What both baselines start from, and the course they collect: pictures and latents of stages 0, 1, ..."""

    def __init__(
        self, vae: io.Vae.Type, image: torch.Tensor, mask: torch.Tensor | None, beta_1: float, composite: bool
    ):
        mask = check_start(image, mask)
        self.vae, self.image, self.beta_1 = vae, image, beta_1
        self.x_0 = vae.encode(image)
        if not torch.isfinite(self.x_0).all():
            raise ValueError("stage 0: the VAE returned values that are not finite (NaN)")
        self.inside = None if mask is None else roi.latent_mask(mask, self.x_0)
        self.mask = mask if composite else None
        self.decoded: torch.Tensor | None = None
        self.pictures, self.latents = [image], [self.x_0]

    def add(self, x: torch.Tensor) -> None:
        """The next stage; outside the mask its picture is the input's own, inside it the lost detail is put back."""
        stage = len(self.latents)
        if not torch.isfinite(x).all():
            raise ValueError(f"stage {stage}: got a latent with values that are not finite (NaN)")
        picture = self.vae.decode(x)
        pie_states.check_picture(stage, picture, self.image)
        if self.mask is not None:
            if self.decoded is None:
                self.decoded = self.vae.decode(self.x_0)
            picture = roi.composite(picture, self.image.to(picture), self.mask, self.beta_1, 1.0, self.decoded)
        self.pictures.append(picture)
        self.latents.append(x)

    def by_patient(self, about: list[str]) -> io.NodeOutput:
        """States, latents and notes as MVG_PIELoop gives them: lists with an entry a patient."""
        curves = pie.row_curves(self.latents)
        states, latents, notes = [], [], []
        for row in range(len(self.image)):
            states.append(pie_states.course([picture[row] for picture in self.pictures]))
            latents.append({"samples": torch.stack([latent[row] for latent in self.latents])})
            notes.append(pie_states.describe("\n".join(about), curves[row].tolist(), 0.0, None, None))
        return io.NodeOutput(states, latents, notes)


class SDWalk(io.ComfyNode):
    """Stable Diffusion Walk (Raw, stable-diffusion-videos), the baseline SVD of section 5.1 of the MVG paper."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SDWalk",
            display_name="SD Walk (baseline)",
            category="MVG/baselines",
            description="The baseline that PIE Loop is measured against: every stage is image-to-image from the input "
            "image, the words walking from what it shows to the disease and the noise from one draw to another.",
            search_aliases=["stable diffusion walk", "latent walk", "SVD", "prompt interpolation", "baseline"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                io.Clip.Input("clip", tooltip="Encodes the two prompts."),
                io.Vae.Input("vae", tooltip="Encodes the image once, and decodes every stage."),
                io.Image.Input(
                    "image",
                    tooltip="The patient's image, both sides a multiple of 8. A batch of pictures advances together.",
                ),
                types.Plan.Input(
                    "plan",
                    tooltip="From Recaption Report: the walk goes from what the image shows (the source of its first "
                    "stage) to the prompt of its last.",
                ),
                steps_input(),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                composite_input(),
                scheduler_input(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Of the two noises that the walk goes between; picture b of a batch takes seed + b.",
                ),
                mask_input(),
                stages_input(),
            ],
            outputs=outputs(),
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
        composite: bool,
        scheduler: str,
        seed: int,
        mask: torch.Tensor | None = None,
        stages: int = 0,
    ) -> io.NodeOutput:
        wanted = pie.pick_stages(plan.stages, stages)
        strengths = [gamma if stage.gamma is None else stage.gamma for stage in wanted]
        guidances = [guidance if stage.guidance is None else stage.guidance for stage in wanted]
        counts = [pie.n_inverted(steps, strength) for strength in strengths]
        schedules = [sampling.schedule(model, scheduler, steps, k) for k in counts]
        start = Start(vae, image, mask, beta_1, composite)
        about = [f"SD Walk, T = {steps}, {scheduler}, seed {seed}, beta_1 {beta_1:g}, beta_2 {beta_2:g}"]
        if wanted:
            healthy, disease, unguided = (
                clip.encode_from_tokens_scheduled(clip.tokenize(prompt))
                for prompt in (wanted[0].source, wanted[-1].prompt, plan.unguided(wanted[0]))
            )
        noise = pie.stage_noise(start.x_0.shape, seed, 0)
        progress = sampling.Progress(model, sum(counts))
        for n, (k, sigmas, stage_guidance) in enumerate(zip(counts, schedules, guidances, strict=True), start=1):
            words = walk_conditioning(healthy, disease, n, len(wanted))
            denoise = sampling.HostRun(sampling.guided(model, words, unguided, stage_guidance), progress.part(k))
            x = baselines.walk_stage(
                start.x_0,
                sigmas,
                n,
                len(wanted),
                denoise=denoise,
                noise=noise,
                mask=start.inside,
                beta_1=beta_1,
                beta_2=beta_2,
                process=denoise.process,
            )
            start.add(x)
            about.append(f"stage {n}: k = {k}, guidance {stage_guidance:g}, {n / len(wanted):.0%} of the way")
        return start.by_patient(about)


def walk_conditioning(healthy: list, disease: list, n: int, count: int) -> list:
    """CONDITIONING of stage n: the text and its pooled vector interpolated, all else the disease prompt's."""
    walked = []
    for (text_h, more_h), (text_d, more_d) in zip(healthy, disease, strict=True):
        pooled = more_h.get("pooled_output"), more_d.get("pooled_output")
        more = dict(more_d)
        if pooled[0] is not None and pooled[1] is not None:
            more["pooled_output"] = baselines.walk_text(pooled[0], pooled[1], n, count)
        walked.append([baselines.walk_text(*same_length(text_h, text_d), n, count), more])
    return walked


def same_length(healthy: torch.Tensor, disease: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Text embeddings [B, tokens, width] repeated to one length, which cross-attention does not see."""
    short, long = sorted((healthy.shape[1], disease.shape[1]))
    length = math.lcm(short, long)
    if length > MOST_REPEATS * short:
        raise ValueError(
            f"plan: got {healthy.shape[1]} tokens for what the image shows and {disease.shape[1]} for the last stage, "
            f"want prompts of one length to walk between"
        )
    return healthy.repeat(1, length // healthy.shape[1], 1), disease.repeat(1, length // disease.shape[1], 1)


class Extrapolation(io.ComfyNode):
    """Linear extrapolation in latent space (after Han et al. 2022), a baseline of section 5.1 of the MVG paper."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_Extrapolation",
            display_name="Extrapolation (baseline)",
            category="MVG/baselines",
            description="The baseline that PIE Loop is measured against: every stage goes a step further from the "
            "input image along the one direction in latent space that leads from healthy to diseased pictures.",
            search_aliases=["style-based manifold extrapolation", "latent direction", "mean difference", "baseline"],
            inputs=[
                io.Vae.Input("vae", tooltip="Between the pictures and the latent space of the direction."),
                io.Image.Input(
                    "image",
                    tooltip="The patient's image, both sides a multiple of 8. A batch of pictures advances together.",
                ),
                io.Image.Input(
                    "healthy", tooltip="A batch of pictures without the disease, two or more of the image's size."
                ),
                io.Image.Input(
                    "diseased", tooltip="A batch of pictures with the disease, two or more of the image's size."
                ),
                io.Combo.Input(
                    "method",
                    options=list(baselines.METHODS),
                    tooltip="mean: from the mean of the healthy latents to that of the diseased. linear: along the "
                    "normal of a linear classifier between them.",
                ),
                io.Float.Input(
                    "reach",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="How many times the difference of the means stage N lies from the input image; a stage is "
                    "reach / N of it.",
                ),
                *beta_inputs(),
                composite_input(),
                mask_input(),
                types.Plan.Input(
                    "plan", optional=True, tooltip="Gives N, the number of its stages; its words are not used."
                ),
                io.Int.Input(
                    "stages",
                    default=0,
                    min=0,
                    max=MAX_STAGES,
                    optional=True,
                    tooltip="N. 0: as many as the plan has. Without a plan it has to be given.",
                ),
            ],
            outputs=outputs(),
        )

    @classmethod
    def execute(
        cls,
        vae: io.Vae.Type,
        image: torch.Tensor,
        healthy: torch.Tensor,
        diseased: torch.Tensor,
        method: str,
        reach: float,
        beta_1: float,
        beta_2: float,
        composite: bool,
        mask: torch.Tensor | None = None,
        plan: Plan | None = None,
        stages: int = 0,
    ) -> io.NodeOutput:
        if plan is None and stages == 0:
            raise ValueError("stages: got 0 and no plan, want a number of stages or a plan")
        count = stages if plan is None else len(pie.pick_stages(plan.stages, stages))
        for name, pictures in (("healthy", healthy), ("diseased", diseased)):
            check_set(name, pictures, image)
        bar = comfy.utils.ProgressBar(count + 2)

        def advance() -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            bar.update(1)

        start = Start(vae, image, mask, beta_1, composite)
        sets = []
        for pictures in (healthy, diseased):
            sets.append(vae.encode(pictures))
            advance()
        d = baselines.direction(sets[0], sets[1], method)
        about = [
            f"Extrapolation, {method} of {len(healthy)} healthy and {len(diseased)} diseased pictures, reach {reach:g}"
            f", beta_1 {beta_1:g}, beta_2 {beta_2:g}"
        ]
        for n in range(1, count + 1):
            start.add(baselines.extrapolate(start.x_0, d, n, reach / count, start.inside, beta_1, beta_2))
            about.append(f"stage {n}: {n * reach / count:.3g} of the difference of the means")
            advance()
        return start.by_patient(about)


def check_set(name: str, pictures: torch.Tensor, image: torch.Tensor) -> None:
    """ValueError unless there are two or more pictures of the image's size, all of them finite."""
    if pictures.shape[1:] != image.shape[1:]:
        raise ValueError(
            f"{name}: got {pictures.shape[2]} x {pictures.shape[1]} with {pictures.shape[3]} channels, want the "
            f"image's {image.shape[2]} x {image.shape[1]} with {image.shape[3]}"
        )
    if len(pictures) < 2:
        raise ValueError(f"{name}: got {len(pictures)} picture, want a batch of two or more")
    if not torch.isfinite(pictures).all():
        raise ValueError(f"{name}: got values that are not finite (NaN)")
