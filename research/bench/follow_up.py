"""Later images of patients, what every method makes of the first ones, and how near that comes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...mvg.metrics.conf import conf
from ...mvg.metrics.image import compare
from ...mvg.plan import NO_FINDING, Plan
from . import methods
from .evaluation_setup import reference_sets
from .networks import Networks

PERSISTENCE = "persistence"
ROWS = (PERSISTENCE, *methods.METHODS)
REFERENCES = 100
BATCH = 16


@dataclass
class Visit:
    """A later image of a patient, on the first one's pixels: all [H, W, 3] in [0, 1]; region and valid [H, W]."""

    patient: str
    day: str
    first: torch.Tensor
    later: torch.Tensor
    region: torch.Tensor
    valid: torch.Tensor
    plan: Plan
    note: str = ""


def simulate(networks: Networks, visits: Sequence[Visit], settings: dict, directions: dict) -> dict[str, torch.Tensor]:
    """Method -> last stage [B, H, W, 3] of every visit; visits share N. What a patient's visits share is made once."""
    keys = [(v.patient, v.plan) for v in visits]
    distinct = list(dict.fromkeys(keys))
    first = [visits[keys.index(key)] for key in distinct]
    out: dict[str, list[torch.Tensor]] = {name: [] for name in ROWS}
    for start in range(0, len(first), BATCH):
        part = first[start : start + BATCH]
        images, masks = torch.stack([v.first for v in part]), torch.stack([v.region for v in part])
        plans = [v.plan for v in part]
        out[PERSISTENCE].append(images)
        out[methods.PIE].append(methods.pie_states(networks, images, masks, plans, settings)[-1])
        out[methods.WALK].append(methods.walk_states(networks, images, masks, plans, settings)[-1])
        extrapolated = torch.empty_like(images)
        for finding in dict.fromkeys(plan.finding for plan in plans):
            those = [i for i, plan in enumerate(plans) if plan.finding == finding]
            extrapolated[those] = methods.extrapolation_states(
                networks, images[those], masks[those], directions[finding], len(plans[0].stages), settings
            )[-1]
        out[methods.EXTRAPOLATION].append(extrapolated)
    place = [distinct.index(key) for key in keys]
    return {name: torch.cat(parts)[place] for name, parts in out.items()}


def directions_of(networks: Networks, domain: str) -> dict[str, torch.Tensor]:
    """finding -> from healthy phantoms to those with the finding; none for "no finding"."""
    healthy, diseased = reference_sets(domain, REFERENCES)
    out = {finding: methods.latent_direction(networks, healthy, ill, "mean") for finding, ill in diseased.items()}
    out[NO_FINDING] = torch.zeros_like(next(iter(out.values())))
    return out


@torch.inference_mode()
def score(networks: Networks, visits: Sequence[Visit], ends: dict[str, torch.Tensor]) -> list[dict]:
    """A row a visit and method: MAE and SSIM in the region and in the whole, Conf of the end and of the later image."""
    outputs = list(networks.classifier.outputs)

    def read(images: torch.Tensor) -> torch.Tensor:
        return conf(networks.classifier.logits(images))

    later = torch.stack([v.later for v in visits])
    true, rows = read(later), []
    for method, pictures_ in ends.items():
        mine = read(pictures_)
        for i, visit in enumerate(visits):
            masks = {"mask": visit.region[None], "valid": visit.valid[None]}
            compared = compare(pictures_[i : i + 1], later[i : i + 1], **masks)
            at = outputs.index(visit.plan.finding) if visit.plan.finding in outputs else None
            rows.append(
                {
                    "patient": visit.patient,
                    "day": visit.day,
                    "finding": visit.plan.finding,
                    "method": method,
                    "mae_roi": float(compared["mae"]["inside"]),
                    "mae": float(compared["mae"]["whole"]),
                    "ssim_roi": float(compared["ssim"]["inside"]),
                    "ssim": float(compared["ssim"]["whole"]),
                    "conf": float(mine[i].max() if at is None else mine[i, at]),
                    "conf_later": float(true[i].max() if at is None else true[i, at]),
                    "note": visit.note,
                }
            )
    return rows
