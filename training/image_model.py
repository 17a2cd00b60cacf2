"""A text-to-image model as a training sees it: what it reads, what its loss is, and what is written of it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .draws import Draws


class ImageModel(nn.Module):
    """A denoiser that is trained, between networks that stay as they are.

    Attributes:
        family: its name in metadata.
        denoiser: UNet or transformer.
        size: side of the pictures in pixels that it was made for.
        targets: endings of the names of the layers that LoRA adapts.
        lora_prefix: what loaders expect before such a name.
    """

    family = ""
    denoiser: nn.Module
    size = 512
    targets: Sequence[str] = ("to_q", "to_k", "to_v", "to_out.0")
    lora_prefix = ""

    def encode(self, images: Tensor, draws: Draws) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1] -> latents as the denoiser sees them."""
        raise NotImplementedError

    def embed(self, captions: list[str]) -> Any:
        """What the denoiser is told of captions."""
        raise NotImplementedError

    def losses(self, latents: Tensor, context: Any, draws: Draws) -> Tensor:
        """[B], the training objective of each picture."""
        raise NotImplementedError

    def sample(self, captions: list[str], size: int, steps: int, guidance: float) -> Tensor:
        """Pictures of captions [n, 3, size, size] in [0, 1], the same every time."""
        raise NotImplementedError

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The whole model under the names that loaders of ComfyUI expect, and metadata of its own."""
        raise NotImplementedError

    def frozen(self) -> list[nn.Module]:
        """The networks beside the denoiser."""
        return [module for name, module in self.named_children() if name != "denoiser"]


def draw_like(latents: Tensor, draws: Draws) -> Tensor:
    """Standard normal noise of the latents' shape, type and device."""
    return draws.normal(latents.shape[1:]).to(latents)


class NoisePredictor(ImageModel):
    """A model with the discrete noise schedule of DDPM, trained on the noise (or v) with min-SNR weights.

    Args:
        scheduler: diffusers' DDPMScheduler.
        snr_gamma: of Hang et al. 2023, eq. 5 and 6: the weight of a step is min(SNR, gamma) / SNR; 0 weighs all alike.
    """

    def __init__(self, scheduler: Any, snr_gamma: float):
        super().__init__()
        self.scheduler, self.snr_gamma = scheduler, snr_gamma

    def predict(self, noisy: Tensor, t: Tensor, context: Any) -> Tensor:
        """The denoiser's output for noisy latents at time steps t [B]."""
        raise NotImplementedError

    def losses(self, latents: Tensor, context: Any, draws: Draws) -> Tensor:
        """[B], weighted mean squared errors."""
        from diffusers.training_utils import compute_snr

        t = draws.integers(self.scheduler.config.num_train_timesteps).to(latents.device)
        noise = draw_like(latents, draws)
        noisy = self.scheduler.add_noise(latents, noise, t)
        velocity = self.scheduler.config.prediction_type == "v_prediction"
        target = self.scheduler.get_velocity(latents, noise, t) if velocity else noise
        error = (self.predict(noisy, t, context).float() - target).square().flatten(1).mean(1)
        if not self.snr_gamma:
            return error
        snr = compute_snr(self.scheduler, t)
        return error * snr.clamp(max=self.snr_gamma) / (snr + 1 if velocity else snr)


def token_ids(captions: list[str], tokenizer: Any) -> Tensor:
    """Token ids [B, model_max_length] of captions, those too long cut."""
    made = tokenizer(
        captions, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return made.input_ids


@torch.no_grad()
def draw_with_pipeline(pipeline: Any, captions: list[str], size: int, steps: int, guidance: float) -> Tensor:
    """Pictures of a diffusers pipeline [n, 3, size, size] in [0, 1], from a fixed seed."""
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(i) for i in range(len(captions))]
    made = pipeline(
        captions,
        height=size,
        width=size,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=generators,
        output_type="pt",
    )
    return made.images.float()
