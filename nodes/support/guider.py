"""A guider that draws a severity: the neighboring words of a scale, mixed by where it lies between them."""

from itertools import groupby
from typing import Any

import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher

from ...models.embedded.loader import SEVERITY as TRAINED
from ...models.severity_clip import mix_entries
from ...mvg.severity import between
from ...mvg.severity_prompt import TEXT

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


def between_words(lower: Conditioning, upper: Conditioning, share: float) -> Conditioning:
    """The embeddings a share of the way from those of one word to those of the next.

    Raises:
        ValueError: they are not as many, or of different lengths.
    """
    if len(lower) != len(upper):
        raise ValueError(f"scale: got {len(lower)} and {len(upper)} prompts of neighboring severities, want as many")
    return [mix_entries(entries, [1 - share, share]) for entries in zip(lower, upper, strict=True)]


class SeverityGuider(comfy.samplers.CFGGuider):
    """Classifier-free guidance towards a severity between two words.

    D = U + w * ((1 - t) * D_lower + t * D_upper - U), U being the unguided prediction and t the share of the way from
    the word below the severity to the one above. A model that was trained on embeddings between the words is given the
    embedding at t in place of both.
    """

    def __init__(
        self, model: ModelPatcher, scale: Conditioning, negative: Conditioning, severity: float, guidance: float
    ):
        super().__init__(model)
        words = scale_of(scale)
        place = between([word for word, _ in words], severity)
        lower, upper, self.share = words[place.lower][1], words[place.upper][1], place.share
        if self.share > 0 and model.attachments.get(TRAINED) == TEXT:
            lower = between_words(lower, upper, self.share)
            self.share = 0.0
        self.inner_set_conds({"lower": lower, "upper": upper, "negative": negative})
        self.set_cfg(guidance)

    def predict_noise(
        self,
        x: torch.Tensor,
        timestep: torch.Tensor,
        model_options: dict = {},  # noqa: B006 - as the host's own
        seed: int | None = None,
    ) -> torch.Tensor:
        share = self.share
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
