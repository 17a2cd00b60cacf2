"""Where a plan's finding shows in an image, in every domain."""

from torch import Tensor

from ..plan import Plan
from . import chest
from .fundus import fundus_roi
from .skin import skin_roi

FITS = {"fundus": fundus_roi, "skin": skin_roi}


def roi_mask(image: Tensor, plan: Plan) -> tuple[Tensor, str]:
    """-> (mask [1, H, W] in [0, 1] of where the plan's finding shows in the image [B, H, W, C], a sentence about it).

    The first picture of the batch is looked at, and of a batch of several the sentence says so. ValueError where the
    plan's domain has no regions, and as the domain's own fit: `chest.roi_mask`, `fundus_roi`, `skin_roi`.
    """
    if plan.domain in FITS:
        fitted, words = FITS[plan.domain](image)
        mask = fitted[None]
    elif plan.domain in chest.DOMAINS:
        mask, words = chest.roi_mask(image, plan)
    else:
        raise ValueError(f"plan: got one for {plan.domain}, want one of {', '.join((*chest.DOMAINS, *FITS))}")
    if len(image) > 1:
        words += f"; of {len(image)} pictures the first was looked at, and the others may lie otherwise"
    return mask, words
