"""A guider that draws a severity: the predictions of the neighboring words of a scale, mixed by where it lies."""

from itertools import groupby
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher

from ...mvg.severity import Between, between

SEVERITY = "mvg_severity"
"""What an entry of a CONDITIONING says of its own severity; the host carries it along and the network never sees it."""

Conditioning = list[list[Any]]


def with_severity(conditioning: Conditioning, severity: float) -> Conditioning:
    """The conditioning with a word for how severe what it describes is, in [0, 1]."""
    return [[text, {**more, SEVERITY: severity}] for text, more in conditioning]


def scale_of(conditioning: Conditioning) -> list[tuple[float, Conditioning]]:
    """The severities of a combined conditioning in rising order, each with its own entries.

    Raises:
        ValueError: an entry without a severity.
    """
    for _, more in conditioning:
        if SEVERITY not in more:
            raise ValueError("scale: got a conditioning without severity, want each from Conditioning Severity")
    ordered = sorted(conditioning, key=lambda entry: entry[1][SEVERITY])
    return [(severity, list(entries)) for severity, entries in groupby(ordered, key=lambda entry: entry[1][SEVERITY])]


class SeverityGuider(comfy.samplers.CFGGuider):
    """Classifier-free guidance towards a severity between two words.

    D = U + w * ((1 - t) * D_lower + t * D_upper - U), U being the unguided prediction and t the share of the way from
    the word below the severity to the one above.
    """

    def __init__(
        self, model: ModelPatcher, scale: Conditioning, negative: Conditioning, severity: float, guidance: float
    ):
        super().__init__(model)
        words = scale_of(scale)
        self.place: Between = between([word for word, _ in words], severity)
        self.inner_set_conds(
            {"lower": words[self.place.lower][1], "upper": words[self.place.upper][1], "negative": negative}
        )
        self.set_cfg(guidance)

    def predict_noise(
        self,
        x: torch.Tensor,
        timestep: torch.Tensor,
        model_options: dict = {},  # noqa: B006 - as the host's own
        seed: int | None = None,
    ) -> torch.Tensor:
        share = self.place.share
        lower, upper, negative = (self.conds[name] for name in ("lower", "upper", "negative"))
        wanted = [lower, upper if share > 0 else None, negative if self.cfg != 1 else None]
        out = comfy.samplers.calc_cond_batch(self.inner_model, wanted, x, timestep, model_options)
        towards = torch.lerp(out[0], out[1], share) if share > 0 else out[0]
        return comfy.samplers.cfg_function(
            self.inner_model,
            towards,
            out[2],
            self.cfg,
            x,
            timestep,
            model_options=model_options,
            cond=lower,
            uncond=negative,
        )
