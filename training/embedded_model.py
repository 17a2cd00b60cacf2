"""The embedded networks as a base of trainings, and the files that Load Embedded reads."""

from typing import Any

import torch
from torch import Tensor

from ..models.embedded import architecture
from ..models.embedded.loader import BUNDLED, expand_token_table
from ..models.standalone_host import use_host
from ..models.weights import read_weights
from . import text
from .draws import Draws
from .image_model import NoisePredictor
from .stable_diffusion import SD_1_NOISE


class EmbeddedModel(NoisePredictor):
    """The embedded UNet of a domain, its text tower and VAE as they are.

    Args:
        domain: its name.
        snr_gamma: as in `NoisePredictor`.
    """

    family = "embedded"
    size = architecture.IMAGE_SIZE
    targets = (*NoisePredictor.targets, "proj_in", "proj_out", "in_layers.2", "out_layers.3")
    lora_prefix = "diffusion_model."

    def __init__(self, domain: str, snr_gamma: float):
        from diffusers import DDPMScheduler

        super().__init__(DDPMScheduler(**SD_1_NOISE), snr_gamma)
        use_host()
        self.domain = domain
        state, self.config, self.metadata = read_weights(BUNDLED / architecture.file_name("unet", domain))
        self.denoiser = architecture.build_unet(self.config)
        self.denoiser.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        state, config, _ = read_weights(BUNDLED / architecture.file_name("clip_text", domain))
        self.tower = architecture.build_clip_text(config)
        table = expand_token_table(state, config["vocab_size"])
        self.tower.load_state_dict(
            {n: t.float() if t.is_floating_point() else t for n, t in table.items()}, strict=False
        )
        self.vae = build_vae(domain)[0]

    @torch.no_grad()
    def encode(self, images: Tensor, draws: Draws) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> the posterior's mean [B, 8, H / 8, W / 8]."""
        return self.vae.encode(images).float()

    @torch.no_grad()
    def embed(self, captions: list[str]) -> Tensor:
        """[B, 77, width]."""
        return text.encode(self.tower.text_model, captions, self.tower.device)

    def predict(self, noisy: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """The UNet's noise, of noisy's shape."""
        return self.denoiser(noisy, t, context=context)

    @torch.no_grad()
    def sample(self, captions: list[str], size: int, steps: int, guidance: float) -> Tensor:
        """By DDIM."""
        from diffusers import DDIMScheduler

        scheduler = DDIMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(steps)
        context = self.embed([""] * len(captions) + captions)
        shape = (self.config["in_channels"], *[size // architecture.DOWNSCALE] * 2)
        rows = [torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i in range(len(captions))]
        x = torch.stack(rows).to(context)
        for t in scheduler.timesteps:
            free, told = self.predict(x.repeat(2, 1, 1, 1), t.to(x.device).expand(2 * len(x)), context).chunk(2)
            x = scheduler.step(free + guidance * (told - free), t, x).prev_sample
        return self.vae.decode(x).float() / 2 + 0.5

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The UNet as Load Embedded reads it."""
        return dict(self.denoiser.state_dict()), self.metadata | {"config": self.config}


def build_vae(domain: str):
    """The embedded VAE of a domain with its weights in fp32, its config and the other metadata of its file."""
    use_host()
    state, config, metadata = read_weights(BUNDLED / architecture.file_name("vae", domain))
    vae = architecture.build_vae({name: config[name] for name in ("ddconfig", "embed_dim")})
    vae.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return vae, config, {name: value for name, value in metadata.items() if name != "config"}
