"""A small SAM with random weights, as transformers has it and as segment-anything lays it out in a file."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import SamConfig, SamModel

SIDE = 64
LAYERS = 3


def sam(seed: int = 0) -> SamModel:
    """Windows of 3 x 3 places over a grid of 8 x 8, and global attention in the layer between."""
    config = SamConfig(
        vision_config={
            **{"hidden_size": 32, "output_channels": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4},
            **{"image_size": SIDE, "patch_size": 8, "window_size": 3, "global_attn_indexes": [1]},
            **{"num_pos_feats": 16, "mlp_dim": 40},
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 8},
        mask_decoder_config={
            **{"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 8, "iou_head_hidden_dim": 24},
            "layer_norm_eps": 1e-5,  # torch's own, with which segment-anything's decoder is trained
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SamModel(config).eval()
        for name, weights in network.named_parameters():
            scale = 0.1 if weights.ndim == 1 else 0.25
            weights.data = scale * torch.randn_like(weights) + ("norm" in name and name.endswith("weight"))
    network.prompt_encoder.shared_embedding = network.shared_image_embedding
    return network


def segment_anything_state(network: SamModel) -> dict[str, Tensor]:
    """The weights named after the modules of segment_anything/modeling, part by part."""
    vision, prompt, decoder = network.vision_encoder, network.prompt_encoder, network.mask_decoder
    state = {
        "image_encoder.pos_embed": vision.pos_embed.data,
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (
            network.shared_image_embedding.positional_embedding.data
        ),
    }

    def put(name: str, module: torch.nn.Module) -> None:
        state.update({f"{name}.{key}": tensor for key, tensor in module.state_dict().items()})

    put("image_encoder.patch_embed.proj", vision.patch_embed.projection)
    for n, layer in enumerate(vision.layers):
        put(f"image_encoder.blocks.{n}.norm1", layer.layer_norm1)
        put(f"image_encoder.blocks.{n}.attn", layer.attn)
        put(f"image_encoder.blocks.{n}.norm2", layer.layer_norm2)
        put(f"image_encoder.blocks.{n}.mlp", layer.mlp)
    for n, part in enumerate((vision.neck.conv1, vision.neck.layer_norm1, vision.neck.conv2, vision.neck.layer_norm2)):
        put(f"image_encoder.neck.{n}", part)
    for n, point in enumerate(prompt.point_embed):
        put(f"prompt_encoder.point_embeddings.{n}", point)
    put("prompt_encoder.not_a_point_embed", prompt.not_a_point_embed)
    put("prompt_encoder.no_mask_embed", prompt.no_mask_embed)
    small = prompt.mask_embed
    sequence = (small.conv1, small.layer_norm1, None, small.conv2, small.layer_norm2, None, small.conv3)
    for n, part in enumerate(sequence):
        if part is not None:
            put(f"prompt_encoder.mask_downscaling.{n}", part)
    put("mask_decoder.iou_token", decoder.iou_token)
    put("mask_decoder.mask_tokens", decoder.mask_tokens)
    for n, layer in enumerate(decoder.transformer.layers):
        block = f"mask_decoder.transformer.layers.{n}"
        for attention in ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token"):
            put(f"{block}.{attention}", getattr(layer, attention))
        put(f"{block}.mlp", layer.mlp)
        for k in (1, 2, 3, 4):
            put(f"{block}.norm{k}", getattr(layer, f"layer_norm{k}"))
    put("mask_decoder.transformer.final_attn_token_to_image", decoder.transformer.final_attn_token_to_image)
    put("mask_decoder.transformer.norm_final_attn", decoder.transformer.layer_norm_final_attn)
    for n, part in ((0, decoder.upscale_conv1), (1, decoder.upscale_layer_norm), (3, decoder.upscale_conv2)):
        put(f"mask_decoder.output_upscaling.{n}", part)
    perceptrons = {f"output_hypernetworks_mlps.{n}": mlp for n, mlp in enumerate(decoder.output_hypernetworks_mlps)}
    for name, mlp in {**perceptrons, "iou_prediction_head": decoder.iou_prediction_head}.items():
        for n, linear in enumerate((mlp.proj_in, *mlp.layers, mlp.proj_out)):
            put(f"mask_decoder.{name}.layers.{n}", linear)
    return {name: tensor.clone() for name, tensor in state.items()}
