"""CLIP-I: how near the patient stays to the first image (section 5). Name the CLIP model with the figure."""

from torch import Tensor
from torch.nn.functional import cosine_similarity


def clip_i_per_stage(embeddings: Tensor, reference: Tensor) -> Tensor:
    """How near each stage stays to the first image (section 5).

    Args:
        embeddings: CLIP image embeddings of x_1 .. x_N [N, D].
        reference: that of x_0, [D] or [1, D].

    Returns:
        Cosines [N] in [-1, 1], float64.

    Raises:
        ValueError: the widths differ.
    """
    reference = reference.reshape(1, -1)
    if embeddings.ndim != 2 or embeddings.shape[1] != reference.shape[1]:
        raise ValueError(f"embeddings: got {tuple(embeddings.shape)}, want [N, {reference.shape[1]}]")
    return cosine_similarity(embeddings.double(), reference.double(), dim=1)


def clip_i(embeddings: Tensor, reference: Tensor) -> float:
    """CLIP-I: the mean of `clip_i_per_stage` (section 5).

    Args:
        embeddings: CLIP image embeddings of x_1 .. x_N [N, D].
        reference: that of x_0, [D] or [1, D].

    Returns:
        A number in [-1, 1].

    Raises:
        ValueError: there is no stage, or the widths differ.
    """
    if len(embeddings) < 1:
        raise ValueError("embeddings: got 0 stages, want at least 1 for CLIP-I")
    return float(clip_i_per_stage(embeddings, reference).mean())
