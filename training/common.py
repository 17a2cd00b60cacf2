"""What the trainings of the embedded set share: their options, and their networks in the one training loop."""

import argparse
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch.utils.data import Dataset

from ..models.standalone_host import ROOT, use_host
from . import trainer as training
from .run_folder import RunFolder
from .settings import Settings, autocast_dtype
from .task import Task

__all__ = ["ROOT", "RUNS", "WEIGHTS", "Trainer", "arguments", "autocast", "initialize", "use_host"]
RUNS = ROOT / "training" / "runs"
WEIGHTS = ROOT / "models" / "embedded" / "weights"
Loss = Callable[[torch.Generator, int], dict[str, torch.Tensor]]


def arguments(
    description: str, steps: int, batch: int, rate: float, more: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> argparse.Namespace:
    """more: options of one training alone, as add_argument takes them."""
    parser = argparse.ArgumentParser(description=description)
    for name, settings in more.items():
        parser.add_argument(name, **settings)
    parser.add_argument("--steps", type=int, default=steps, help="optimiser steps in all (default %(default)s)")
    parser.add_argument("--batch", type=int, default=batch, help="images a step (default %(default)s)")
    parser.add_argument("--rate", type=float, default=rate, help="peak learning rate (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="images of each domain (default: as many as the full training sees)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--go-on", action="store_true", help="start from the weights in models/embedded")
    return parser.parse_args()


def autocast(device: str) -> torch.autocast:
    """bf16 where the hardware computes in it: emulated by a processor it is far slower than fp32."""
    kind = torch.device(device)
    return torch.autocast(kind.type, torch.bfloat16, enabled=autocast_dtype("auto", kind) == "bf16")


def initialize(network: torch.nn.Module) -> None:
    """torch's default initialisation for layers whose own reset is switched off by the host."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.Conv2d.reset_parameters(module)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.Linear.reset_parameters(module)
        elif isinstance(module, torch.nn.GroupNorm | torch.nn.LayerNorm):
            torch.nn.init.ones_(module.weight)
            torch.nn.init.zeros_(module.bias)


class _Steps(Dataset):
    """The number of each step: a training of the embedded set makes its batches itself."""

    def __getitem__(self, number: int) -> dict[str, int]:
        return {"number": number}


class _Networks(Task):
    """Networks and the loss that a training says."""

    def __init__(self, modules: dict[str, torch.nn.Module], seed: int):
        super().__init__()
        self.networks, self.seed = torch.nn.ModuleDict(modules), seed
        self.loss: Loss | None = None

    def forward(self, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Every step has its own seed."""
        step = int(batch["number"][0])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return self.loss(generator, step)  # type: ignore[misc]


class Trainer:
    """Networks of the embedded set in the one training loop; a run that was stopped goes on from its folder.

    Args:
        name: of the run; its folder is training/runs/NAME.
        modules: networks by name.
        options: of `arguments`.
        decay: of the moving average of the weights.
    """

    def __init__(self, name: str, modules: dict[str, torch.nn.Module], options: argparse.Namespace, decay=0.999):
        self.task = _Networks(modules, options.seed)
        settings = Settings(
            steps=options.steps,
            batch=1,
            rate=options.rate,
            warmup=min(200, max(1, options.steps // 10)),
            seed=options.seed,
            decay=decay,
            betas=(0.9, 0.99),
            checkpoint=max(1, options.steps // 20),
            validate=options.steps,
            device=torch.device(options.device).type,
        )
        folder = RunFolder(RUNS / name)
        config = {"images": options.batch, "count": options.count, "go_on": options.go_on}
        resume = folder.config.is_file()
        self.trainer = training.Trainer(self.task, _Steps(), settings, folder, config=config, resume=resume)

    def fit(self, loss: Loss) -> None:
        """loss(generator, step) returns named terms; ``loss`` is minimised."""
        self.task.loss = loss
        self.trainer.fit()

    def averaged(self) -> None:
        """Puts the moving average into the networks, for export."""
        self.trainer.finish(best=False)
        self.trainer.close()
