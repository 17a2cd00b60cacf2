"""A DenseNet classifier from a file: weights as torchvision, LibAUC or torchxrayvision name them, and their labels."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import weights
from .classifier_config import Config, describe, read_metadata

LAYOUTS = "the state dict of a DenseNet of torchvision, LibAUC or torchxrayvision"
NEVER = (
    ", nor is a whole pickled network, such as torchxrayvision publishes; the help of Load Classifier tells how to "
    "save its state dict"
)
NESTED = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the state dict next to an optimizer and the like."""
STEM = "features.conv0.weight"
OP_THRESHS = "op_threshs"
OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""As torchvision, and LibAUC after it, names layers since dots may not stand in names: norm.1 is norm1."""


def read_classifier(
    path: Path, *, labels: str = "", activation: str = "", image_size: int = 0
) -> tuple[nn.Module, Config]:
    """A DenseNet from a file; its shape (DenseNet-121, 169 and so on) is read off the tensors.

    Args:
        path: .safetensors, whose metadata key ``config`` (JSON: outputs, activation, image_size, image_mean,
            image_std, name) or ``labels`` (a JSON list, or names between commas) may say what the logits mean; or a
            file of torch.save, read as tensors alone (code in it is refused, never run).
        labels: a name a logit, between commas; goes before what the file says, as the next two do.
        activation: "sigmoid" or "softmax".
        image_size: side in pixels of what the network sees, from 32.

    Returns:
        torchvision's DenseNet with the file's weights in fp32, for evaluation, and what its logits mean.

    Raises:
        ValueError: naming the file, and the tensor or entry that is missing, of another shape or makes no sense.
    """
    with weights.errors_naming(path):
        held, metadata = weights.read_named(path, LAYOUTS, NEVER)
        state = torchvision_state(held)
        weights.check_plain(state)
        told = read_metadata(metadata)
        told |= {k: v for k, v in (("activation", activation), ("image_size", image_size)) if v}
        if labels.strip():
            told["outputs"] = labels.split(",")
        state, config = _describe(path.stem, state, told)
        with weights.on_meta_device(len(state)):
            network = _build(state)
        _check(state, network)
    network.to_empty(device="cpu")
    network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in state.items()})
    return network.eval().requires_grad_(False), config


def torchvision_state(held: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint under torchvision's names; op_threshs of torchxrayvision stays among them.

    Undone are a nesting (state_dict, model), a prefix (module. of DataParallel, model. of Lightning), the layer names
    of old torchvisions and the classifier.0 of CheXNet's Sequential.

    Args:
        held: what the file holds, by name.

    Returns:
        Its tensors by name.

    Raises:
        ValueError: these are no weights of a DenseNet.
    """
    places = [held, *(held[key] for key in NESTED if isinstance(held.get(key), Mapping))]
    stems = ((place, name) for place in places for name in place if str(name).endswith(STEM))
    tensors, stem = next(stems, ({}, ""))
    if not stem:
        where = f"at the top or under {' or '.join(NESTED)}"
        raise ValueError(f"no DenseNet: got {weights.first_names(held)}, without {STEM}; want {LAYOUTS}, {where}")
    prefix = stem.removesuffix(STEM)
    state = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"{name}: got {type(tensor).__name__}, want a tensor, as in {LAYOUTS}")
        name = OLD_NAME.sub(r"\1\2", name.removeprefix(prefix))
        state[name.replace("classifier.0.", "classifier.")] = tensor
    return state


def convert(path: Path, *, labels: str, activation: str = "", image_size: int = 0, overwrite: bool = False) -> Path:
    """Writes a classifier beside itself as safetensors that says what its logits mean.

    Args:
        path, labels, activation, image_size: as in `read_classifier`.
        overwrite: whether an earlier safetensors file of its name may go.

    Returns:
        The new file.

    Raises:
        ValueError: it is no such classifier, safetensors already, or the new file exists and ``overwrite`` is off.
    """

    def read() -> tuple[dict[str, Tensor], dict[str, Any]]:
        network, config = read_classifier(path, labels=labels, activation=activation, image_size=image_size)
        state, told = network.state_dict(), asdict(config)
        if op_threshs := told.pop(OP_THRESHS):
            state[OP_THRESHS] = torch.tensor(op_threshs)
        return state, told

    return weights.convert(path, read, "model.pth", overwrite=overwrite)


def _describe(name: str, state: dict[str, Tensor], told: Mapping[str, Any]) -> tuple[dict[str, Tensor], Config]:
    """-> (tensors without thresholds and without the logits that no finding has, what the others mean)."""
    state = dict(state)
    weight, stem = state.get("classifier.weight"), state[STEM]
    if weight is None or weight.ndim != 2:
        raise ValueError(f"no classifier.weight [logits, features], want {LAYOUTS}")
    if stem.ndim != 4 or stem.shape[1] not in (1, 3):
        raise ValueError(f"{STEM}: got {list(stem.shape)}, want [features, 1 or 3, 7, 7]")
    logits = len(weight)
    threshs = state.pop(OP_THRESHS, None)
    if threshs is not None and threshs.shape != (logits,):
        raise ValueError(f"{OP_THRESHS}: got {list(threshs.shape)}, want [{logits}], one a logit")
    config, kept = describe(name, told, logits, stem.shape[1], None if threshs is None else threshs.tolist())
    for part in ("classifier.weight", "classifier.bias"):
        if part in state and len(state[part]) == logits:
            state[part] = state[part][kept]
    return state, config


def _build(state: Mapping[str, Tensor]) -> nn.Module:
    """The network of the shape that the tensors have."""
    from torchvision.models import DenseNet

    layer = "features.denseblock1.denselayer1.conv"
    try:
        growth, bottleneck = (state[f"{layer}{n}.weight"].shape[0] for n in (2, 1))
    except (KeyError, IndexError) as error:
        raise ValueError(f"no DenseNet: {layer}1.weight and 2.weight are not there, want {LAYOUTS}") from error
    blocks = _count(state, r"features\.denseblock(\d+)\.")
    features = state[STEM].shape[0]
    network = DenseNet(
        growth_rate=growth,
        block_config=tuple(_count(state, rf"features\.denseblock{n}\.denselayer(\d+)\.") for n in range(1, blocks + 1)),
        num_init_features=features,
        bn_size=max(bottleneck // max(growth, 1), 1),
        num_classes=len(state["classifier.weight"]),
    )
    if (channels := state[STEM].shape[1]) != 3:
        network.features.conv0 = nn.Conv2d(channels, features, kernel_size=7, stride=2, padding=3, bias=False)
    return network


def _check(state: dict[str, Tensor], network: nn.Module) -> None:
    """ValueError naming the first tensor that is missing, of another shape, not finite or not the network's.

    The counters of the batches seen, which evaluation does not need, are added where old files have none.
    """
    want = network.state_dict()
    for name, tensor in want.items():
        if name not in state and name.endswith("num_batches_tracked"):
            state[name] = torch.zeros_like(tensor, device="cpu")
        if name not in state:
            raise ValueError(f"{name} is missing, want {LAYOUTS}")
        got = state[name]
        if got.shape != tensor.shape:
            raise ValueError(f"{name}: got {list(got.shape)}, want {list(tensor.shape)}, as in {LAYOUTS}")
        if tensor.is_floating_point() and not (got.is_floating_point() and got.isfinite().all()):
            raise ValueError(f"{name}: got {got.dtype} with values that are no finite numbers, the file is damaged")
    if extra := [name for name in state if name not in want]:
        raise ValueError(f"{weights.first_names(extra)}: not a part of a DenseNet, want {LAYOUTS}")


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({found[1] for name in state if (found := re.match(pattern, name))})
