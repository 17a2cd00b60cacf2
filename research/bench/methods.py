"""PIE and the paper's two baselines on batches of patients, every one under the same weights and the same ROI blend.

Each returns the states [N + 1, B, H, W, 3] of B patients that advance as one batch; a patient's do not depend on the
others but by rounding. ``settings`` has the inputs of MVG_PIELoop by name.
"""

from collections.abc import Sequence

import torch

from ...mvg import baselines, pie, roi
from ...mvg.ddim import VP, ddim_invert
from ...mvg.plan import Plan
from ...mvg.severity import PROBES, SPACINGS, TOO_LITTLE, between, changes, equal_change, equal_reading, probe_steps
from .networks import Networks

PIE, WALK, EXTRAPOLATION = "PIE", "SD Walk", "Extrapolation"
METHODS = (EXTRAPOLATION, WALK, PIE)
TRUTH = "true course"


class Start:
    """What all methods start from: pictures [B, H, W, 3], latents, and the region at both sizes (None: everywhere)."""

    def __init__(self, networks: Networks, images: torch.Tensor, masks: torch.Tensor | None, settings: dict):
        self.networks, self.images, self.masks, self.settings = networks, images, masks, settings
        self.x_0 = networks.encode(images)
        self.inside = None if masks is None else roi.latent_mask(masks, self.x_0)
        exact = settings["composite"] and masks is not None
        self.decoded = networks.decode(self.x_0) if exact else None

    def sigmas(self, steps: int | None = None) -> torch.Tensor:
        """Those of T = ``steps``, by default of the settings."""
        steps = steps or self.settings["steps"]
        return self.networks.sigmas(self.settings["scheduler"], steps, pie.n_inverted(steps, self.settings["gamma"]))

    def betas(self) -> dict:
        return {"mask": self.inside, "beta_1": self.settings["beta_1"], "beta_2": self.settings["beta_2"]}

    def picture(self, x: torch.Tensor) -> torch.Tensor:
        """As MVG_PIELoop shows a stage: outside the region the input's own pixels, inside it the lost detail back."""
        picture = self.networks.decode(x)
        if self.masks is not None and self.decoded is not None:
            picture = roi.composite(picture, self.images, self.masks, self.settings["beta_1"], 1.0, self.decoded)
        if not torch.isfinite(picture).all():
            raise FloatingPointError("states: got values that are not finite (NaN)")
        return picture


@torch.inference_mode()
def pie_states(
    networks: Networks, images: torch.Tensor, masks: torch.Tensor | None, plans: Sequence[Plan], settings: dict
) -> torch.Tensor:
    """As MVG_PIELoop makes them; every plan has as many stages, and all have a scale or none."""
    if any(plan.scale for plan in plans):
        return severity_states(networks, images, masks, plans, settings)
    start = Start(networks, images, masks, settings)
    sigmas, x, states = start.sigmas(), start.x_0, [images]
    for n in range(len(plans[0].stages)):
        stages = [plan.stages[n] for plan in plans]
        cond, source = (networks.text([getattr(stage, name) for stage in stages]) for name in ("prompt", "source"))
        negative = networks.text([plan.unguided(stage) for plan, stage in zip(plans, stages, strict=True)])
        x = pie.pie_stage(
            x,
            start.x_0,
            sigmas,
            invert=pie.direct_run(networks.denoiser(source, source, 1.0)),
            denoise=pie.direct_run(networks.denoiser(cond, negative, settings["guidance"])),
            mode=settings["mode"],
            refine=settings["refine"],
            noise=pie.stage_noise(x.shape, settings["seed"], n + 1),
            stage=n + 1,
            **start.betas(),
        )
        states.append(start.picture(x))
    return torch.stack(states)


class GradedStages:
    """Stages of B patients at severities of their own, from one inversion of each image."""

    def __init__(self, start: Start, plans: Sequence[Plan], steps: int, refine: int):
        self.start, self.plans, self.networks = start, plans, start.networks
        self.sigmas = start.sigmas(steps)
        source = self.networks.text([plan.stages[0].source for plan in plans])
        invert = pie.direct_run(self.networks.denoiser(source, source, 1.0))
        up = invert(ddim_invert, start.x_0, None, self.sigmas.flip(0), refine=refine)
        self.noise_map = up / VP.scale(float(self.sigmas[0]))
        self.negative = self.networks.text([plan.unguided(plan.stages[0]) for plan in plans])

    def at(self, severities: Sequence[float], stage: int | None = None) -> torch.Tensor:
        """Latents, patient b at severities[b]."""
        scales = [[grade.severity for grade in plan.scale] for plan in self.plans]
        places = [between(scale, severity) for scale, severity in zip(scales, severities, strict=True)]
        lower, upper = (
            self.networks.text([plan.scale[getattr(p, n)].prompt for plan, p in zip(self.plans, places, strict=True)])
            for n in ("lower", "upper")
        )
        shares, guidance = torch.tensor([place.share for place in places]), self.start.settings["guidance"]
        denoise = pie.direct_run(self.networks.graded_denoiser(lower, upper, shares, self.negative, guidance))
        start = self.start
        return pie.severity_stage(self.noise_map, start.x_0, self.sigmas, denoise=denoise, stage=stage, **start.betas())


@torch.inference_mode()
def severity_states(
    networks: Networks, images: torch.Tensor, masks: torch.Tensor | None, plans: Sequence[Plan], settings: dict
) -> torch.Tensor:
    """As MVG_PIELoop makes them of plans of mode severity."""
    start, states = Start(networks, images, masks, settings), [images]
    asked = placed(start, plans)
    stages = GradedStages(start, plans, settings["steps"], settings["refine"])
    for n in range(len(plans[0].stages)):
        states.append(start.picture(stages.at([severities[n] for severities in asked], n + 1)))
    return torch.stack(states)


@torch.inference_mode()
def placed(start: Start, plans: Sequence[Plan]) -> list[list[float]]:
    """The severities that every patient's stages are drawn at, as MVG_StageSpacing finds them for one patient.

    As planned where the model does not answer to the prompt.
    """
    planned = [[stage.severity for stage in plan.stages] for plan in plans]
    spacing = start.settings.get("spacing", SPACINGS[0])
    if spacing == SPACINGS[0] or len(plans[0].scale) == 1:
        return planned
    probes = GradedStages(start, plans, probe_steps(spacing, start.settings["steps"]), refine=1)
    probed = [[severities[-1] * n / PROBES for n in range(PROBES + 1)] for severities in planned]
    pictures = [start.networks.decode(probes.at(severities)) for severities in zip(*probed, strict=True)]
    asked = []
    for b, severities in enumerate(planned):
        own = [picture[b : b + 1] for picture in pictures]
        seen = changes([picture[0] for picture in own], None if start.masks is None else start.masks[b])
        if sum(seen) < TOO_LITTLE:
            asked.append(severities)
        elif spacing == "equal change":
            asked.append(equal_change(probed[b], seen, len(severities)))
        else:
            asked.append(read_as_planned(start, plans[b], b, probed[b], own))
    return asked


def read_as_planned(start: Start, plan: Plan, b: int, probed: list[float], pictures: list[torch.Tensor]) -> list[float]:
    """The severities of patient b at which the product's classifier, never the bench's reader, reads the plan's."""
    from ...nodes.progression.spacing import severity_reader

    read = severity_reader(start.networks.classifier, plan.finding)
    assert read is not None, "the embedded classifier reads every finding of its domain"
    one = slice(b, b + 1)
    alone = Start(start.networks, start.images[one], None if start.masks is None else start.masks[one], start.settings)
    probe = GradedStages(alone, [plan], start.settings["steps"], refine=1)
    wanted = [stage.severity for stage in plan.stages]
    return equal_reading(
        wanted, probed, list(map(read, pictures)), lambda s: read(start.networks.decode(probe.at([s])))
    )


@torch.inference_mode()
def walk_states(
    networks: Networks, images: torch.Tensor, masks: torch.Tensor | None, plans: Sequence[Plan], settings: dict
) -> torch.Tensor:
    """As MVG_SDWalk makes them: every stage from the input image, words and noise on the way (section 5.1)."""
    start = Start(networks, images, masks, settings)
    sigmas, states = start.sigmas(), [images]
    healthy = networks.text([plan.stages[0].source for plan in plans])
    disease = networks.text([plan.stages[-1].prompt for plan in plans])
    negative = networks.text([plan.unguided(plan.stages[0]) for plan in plans])
    noise = pie.stage_noise(start.x_0.shape, settings["seed"], 0)
    count = len(plans[0].stages)
    for n in range(1, count + 1):
        words = baselines.walk_text(healthy, disease, n, count)
        run = pie.direct_run(networks.denoiser(words, negative, settings["guidance"]))
        x = baselines.walk_stage(start.x_0, sigmas, n, count, denoise=run, noise=noise, **start.betas())
        states.append(start.picture(x))
    return torch.stack(states)


@torch.inference_mode()
def extrapolation_states(
    networks: Networks,
    images: torch.Tensor,
    masks: torch.Tensor | None,
    direction: torch.Tensor,
    stages: int,
    settings: dict,
) -> torch.Tensor:
    """As MVG_Extrapolation makes them: stage N lies ``reach`` times the direction away (section 5.1)."""
    start = Start(networks, images, masks, settings)
    step, states = settings.get("reach", 1.0) / stages, [images]
    for n in range(1, stages + 1):
        x = baselines.extrapolate(start.x_0, direction.to(start.x_0), n, step, **start.betas())
        states.append(start.picture(x))
    return torch.stack(states)


@torch.inference_mode()
def latent_direction(networks: Networks, healthy: torch.Tensor, diseased: torch.Tensor, method: str) -> torch.Tensor:
    """From pictures [n, H, W, 3] without and with the disease, in latents."""
    return baselines.direction(networks.encode(healthy), networks.encode(diseased), method)
