"""models/seine/unet.py against diffusers' UNet of pictures, the recorded facts, and what its parts must do."""

import json
from dataclasses import replace

import pytest
import torch
from closed_form import PARITY
from mvgen.models.seine import attention
from mvgen.models.seine.attention import TemporalAttention, attend, position_buckets
from mvgen.models.seine.config import Config, read_config
from mvgen.models.seine.unet import UNet3D
from mvgen.research.bench import parity
from seine_tiny import TINY, random_network, text


def distance(a, b):
    return float((a - b).detach().abs().max())


def test_names_and_shapes_are_those_of_the_released_checkpoint():
    facts = json.loads((PARITY / "seine" / "keys.json").read_text(encoding="utf-8"))
    assert read_config(facts["config"]) == Config()
    ours = {name: list(t.shape) for name, t in UNet3D(Config(), device="meta").state_dict().items()}
    assert len(ours) == 830
    assert ours == {name: held["shape"] for name, held in facts["keys"].items()}


def still(network: UNet3D) -> UNet3D:
    """The network with its attention over time silent."""
    for name, parameter in network.named_parameters():
        if "attn_temp.to_out" in name:
            parameter.data.zero_()
    return network


@pytest.mark.parametrize(("frames", "size"), [(1, (8, 8)), (3, (8, 8)), (2, (7, 10))])
def test_equals_diffusers_picture_by_picture_where_time_is_silent(frames, size):
    from diffusers import UNet2DConditionModel

    widths, heads = (32, 64, 64), 2
    picture = UNet2DConditionModel(
        in_channels=9,
        block_out_channels=widths,
        layers_per_block=2,
        attention_head_dim=heads,
        norm_num_groups=16,
        cross_attention_dim=24,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()
    config = Config(
        block_out_channels=widths,
        heads=(heads,) * 3,
        down_attention=(True, True, False),
        up_attention=(False, True, True),
        norm_num_groups=16,
        cross_attention_dim=24,
        rotary_dim=16,
    )
    network = still(random_network(config))
    state = network.state_dict()
    assert set(picture.state_dict()) == {name for name in state if "_temp" not in name}
    picture.load_state_dict({name: t for name, t in state.items() if "_temp" not in name})
    x, t = torch.randn(2, 9, *size, generator=torch.Generator().manual_seed(1)), torch.tensor([981, 7])
    context = text(2, batch=2)
    with torch.inference_mode():
        want = picture(x, t, context).sample
        clip = network(x[:, :, None].repeat(1, 1, frames, 1, 1), t, context)
    for frame in clip.unbind(2):
        assert distance(frame, want) <= 3e-5


def test_the_bias_over_time_is_what_fused_kernels_take():
    bias = random_network().mid_block.attentions[0].transformer_blocks[0].attn_temp.time_rel_pos_bias
    made = bias(6, torch.zeros(1))
    table = bias.relative_attention_bias.weight
    assert made.is_contiguous() and torch.equal(made, table[position_buckets(6)].movedim(-1, 0))


def test_rows_of_a_batch_are_independent_and_frames_are_not():
    network, generator = random_network(), torch.Generator().manual_seed(3)
    x, context = torch.randn(2, 9, 5, 6, 10, generator=generator), text(4, batch=2)
    with torch.inference_mode():
        both = network(x, torch.tensor([500, 20]), context)
        alone = network(x[1:], torch.tensor([20]), context[1:])
        other = x.clone()
        other[:, :, 0] += 1
        moved = network(other, torch.tensor([500, 20]), context)
    assert both.shape == (2, 4, 5, 6, 10)
    assert distance(both[1:], alone) <= 1e-5
    assert distance(moved[:, :, -1], both[:, :, -1]) > 1e-3


def test_norms_of_residual_blocks_run_over_frames_and_those_of_transformers_do_not():
    network, seen = random_network(), {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.register_forward_hook(lambda m, inputs, out, name=name: seen.update({name: inputs[0].shape}))
    network(torch.zeros(2, 9, 3, 8, 8), torch.tensor([1, 2]), text(0, batch=2))
    for name, shape in seen.items():
        assert (shape[0], len(shape)) == ((6, 4) if "attentions" in name else (2, 5)), name
    assert sum("attentions" in name for name in seen) == 4 and sum("resnets" in name for name in seen) == 16
    assert "conv_norm_out" in seen


def test_a_block_attends_to_space_text_and_time_in_this_order():
    block = random_network().mid_block.attentions[0].transformer_blocks[0]
    x, context = torch.randn(2, 3, 6, 64, generator=torch.Generator().manual_seed(10)), text(11, batch=2)
    want = torch.empty_like(x)
    for b in range(2):
        frames = [f[None] + block.attn1(block.norm1(f[None])) for f in x[b]]
        frames = [f + block.attn2(block.norm2(f), context[b : b + 1]) for f in frames]
        clip = torch.cat(frames)
        for pixel in range(6):
            row = clip[None, :, pixel].clone()
            clip[:, pixel] = (row + block.attn_temp(block.norm_temp(row)))[0]
        want[b] = clip + block.ff(block.norm3(clip))
    assert distance(block(x.flatten(0, 1), context, 3), want.flatten(0, 1)) <= 1e-5


def test_half_precision_is_near_and_gradients_reach_all_but_the_frequencies():
    network = random_network()
    x, t, context = torch.randn(1, 9, 3, 8, 8, generator=torch.Generator().manual_seed(5)), torch.tensor([300]), text(6)
    full = network(x, t, context)
    full.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == name.endswith("freqs"), name
    half = random_network().to(torch.bfloat16)(x.bfloat16(), t, context.bfloat16())
    assert half.dtype == torch.bfloat16
    assert distance(half.float(), full.detach()) <= 0.05 * float(full.detach().abs().max())


def test_attention_in_parts_equals_attention_at_once(monkeypatch):
    q, k, v = torch.randn(3, 10, 5, 8, generator=torch.Generator().manual_seed(7))
    bias = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(8))
    whole = attend(q, k, v, 2, bias)
    monkeypatch.setattr(attention, "ROWS", 3)
    assert distance(attend(q, k, v, 2, bias), whole) <= 1e-6
    heads = [t.unflatten(-1, (2, 4)).transpose(1, 2) for t in (q, k, v)]
    scores = heads[0] @ heads[1].transpose(-1, -2) / 2 + bias
    plain = (scores.softmax(-1) @ heads[2]).transpose(1, 2).flatten(-2)
    assert distance(whole, plain) <= 1e-6


def test_rotary_scores_depend_on_the_distance_in_time_alone():
    layer = TemporalAttention(40, 1, 32)
    x = torch.randn(1, 1, 40, generator=torch.Generator().manual_seed(9)).expand(1, 12, 40).double()
    turned = layer.rotary_emb(x, layer.rotary_emb.angles(12, x))
    assert torch.equal(turned[..., 32:], x[..., 32:])
    scores = (turned @ turned.transpose(-1, -2))[0]
    for offset in range(12):
        diagonal = scores.diagonal(offset)
        assert distance(diagonal, diagonal[:1].expand_as(diagonal)) <= 1e-12
    assert scores[0, 0] - scores[0, 5] > 0.1


def test_position_buckets_by_hand():
    buckets = position_buckets(70)
    assert buckets[0, :10].tolist() == [0, 17, 18, 19, 20, 21, 22, 23, 24, 24]
    assert buckets[:10, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]
    assert [int(buckets[d, 0]) for d in (15, 16, 31, 32, 69)] == [11, 12, 15, 15, 15]


def test_what_the_recorded_fixtures_say(capsys, tmp_path):
    passed, failed = parity.run(PARITY)
    assert failed == 0 and passed > 60, capsys.readouterr().out
    assert "unit 3" in (out := capsys.readouterr().out) and "FAIL" not in out
    (tmp_path / "pie").mkdir()
    assert parity.run(tmp_path) == (0, 1)
    assert "cannot go on" in capsys.readouterr().out


def test_configurations_that_do_not_fit_are_named():
    for change, message in (
        ({"heads": (1, 1)[:1]}, "heads: got 1 entries, want 2"),
        ({"heads": (3, 2)}, "heads: got 3 for a width of 32"),
        ({"heads": (2, 2)}, "rotary_dim"),
        ({"norm_num_groups": 7}, "block_out_channels: got 32, want a multiple of 7"),
        ({"in_channels": 4}, "in_channels: got 4, want 9"),
        ({"rotary_dim": 31}, "rotary_dim: got 31"),
        ({"layers_per_block": 0}, "layers_per_block: got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(TINY, **change)
    for values, message in (
        ({"act_fn": "gelu"}, "act_fn: got 'gelu', want 'silu'"),
        ({"use_first_frame": True}, "use_first_frame"),
        ({"down_block_types": ["SpecialDown"] * 4}, "down_block_types: got 'SpecialDown'"),
        ({"class_embed_type": "timestep"}, "class_embed_type = 'timestep'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_config(values)
    assert read_config({"_class_name": "UNet", "class_embed_type": None, "attention_head_dim": 8}) == Config()
    assert read_config(TINY.values) == TINY


def test_inputs_that_do_not_fit_are_named():
    network = random_network()
    x, t = torch.zeros(1, 9, 2, 8, 8), torch.tensor([1])
    for args, message in (
        ((x[:, :4], t, text(0)), r"x: got \(1, 4, 2, 8, 8\), want \[B, 9, F, H, W\]"),
        ((x[0], t, text(0)), "x: got"),
        ((x, t, text(0, width=32)), r"conditioning: got \(1, 7, 32\), want \[1, tokens, 24\]"),
        ((x, t, text(0), {"input": []}), "control: got a ControlNet"),
    ):
        with pytest.raises(ValueError, match=message):
            network(*args)
