"""SEINE's network at a small size with random weights, for tests of what it is and where it runs."""

import torch
from mvgen.models.seine.config import Config
from mvgen.models.seine.unet import UNet3D

TINY = Config(
    block_out_channels=(32, 64),
    layers_per_block=1,
    heads=(1, 2),
    down_attention=(True, False),
    up_attention=(False, True),
    norm_num_groups=8,
    cross_attention_dim=24,
)


def random_network(config: Config = TINY, seed: int = 0) -> UNet3D:
    """Every parameter is random, those that a fresh network has at zero or one too."""
    network = UNet3D(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                scale = 0.3 if parameter.ndim < 2 else 0.7 / parameter[0].numel() ** 0.5
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
                parameter += 1.0 if "norm" in name and name.endswith("weight") else 0.0
    return network


def text(seed: int, batch: int = 1, tokens: int = 7, width: int = TINY.cross_attention_dim) -> torch.Tensor:
    return torch.randn(batch, tokens, width, generator=torch.Generator().manual_seed(seed))
