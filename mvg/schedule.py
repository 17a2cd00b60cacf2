"""Noise levels that a run goes through, as numbers of a model's own table."""

import torch
from torch import Tensor

UNIFORM, RELEASED = "ddim_uniform", "ddim_released"
"""DDIM's even time steps, ending at 0, or at the model's lowest level as the released schedulers do
(``set_alpha_to_one`` off in diffusers)."""


def ddim_levels(table: Tensor, steps: int) -> Tensor:
    """The levels of DDIM with T steps, evenly spaced over the time steps (Song et al. 2021).

    Args:
        table: the model's sigmas by time step, rising, usually 1000 of them.
        steps: T, from 1 to the length of the table.

    Returns:
        [T + 1] levels, descending, the last one 0. Where T divides the table they are Stable Diffusion's own: time
        steps 981, 961, ..., 1 for T = 50 of 1000.

    Raises:
        ValueError: a T that is out of range.
    """
    total = len(table)
    if not 1 <= steps <= total:
        raise ValueError(f"steps: got {steps}, want 1 to {total}, the noise levels of the model")
    offset = 1 if steps < total else 0
    places = [i * total // steps + offset for i in reversed(range(steps))]
    return torch.cat([table[places].float().cpu(), torch.zeros(1)])
