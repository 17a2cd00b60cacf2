"""MedSAM: what lies in a box of a medical image (Ma et al., Nature Communications 15:654, 2024)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..mvg.metrics.conf import check_pictures
from .medsam_checkpoint import read_sam
from .model_patcher import load_to_device, make_patcher


class Network(torch.nn.Module):
    """transformers' SamModel behind MedSAM's preprocessing, and with its way from logits to a mask."""

    def __init__(self, sam: torch.nn.Module):
        super().__init__()
        self.sam: Any = sam

    @property
    def size(self) -> int:
        """Side in pixels of what the encoder sees: 1024 in MedSAM."""
        return self.sam.config.vision_config.image_size

    @property
    def layers(self) -> Any:
        """Those of the image encoder, in order."""
        return self.sam.vision_encoder.layers

    @property
    def memory(self) -> int:
        """Bytes that an image takes at most beside the weights: the attention over all places, thrice."""
        vision = self.sam.config.vision_config
        return 3 * 4 * vision.num_attention_heads * (vision.image_size // vision.patch_size) ** 4

    def encode(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            [B, C, h, w].

        Raises:
            ValueError: the shape is another.
        """
        return self.sam.vision_encoder(medsam_input(images, self.size)).last_hidden_state

    def decode(self, features: Tensor, boxes: Tensor, height: int, width: int) -> Tensor:
        """Masks of boxes, as MedSAM_Inference.py of the release: one a box, sigmoid, then bilinear.

        Args:
            features: [1, C, h, w] of one picture.
            boxes: [N, 4] as x0, y0, x1, y1 in pixels of the picture.
            height, width: of the picture in pixels.

        Returns:
            [N, height, width] in [0, 1].
        """
        scaled = boxes.to(features) / features.new_tensor([width, height, width, height]) * self.size
        found = self.sam(image_embeddings=features, input_boxes=scaled[None], multimask_output=False)
        return interpolate(found.pred_masks[0].sigmoid(), (height, width), mode="bilinear", align_corners=False)[:, 0]


def medsam_input(images: Tensor, size: int) -> Tensor:
    """What MedSAM's encoder sees: bicubic without regard to the aspect, each picture stretched to [0, 1].

    Args:
        images: [B, H, W, 1 or 3].
        size: side of the result in pixels.

    Returns:
        [B, 3, size, size] in [0, 1].

    Raises:
        ValueError: the shape is another.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(f"image: got {tuple(images.shape)}, want [B, H, W, C] with C = 1 or 3")
    x = images.float().movedim(-1, 1).expand(-1, 3, -1, -1)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    if x.shape[-2:] != (size, size):
        x = interpolate(x, (size, size), mode="bicubic", align_corners=False, antialias=True)
        x = torch.minimum(torch.maximum(x, low), high)  # a cubic overshoots at edges
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - low) / (high - low).clamp(min=1e-8)


@dataclass(frozen=True)
class MedSAM:
    """MedSAM's network and the host's memory management for it."""

    network: Network
    patcher: Any

    @property
    def steps(self) -> int:
        """How often `encode` tells of its progress for one image."""
        return len(self.network.layers)

    @torch.inference_mode()
    def encode(self, images: Tensor, progress: Callable[[], None] = lambda: None) -> Tensor:
        """Features of pictures, one after the other.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].
            progress: called after every layer; may raise, to cancel.

        Returns:
            [B, C, h, w] on the CPU.

        Raises:
            ValueError: the shape is another, or a picture is not finite or constant; it is named.
        """
        check_pictures(images)
        device = load_to_device(self.patcher, self.network.memory)
        with after_each(self.network.layers, progress):
            return torch.cat([self.network.encode(image.to(device)).cpu() for image in images.split(1)])

    @torch.inference_mode()
    def masks(self, features: Tensor, boxes: list[Tensor], height: int, width: int) -> Tensor:
        """A mask a picture: the union of what lies in its boxes.

        Args:
            features: [B, C, h, w], from `encode`.
            boxes: of every picture [N, 4], see `Network.decode`.
            height, width: of the pictures in pixels.

        Returns:
            [B, height, width], soft and in [0, 1], on the CPU.
        """
        device = load_to_device(self.patcher, self.network.memory)
        found = (
            self.network.decode(one.to(device), own.to(device), height, width).amax(dim=0)
            for one, own in zip(features.split(1), boxes, strict=True)
        )
        return torch.stack([mask.cpu() for mask in found])


def load_medsam(path: Path, patcher: bool = True) -> MedSAM:
    """MedSAM from a file.

    Args:
        path: as in `read_sam`.
        patcher: wrap the network in the host's ModelPatcher, so that the host moves and frees it.

    Returns:
        The network for evaluation.

    Raises:
        ValueError: see `read_sam`.
    """
    network = Network(read_sam(path))
    return MedSAM(network, make_patcher(network) if patcher else None)


@contextmanager
def after_each(layers: Any, call: Callable[[], None]) -> Iterator[None]:
    """Calls a function after each of the layers that runs in the block.

    Args:
        layers: modules.
        call: the function.

    Yields:
        Nothing.
    """

    def hook(*_: Any) -> None:
        call()

    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
