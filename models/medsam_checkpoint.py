"""MedSAM's network from a file: transformers' SamModel, from segment-anything's layout or from transformers' own.

MedSAM (Ma et al., Segment anything in medical images, Nature Communications 15:654, 2024) is SAM's ViT-B with other
weights, so its file medsam_vit_b.pth is laid out as those of segment-anything (Kirillov et al., ICCV 2023).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import weights

LAYOUTS = (
    "the weights of MedSAM or SAM, laid out as segment-anything's (image_encoder) or transformers' (vision_encoder)"
)
NESTED = ("model", "state_dict")
"""Keys under which training scripts, MedSAM's among them, keep the weights next to an optimizer and the like."""
CONSTANTS = ("pixel_mean", "pixel_std")
"""How SAM normalises pictures, which some files hold; MedSAM does it in another way."""
HEADS, EPS = 8, 1e-5
"""Of the decoder, which no tensor tells: from segment-anything's build_sam.py, and torch's default for a LayerNorm."""
SHARED = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
"""One tensor under two names of transformers. A safetensors file keeps one of them."""

_PERCEPTRON = r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))"
# What transformers calls a part, and what segment-anything does: convert_sam_to_hf.py of transformers, backwards.
PARTS = (
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm", r"image_encoder.blocks.\1.norm"),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (rf"^(?:{'|'.join(map(re.escape, SHARED))})$", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn\.", "mask_decoder.transformer.norm_final_attn."),
    (r"^mask_decoder\.transformer\.layers\.(\d+)\.layer_norm", r"mask_decoder.transformer.layers.\1.norm"),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (rf"{_PERCEPTRON}\.proj_in\.", r"\1.layers.0."),
    (rf"{_PERCEPTRON}\.layers\.0\.", r"\1.layers.1."),
    (rf"{_PERCEPTRON}\.proj_out\.", r"\1.layers.2."),
)


def read_sam(path: Path) -> Any:
    """MedSAM's or SAM's network from a file; its shape is read off the tensors.

    Args:
        path: .safetensors, or a file of torch.save, read as tensors alone (code in it is refused, never run).

    Returns:
        transformers' SamModel with the file's weights in fp32, for evaluation.

    Raises:
        ValueError: naming the file and the first tensors that are missing, unexpected, of another shape or not finite.
    """
    with weights.errors_naming(path):
        state = _state(weights.read_named(path, LAYOUTS)[0])
        network = _build(state)
        _check(state, network)
    network.to_empty(device="cpu")
    network.load_state_dict({name: state[name].float() for name in network.state_dict()})
    return network.eval().requires_grad_(False)


class State:
    """The tensors of a file, asked for by transformers' names."""

    def __init__(self, held: Mapping[str, Tensor]):
        self.held = held
        self.original = any(name.startswith("image_encoder.") for name in held)

    def own_name(self, name: str) -> str:
        """What the file calls a tensor.

        Args:
            name: transformers' name.

        Returns:
            The file's.
        """
        if self.original:
            return original_name(name)
        return next((known for known in SHARED if known in self.held), name) if name in SHARED else name

    def __contains__(self, name: str) -> bool:
        return self.own_name(name) in self.held

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise ValueError(f"{self.own_name(name)} is missing, want {LAYOUTS}")
        return self.held[self.own_name(name)]

    def size(self, name: str, axis: int, axes: int) -> int:
        """Length of one axis of a tensor.

        Args:
            name: transformers' of the tensor.
            axis: which.
            axes: how many the tensor is to have.

        Returns:
            At least 1.

        Raises:
            ValueError: the tensor is missing, or has other axes.
        """
        shape = self[name].shape
        if len(shape) != axes or not shape[axis]:
            raise ValueError(f"{self.own_name(name)}: got {list(shape)}, want {axes} axes, as in {LAYOUTS}")
        return shape[axis]

    def count(self, list_name: str) -> int:
        """How many members a list of layers has.

        Args:
            list_name: transformers' name of the list.

        Returns:
            The number, 0 where there is no such list.
        """
        prefix = re.escape(self.own_name(f"{list_name}.0.")[: -len("0.")])
        return len({found[1] for name in self.held if (found := re.match(rf"{prefix}(\d+)\.", name))})


def original_name(name: str) -> str:
    """What segment-anything calls a tensor.

    Args:
        name: transformers' name.

    Returns:
        That of segment-anything.
    """
    for pattern, original in PARTS:
        changed, times = re.subn(pattern, original, name)
        if times:
            return changed
    return name


def _state(held: Mapping[Any, Any]) -> State:
    """Of a checkpoint's tensors, without a nesting (model), a prefix (module. of DataParallel) and SAM's constants."""
    places = [held, *(held[key] for key in NESTED if isinstance(held.get(key), Mapping))]
    encoder = re.compile(r"((?:\w+\.)*?)(?:image_encoder|vision_encoder)\.pos_embed$")
    found = ((place, match[1]) for place in places for name in place if (match := encoder.match(str(name))))
    tensors, prefix = next(found, ({}, ""))
    if not tensors:
        raise ValueError(f"no pos_embed of an image encoder: got {weights.first_names(held)}; want {LAYOUTS}")
    named = {str(name).removeprefix(prefix): tensor for name, tensor in tensors.items()}
    for name, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name}: got {type(tensor).__name__}, want a tensor, as in {LAYOUTS}")
    weights.check_plain(named)
    return State({name: tensor for name, tensor in named.items() if name not in CONSTANTS})


def _build(state: State) -> Any:
    """The network of the shape that the tensors have, without memory for its weights."""
    from transformers import SamConfig, SamModel

    config = _config(state)
    with weights.on_meta_device(len(state.held)):
        return SamModel(SamConfig(**config))


def _config(state: State) -> dict[str, dict[str, Any]]:
    vision, decoder = "vision_encoder", "mask_decoder"
    width = state.size(f"{vision}.pos_embed", 3, 4)
    grid = state.size(f"{vision}.pos_embed", 1, 4)
    patch = state.size(f"{vision}.patch_embed.projection.weight", 2, 4)
    layers = state.count(f"{vision}.layers")
    # A table of relative places has 2 n - 1 rows for attention over n x n places: the grid's where it is global.
    reach = [(state.size(f"{vision}.layers.{n}.attn.rel_pos_h", 0, 2) + 1) // 2 for n in range(layers)]
    if not reach:
        raise ValueError(f"{state.own_name(f'{vision}.layers.0.attn.rel_pos_h')} is missing, want {LAYOUTS}")
    head = state.size(f"{vision}.layers.0.attn.rel_pos_h", 1, 2)
    hidden = state.size(f"{decoder}.iou_token.weight", 1, 2)
    first = f"{decoder}.transformer.layers.0"
    inner = state.size(f"{first}.cross_attn_token_to_image.q_proj.weight", 0, 2)
    return {
        "vision_config": {
            "hidden_size": width,
            "output_channels": state.size(f"{vision}.neck.conv1.weight", 0, 4),
            "num_hidden_layers": layers,
            "num_attention_heads": max(width // head, 1),
            "num_channels": state.size(f"{vision}.patch_embed.projection.weight", 1, 4),
            "image_size": grid * patch,
            "patch_size": patch,
            "mlp_dim": state.size(f"{vision}.layers.0.mlp.lin1.weight", 0, 2),
            "window_size": next((n for n in reach if n != grid), grid),
            "global_attn_indexes": [n for n, places in enumerate(reach) if places == grid],
            "num_pos_feats": state.size(SHARED[0], 1, 2),
        },
        "prompt_encoder_config": {
            "hidden_size": state.size("prompt_encoder.no_mask_embed.weight", 1, 2),
            "image_size": grid * patch,
            "patch_size": patch,
            "mask_input_channels": state.size("prompt_encoder.mask_embed.conv2.weight", 0, 4),
        },
        "mask_decoder_config": {
            "hidden_size": hidden,
            "mlp_dim": state.size(f"{first}.mlp.lin1.weight", 0, 2),
            "num_hidden_layers": state.count(f"{decoder}.transformer.layers"),
            "num_attention_heads": HEADS,
            "attention_downsample_rate": max(hidden // inner, 1),
            "num_multimask_outputs": state.size(f"{decoder}.mask_tokens.weight", 0, 2) - 1,
            "iou_head_hidden_dim": state.size(f"{decoder}.iou_prediction_head.proj_in.weight", 0, 2),
            "layer_norm_eps": EPS,
        },
    }


def _check(state: State, network: torch.nn.Module) -> None:
    """ValueError with the file's names of the first tensors that do not fit the network."""
    want = network.state_dict()
    known = {state.own_name(name) for name in want} | (set() if state.original else set(SHARED))
    shapes = (
        f"{state.own_name(name)} {list(state[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in want.items()
        if name in state and state[name].shape != tensor.shape
    )
    faults = {
        "missing": sorted({state.own_name(name) for name in want if name not in state}),
        "unexpected": [name for name in state.held if name not in known],
        "of another shape": list(dict.fromkeys(shapes)),
    }
    if any(faults.values()):
        told = (f"{len(names)} {fault} ({weights.first_names(names)})" for fault, names in faults.items() if names)
        raise ValueError(f"tensors {'; '.join(told)}; want {LAYOUTS}")
    broken = [name for name, t in state.held.items() if not (t.is_floating_point() and t.isfinite().all())]
    if broken:
        raise ValueError(f"{weights.first_names(broken)}: values that are no finite numbers, the file is damaged")
