"""Tissue or fluid in the place of air."""

import numpy as np

from .anatomy import Chest
from .film import blur


def filled(
    chest: Chest, attenuation: np.ndarray, share: np.ndarray, level: float | np.ndarray = 1.0, shadows: float = 0.4
) -> np.ndarray:
    """Attenuation [H, W] where a share of the air was replaced: borders to soft tissue vanish as the share nears 1.

    Args:
        chest: the film's anatomy.
        attenuation: [H, W] to begin from: the film's, or with another finding in it.
        share: [H, W] in [0, 1].
        level: density of what fills, 1 for that of soft tissue.
        shadows: how much of ribs and vessels is seen through it.
    """
    beneath = blur(attenuation, 0.02) - 0.03
    full = np.maximum(level * chest.tissue, beneath) + shadows * chest.detail + chest.grain
    return attenuation + share * (full - attenuation)
