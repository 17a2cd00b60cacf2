"""A CLIP of the host that reads severities as numbers: see `mvg.severity_prompt`."""

from typing import Any

import comfy.sd

from ..mvg.severity_prompt import mix, weighted_prompts

MIXED = "mvg_mixed"
"""Beside a prompt's tokens: (tokens, weight) of every prompt in words that it is the mean of."""


class SeverityCLIP(comfy.sd.CLIP):
    """The text encoder that it is made of, for which a prompt without numbers stays what it was."""

    @classmethod
    def of(cls, clip: comfy.sd.CLIP) -> "SeverityCLIP":
        """A CLIP with the parts of another.

        Args:
            clip: of any family.
        """
        made = cls(no_init=True)
        made.__dict__.update(clip.__dict__)
        return made

    def clone(self, *args: Any, **options: Any) -> "SeverityCLIP":
        """As the host's: LoRA and other patches are put on a clone."""
        return self.of(super().clone(*args, **options))

    def tokenize(self, text: str, return_word_ids: bool = False, **options: Any) -> dict[str, Any]:
        """As the host's.

        Raises:
            ValueError: see `weighted_prompts`.
        """
        prompts = weighted_prompts(text)
        tokens = [super(SeverityCLIP, self).tokenize(p.prompt, return_word_ids, **options) for p in prompts]
        if len(prompts) == 1:
            return tokens[0]
        return {**tokens[0], MIXED: [(held, p.weight) for held, p in zip(tokens, prompts, strict=True)]}

    def encode_from_tokens_scheduled(self, tokens: dict[str, Any], *args: Any, **options: Any) -> list:
        """As the host's.

        Raises:
            ValueError: the embeddings of the prompts in words are of different lengths.
        """
        encode = super().encode_from_tokens_scheduled
        if MIXED not in tokens:
            return encode(tokens, *args, **options)
        conditionings = [encode(held, *args, **options) for held, _ in tokens[MIXED]]
        weights = [weight for _, weight in tokens[MIXED]]
        return [mix_entries(entries, weights) for entries in zip(*conditionings, strict=True)]

    def encode_from_tokens(self, tokens: dict[str, Any], return_pooled: Any = False, return_dict: bool = False) -> Any:
        """As the host's.

        Raises:
            ValueError: as `encode_from_tokens_scheduled`.
        """
        encode = super().encode_from_tokens
        if MIXED not in tokens:
            return encode(tokens, return_pooled, return_dict)
        weights = [weight for _, weight in tokens[MIXED]]
        dicts = [encode(held, return_pooled, return_dict=True) for held, _ in tokens[MIXED]]
        cond, more = mix_entries([[held.pop("cond"), held] for held in dicts], weights)
        if return_dict:
            return {"cond": cond, **more}
        return (cond, more["pooled_output"]) if return_pooled else cond


def mix_entries(entries: Any, weights: list[float]) -> list[Any]:
    """Entries of a CONDITIONING as one: their mean, and that of their pooled outputs; all else is the first's.

    Args:
        entries: [embedding, its dictionary] each.
        weights: one each, which sum to 1.

    Returns:
        [embedding, dictionary].

    Raises:
        ValueError: see `mix`.
    """
    embeddings, dictionaries = zip(*entries, strict=True)
    pooled = [more.get("pooled_output") for more in dictionaries]
    more = dict(dictionaries[0])
    if all(output is not None for output in pooled):
        more["pooled_output"] = mix(pooled, weights)
    return [mix(embeddings, weights), more]
