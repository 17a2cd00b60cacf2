"""What a stage costs: calls of the network and CPU seconds by the way stages are placed: ``run.py bench calls``.

One chest phantom of the tuning seeds, six stages, in one thread. A picture that goes once through the network is one
call; the inversion, the probes and the looks that place the stages are counted in.
"""

import time
from typing import Any

import torch

from ...models.standalone_host import use_host
from .methods import pie_states
from .networks import Networks
from .patients import patients

SEED, STAGES = 7210, 6
SEVERITY: dict[str, Any] = {"steps": 16, "gamma": 1.0, "guidance": 1.0, "refine": 2}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "severity, equal severity": ("severity", SEVERITY | {"spacing": "equal severity"}),
    "severity, equal change": ("severity", SEVERITY | {"spacing": "equal change"}),
    "ladder, as before": ("ladder", SEVERITY | {"steps": 50, "guidance": 1.1, "spacing": "as planned"}),
}
REST: dict[str, Any] = {
    "beta_1": 0.01,
    "beta_2": 1.0,
    "composite": True,
    "scheduler": "ddim_uniform",
    "mode": "ddim",
    "seed": 0,
}


def main() -> None:
    use_host()
    torch.set_num_threads(1)
    networks = Networks.embedded("chest_xray")
    calls = 0
    apply = networks.model.apply_model

    def counted(x, *given, **named):
        nonlocal calls
        calls += len(x)
        return apply(x, *given, **named)

    networks.model.apply_model = counted
    group = patients("chest_xray", "pleural effusion", [SEED])
    for name, (mode, settings) in WAYS.items():
        calls, began = 0, time.process_time()
        pie_states(networks, group.images, group.masks, group.plans(STAGES, mode), settings | REST)
        seconds = (time.process_time() - began) / STAGES
        print(f"{name:26} {calls / STAGES:6.1f} calls a stage, {seconds:5.2f} CPU s", flush=True)


if __name__ == "__main__":
    main()
