"""SEINE in the graph: its checkpoint as a MODEL, and the transitions between the stages of a trajectory."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import comfy.model_management
import latent_preview
import torch
from comfy_api.latest import io
from comfy_execution.utils import get_executing_context

from ...models.seine import native
from ...mvg import seine
from ...mvg.ddim import NonFiniteError
from ...mvg.finite import check_finite
from ...mvg.transition import TIMES
from ..support import trajectory
from ..support.clip_store import STORE
from ..support.model_files import SEINE
from . import frames as transition

WEIGHTS = {"default": None, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
PROMPT = "smooth transition."
NOISES = ("own", "shared")
FITTED_FRAMES = 3
"""Frames next to a stage by which a clip of shared noise is anchored, see `mvg.transition.anchored`."""
MULTIPLE = 8


class LoadSEINE(io.ComfyNode):
    """SEINE (Chen et al., ICLR 2024) as a MODEL of the host."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LoadSEINE",
            display_name="Load SEINE",
            category="MVG/load",
            description="Loads the released SEINE checkpoint, seine.pt or the safetensors that run.py convert makes of "
            "it. It goes with the CLIP and VAE of Stable Diffusion 1.x (Load Checkpoint).",
            search_aliases=["video diffusion", "transition model", "Vchitect", "LaVie"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=SEINE.files(),
                    tooltip="A file of ComfyUI/models/mvg/seine. A pickle (.pt) is read as tensors alone; code in it "
                    "is refused, never run.",
                ),
                io.Combo.Input(
                    "weights",
                    options=list(WEIGHTS),
                    advanced=True,
                    tooltip="Type of the weights in memory. default: what ComfyUI picks for the device.",
                ),
            ],
            outputs=[io.Model.Output("model", tooltip="For SEINE Transition. LoRA and other patches apply.")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return SEINE.check(file)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, weights: str) -> str:
        return f"{SEINE.stamp(file)} {weights}"

    @classmethod
    def execute(cls, file: str, weights: str) -> io.NodeOutput:
        return io.NodeOutput(native.load(SEINE.find(file), WEIGHTS[weights]))


class SEINETransition(io.ComfyNode):
    """Stage 2 of MVG: the frames between the stages, from a video diffusion model (eq. 9 and 10)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SEINETransition",
            display_name="SEINE Transition",
            category="MVG/transition",
            description="Fills the time between stages with a video diffusion model that is shown the first and the "
            "last frame of each clip. Stage pictures stay as they are, bit for bit. Clips are kept one by one: after "
            "a cancel, an error or a changed stage, only what is missing is made.",
            search_aliases=["SEINE", "video", "transition", "in-between frames", "first last frame", "disease video"],
            inputs=[
                transition.states_input(),
                io.Model.Input(
                    "model", tooltip="SEINE: from Load SEINE, or the transition output of Load Embedded Models."
                ),
                io.Clip.Input("clip", tooltip="The text encoder of its kind: Stable Diffusion 1.x's for the release."),
                io.Vae.Input("vae", tooltip="The autoencoder of its kind: Stable Diffusion 1.x's for the release."),
                io.String.Input(
                    "positive",
                    default=PROMPT,
                    dynamic_prompts=True,
                    tooltip="What the clips show. 'smooth transition.' is what SEINE was made for.",
                ),
                io.String.Input("negative", default="", tooltip="What to steer away from; empty is SEINE's own."),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=3,
                    max=256,
                    tooltip="K, frames from one stage to the next, both counted: N * (K - 1) + 1 in all. SEINE was "
                    "trained on 16; with other numbers expect worse motion.",
                ),
                io.Float.Input(
                    "guidance",
                    default=8.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Classifier-free guidance scale. 8 is SEINE's; 1 halves the time.",
                ),
                io.Int.Input(
                    "steps",
                    default=50,
                    min=1,
                    max=1000,
                    tooltip="Denoising steps. SEINE's own is 250 with ddpm; ddim does with fewer.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(native.METHODS),
                    tooltip="ddim: deterministic, few steps. ddpm: ancestral, as SEINE was released.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="1: clips start from noise, as SEINE's own. Less: from the straight way between the stages "
                    "with that share of the noise on it; steadier, with less motion of its own.",
                ),
                io.Combo.Input(
                    "noise",
                    options=list(NOISES),
                    tooltip="own: every frame has its own noise, as SEINE was made. shared: one for all frames of a "
                    "clip, which flickers less; best with denoise well below 1.",
                ),
                transition.blend_input(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="Where the noise starts. The same seed gives the same video.",
                ),
                transition.anchor_input(),
                transition.mask_input(),
                transition.time_input(),
            ],
            outputs=[
                io.Image.Output("frames", tooltip="The film; frame n * (K - 1) is stage n, as long as time is as made.")
            ],
        )

    @classmethod
    def execute(
        cls,
        states: torch.Tensor,
        model: io.Model.Type,
        clip: io.Clip.Type,
        vae: io.Vae.Type,
        positive: str,
        negative: str,
        frames: int,
        guidance: float,
        steps: int,
        method: str,
        denoise: float,
        noise: str,
        blend: str,
        seed: int,
        anchor: bool,
        mask: torch.Tensor | None = None,
        time: str = TIMES[0],
    ) -> io.NodeOutput:
        transition.check_states(states, mask)
        if len(states) < 2:
            return io.NodeOutput(states)
        check_size(states)
        if not isinstance(model.model, native.SEINE):
            raise ValueError(f"model: got {type(model.model).__name__}, want SEINE's (Load SEINE)")
        latents = encode(vae, states, model)
        gray = encode(vae, torch.full_like(states[:1], seine.GRAY), model)
        video, given = seine.clip_conditioning(latents, gray, frames, native.between(model))
        text = [clip.encode_from_tokens_scheduled(clip.tokenize(words)) for words in (positive, negative)]
        settings = Settings(steps, guidance, method, seed, denoise, noise)
        made = Clips(model, text, video, given, settings).make()
        pictures = (decode(vae, clip_latent, n) for n, clip_latent in enumerate(made, start=1))
        return io.NodeOutput(transition.film(list(pictures), states, mask, blend, anchor, settings.inner, time))


def check_size(states: torch.Tensor) -> None:
    height, width = states.shape[1:3]
    if height % MULTIPLE or width % MULTIPLE:
        raise ValueError(
            f"states: got {width} x {height}, want both sides a multiple of {MULTIPLE} (Load Medical Image: size)"
        )


def encode(vae: io.Vae.Type, images: torch.Tensor, model: io.Model.Type) -> torch.Tensor:
    """Latents [B, C, h, w] in the number of channels that the model has; ValueError for another number, and for NaN."""
    latents = vae.encode(images)
    want = model.model.latent_format.latent_channels
    if latents.ndim != 4 or latents.shape[1] != want:
        raise ValueError(f"vae: makes latents {list(latents.shape[1:])}, want {want} channels, as the model has")
    check_finite("vae (latents)", latents)
    return latents


def decode(vae: io.Vae.Type, clip: torch.Tensor, number: int) -> torch.Tensor:
    """[K, H, W, C] from a clip [C, K, h, w]."""
    try:
        return vae.decode(seine.flatten_frames(clip[None]))
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise memory_error(number, "decoding it") from error


@dataclass(frozen=True)
class Settings:
    """What the sampling of clips depends on beside model, text and frames: the node's inputs of these names."""

    steps: int
    guidance: float
    method: str
    seed: int
    denoise: float = 1.0
    noise: str = "own"

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise ValueError(f"noise: got {self.noise!r}, want one of {', '.join(NOISES)}")

    @property
    def shared(self) -> bool:
        return self.noise == "shared"

    @property
    def inner(self) -> int:
        """What `mvg.transition.anchored` is told."""
        return FITTED_FRAMES if self.shared else 0


class Clips:
    """The clips of one trajectory: as many at once as fit, each kept as soon as it is done.

    text: the positive and the negative CONDITIONING. video, mask: from `mvg.seine.clip_conditioning`.
    """

    def __init__(self, model: io.Model.Type, text: list, video: torch.Tensor, mask: torch.Tensor, settings: Settings):
        self.model, self.text, self.video, self.mask, self.settings = model, text, video, mask, settings

    def key(self, n: int) -> str:
        """Of everything a clip depends on beside the model."""
        digest = hashlib.sha256(repr((n, self.settings, tuple(self.video.shape[1:]))).encode())
        for tensor in (self.video[n], *(cond for kind in self.text for cond, _ in kind)):
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def make(self) -> list[torch.Tensor]:
        """Latents [C, K, h, w] of every clip, as a VAE decodes them.

        ValueError: out of memory, naming the clip. NonFiniteError: NaN from the model, with clips and step.
        """
        kept = STORE.of(self.model)
        keys = [self.key(n) for n in range(len(self.video))]
        made = {n: clip for n, key in enumerate(keys) if (clip := kept.get(key)) is not None}
        todo = [n for n in range(len(keys)) if n not in made]
        for group, clips in self.groups(todo):
            for n, clip in zip(group, clips, strict=True):
                made[n] = clip
                kept.put(keys[n], clip)
        return [made[n] for n in range(len(keys))]

    def groups(self, waiting: list[int]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Batches of finished clips with their numbers. One that does not fit after all is halved."""
        if not waiting:
            return
        most = native.clips_at_once(self.model, tuple(self.video.shape[1:]), len(waiting))
        show = Progress(self.model, len(waiting), self.settings.steps)
        while waiting:
            group = waiting[:most]
            clips = None
            try:
                clips = self.sample(group, show.of(len(group)))
            except NonFiniteError as error:
                raise NonFiniteError(f"clip {', '.join(str(n + 1) for n in group)}: {error}") from error
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(group) == 1:
                    raise memory_error(group[0] + 1, "making it") from error
            if clips is None:  # only now has the error let go of what it held
                comfy.model_management.soft_empty_cache()
                most = len(group) // 2
                continue
            show.done += len(group) * self.settings.steps
            yield group, clips
            waiting = waiting[len(group) :]

    def sample(self, group: list[int], callback: Callable[..., None]) -> torch.Tensor:
        positive, negative = self.text
        return native.sample(
            self.model,
            positive,
            negative,
            self.video[group],
            self.mask[group],
            steps=self.settings.steps,
            draw=seine.ClipNoise(self.settings.seed, group, self.settings.shared),
            guidance=self.settings.guidance,
            method=self.settings.method,
            denoise=self.settings.denoise,
            callback=callback,
        )


class Progress:
    """One bar, preview and sentence over all clips. A cancel counts after every model call."""

    def __init__(self, model: io.Model.Type, clips: int, steps: int):
        self.show = latent_preview.prepare_callback(model, clips * steps)
        self.clips, self.steps, self.total, self.done = clips, steps, clips * steps, 0
        context = get_executing_context()
        self.work = None if context is None else trajectory.Work(context.prompt_id, context.node_id, self.total)
        self.tell(0)

    def tell(self, reached: int) -> None:
        if self.work is not None:
            clip = min(self.clips, 1 + reached // self.steps)
            self.work.at(reached, "clip", clip, self.clips, reached in (0, self.total))

    def of(self, clips: int) -> Callable[..., None]:
        """The callback of a batch of clips."""

        def callback(step: int, denoised: torch.Tensor, x: torch.Tensor, _: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            reached = self.done + (step + 1) * clips
            self.show(reached - 1, denoised, x, self.total)
            self.tell(reached)

        return callback


def out_of_memory(error: Exception) -> bool:
    """Also of the processor's memory, which torch tells in words alone."""
    if isinstance(error, (comfy.model_management.OOM_EXCEPTION, MemoryError)):
        return True
    words = ("allocate memory", "not enough memory", "out of memory")
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in words)


def memory_error(number: int, doing: str) -> ValueError:
    return ValueError(
        f"clip {number}: out of memory while {doing}. Want smaller states, fewer frames or fp16 weights; the clips "
        f"before it are kept"
    )
