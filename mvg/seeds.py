"""Seeds that depend on what is drawn alone, so that a row or a clip comes out the same in a batch and by itself."""

import hashlib

import torch


def generator(*key: int | str) -> torch.Generator:
    """A CPU generator for one draw.

    Args:
        key: what the draw depends on, such as the user's seed and the number of the stage.

    Returns:
        A generator seeded with a 63-bit hash of the key: neighboring keys give unrelated numbers.
    """
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
