"""What every training here shares: the host's modules, seeds, schedule, moving average, resumable checkpoints."""

import argparse
import math
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from ..models.embedded.architecture import DOMAINS, FAMILIES
from ..models.standalone_host import ROOT, use_host

__all__ = ["ROOT", "RUNS", "WEIGHTS", "Trainer", "arguments", "autocast", "initialize", "use_host"]
RUNS = ROOT / "training" / "runs"
WEIGHTS = ROOT / "models" / "embedded" / "weights"


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
    parser.add_argument("--family", choices=FAMILIES, default="gray", help="whose pictures (default %(default)s)")
    parser.add_argument("--domain", choices=DOMAINS, help="one domain alone, where each has its own weights")
    parser.add_argument("--count", type=int, help="images of each domain (default: as many as the full training sees)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--go-on", action="store_true", help="start from the weights in models/embedded")
    parser.add_argument("--checkpoint-minutes", type=float, default=3.0)
    return parser.parse_args()


def autocast(device: str) -> torch.autocast:
    """bf16 where the hardware computes in it: emulated by a processor it is far slower than fp32."""
    kind = torch.device(device).type
    native = kind != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(kind, torch.bfloat16, enabled=native)


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


class Trainer:
    """AdamW with warm-up and cosine, gradient clipping, a moving average of the weights, and resume.

    modules: networks by name. ``fit`` calls loss(step) in bf16 where that is fast and keeps a checkpoint under
    training/runs/NAME.pt; a run that was stopped goes on from it.
    """

    def __init__(self, name: str, modules: dict[str, torch.nn.Module], options: argparse.Namespace, decay=0.999):
        self.name, self.options, self.modules = name, options, torch.nn.ModuleDict(modules).to(options.device)
        self.average = {k: v.detach().clone() for k, v in self.modules.state_dict().items()}
        self.decay = decay
        self.optimizer = torch.optim.AdamW(
            self.modules.parameters(), lr=options.rate, betas=(0.9, 0.99), weight_decay=0.01
        )
        self.step = 0
        self.path = RUNS / f"{name}.{options.family}.pt"

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        state = {
            "step": self.step,
            "modules": self.modules.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, temporary)
        temporary.replace(self.path)

    def resume(self) -> None:
        if self.path.exists():
            state = torch.load(self.path, map_location=self.options.device, weights_only=True)
            self.modules.load_state_dict(state["modules"])
            self.average = state["average"]
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
            print(f"{self.name}: resumed at step {self.step}", flush=True)

    def averaged(self) -> None:
        """Puts the moving average into the networks, for export."""
        self.modules.load_state_dict(self.average)
        self.modules.eval()

    def _rate(self) -> float:
        warm = min(200, max(1, self.options.steps // 10))
        if self.step < warm:
            return (self.step + 1) / warm
        progress = (self.step - warm) / max(1, self.options.steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def _update_average(self) -> None:
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for key, value in self.modules.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - decay)
            else:
                self.average[key].copy_(value)

    def fit(self, loss: Callable[[torch.Generator, int], dict[str, torch.Tensor]]) -> None:
        """loss(generator, step) returns named terms; ``loss`` is minimised. Every step has its own seed."""
        self.resume()
        self.modules.train()
        last_save = last_print = time.time()
        shown: dict[str, float] = {}
        count = 0
        while self.step < self.options.steps:
            generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + self.step)
            for group in self.optimizer.param_groups:
                group["lr"] = self.options.rate * self._rate()
            with autocast(self.options.device):
                terms = loss(generator, self.step)
            if not torch.isfinite(terms["loss"]):
                raise FloatingPointError(f"{self.name}: loss is not finite at step {self.step}")
            self.optimizer.zero_grad(set_to_none=True)
            terms["loss"].backward()
            torch.nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            self._update_average()
            for key, value in terms.items():
                shown[key] = shown.get(key, 0.0) + float(value.detach())
            count += 1
            if time.time() - last_print > 20:
                text = " ".join(f"{k} {v / count:.5f}" for k, v in shown.items())
                speed = count / (time.time() - last_print)
                print(f"{self.name} {self.step}/{self.options.steps} {text} {speed:.2f} it/s", flush=True)
                shown, count, last_print = {}, 0, time.time()
            if time.time() - last_save > 60 * self.options.checkpoint_minutes:
                self.save()
                last_save = time.time()
        self.save()
