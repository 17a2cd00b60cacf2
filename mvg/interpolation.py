"""Interpolation between latents: on the sphere, where lengths are kept, as Gaussian noise wants it."""

import torch
from torch import Tensor

PARALLEL = 0.9995
"""|cos| of an angle that stable-diffusion-videos (Raw 2022) takes as too small for the sphere."""


def slerp(a: Tensor, b: Tensor, t: float, parallel: float = PARALLEL) -> Tensor:
    """Spherical interpolation of every row, all axes but the first taken as one vector.

    Args:
        a: [B, ...].
        b: the same shape.
        t: share of the way from a to b, in [0, 1]; 0 and 1 give a and b bit for bit.
        parallel: above this |cos| of the angle between two rows, and where a row is zero, the way is straight.

    Returns:
        [B, ...] in a's dtype, computed in float64.

    Raises:
        ValueError: the shapes differ, or t is outside [0, 1].
    """
    if a.shape != b.shape:
        raise ValueError(f"b: got {tuple(b.shape)}, want the shape of a, {tuple(a.shape)}")
    if not 0 <= t <= 1:
        raise ValueError(f"t: got {t}, want a number in [0, 1]")
    if t in (0, 1):
        return (b if t else a).clone()
    rows_a, rows_b = a.double().flatten(1), b.double().to(a.device).flatten(1)
    lengths = rows_a.norm(dim=1, keepdim=True) * rows_b.norm(dim=1, keepdim=True)
    cos = (rows_a * rows_b).sum(1, keepdim=True) / lengths
    straight = ~(cos.abs() <= parallel)  # NaN, of a row of zeros, counts as parallel
    angle = torch.acos(torch.where(straight, 0, cos))
    weight_a = torch.where(straight, 1 - t, ((1 - t) * angle).sin() / angle.sin())
    weight_b = torch.where(straight, t, (t * angle).sin() / angle.sin())
    return (weight_a * rows_a + weight_b * rows_b).to(a.dtype).reshape(a.shape)
