"""SD 1.x and SD 3 by diffusers' classes at a small size with random weights, as folders in diffusers' layout."""

from pathlib import Path

import torch
from mvgen.training.stable_diffusion import clip_tokenizer


def clip(width: int, projected: bool, activation: str = "quick_gelu", layers: int = 1):
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(width // 64, 1),
        projection_dim=width,
        hidden_act=activation,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def vae(channels: int, widths: tuple[int, ...] = (32, 32, 32, 32)):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=widths,
        layers_per_block=2,
        latent_channels=channels,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        shift_factor=0.0609 if channels == 16 else None,
        scaling_factor=0.18215 if channels == 4 else 1.5305,
        use_quant_conv=channels == 4,
        use_post_quant_conv=channels == 4,
    )


def stable_diffusion_1(folder: Path, context: int = 64, *, known: bool = False) -> Path:
    """One residual block a level. known: as wide as the host knows SD 1.x by, with its text tower and VAE."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(1)
    width, context, layers = (320, 768, 12) if known else (32, context, 1)
    unet = UNet2DConditionModel(
        block_out_channels=[width, width],
        layers_per_block=1,
        cross_attention_dim=context,
        attention_head_dim=8,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
    )
    pipeline = StableDiffusionPipeline(
        unet=unet,
        vae=vae(4, (128, 256, 512, 512)) if known else vae(4),
        text_encoder=clip(context, projected=False, layers=layers),
        tokenizer=clip_tokenizer(),
        scheduler=PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return folder


def stable_diffusion_3(folder: Path, context: int = 128, pooled: tuple[int, int] = (64, 64)) -> Path:
    """One block; context 4096 and pooled (768, 1280) are what the host's text encoders give."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    torch.manual_seed(1)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=64,
        joint_attention_dim=context,
        caption_projection_dim=128,
        pooled_projection_dim=sum(pooled),
        pos_embed_max_size=16,
    )
    pipeline = StableDiffusion3Pipeline(
        transformer=transformer,
        vae=vae(16),
        text_encoder=clip(pooled[0], True, layers=2),
        text_encoder_2=clip(pooled[1], True, "gelu", layers=2),
        text_encoder_3=None,
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(pad_token="!"),
        tokenizer_3=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
    pipeline.save_pretrained(folder)
    return folder
