"""What the logits of a classifier mean and which pictures it wants: from its file, or from who loads it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..mvg.metrics.conf import ACTIVATIONS, IMAGENET_MEAN, IMAGENET_STD, label_key
from .weights import read_json

IMAGE_SIZE = 224
MIN_IMAGE_SIZE = 32
XRV_MEAN, XRV_STD = (0.5,), (1 / 2048,)
"""[0, 1] to the [-1024, 1024] of torchxrayvision, the one library here whose networks see one channel."""
XRV_LABELS = (
    *("Atelectasis", "Consolidation", "Infiltration", "Pneumothorax", "Edema", "Emphysema", "Fibrosis", "Effusion"),
    *("Pneumonia", "Pleural_Thickening", "Cardiomegaly", "Nodule", "Mass", "Hernia", "Lung Lesion", "Fracture"),
    *("Lung Opacity", "Enlarged Cardiomediastinum"),
)
"""The logits of all its DenseNets; where one was not trained for a finding, the threshold is NaN."""


@dataclass(frozen=True)
class Config:
    """What a file's logits mean and which pictures the network wants.

    outputs: a name a logit of Conf. image_mean, image_std: one a channel, for pixels in [0, 1]. op_threshs: a threshold
    in (0, 1) a logit, for torchxrayvision's scale; None where Conf is the activation itself. graded: whether as many
    logits follow whose sigmoid is the severity of each finding, in [0, 1].
    """

    name: str
    outputs: tuple[str, ...]
    image_size: int = IMAGE_SIZE
    activation: str = "sigmoid"
    image_mean: tuple[float, ...] = IMAGENET_MEAN
    image_std: tuple[float, ...] = IMAGENET_STD
    op_threshs: tuple[float, ...] | None = None
    graded: bool = False


def read_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file says of its logits and pictures.

    Args:
        metadata: of a safetensors file.

    Returns:
        The entries that it has, under the names of `Config`; not yet checked.

    Raises:
        ValueError: ``config`` or ``labels`` cannot be read.
    """
    told = read_json("config", metadata.get("config", "{}"))
    if not isinstance(told, dict):
        raise ValueError(f"metadata key config: got {type(told).__name__}, want a JSON object")
    labels = metadata.get("labels", "").strip()
    if labels and "outputs" not in told:
        told["outputs"] = read_json("labels", labels) if labels.startswith("[") else labels.split(",")
    return told


def describe(
    name: str, told: Mapping[str, Any], logits: int, channels: int, op_threshs: list[float] | None
) -> tuple[Config, list[int]]:
    """What the logits of a network mean.

    Args:
        name: of the network, where ``told`` has none.
        told: the entries of `Config` that are known.
        logits: how many the network has; where it is graded, the second half of them is severities.
        channels: of the pictures it sees, 1 or 3.
        op_threshs: a threshold a logit, NaN where it was not trained; None for other networks than torchxrayvision's.

    Returns:
        The meaning of the logits that were trained, and their places.

    Raises:
        ValueError: naming the entry, what it got and what it wants.
    """
    graded = _flag("graded", told.get("graded", False))
    if graded:
        _check_graded(logits, op_threshs)
    of_conf = logits // 2 if graded else logits
    labels = _labels(told.get("outputs"), of_conf, op_threshs)
    kept = [place for place, label in enumerate(labels) if label]
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else (XRV_MEAN, XRV_STD)
    config = Config(
        name=str(told.get("name", name)),
        outputs=tuple(labels[place] for place in kept),
        image_size=_image_size(told.get("image_size", IMAGE_SIZE)),
        activation=_activation(told.get("activation", "sigmoid"), len(kept), op_threshs),
        image_mean=_numbers("image_mean", told.get("image_mean", mean), channels),
        image_std=_numbers("image_std", told.get("image_std", std), channels),
        op_threshs=None if op_threshs is None else tuple(op_threshs[place] for place in kept),
        graded=graded,
    )
    if config.op_threshs and not all(0 < t < 1 for t in config.op_threshs):
        raise ValueError(f"op_threshs: got {list(config.op_threshs)}, want numbers between 0 and 1")
    if min(config.image_std) <= 0:
        raise ValueError(f"image_std: got {list(config.image_std)}, want numbers above 0")
    return config, [*kept, *range(of_conf, logits)]


def _check_graded(logits: int, op_threshs: list[float] | None) -> None:
    """ValueError where the logits of a graded network cannot be one for Conf and one for the severity a finding."""
    if op_threshs is not None:
        raise ValueError("graded: got true, want false, as the file has op_threshs")
    if logits % 2:
        raise ValueError(f"graded: got {logits} logits, want two a finding: all of Conf, then all of the severity")


def _labels(given: Any, logits: int, op_threshs: list[float] | None) -> list[str]:
    """A label a logit; "" where it was not trained, which a threshold of NaN tells."""
    untrained = [op_threshs is not None and math.isnan(op_threshs[place]) for place in range(logits)]
    if given is None and op_threshs is not None and logits == len(XRV_LABELS):
        given = ["" if skipped else label for label, skipped in zip(XRV_LABELS, untrained, strict=True)]
    if given is None:
        raise ValueError(f"labels: got none, want {logits} between commas, in the order of the logits")
    if not isinstance(given, list) or not all(isinstance(label, str) for label in given):
        raise ValueError(f"labels: got {given!r}, want a list of {logits} names")
    labels = [label.strip() for label in given]
    if len(labels) != logits:
        raise ValueError(f"labels: got {len(labels)} ({', '.join(labels)}), want {logits}, one a logit, in their order")
    seen: set[str] = set()
    for number, (label, skipped) in enumerate(zip(labels, untrained, strict=True), start=1):
        if not label and not skipped:
            raise ValueError(f"labels: number {number} of {logits} is empty, want a name")
        if label and skipped:
            raise ValueError(
                f"labels: got {label!r} for number {number} of {logits}, which was not trained (its threshold is NaN); "
                "want it empty"
            )
        if label and label_key(label) in seen:
            raise ValueError(f"labels: got {label!r} twice, want names that differ")
        seen.add(label_key(label))
    if not any(labels):
        raise ValueError("labels: all are empty, want one at least")
    return labels


def _activation(given: Any, outputs: int, op_threshs: list[float] | None) -> str:
    if given not in ACTIVATIONS:
        raise ValueError(f"activation: got {given!r}, want {' or '.join(ACTIVATIONS)}")
    if given == "softmax" and outputs == 1:
        raise ValueError("activation: got softmax for one logit, which is 1 for every picture; want sigmoid")
    if given == "softmax" and op_threshs is not None:
        raise ValueError("activation: got softmax, want sigmoid, as the file has op_threshs")
    return given


def _image_size(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < MIN_IMAGE_SIZE:
        raise ValueError(f"image_size: got {given!r}, want a whole number from {MIN_IMAGE_SIZE}")
    return given


def _flag(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"{name}: got {given!r}, want true or false")
    return given


def _numbers(name: str, given: Any, count: int) -> tuple[float, ...]:
    if not isinstance(given, list | tuple) or len(given) != count:
        raise ValueError(f"{name}: got {given!r}, want {count} numbers, one a channel")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in given):
        raise ValueError(f"{name}: got {given!r}, want finite numbers")
    return tuple(float(v) for v in given)
