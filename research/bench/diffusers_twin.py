"""The same weights in the host's classes and in diffusers', for side-by-side benches."""

import logging
from typing import Any, NamedTuple

import torch
from torch import Tensor

SD14_SCHEDULER = {
    **{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000},
    **{"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading"},
}
"""DDIM as Stable Diffusion 1.4's release configures it."""

PLAIN, CROSS = ("DownBlock2D", "UpBlock2D"), ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")


class Twins(NamedTuple):
    """model, vae: the host's MODEL and VAE; unet, autoencoder: the same in diffusers' classes; texts: [1, L, C]."""

    model: Any
    vae: Any
    unet: Any
    autoencoder: Any
    cond: Tensor
    uncond: Tensor

    def mismatch(self, size: int) -> float:
        """Largest difference of the two networks' outputs over the largest output, on one random state."""
        shape = (1, self.unet.config.in_channels, size // 8, size // 8)
        z = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        t, cond = torch.tensor([500]), self.cond.float()
        host = self.model.model.diffusion_model
        device, dtype = self.unet.device, self.unet.dtype
        theirs = self.unet(z.to(device, dtype), t.to(device), cond.to(device, dtype)).sample.float()
        ours = host(z.to(device, host.dtype), t.to(device).float(), context=cond.to(device, host.dtype)).float()
        return float((ours - theirs).abs().max() / theirs.abs().max())


def diffusers_unet(config: dict[str, Any], state: dict[str, Tensor]):
    """UNet2DConditionModel of a host's SD-1.x UNet: its configuration and weights."""
    import comfy.utils
    from diffusers import UNet2DConditionModel

    per_level = [config["transformer_depth"][i * n] for i, n in enumerate(config["num_res_blocks"])]
    kinds = [CROSS if depth else PLAIN for depth in per_level]
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=config["in_channels"],
        out_channels=config["out_channels"],
        block_out_channels=tuple(config["model_channels"] * m for m in config["channel_mult"]),
        layers_per_block=config["num_res_blocks"][0],
        down_block_types=tuple(down for down, _ in kinds),
        up_block_types=tuple(up for _, up in reversed(kinds)),
        cross_attention_dim=config["context_dim"],
        attention_head_dim=config["num_heads"],
    )
    names = comfy.utils.unet_to_diffusers(config)
    unet.load_state_dict({theirs: state[host] for theirs, host in names.items() if host in state})
    return unet.eval()


def diffusers_vae(config: dict[str, Any], state: dict[str, Tensor], scaling: float):
    """AutoencoderKL of a host's VAE (its ddconfig); scaling: what a latent is multiplied with for the UNet."""
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    levels = len(config["ch_mult"])
    vae = AutoencoderKL(
        in_channels=config["in_channels"],
        out_channels=config["out_ch"],
        block_out_channels=tuple(config["ch"] * m for m in config["ch_mult"]),
        layers_per_block=config["num_res_blocks"],
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        latent_channels=config["z_channels"],
        scaling_factor=scaling,
    )
    vae.load_state_dict(convert_ldm_vae_checkpoint(state, vae.config))
    return vae.eval()


def embedded(prompt: str = "frontal chest x-ray, severe edema") -> Twins:
    """The networks that come with this extension, at 128 x 128."""
    from ...models.embedded import loader
    from ...models.weights import read_weights

    networks = loader.load("chest_xray")
    unet_config = read_weights(loader.find_weights("unet"))[1]
    vae_config = read_weights(loader.find_weights("vae"))[1]["ddconfig"]
    clip = networks.clip
    cond, uncond = (clip.encode_from_tokens(clip.tokenize(text)).cpu() for text in (prompt, ""))
    unet = diffusers_unet(unet_config, networks.model.model.diffusion_model.state_dict())
    vae = diffusers_vae(vae_config, networks.vae.first_stage_model.state_dict(), scaling=1.0)
    return Twins(networks.model, networks.vae, unet, vae, cond, uncond)


def sd14(dtype: torch.dtype = torch.float32) -> Twins:
    """Stable Diffusion 1.4's architecture with random weights, no download; dtype is that of the host's side."""
    import comfy.sd
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval()
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).eval()
    logging.disable(logging.WARNING)  # the host lists what other versions of the architecture have besides
    model = comfy.sd.load_diffusion_model_state_dict(dict(unet.state_dict()), model_options={"dtype": dtype})
    logging.disable(logging.NOTSET)
    cond, uncond = torch.randn(2, 1, 77, 768, generator=torch.Generator().manual_seed(0))
    return Twins(model, comfy.sd.VAE(sd=dict(vae.state_dict())), unet, vae, cond, uncond)
