"""A DenseNet with one logit a finding, or two: the classifier behind the score Conf and the severity beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..mvg.finite import check_finite
from ..mvg.metrics.conf import check_pictures, classifier_input, conf
from .classifier_checkpoint import read_classifier
from .classifier_config import Config
from .model_patcher import load_to_device, make_patcher


class DenseNet(torch.nn.Module):
    """torchvision's DenseNet behind the preprocessing it was trained with."""

    def __init__(self, network: torch.nn.Module, config: Config):
        super().__init__()
        self.densenet = network
        self.config = config

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of pictures, resized bilinearly to ``image_size`` squared and normalized as the file says.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            [B, outputs], of a graded network [B, 2 * outputs]: those of Conf, then those of the severity.

        Raises:
            ValueError: the shape is another.
        """
        config = self.config
        return self.densenet(classifier_input(images, config.image_size, config.image_mean, config.image_std))


@dataclass(frozen=True)
class Classifier:
    """What an MVG_CLASSIFIER socket carries: a network, its names and the host's memory management for it."""

    network: DenseNet
    patcher: Any

    @property
    def name(self) -> str:
        """The network's name, as scores state it."""
        return self.network.config.name

    @property
    def outputs(self) -> tuple[str, ...]:
        """The findings, in the order of the logits of Conf."""
        return self.network.config.outputs

    @property
    def scale(self) -> str:
        """What Conf is: a "probability", or torchxrayvision's scale with 0.5 at the "operating point"."""
        return "probability" if self.network.config.op_threshs is None else "operating point"

    @property
    def graded(self) -> bool:
        """Whether it reads how severe a finding is, and not only how sure it is of it."""
        return self.network.config.graded

    @torch.inference_mode()
    def _all_logits(self, images: torch.Tensor, batch: int = 32) -> torch.Tensor:
        """Of a graded network those of the severity too."""
        device = load_to_device(self.patcher)
        parts = [self.network(part.to(device, torch.float32)).cpu() for part in images.split(batch)]
        return torch.cat(parts)

    def logits(self, images: torch.Tensor, batch: int = 32) -> torch.Tensor:
        """Logits of Conf, of so many pictures at a time.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].
            batch: pictures that the network sees at once.

        Returns:
            [B, outputs] on the CPU.

        Raises:
            ValueError: the shape is another.
        """
        return self._all_logits(images, batch)[:, : len(self.outputs)]

    def read(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What it reads of every finding: the score Conf (section 5), on `scale`, and the severity.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            Conf and severity, [B, outputs] in [0, 1] each, on the CPU; None for the severity where it is not graded.

        Raises:
            ValueError: naming a picture that is not finite or one colour all over, or whose logits are not finite.
        """
        check_pictures(images)
        logits = self._all_logits(images)
        check_finite("logits", logits)
        config, count = self.network.config, len(self.outputs)
        confidence = conf(logits[:, :count], config.activation, config.op_threshs)
        return confidence, torch.sigmoid(logits[:, count:]) if self.graded else None

    def conf(self, images: torch.Tensor) -> torch.Tensor:
        """The first of `read`."""
        return self.read(images)[0]

    def severity(self, images: torch.Tensor) -> torch.Tensor:
        """The second of `read`.

        Args:
            images: [B, H, W, 1 or 3] in [0, 1].

        Returns:
            [B, outputs] in [0, 1], on the CPU.

        Raises:
            ValueError: as `read`, or it is not graded.
        """
        severity = self.read(images)[1]
        if severity is None:
            raise ValueError(f"classifier: got {self.name}, which reads no severities, want a graded one")
        return severity


def load_densenet(
    path: Path, patcher: bool = True, *, labels: str = "", activation: str = "", image_size: int = 0
) -> Classifier:
    """The classifier of a file.

    Args:
        path, labels, activation, image_size: as in `read_classifier`.
        patcher: wrap the network in the host's ModelPatcher, so that the host moves and frees it.

    Returns:
        The classifier, for evaluation.

    Raises:
        ValueError: see `read_classifier`.
    """
    network = DenseNet(*read_classifier(path, labels=labels, activation=activation, image_size=image_size))
    return Classifier(network, make_patcher(network) if patcher else None)
