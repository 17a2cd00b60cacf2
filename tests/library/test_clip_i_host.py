"""CLIP-I of the node, through the host's CLIP, against transformers' own."""

import json

import numpy as np
import pytest
import torch
from mvgen.models.embedded import architecture, loader
from mvgen.models.standalone_host import use_host
from mvgen.research.phantom.chest_xray import render, sample_patient
from torch.nn.functional import cosine_similarity
from transformers import CLIPImageProcessor

use_host()

from mvgen.nodes.scores.metrics import CLIPI  # noqa: E402

CONFIG = {
    **architecture.CLIP_VISION,
    **{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2},
    **{"image_size": 32, "patch_size": 8, "projection_dim": 16, "name": "tiny"},
}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """One random network twice: transformers', and the host's from a weight file (of 16-bit numbers)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = architecture.build_clip_vision(CONFIG).eval()
        for weights in network.parameters():
            weights.data = (
                (weights + 0.3 * torch.randn_like(weights) / max(weights[0].numel(), 10) ** 0.5).half().float()
            )
    path = tmp_path_factory.mktemp("weights") / "clip_vision.safetensors"
    architecture.save_weights(network.state_dict(), CONFIG, path)
    return network, loader.load_clip_vision(path)


@pytest.mark.parametrize(("size", "width"), [(32, 32), (128, 128), (160, 128)])
@torch.inference_mode()
def test_clip_i_equals_transformers(towers, size, width):
    network, vision = towers
    patient = sample_patient(0)
    films = [render(patient, {"pleural effusion": severity}, size)[:, :width] for severity in (0, 0.3, 0.6, 0.9)]
    levels = torch.from_numpy(np.stack(films) * 255).round()[..., None].expand(-1, -1, -1, 3)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32},
        crop_size=32,
        image_mean=CONFIG["image_mean"],
        image_std=CONFIG["image_std"],
    )
    pixels = processor(list(levels.byte().numpy()), return_tensors="pt")["pixel_values"]
    embeddings = network(pixel_values=pixels.float()).image_embeds.double()
    want = cosine_similarity(embeddings[1:], embeddings[:1])
    scores, mean = CLIPI.execute(vision, levels / 255).args
    ours = json.loads(scores)
    assert ours["values"] == pytest.approx(want.tolist(), abs=1e-4)
    assert mean == pytest.approx(float(want.mean()), abs=1e-4) and min(ours["values"]) < 0.998
    assert ours["model"] == "tiny (3 layers of 32, 32 px)"


@torch.inference_mode()
def test_no_stage_and_nan(towers):
    one = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(3))
    scores, mean = CLIPI.execute(towers[1], one).args
    assert json.loads(scores)["values"] == [] and mean == 1
    with pytest.raises(ValueError, match="images: got values that are not finite"):
        CLIPI.execute(towers[1], one * torch.nan)
