"""Token ids of captions as the host's SD1 tokenizer makes them, and what a text tower makes of them.

Ids are start, words, then end tokens up to 77. A caption whose severities are numbers is encoded as the host's CLIP
does it, see `models.severity_clip`.
"""

from collections.abc import Iterable
from functools import lru_cache

import torch

from ..models.standalone_host import host_folder
from ..mvg.severity_prompt import mix, weighted_prompts

START, END, LENGTH = 49406, 49407, 77


@lru_cache(maxsize=1)
def _tokenizer():
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(host_folder() / "comfy" / "sd1_tokenizer")


@lru_cache(maxsize=200_000)
def _ids(caption: str) -> tuple[int, ...]:
    ids = _tokenizer()(caption)["input_ids"][1:-1]
    if len(ids) > LENGTH - 2:
        raise ValueError(f"caption: {len(ids)} tokens, at most {LENGTH - 2} fit: {caption!r}")
    return (START, *ids, *[END] * (LENGTH - 1 - len(ids)))


def tokenize(captions: list[str]) -> torch.Tensor:
    """[B, 77] int64."""
    return torch.tensor([_ids(c) for c in captions])


def encode(text_model: torch.nn.Module, captions: list[str], device: str | torch.device) -> torch.Tensor:
    """What a diffusion model is conditioned on.

    Args:
        text_model: of transformers' CLIP text tower.
        captions: in words, or with severities as numbers.
        device: where it is.

    Returns:
        [B, 77, width], with gradients.
    """
    prompts = [weighted_prompts(caption) for caption in captions]
    plain = list(dict.fromkeys(p.prompt for weighted in prompts for p in weighted))
    hidden = text_model(tokenize(plain).to(device)).last_hidden_state
    rows = dict(zip(plain, hidden, strict=True))
    return torch.stack([mix([rows[p.prompt] for p in weighted], [p.weight for p in weighted]) for weighted in prompts])


def seen(captions: list[str]) -> set[int]:
    return {i for c in captions for i in _ids(c)}


def vocabulary(texts: Iterable[str]) -> set[int]:
    """Every token of these texts and of an empty caption."""
    return seen(["", ",", *texts])
