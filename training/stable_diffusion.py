"""Stable Diffusion 1.x and 3 by diffusers' classes, from a folder in diffusers' layout or a checkpoint in one file."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models.standalone_host import host_folder, use_host
from ..models.weights import errors_naming, read_named
from . import ldm_keys
from .draws import Draws
from .image_model import ImageModel, NoisePredictor, draw_like, draw_with_pipeline, token_ids

SD_1, SD_3 = "StableDiffusionPipeline", "StableDiffusion3Pipeline"
SD_1_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "clip_sample": False,
    "steps_offset": 1,
}
SD_3_SHIFT = 3.0


def open_model(base: Path, snr_gamma: float) -> ImageModel:
    """Stable Diffusion 1.x or 3.

    Args:
        base: a folder in diffusers' layout, or a checkpoint in one file.
        snr_gamma: as in `NoisePredictor`.

    Returns:
        The model, in fp32 on the CPU.

    Raises:
        ValueError: it is neither, or of another family.
    """
    use_host()
    if base.is_dir():
        parts = _from_folder(base)
    elif base.is_file():
        with errors_naming(base):
            state, _ = read_named(base, "a checkpoint of SD 1.x or SD 3")
            parts = _sd_3_parts(state) if any("joint_blocks.0." in name for name in state) else _sd_1_parts(state)
    else:
        raise ValueError(f"--base: there is no {base}, want a folder in diffusers' layout or a checkpoint file")
    return StableDiffusion3(parts) if "transformer" in parts else StableDiffusion1(parts, snr_gamma)


def _from_folder(folder: Path) -> dict[str, Any]:
    import diffusers

    index = folder / "model_index.json"
    if not index.is_file():
        raise ValueError(f"--base: {folder} has no model_index.json, want a folder in diffusers' layout")
    with errors_naming(index):
        kind = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
        if kind not in (SD_1, SD_3):
            raise ValueError(f"_class_name: got {kind!r}, want {SD_1} or {SD_3}")
    optional = ("text_encoder_3", "tokenizer_3", "image_encoder", "feature_extractor") if kind == SD_3 else ()
    extra: dict[str, Any] = {name: None for name in optional if not (folder / name).is_dir()}
    if kind == SD_1:
        extra = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    try:
        pipeline = getattr(diffusers, kind).from_pretrained(folder, local_files_only=True, dtype=torch.float32, **extra)
    except Exception as error:  # whatever a damaged file breaks in diffusers and transformers
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"--base: {folder} cannot be loaded ({type(error).__name__}: {reason})") from error
    return {name: part for name, part in pipeline.components.items() if part is not None}


def clip_tower(state: dict[str, Tensor], activation: str, *, projected: bool) -> nn.Module:
    """transformers' CLIP text tower with the weights of a checkpoint, its shape read off them.

    Args:
        state: tensors as transformers names them, with "text_model." in front.
        activation: of its feed-forward layers.
        projected: whether it has a projection.

    Returns:
        The tower; heads are of 64 channels, as in every CLIP of SD.

    Raises:
        ValueError: there is none.
    """
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    table = "text_model.embeddings.token_embedding.weight"
    if table not in state:
        raise ValueError("text encoder: got none in the file, want one, or a folder in diffusers' layout")
    vocabulary, width = state[table].shape
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=state["text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=len({name.split(".")[3] for name in state if ".encoder.layers." in name}),
        num_attention_heads=max(width // 64, 1),
        hidden_act=activation,
        projection_dim=state["text_projection.weight"].shape[0] if projected else width,
        pad_token_id=1,
    )
    tower = (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)
    if not projected:
        state = ldm_keys.part(state, "text_model.")
    ldm_keys.load_all(tower, state, "text encoder")
    return tower


def clip_tokenizer(**options: Any):
    """CLIP's tokenizer, which the host carries."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(host_folder() / "comfy" / "sd1_tokenizer", model_max_length=77, **options)


def _sd_1_parts(state: dict[str, Tensor]) -> dict[str, Any]:
    from diffusers import DDPMScheduler, UNet2DConditionModel

    if not any(name.startswith(ldm_keys.UNET) for name in state):
        raise ValueError("base: got no diffusion model in it, want a checkpoint of SD 1.x or SD 3")
    unet = UNet2DConditionModel(**ldm_keys.unet_config(state))
    ldm_keys.load_all(unet, ldm_keys.unet_from_ldm(state, unet.config), "diffusion model")
    tower = clip_tower(ldm_keys.part(state, "cond_stage_model.transformer."), "quick_gelu", projected=False)
    return {
        "unet": unet,
        "vae": ldm_keys.build_vae(ldm_keys.part(state, ldm_keys.VAE)),
        "text_encoder": tower,
        "tokenizer": clip_tokenizer(),
        "scheduler": DDPMScheduler(**SD_1_NOISE),
    }


def _sd_3_parts(state: dict[str, Tensor]) -> dict[str, Any]:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    from .sd3_shape import transformer_config

    own = ldm_keys.part(state, ldm_keys.UNET) or {n: t for n, t in state.items() if not n.startswith("first_stage")}
    transformer = SD3Transformer2DModel(**transformer_config(own))
    ldm_keys.load_all(transformer, convert_sd3_transformer_checkpoint_to_diffusers(dict(own)), "diffusion model")
    towers = {name: ldm_keys.part(state, f"text_encoders.{name}.transformer.") for name in ("clip_l", "clip_g")}
    return {
        "transformer": transformer,
        "vae": ldm_keys.build_vae(ldm_keys.part(state, ldm_keys.VAE)),
        "text_encoder": clip_tower(towers["clip_l"], "quick_gelu", projected=True),
        "text_encoder_2": clip_tower(towers["clip_g"], "gelu", projected=True),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(pad_token="!"),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=SD_3_SHIFT),
    }


class StableDiffusion1(NoisePredictor):
    """SD 1.x: a UNet told by CLIP ViT-L/14."""

    family = "SD 1.x"
    lora_prefix = "lora_unet_"

    def __init__(self, parts: dict[str, Any], snr_gamma: float):
        from diffusers import DDPMScheduler

        super().__init__(DDPMScheduler.from_config(parts["scheduler"].config, clip_sample=False), snr_gamma)
        self.denoiser, self.vae, self.text_encoder = parts["unet"], parts["vae"], parts["text_encoder"]
        self.tokenizer = parts["tokenizer"]

    @torch.no_grad()
    def encode(self, images: Tensor, draws: Draws) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> scaled draws of the posterior [B, 4, H / 8, W / 8]."""
        posterior = self.vae.encode(images).latent_dist
        return (posterior.mean + posterior.std * draw_like(posterior.mean, draws)) * self.vae.config.scaling_factor

    @torch.no_grad()
    def embed(self, captions: list[str]) -> Tensor:
        """[B, 77, width]."""
        ids = token_ids(captions, self.tokenizer).to(self.text_encoder.device)
        return self.text_encoder(ids).last_hidden_state

    def predict(self, noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The UNet's output, of noisy's shape."""
        return self.denoiser(noisy, t, context).sample

    def sample(self, captions: list[str], size: int, steps: int, guidance: float) -> Tensor:
        """By DDIM."""
        from diffusers import DDIMScheduler, StableDiffusionPipeline

        pipeline = StableDiffusionPipeline(
            vae=self.vae,
            text_encoder=self.text_encoder,
            tokenizer=self.tokenizer,
            unet=self.denoiser,
            scheduler=DDIMScheduler.from_config(self.scheduler.config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        return draw_with_pipeline(pipeline, captions, size, steps, guidance)

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """UNet, VAE and text tower, as CheckpointLoaderSimple and UNETLoader take them."""
        unet = ldm_keys.unet_to_ldm(self.denoiser.state_dict(), self.denoiser.config)
        vae = {ldm_keys.VAE + name: t for name, t in ldm_keys.vae_to_ldm(self.vae.state_dict()).items()}
        text = {
            ldm_keys.CLIP + name.removeprefix("text_model."): t for name, t in self.text_encoder.state_dict().items()
        }
        return unet | vae | text, {}


class StableDiffusion3(ImageModel):
    """SD 3 and 3.5: a transformer trained by rectified flow, told by CLIP L and G, and T5 where the base has it."""

    family = "SD 3"
    size = 1024
    targets = (*ImageModel.targets, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    lora_prefix = "transformer."

    def __init__(self, parts: dict[str, Any]):
        from diffusers import StableDiffusion3Pipeline

        super().__init__()
        none = {"text_encoder_3": None, "tokenizer_3": None}
        self.pipeline = [StableDiffusion3Pipeline(**none | parts)]  # in a list, as a module it is not
        self.denoiser, self.vae = parts["transformer"], parts["vae"]
        names = [name for name in ("text_encoder", "text_encoder_2", "text_encoder_3") if name in parts]
        self.towers = nn.ModuleList(parts[name] for name in names)
        self.shift = parts["scheduler"].config.shift

    @torch.no_grad()
    def encode(self, images: Tensor, draws: Draws) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> shifted and scaled draws of the posterior [B, 16, H / 8, W / 8]."""
        posterior, config = self.vae.encode(images).latent_dist, self.vae.config
        latents = posterior.mean + posterior.std * draw_like(posterior.mean, draws)
        return (latents - (config.shift_factor or 0.0)) * config.scaling_factor

    @torch.no_grad()
    def embed(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        """[B, tokens, width] and pooled [B, pooled width]."""
        told = self.pipeline[0].encode_prompt(
            prompt=captions,
            prompt_2=None,
            prompt_3=None,
            device=self.vae.device,
            do_classifier_free_guidance=False,
        )
        return told[0], told[2]

    def losses(self, latents: Tensor, context: tuple[Tensor, Tensor], draws: Draws) -> Tensor:
        """[B], mean squared errors of the velocity noise - latents (Esser et al. 2024, eq. 13, logit-normal steps)."""
        noise = draw_like(latents, draws)
        u = torch.sigmoid(draws.normal(())).to(latents.device)
        sigma = self.shift * u / (1 + (self.shift - 1) * u)
        level = sigma[:, None, None, None]
        velocity = self.denoiser(
            hidden_states=(1 - level) * latents + level * noise,
            timestep=1000 * sigma,
            encoder_hidden_states=context[0],
            pooled_projections=context[1],
        ).sample
        return (velocity.float() - (noise - latents)).square().flatten(1).mean(1)

    def sample(self, captions: list[str], size: int, steps: int, guidance: float) -> Tensor:
        """By Euler's method."""
        return draw_with_pipeline(self.pipeline[0], captions, size, steps, guidance)

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Transformer and VAE, as UNETLoader and CheckpointLoaderSimple take them; the text towers stay the base's."""
        import comfy.model_detection

        state = dict(self.denoiser.state_dict())
        own = comfy.model_detection.convert_diffusers_mmdit(state, ldm_keys.UNET)
        vae = {ldm_keys.VAE + name: t for name, t in ldm_keys.vae_to_ldm(self.vae.state_dict()).items()}
        return own | vae, {}
