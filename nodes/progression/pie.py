"""Progressive Image Editing: one stage of the progression, and its two pieces by themselves."""

import torch
from comfy_api.latest import io

from ...mvg import ddim, pie, roi
from ...mvg.wording import one_or
from ..support import sampling
from .pie_inputs import (
    MAX_STAGES,
    beta_inputs,
    gamma_input,
    guidance_input,
    mode_input,
    refine_input,
    scheduler_input,
    seed_input,
    steps_input,
)


class DDIMInvert(io.ComfyNode):
    """DDIM inversion (Song et al. 2021): the deterministic ODE from the image up to step k."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_DDIMInvert",
            display_name="DDIM Invert",
            category="MVG/progression",
            description="Finds the noise that denoising turns back into this latent. Denoise it with SamplerCustom "
            "(add_noise off, sampler euler, these sigmas, cfg 1 and the same conditioning) to see the round trip.",
            search_aliases=["inversion", "unsampler", "flip sigmas", "noise map", "edit"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; eps-, v- and flow-prediction alike."),
                io.Conditioning.Input("positive", tooltip="What the image shows; an empty prompt is the usual choice."),
                io.Latent.Input("latent", tooltip="The image as a latent, from VAE Encode."),
                steps_input(),
                gamma_input(),
                refine_input(),
                scheduler_input(),
                io.Boolean.Input(
                    "round_trip",
                    display_name="measure round trip",
                    default=True,
                    optional=True,
                    advanced=True,
                    tooltip="On: also denoises the noise map under the same conditioning and says in notes how near it "
                    "comes back, for k more model calls.",
                ),
            ],
            outputs=[
                io.Latent.Output("noise_map", display_name="noise map", tooltip="The latent at step k."),
                io.Sigmas.Output("sigmas", tooltip="The noise levels from step k down to 0, for SamplerCustom."),
                io.String.Output("notes", tooltip="How exact the inversion is: the error of the round trip."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        positive: io.Conditioning.Type,
        latent: io.Latent.Type,
        steps: int,
        gamma: float,
        refine: int,
        scheduler: str,
        round_trip: bool = True,
    ) -> io.NodeOutput:
        k = pie.n_inverted(steps, gamma)
        sigmas = sampling.schedule(model, scheduler, steps, k)
        if k == 0:
            return io.NodeOutput(latent, sigmas, f"gamma {gamma:g} of {steps} steps is no step: nothing was inverted")
        top = float(sigmas[0])
        carried = sampling.for_host_sampler(model, torch.ones(1), top)
        if not torch.isfinite(carried).all():
            raise ValueError(
                f"gamma: got {gamma:g}, which ends at pure noise; the host's samplers cannot go on from there with a "
                f"flow model, want less"
            )
        progress = sampling.Progress(model, 2 * k if round_trip else k)
        invert = sampling.HostRun(sampling.guided(model, positive, positive, 1.0), progress.part(k))
        process = invert.process
        inner = process.to_network(latent["samples"])
        up = invert(ddim.ddim_invert, inner, None, sigmas.flip(0), refine=refine, process=process)
        notes = f"k = {k} of {steps} steps, refine {refine}"
        if round_trip:
            denoise = sampling.HostRun(sampling.guided(model, positive, positive, 1.0), progress.part(k))
            back = process.from_network(denoise(ddim.ddim_denoise, up, None, sigmas))
            notes += f"; round trip of the latent: {ddim.round_trip(latent['samples'], back)}"
        state = process.from_network(sampling.for_host_sampler(model, up / process.scale(top), top))
        return io.NodeOutput({**latent, "samples": state}, sigmas, notes)


class PIEStep(io.ComfyNode):
    """One stage of PIE (Liang et al., arXiv 2309.11745): invert, denoise towards the prompt, blend by eq. 6."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_PIEStep",
            display_name="PIE Stage",
            category="MVG/progression",
            description="Moves an image one stage along a progression: inverts it, denoises it towards the prompt and "
            "keeps the patient's own picture outside the mask.",
            search_aliases=["progressive image editing", "disease progression", "edit step"],
            inputs=[
                io.Model.Input("model", tooltip="Any image model; LoRA and other patches apply."),
                io.Conditioning.Input("positive", tooltip="What this stage is drawn towards."),
                io.Conditioning.Input("negative", tooltip="What to steer away from; an empty prompt is the usual one."),
                io.Latent.Input("latent", tooltip="The stage before, x_{n-1}."),
                io.Latent.Input("latent_0", tooltip="The patient's original image, x_0, which eq. 6 blends against."),
                steps_input(),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                mode_input(),
                refine_input(),
                scheduler_input(),
                seed_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the image may change. Nothing connected: everywhere, and keep outside and keep "
                    "inside have no effect.",
                ),
                io.Conditioning.Input(
                    "source", optional=True, tooltip="Conditioning of the inversion; the negative one where not given."
                ),
                io.Int.Input(
                    "stage",
                    default=1,
                    min=1,
                    max=MAX_STAGES,
                    optional=True,
                    advanced=True,
                    tooltip="Number of this stage: it names it in errors, and in mode noise gives it draws of its own.",
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip="The image of this stage, x_n, as a latent.")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        latent: io.Latent.Type,
        latent_0: io.Latent.Type,
        steps: int,
        gamma: float,
        guidance: float,
        beta_1: float,
        beta_2: float,
        mode: str,
        refine: int,
        scheduler: str,
        seed: int,
        mask: torch.Tensor | None = None,
        source: io.Conditioning.Type | None = None,
        stage: int = 1,
    ) -> io.NodeOutput:
        x, x_0 = latent["samples"], latent_0["samples"]
        for name, samples in (("latent", x), ("latent_0", x_0)):
            if not torch.isfinite(samples).all():
                raise ValueError(f"stage {stage}, {name}: got values that are not finite (NaN)")
        if x.shape != x_0.shape:
            raise ValueError(f"latent: got shape {tuple(x.shape)}, want that of latent_0, {tuple(x_0.shape)}")
        if mask is not None:
            mask = sampling.latent_mask(model, mask, x)
        k = pie.n_inverted(steps, gamma)
        sigmas = sampling.schedule(model, scheduler, steps, k)
        source = negative if source is None else source
        progress = sampling.Progress(model, 2 * k if mode == "ddim" else k)
        invert = None
        if mode == "ddim":
            invert = sampling.HostRun(sampling.guided(model, source, source, 1.0), progress.part(k))
        denoise = sampling.HostRun(sampling.guided(model, positive, negative, guidance), progress.part(k))
        x = pie.pie_stage(
            x,
            x_0,
            sigmas,
            invert=invert,
            denoise=denoise,
            mode=mode,
            mask=mask,
            beta_1=beta_1,
            beta_2=beta_2,
            refine=refine,
            noise=pie.stage_noise(x.shape, seed, stage) if mode == "noise" else None,
            process=denoise.process,
            stage=stage,
        )
        return io.NodeOutput({"samples": x})


class ROIBlend(io.ComfyNode):
    """Eq. 6 of the MVG paper on pixels, where it can promise an untouched outside."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_ROIBlend",
            display_name="ROI Blend",
            category="MVG/progression",
            description="Keeps a share of a change inside a mask (beta_2) and another share outside it (beta_1).",
            search_aliases=["composite", "region of interest", "mask blend", "paste"],
            inputs=[
                io.Image.Input("image", tooltip="The changed picture (or pictures)."),
                io.Image.Input("original", tooltip="The patient's original picture, of the same size."),
                io.Mask.Input("mask", tooltip="1 where the change is wanted; the picture's own size."),
                *beta_inputs(),
                io.Image.Input(
                    "decoded",
                    optional=True,
                    tooltip="The original after VAE Encode and VAE Decode. Connected: what the VAE loses of it (grain, "
                    "fine vessels) is put back.",
                ),
            ],
            outputs=[io.Image.Output("image", tooltip="The blend.")],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        original: torch.Tensor,
        mask: torch.Tensor,
        beta_1: float,
        beta_2: float,
        decoded: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        if image.shape[1:] != original.shape[1:]:
            raise ValueError(
                f"image: got {image.shape[2]} x {image.shape[1]} x {image.shape[3]}, want the original's "
                f"{original.shape[2]} x {original.shape[1]} x {original.shape[3]}"
            )
        if len(original) not in (1, len(image)):
            raise ValueError(f"original: got {len(original)} pictures, want {one_or(len(image))}, one for each")
        return io.NodeOutput(roi.composite(image, original, mask, beta_1, beta_2, decoded))
