"""training/seine.py: the start from the image UNet, the clips and their states."""

import numpy as np
import pytest
import torch
from mvgen.models.embedded import architecture
from mvgen.models.seine.config import Config
from mvgen.models.seine.unet import UNet3D
from mvgen.models.standalone_host import use_host
from mvgen.research.phantom import chest_xray
from mvgen.research.training import seine

use_host()


def test_it_starts_out_as_the_image_unet():
    """One frame through a network of the image UNet's own shape: what is new adds nothing yet."""
    torch.manual_seed(0)
    image = architecture.build_unet()
    for parameter in image.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    whole = Config(
        **{
            **architecture.SEINE,
            "layers_per_block": 2,
            "heads": (2, 4, 4),
            "down_attention": (False, True, True),
            "up_attention": (True, True, False),
        }
    )
    network = UNet3D(whole).eval()
    network.load_state_dict(seine.from_image_unet(image.state_dict(), network))
    x, context = torch.randn(2, 8, 16, 16), torch.randn(2, 77, 96)
    t = torch.tensor([3, 700])
    given = torch.randn(2, 9, 1, 16, 16)
    with torch.inference_mode():
        want = image.eval()(x, t, context=context)
        got = network(torch.cat([x[:, :, None], given], 1), t, context)
    assert float(want.std()) > 0.05
    assert float((got[:, :, 0] - want).abs().max()) <= 1e-4 * float(want.abs().max())


def test_the_small_network_takes_every_spatial_weight_that_fits():
    torch.manual_seed(0)
    image, network = architecture.build_unet().state_dict(), architecture.build_seine()
    start = seine.from_image_unet(image, network)
    held = {tensor.double().sum().item() for tensor in image.values() if tensor.ndim > 1}
    own = [name for name, tensor in start.items() if tensor.ndim > 1 and tensor.double().sum().item() not in held]
    assert all("attn_temp" in name or name.startswith("down_blocks.0.attentions") for name in own)
    assert torch.equal(start["conv_in.weight"][:, :8], image["input_blocks.0.0.weight"])
    assert not start["conv_in.weight"][:, 8:].any()


def test_the_file_stays_small():
    parameters = sum(p.numel() for p in architecture.build_seine().parameters())
    assert 2 * parameters <= 12e6


def test_states_move_one_way():
    steps = []
    for seed in range(300):
        first, last = seine.states("chest_xray", np.random.default_rng(seed))
        assert first.keys() == last.keys() and all(0 <= v <= 1 for v in (*first.values(), *last.values()))
        moves = [last[f] - first[f] for f in first if first[f] != last[f]]
        assert 1 <= len(moves) <= 2 and len({move > 0 for move in moves}) == 1
        steps += [abs(move) for move in moves]
    assert np.quantile(steps, 0.5) == pytest.approx(0.255, abs=0.06) and min(steps) >= 0.03 and max(steps) <= 0.93


def test_a_true_clip_ends_at_its_states():
    patient = chest_xray.sample_patient(3, chest_xray.TRAINING)
    clip = seine.true_clip("chest_xray", patient, {"edema": 0.2}, {"edema": 0.8}, 4)
    for frame, severity in zip(clip, (0.2, 0.4, 0.6, 0.8), strict=True):
        assert all(np.array_equal(frame[..., c], chest_xray.render(patient, {"edema": severity})) for c in range(3))


@pytest.mark.parametrize("frames", [5, 8, 16])
def test_a_piece_has_an_even_pace(frames):
    clip = torch.arange(16.0)
    paces = set()
    for seed in range(60):
        part = seine.piece(clip, frames, np.random.default_rng(seed))
        paces |= set((part[1:] - part[:-1]).tolist())
        assert len(part) == frames and len((part[1:] - part[:-1]).unique()) == 1
    assert paces == {sign * stride for stride in range(1, 15 // (frames - 1) + 1) for sign in (-1, 1)}


def test_the_betas_are_seines():
    assert float(seine.alphas_cumprod()[999]) == pytest.approx(4.0358e-5, rel=1e-3)
    assert float(seine.alphas_cumprod()[0]) == pytest.approx(1 - 1e-4, rel=1e-6)
