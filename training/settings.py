"""How a network is trained, and on what it then runs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..launch.errors import UsageError

PRECISIONS = ("auto", "bf16", "fp32")


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes:
        steps: optimiser steps in all.
        batch: samples a process and pass.
        rate: peak learning rate.
        accumulation: passes a step.
        warmup: steps in which the rate rises; then it falls as a cosine to 0.
        seed: of everything that is drawn.
        precision: of PRECISIONS; auto is bf16 where the hardware computes in it.
        decay: of the moving average of the weights; 0 for none.
        clip: largest norm of the gradient.
        weight_decay: AdamW's.
        betas: AdamW's.
        checkpoint: steps between checkpoints.
        validate: steps between validations.
        workers: processes that read samples.
        device: "auto", "cpu" or "cuda".
    """

    steps: int
    batch: int
    rate: float
    accumulation: int = 1
    warmup: int = 0
    seed: int = 0
    precision: str = "auto"
    decay: float = 0.999
    clip: float = 1.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    checkpoint: int = 500
    validate: int = 500
    workers: int = 0
    device: str = "auto"

    UNTOLD = ("checkpoint", "validate", "workers", "device")
    """They may change when a run goes on. (A class attribute without a type is no field.)"""

    def told(self) -> dict[str, Any]:
        """What must stay as it is when a run goes on."""
        return {name: value for name, value in asdict(self).items() if name not in self.UNTOLD}


def autocast_dtype(precision: str, device: torch.device) -> str:
    """accelerate's name of a precision: emulated by a processor, bf16 is far slower than fp32."""
    if precision != "auto":
        return {"bf16": "bf16", "fp32": "no"}[precision]
    if device.type == "cpu":
        return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"
    return "bf16" if device.type != "cuda" or torch.cuda.is_bf16_supported() else "no"


def weight_dtype(settings: Settings) -> torch.dtype:
    """The type of weights that are not trained: bf16 halves their memory on a GPU; a processor's norms take fp32."""
    on_gpu = torch.cuda.is_available() and settings.device != "cpu"
    half = on_gpu and autocast_dtype(settings.precision, torch.device("cuda")) == "bf16"
    return torch.bfloat16 if half else torch.float32


def make_accelerator(settings: Settings, folder: Path):
    """accelerate's engine for the device that is asked for.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    from accelerate import Accelerator
    from accelerate.state import PartialState

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device is cuda: torch finds no GPU here. Give --device cpu, or leave the option away.")
    cpu = settings.device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available())
    state = PartialState(cpu=cpu)
    return Accelerator(
        cpu=cpu,
        mixed_precision=autocast_dtype(settings.precision, state.device),
        gradient_accumulation_steps=settings.accumulation,
        log_with="tensorboard",
        project_dir=str(folder),
        step_scheduler_with_optimizer=False,
    )
