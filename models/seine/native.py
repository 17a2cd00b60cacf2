"""SEINE as the host's own MODEL: its samplers, offloading, casts, patches, progress and cancel work on it.

Imports the host. A conditioning carries what the network is shown beside the noise (eq. 9), see `with_frames`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ...mvg import seine
from ...mvg.ddim import ddim_denoise
from .checkpoint import check_state, read_checkpoint
from .config import Config
from .unet import UNet3D

METHODS = ("ddim", "ddpm")
MASK, VIDEO = "concat_mask", "concat_latent_image"
HEADROOM = 1.5
"""What the host multiplies its estimate of a forward pass's memory with before it trusts it."""


class Latent(comfy.latent_formats.SD15):
    """Stable Diffusion 1.x's latents, in clips [B, 4, F, h, w]."""

    latent_dimensions = 3

    def __init__(self) -> None:
        super().__init__()
        self.taesd_decoder_name = None  # the host's preview by a small decoder takes pictures only


class Shape(comfy.supported_models_base.BASE):
    """What the host wants to know of a model: betas straight from 1e-4 to 2e-2, noise predicted."""

    unet_extra_config: dict = {}  # noqa: RUF012 - the host's class attributes
    sampling_settings = {"beta_schedule": "sqrt_linear", "linear_start": 1e-4, "linear_end": 2e-2}  # noqa: RUF012
    latent_format = Latent
    memory_usage_factor = 1.6  # 0.87 GB beside the weights for 16 frames of 256 x 256 in fp32


class SEINE(comfy.model_base.BaseModel):
    """The network with its noise levels. Latents are [B, C, F, h, w]."""

    def __init__(self, shape: Shape, device: torch.device | None = None):
        super().__init__(shape, comfy.model_base.ModelType.EPS, device=device, unet_model=UNet3D)

    def extra_conds(self, **kwargs: Any) -> dict:
        """What the network is given beside the latent, as the host's samplers ask for it.

        Args:
            **kwargs: the host's: noise, the text as cross_attn, and what `with_frames` put into the conditioning.

        Returns:
            name -> condition of the host.
        """
        conds = {"c_concat": comfy.conds.CONDNoiseShape(self.concat_cond(**kwargs))}
        if (text := kwargs.get("cross_attn")) is not None:
            conds["c_crossattn"] = comfy.conds.CONDCrossAttn(text)
        return conds

    def concat_cond(self, **kwargs: Any) -> Tensor:
        """The channels of the network that are not noise.

        Args:
            **kwargs: as in `extra_conds`.

        Returns:
            Mask and masked video [B, 1 + C, F, h, w], in the order of the network's channels.

        Raises:
            ValueError: the conditioning holds no frames, or the shapes are not those of the latent.
        """
        noise, mask, video = kwargs["noise"], kwargs.get(MASK), kwargs.get(VIDEO)
        if mask is None or video is None:
            raise ValueError("conditioning: got text alone, want SEINE's mask and given frames with it")
        if noise.ndim != 5:
            raise ValueError(f"latent: got {tuple(noise.shape)}, want a clip [B, C, F, h, w]")
        parts = []
        for name, part, channels in (("mask", mask, 1), ("masked video", video, noise.shape[1])):
            want = (channels, *noise.shape[2:])
            if part.shape[1:] != want or len(part) not in (1, len(noise)):
                raise ValueError(f"{name}: got {tuple(part.shape)}, want {(len(noise), *want)}, as the latent has it")
            parts.append(part.to(noise).expand(len(noise), *want))
        return torch.cat([parts[0], self.process_latent_in(parts[1])], dim=1)


def load(path: Path, dtype: torch.dtype | None = None):
    """SEINE from a file.

    Args:
        path: ``seine.pt`` or its safetensors.
        dtype: of the weights, by default what the host picks for the device.

    Returns:
        A MODEL.

    Raises:
        ValueError: naming the file where it is no SEINE checkpoint.
    """
    state, config = read_checkpoint(path)
    return wrap(state, config, dtype=dtype, checked=True)


def between(model) -> str:
    """What a network wants to see between given frames.

    Args:
        model: a MODEL from here.

    Returns:
        One of `mvg.seine.BETWEEN`.
    """
    return model.model.diffusion_model.config.between


def wrap(
    state: dict[str, Tensor],
    config: Config,
    *,
    latent_format: type[comfy.latent_formats.LatentFormat] = Latent,
    dtype: torch.dtype | None = None,
    checked: bool = False,
):
    """Weights as the host's own MODEL.

    Args:
        state: tensors under the released names.
        config: the network's shape.
        latent_format: of latents that are not Stable Diffusion 1.x's.
        dtype: of the weights, by default what the host picks for the device.
        checked: whether `check_state` has seen the tensors.

    Returns:
        A MODEL.

    Raises:
        ValueError: the tensors are not those of ``config``, or the format has not its channels.
    """
    if not checked:
        check_state(state, config)
    shape = Shape({"config": config})
    shape.latent_format = latent_format()
    if shape.latent_format.latent_channels != config.out_channels:
        channels = shape.latent_format.latent_channels
        raise ValueError(f"latent_format: got {channels} channels, want {config.out_channels}, the network's")
    manager = comfy.model_management
    load_device, offload_device = manager.get_torch_device(), manager.unet_offload_device()
    kinds = shape.supported_inference_dtypes
    if dtype is None:
        dtype = manager.unet_dtype(
            model_params=comfy.utils.calculate_parameters(state),
            supported_dtypes=kinds,
            weight_dtype=comfy.utils.weight_dtype(state),
        )
    shape.set_inference_dtype(dtype, manager.unet_manual_cast(dtype, load_device, kinds))
    model = SEINE(shape, device=offload_device)
    # The patcher that leaves weights on disk and in memory as far as it can; hosts before it have the plain one alone.
    patcher = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    wrapped = patcher(model, load_device=load_device, offload_device=offload_device)
    dynamic = getattr(wrapped, "is_dynamic", lambda: False)()
    model.diffusion_model.load_state_dict(state, assign=dynamic)
    return wrapped


def with_frames(conditioning: list, video: Tensor, mask: Tensor) -> list:
    """A conditioning that shows the network the given frames (eq. 9); the input stays as it is.

    Args:
        conditioning: CONDITIONING of text.
        video: from `mvg.seine.clip_conditioning`, latents as a VAE gives them [B, C, F, h, w].
        mask: [B, 1, F, h, w], 1 to be generated.

    Returns:
        A new CONDITIONING.
    """
    return [[text, {**options, VIDEO: video, MASK: mask}] for text, options in conditioning]


def sigmas(model: Any, steps: int, denoise: float = 1.0) -> Tensor:
    """SEINE's own steps as SIGMAS, see `mvg.seine.schedule`.

    Args:
        model: a MODEL from here.
        steps: model calls of the run.
        denoise: in (0, 1].

    Returns:
        [steps + 1], descending to 0.

    Raises:
        ValueError: steps or denoise is out of range.
    """
    return seine.schedule(model.get_model_object("model_sampling").sigmas, steps, denoise)


def clips_at_once(model: Any, clip: tuple[int, ...], clips: int) -> int:
    """How many clips fit into the device's memory beside the weights.

    The host itself halves a batch for guidance where it must, but never a batch of clips.

    Args:
        model: a MODEL from here.
        clip: the shape of a clip's latent [C, F, h, w].
        clips: how many there are.

    Returns:
        1 to ``clips``.
    """
    free = comfy.model_management.get_free_memory(model.load_device) - (model.model_size() - model.loaded_size())
    fitting = [n for n in range(1, clips + 1) if HEADROOM * model.memory_required([n, *clip]) <= free]
    return max(fitting, default=1)


def sampler(method: str, draw: seine.Draw):
    """A SAMPLER of SEINE.

    Args:
        method: "ddim" (eta 0, nothing random) or "ddpm" (ancestral, SEINE's own).
        draw: the noise of the ancestral steps.

    Returns:
        The host's KSAMPLER.

    Raises:
        ValueError: method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method: got {method!r}, want one of {', '.join(METHODS)}")
    if method == "ddim":
        return comfy.samplers.KSAMPLER(ddim_denoise)
    return comfy.samplers.KSAMPLER(seine.ddpm_denoise, extra_options={"draw": draw})


def sample(
    model: Any,
    positive: list,
    negative: list,
    video: Tensor,
    mask: Tensor,
    *,
    steps: int,
    draw: seine.Draw,
    guidance: float = 8.0,
    method: str = "ddim",
    denoise: float = 1.0,
    callback: Callable | None = None,
) -> Tensor:
    """Generates the clips whose ends are given (eq. 9).

    Args:
        model: a MODEL from here.
        positive: CONDITIONING of text.
        negative: another, for the unguided half.
        video: from `mvg.seine.clip_conditioning` [N, C, K, h, w].
        mask: likewise [N, 1, K, h, w].
        steps: model calls of the run.
        draw: the noise, first of the start, then of each DDPM step (`mvg.seine.ClipNoise`).
        guidance: classifier-free guidance scale.
        method: see `sampler`.
        denoise: 1 starts from noise, less from the straight way between the ends with noise on it (SDEdit, Meng et al.
            2022).
        callback: the host's (step, denoised, x, steps).

    Returns:
        Latents [N, C, K, h, w], as a VAE decodes them.

    Raises:
        ValueError: an argument is out of range, or the shapes do not fit.
        NonFiniteError: the model returned NaN or infinity; the message names the step.
    """
    start = seine.linear_walk(video) if denoise < 1 else torch.zeros_like(video)
    return comfy.sample.sample_custom(
        model,
        draw(video.shape),
        guidance,
        sampler(method, draw),
        sigmas(model, steps, denoise),
        with_frames(positive, video, mask),
        with_frames(negative, video, mask),
        start,
        callback=callback,
        disable_pbar=True,
        seed=0,
    )
