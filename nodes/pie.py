"""Progressive Image Editing: one stage, the loop over stages, and the pieces of a stage."""

import base64
import hashlib
import json
import zlib

import torch
from comfy_api.latest import io
from comfy_execution.graph_utils import GraphBuilder

from ..mvg import ddim, pie, roi
from . import sampling
from .types import Plan

MAX_STAGES = 99
MODES = list(pie.MODES)


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps", default=50, min=1, max=1000, tooltip="T, the steps of the model's whole noise schedule."
    )


def gamma_input() -> io.Float.Input:
    return io.Float.Input(
        "gamma",
        default=0.5,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="Strength of a stage: the fraction of the schedule that is inverted and denoised again. Higher changes "
        "more; k = round(gamma * T) steps.",
    )


def guidance_input() -> io.Float.Input:
    return io.Float.Input(
        "guidance",
        default=3.0,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip="w, how strongly the prompt pulls while denoising. Inversion always runs at 1.",
    )


def beta_inputs(beta_1: float = 0.01, beta_2: float = 0.9) -> list[io.Float.Input]:
    return [
        io.Float.Input(
            "beta_1",
            default=beta_1,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the change to keep outside the mask. 0 leaves it untouched.",
        ),
        io.Float.Input(
            "beta_2",
            default=beta_2,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the change to keep inside the mask. 1 keeps it whole.",
        ),
    ]


def refine_input() -> io.Int.Input:
    return io.Int.Input(
        "refine",
        default=0,
        min=0,
        max=20,
        advanced=True,
        tooltip="Fixed-point iterations of every inversion step: 0 is plain DDIM, 2 or 3 bring the image back more "
        "exactly and cost that many model calls more.",
    )


def scheduler_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=sampling.SCHEDULERS,
        advanced=True,
        tooltip="Where the steps lie. ddim_uniform gives Stable Diffusion's own DDIM steps.",
    )


def seed_input() -> io.Int.Input:
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="Random seed of mode noise; mode ddim has nothing random in it.",
    )


class DDIMInvert(io.ComfyNode):
    """DDIM inversion (Song et al. 2021): the deterministic ODE from the image up to step k."""

    @classmethod
    def define_schema(cls):
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
            ],
            outputs=[
                io.Latent.Output("noise_map", display_name="noise map", tooltip="The latent at step k."),
                io.Sigmas.Output("sigmas", tooltip="The noise levels from step k down to 0, for SamplerCustom."),
            ],
        )

    @classmethod
    def execute(cls, model, positive, latent, steps, gamma, refine, scheduler) -> io.NodeOutput:
        k = pie.n_inverted(steps, gamma)
        sigmas = sampling.schedule(model, scheduler, steps, k)
        samples = latent["samples"]
        if k > 0:
            callback = sampling.Progress(model, k).part(k)
            run = sampling.HostRun(model, positive, positive, 1.0, callback, scaled=False)
            inner = model.model.process_latent_in(samples)
            up = run(ddim.ddim_invert, inner, None, sigmas.flip(0), refine=refine, process=run.process)
            samples = sampling.leave(model, up)
        return io.NodeOutput({**latent, "samples": samples}, sigmas)


class PIEStep(io.ComfyNode):
    """One stage of PIE (Liang et al., arXiv 2309.11745): invert, denoise towards the prompt, blend by eq. 6."""

    @classmethod
    def define_schema(cls):
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
                io.Combo.Input(
                    "mode",
                    options=MODES,
                    tooltip="ddim: deterministic inversion, as the paper says. noise: seeded noise, as the released "
                    "code does.",
                ),
                refine_input(),
                scheduler_input(),
                seed_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the image may change. Nothing connected: everywhere, and the betas have no effect.",
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
        model,
        positive,
        negative,
        latent,
        latent_0,
        steps,
        gamma,
        guidance,
        beta_1,
        beta_2,
        mode,
        refine,
        scheduler,
        seed,
        mask=None,
        source=None,
        stage=1,
    ) -> io.NodeOutput:
        x, x_0 = latent["samples"], latent_0["samples"]
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
            invert = sampling.HostRun(model, source, source, 1.0, progress.part(k))
        denoise = sampling.HostRun(model, positive, negative, guidance, progress.part(k))
        if k > 0:
            enter = model.model.process_latent_in
            inner = pie.pie_stage(
                enter(x),
                enter(x_0),
                sigmas,
                invert=invert,
                denoise=denoise,
                mode=mode,
                mask=mask,
                beta_1=1.0,
                beta_2=1.0,
                refine=refine,
                noise=pie.stage_noise(x.shape, seed, stage),
                process=denoise.process,
                stage=stage,
            )
            x = sampling.leave(model, inner)
        # eq. 6 in the scale of the LATENT socket, where "untouched" means bit for bit
        return io.NodeOutput({"samples": roi.roi_blend(x, x_0, mask, beta_1, beta_2)})


class FixedMask(io.ComfyNode):
    """A mask by its content, part of MVG_PIELoop's expansion.

    The host caches a node by where its inputs come from. A mask that is drawn from the plan comes from a node that
    knows N, so that every stage would be computed again where N alone changes; a mask written out does not.
    """

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MVG_FixedMask",
            display_name="Fixed Mask",
            category="MVG/progression",
            description="Holds a mask as text. PIE Loop adds it by itself, so that stages stay cached.",
            search_aliases=["mask literal"],
            is_dev_only=True,
            inputs=[io.String.Input("data", tooltip="Shape and compressed float32 values, as PIE Loop writes them.")],
            outputs=[io.Mask.Output("mask", tooltip="The mask.")],
        )

    @classmethod
    def execute(cls, data) -> io.NodeOutput:
        shape, _, values = data.partition(" ")
        raw = bytearray(zlib.decompress(base64.b85decode(values)))
        return io.NodeOutput(torch.frombuffer(raw, dtype=torch.float32).reshape([int(n) for n in shape.split("x")]))

    @staticmethod
    def write(mask: torch.Tensor) -> str:
        values = mask.detach().to("cpu", torch.float32).contiguous().numpy().tobytes()
        return "x".join(map(str, mask.shape)) + " " + base64.b85encode(zlib.compress(values, 1)).decode()


class PIEStates(io.ComfyNode):
    """Collects what the stages of MVG_PIELoop made; part of that node's expansion."""

    @classmethod
    def define_schema(cls):
        images = io.Autogrow.TemplatePrefix(
            io.Image.Input("state", optional=True, tooltip="The picture of a stage."), "state", min=0, max=MAX_STAGES
        )
        latents = io.Autogrow.TemplatePrefix(
            io.Latent.Input("latent", optional=True, tooltip="The latent of a stage."), "latent", min=0, max=MAX_STAGES
        )
        return io.Schema(
            node_id="MVG_PIEStates",
            display_name="PIE States",
            category="MVG/progression",
            description="Puts the stages of a progression behind the input image. PIE Loop adds it by itself.",
            search_aliases=["collect stages"],
            is_dev_only=True,
            inputs=[
                io.Image.Input("image", tooltip="The input image, stage 0."),
                io.Latent.Input("latent_0", tooltip="The input image as a latent."),
                io.Autogrow.Input("states", template=images, tooltip="The pictures of stages 1 to N."),
                io.Autogrow.Input("latents", template=latents, tooltip="The latents of stages 1 to N."),
            ],
            outputs=[
                io.Image.Output("states", tooltip="N + 1 pictures, the input image first."),
                io.Latent.Output("latents", tooltip="N + 1 latents."),
                io.String.Output("curve", tooltip="The change from stage to stage as JSON."),
            ],
        )

    @classmethod
    def execute(cls, image, latent_0, states=None, latents=None) -> io.NodeOutput:
        pictures = [image, *(states or {}).values()]
        for n, picture in enumerate(pictures):
            if picture.shape != image.shape:
                raise ValueError(
                    f"image: stage {n} came back as {picture.shape[2]} x {picture.shape[1]}, want the input's "
                    f"{image.shape[2]} x {image.shape[1]}; give a size that the VAE keeps (a multiple of 8)"
                )
        samples = [latent_0["samples"], *(latent["samples"] for latent in (latents or {}).values())]
        curve = {"metric": "change", "values": [float(v) for v in pie.convergence_curve(samples)]}
        return io.NodeOutput(torch.cat(pictures), {"samples": torch.cat(samples)}, json.dumps(curve))


class PIELoop(io.ComfyNode):
    """Stage 1 of MVG: N stages of PIE, each on the latent of the one before, blended against the original."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MVG_PIELoop",
            display_name="PIE Loop",
            category="MVG/progression",
            description="Simulates the N stages of a plan. Stages are cached one by one: changing a late prompt, or "
            "asking for more stages, computes only what is new, and a cancelled run goes on where it stopped.",
            search_aliases=["progressive image editing", "disease progression", "simulate", "MVG"],
            enable_expand=True,
            hidden=[io.Hidden.unique_id, io.Hidden.dynprompt],
            inputs=[
                io.Model.Input("model", raw_link=True, tooltip="Any image model; LoRA and other patches apply."),
                io.Clip.Input("clip", raw_link=True, tooltip="Encodes the plan's prompts."),
                io.Vae.Input("vae", raw_link=True, tooltip="Encodes the image once, and decodes every stage for show."),
                io.Image.Input("image", tooltip="The patient's image: one picture, both sides a multiple of 8."),
                Plan.Input("plan", tooltip="The prompt of every stage, from Recaption Report."),
                steps_input(),
                gamma_input(),
                guidance_input(),
                *beta_inputs(),
                io.Combo.Input(
                    "mode",
                    options=MODES,
                    tooltip="ddim: deterministic inversion, as the paper says. noise: seeded noise, as the released "
                    "code does.",
                ),
                io.Boolean.Input(
                    "composite",
                    default=True,
                    label_on="exact outside ROI",
                    label_off="as decoded",
                    tooltip="On: outside the mask the pixels are the input's own, up to beta_1 (bit for bit at 0), and "
                    "inside it the detail that the VAE loses is put back. Off: every pixel passes through the VAE.",
                ),
                refine_input(),
                scheduler_input(),
                seed_input(),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the image may change; the image's own size. Nothing connected: everywhere, and "
                    "the betas have no effect.",
                ),
            ],
            outputs=[
                io.Image.Output("states", tooltip="N + 1 pictures; the first is exactly the input image."),
                io.Latent.Output("latents", tooltip="N + 1 latents, for the transition."),
                io.String.Output(
                    "curve", tooltip="How much each stage changed, as JSON; it falls as the loop converges."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        clip,
        vae,
        image,
        plan,
        steps,
        gamma,
        guidance,
        beta_1,
        beta_2,
        mode,
        composite,
        refine,
        scheduler,
        seed,
        mask=None,
    ) -> io.NodeOutput:
        batch, height, width, _ = image.shape
        if batch != 1:
            raise ValueError(f"image: got {batch} pictures, want 1")
        if height % 8 or width % 8:
            raise ValueError(
                f"image: got {width} x {height}, want both sides a multiple of 8 (Load Medical Image: size)"
            )
        if not torch.isfinite(image).all():
            raise ValueError("image: got values that are not finite (NaN)")
        if len(plan.stages) > MAX_STAGES:
            raise ValueError(f"plan: got {len(plan.stages)} stages, want at most {MAX_STAGES}")
        pie.n_inverted(steps, gamma)
        if mask is not None:
            roi.check_mask(mask, image)

        links = cls.hidden.dynprompt.get_node(cls.hidden.unique_id)["inputs"]
        image_link, mask_link = links["image"], None
        graph = GraphBuilder()
        if mask is not None:
            mask_link = graph.node("MVG_FixedMask", "mask", data=FixedMask.write(mask)).out(0)

        def text(prompt: str) -> list:
            name = "text." + hashlib.sha256(prompt.encode()).hexdigest()[:12]
            return graph.node("CLIPTextEncode", name, clip=clip, text=prompt).out(0)

        x0 = graph.node("VAEEncode", "encode", pixels=image_link, vae=vae).out(0)
        x, states, latents = x0, {}, {}
        settings = {
            "steps": steps,
            "gamma": gamma,
            "guidance": guidance,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "mode": mode,
            "refine": refine,
            "scheduler": scheduler,
        }
        if mask_link is not None:
            settings["mask"] = mask_link
        exact = composite and mask_link is not None and len(plan.stages) > 0
        decoded = graph.node("VAEDecode", "decode.0", samples=x0, vae=vae).out(0) if exact else None
        for n, stage in enumerate(plan.stages, start=1):
            x = graph.node(
                "MVG_PIEStep",
                f"stage.{n}",
                model=model,
                positive=text(stage.prompt),
                negative=text(plan.negative),
                source=text(stage.source),
                latent=x,
                latent_0=x0,
                seed=seed if mode == "noise" else 0,
                stage=n,
                **settings,
            ).out(0)
            picture = graph.node("VAEDecode", f"decode.{n}", samples=x, vae=vae).out(0)
            if exact:
                picture = graph.node(
                    "MVG_ROIBlend",
                    f"blend.{n}",
                    image=picture,
                    original=image_link,
                    mask=mask_link,
                    beta_1=beta_1,
                    beta_2=1.0,
                    decoded=decoded,
                ).out(0)
            states[f"states.state{n - 1}"] = picture
            latents[f"latents.latent{n - 1}"] = x
        out = graph.node("MVG_PIEStates", "states", image=image_link, latent_0=x0, **states, **latents)
        return io.NodeOutput(out.out(0), out.out(1), out.out(2), expand=graph.finalize())


class ROIBlend(io.ComfyNode):
    """Eq. 6 of the MVG paper on pixels, where it can promise an untouched outside."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MVG_ROIBlend",
            display_name="ROI Blend",
            category="MVG/progression",
            description="Keeps the fraction beta_2 of a change inside a mask and beta_1 of it outside.",
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
    def execute(cls, image, original, mask, beta_1, beta_2, decoded=None) -> io.NodeOutput:
        if image.shape[1:] != original.shape[1:] or len(original) not in (1, len(image)):
            raise ValueError(
                f"image: got {image.shape[2]} x {image.shape[1]}, want the original's "
                f"{original.shape[2]} x {original.shape[1]}"
            )
        if decoded is not None:
            image = roi.restore_detail(image, original, decoded)
        original = original.expand_as(image)
        return io.NodeOutput(roi.roi_blend(image, original, roi.pixel_mask(mask, image), beta_1, beta_2))
