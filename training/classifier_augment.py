"""Random changes of a picture that leave its findings as they are."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DEGREES, SHIFT, SCALE, TONE = 8.0, 0.06, 0.1, 0.15


class Augment:
    """Small turns, shifts, changes of size and of tone.

    Args:
        sided: whether sides mean something, as in a chest; else pictures are mirrored and turned by quarters too.
    """

    def __init__(self, sided: bool):
        self.sided = sided

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """One draw.

        Args:
            image: [C, S, S] in [0, 1].
            generator: of the draw.

        Returns:
            The same shape and range.
        """
        draw = (2 * torch.rand(8, generator=generator) - 1).tolist()
        if not self.sided:
            image = image.flip(-1) if draw[0] > 0 else image
            image = image.rot90(int(torch.randint(4, (), generator=generator)), dims=(-2, -1))
        angle, scale = math.radians(DEGREES * draw[1]), 1 + SCALE * draw[2]
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        place = torch.tensor([[cos, -sin, 2 * SHIFT * draw[3]], [sin, cos, 2 * SHIFT * draw[4]]])
        grid = F.affine_grid(place[None], [1, *image.shape], align_corners=False)
        image = F.grid_sample(image[None], grid, padding_mode="border", align_corners=False)[0]
        middle = image.mean()
        return ((image - middle) * (1 + TONE * draw[5]) + middle + 0.5 * TONE * draw[6]).clamp(0, 1)
