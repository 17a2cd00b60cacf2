"""Prompts whose severities are numbers: what they mean to a text encoder that knows the severity words alone.

"frontal chest x-ray, 0.43 left pleural effusion" is the mean of the embeddings of the prompts with the words next to
0.43, weighted by where it lies between them. A diffusion model that was trained so draws severities that have no word.
"""

import math
import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from torch import Tensor

from .domains import BUILT_IN
from .domains.domain import Domain
from .severity import between

MOST = 3
"""Numbers in one prompt: each doubles the prompts that are encoded."""
TEXT = "text"
"""What the metadata key ``severity`` of a model says that was trained on prompts whose severities are numbers."""
_PART = re.compile(r"\s*(0|1|0?\.\d+|[01]\.\d*)\s+(?=\S)")
"""How a part of a prompt between commas begins that has a number for its severity."""


class Weighted(NamedTuple):
    """A prompt in words and its share of the mean."""

    prompt: str
    weight: float


def weighted_prompts(prompt: str) -> list[Weighted]:
    """The prompts in words whose embeddings a prompt with numbers is the mean of.

    Args:
        prompt: a domain's prefix, then findings between commas, each with a word for its severity or a number in
            [0, 1] in its place.

    Returns:
        Prompts with weights that sum to 1: of a prompt without numbers itself alone, else two for every number between
        two words. Below the mildest word lies the prompt without the finding; above the most severe is as that.

    Raises:
        ValueError: a number above 1, or too many numbers.
    """
    head, *parts = prompt.split(",")
    domain = next((d for d in BUILT_IN.values() if head.strip() in d.prefixes), None)
    numbers = [] if domain is None else [n for n, part in enumerate(parts) if _PART.match(part)]
    if domain is None or not numbers:
        return [Weighted(prompt, 1.0)]
    if len(numbers) > MOST:
        raise ValueError(f"prompt: got {len(numbers)} severities as numbers, want at most {MOST}: {prompt!r}")
    said = [_words(domain, part) if n in numbers else [(part.strip(), 1.0)] for n, part in enumerate(parts)]
    mixed = []
    for chosen in product(*said):
        findings = [text for text, _ in chosen if text] or [domain.normal[0]]
        mixed.append(Weighted(", ".join([head.strip(), *findings]), math.prod(share for _, share in chosen)))
    return mixed


def _words(domain: Domain, part: str) -> list[tuple[str, float]]:
    """A finding with a number as itself with the words next to it, "" for without it, and their shares."""
    found = _PART.match(part)
    assert found
    severity, finding = float(found[1]), part[found.end() :].strip()
    if severity > 1:
        raise ValueError(f"prompt: got a severity of {found[1]} ({finding}), want a number in [0, 1]")
    words = {"": 0.0, **domain.severities}
    scale = list(words.values())
    place = between(scale, min(severity, scale[-1]))
    said = [f"{word} {finding}" if word else "" for word in words]
    if place.share == 0:
        return [(said[place.lower], 1.0)]
    return [(said[place.lower], 1 - place.share), (said[place.upper], place.share)]


def mix(embeddings: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The mean of embeddings of one shape.

    Args:
        embeddings: one a prompt.
        weights: one each, which sum to 1.

    Returns:
        A tensor of their shape; a single one as it is.

    Raises:
        ValueError: they are of different lengths, as of prompts on both sides of what a text encoder takes at once.
    """
    lengths = {embedding.shape[-2] for embedding in embeddings if embedding.ndim > 1}
    if len(lengths) > 1:
        got = " and ".join(map(str, sorted(lengths)))
        raise ValueError(f"prompt: got {got} tokens for neighboring severities, want as many; shorten it")
    mixed = embeddings[0] * weights[0] if len(embeddings) > 1 else embeddings[0]
    for embedding, weight in zip(embeddings[1:], weights[1:], strict=True):
        mixed = mixed + embedding * weight
    return mixed
