"""Where a plan's finding shows in an image, in every domain."""

import torch
from torch import Tensor

from ..domains import Domain, find_domain
from ..domains.domain import REGION_RULES
from ..plan import Plan
from .chest import RULES as CHEST_RULES
from .chest import chest_roi
from .fundus import RULES as FUNDUS_RULES
from .fundus import fundus_roi
from .skin import skin_roi

WHOLE_IMAGE = "whole image"


def rule_of(plan: Plan, domain: Domain) -> str:
    """Which region of an image a plan is about.

    Args:
        plan: of the domain.
        domain: that of the plan.

    Returns:
        One of `domains.domain.REGION_RULES`; the domain's own for no finding and for one that the domain does not know.

    Raises:
        ValueError: where the plan is of another domain.
    """
    if plan.domain != domain.name:
        raise ValueError(f"plan: got one for {plan.domain}, want {domain.name}")
    return domain.findings[plan.finding].rule if plan.finding in domain.findings else domain.rule


def region_mask(image: Tensor, rule: str, side: str = "", strict: bool = False) -> tuple[Tensor, str]:
    """A region of the first picture of an image.

    Args:
        image: [B, H, W, C] in [0, 1].
        rule: one of `domains.domain.REGION_RULES`.
        side: the patient's, "left", "right", "bilateral" or "" for both; of the lungs only.
        strict: a chest that is not found is an error, as a fundus or a lesion always is.

    Returns:
        (mask [H, W] in [0, 1] with soft edges, a sentence about it).

    Raises:
        ValueError: for an unknown rule, and as `chest_roi`, `fundus_roi` and `skin_roi`.
    """
    if rule in CHEST_RULES:
        return chest_roi(image, rule, side, strict)
    if rule in FUNDUS_RULES:
        return fundus_roi(image, rule)
    if rule == "lesion":
        return skin_roi(image)
    if rule == WHOLE_IMAGE:
        return torch.ones(image.shape[1:3]), "the whole picture; draw a mask of your own where it is to be less"
    raise ValueError(f"rule: got {rule!r}, want one of {', '.join(REGION_RULES)}")


def roi_mask(image: Tensor, plan: Plan, domain: Domain | None = None, strict: bool = False) -> tuple[Tensor, str]:
    """Where the plan's finding shows in an image.

    Args:
        image: [B, H, W, C] in [0, 1], of which the first picture is looked at; of several the sentence says so.
        plan: its domain, finding and side say which region.
        domain: that of the plan; None takes the built-in one of its name.
        strict: as for `region_mask`.

    Returns:
        (mask [1, H, W] in [0, 1], a sentence about it).

    Raises:
        ValueError: as `find_domain`, `rule_of` and `region_mask`.
    """
    if domain is None:
        domain = find_domain(plan.domain)
    mask, words = region_mask(image, rule_of(plan, domain), plan.side, strict)
    if len(image) > 1:
        words += f"; of {len(image)} pictures the first was looked at, and the others may lie otherwise"
    return mask[None], words
