"""Severities as numbers in prompts: what they mean, that training and ComfyUI agree on it; words stay words."""

import functools

import pytest
import torch
from mvgen.models.embedded import architecture, loader
from mvgen.models.standalone_host import use_host
from mvgen.mvg.severity_prompt import TEXT, mix, weighted_prompts
from mvgen.research.phantom import captions
from mvgen.training import text, weights

use_host()

HEAD = "frontal chest x-ray"
EFFUSION = "left pleural effusion"
PROMPTS = [
    f"{HEAD}, no finding",
    f"{HEAD}, severe {EFFUSION}",
    f"{HEAD}, 0.05 {EFFUSION}",
    f"{HEAD}, 0.43 {EFFUSION}",
    f"{HEAD}, 0.43 {EFFUSION}, 0.2 edema",
    f"{HEAD}, moderate edema, .85 {EFFUSION}",
]


@pytest.fixture(scope="module")
def tower():
    return weights.load_text_tower().eval()


@pytest.fixture(scope="module")
def files(tower, tmp_path_factory):
    """UNet and text tower as a training with --exact writes them; the UNet is small and random."""
    folder = tmp_path_factory.mktemp("exact")
    state = architecture.compact_text_embedding(
        tower.state_dict(), text.vocabulary(captions.vocabulary(["chest_xray"]))
    )
    architecture.save_weights(state, architecture.CLIP_TEXT, folder / "clip_text", severity=TEXT)
    torch.manual_seed(0)
    small = architecture.UNET | {"model_channels": 32, "num_res_blocks": [1, 1, 1], "transformer_depth": [0, 0, 1]}
    small["transformer_depth_output"] = [0, 0, 0, 0, 1, 1]
    architecture.save_weights(architecture.build_unet(small).state_dict(), small, folder / "unet", severity=TEXT)
    return folder


def encode(clip, prompt):
    return clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


def test_a_number_is_the_words_next_to_it():
    lower, upper = weighted_prompts(PROMPTS[3])
    assert lower == (f"{HEAD}, mild to moderate {EFFUSION}", pytest.approx(0.8))
    assert upper == (f"{HEAD}, moderate {EFFUSION}", pytest.approx(0.2))
    assert weighted_prompts(PROMPTS[2]) == [
        (f"{HEAD}, no finding", pytest.approx(0.5)),
        (f"{HEAD}, minimal {EFFUSION}", pytest.approx(0.5)),
    ]
    both = weighted_prompts(f"{HEAD}, 0.43 {EFFUSION}, 0.05 edema")
    assert [weight for _, weight in both] == pytest.approx([0.4, 0.4, 0.1, 0.1])
    assert both[0].prompt == f"{HEAD}, mild to moderate {EFFUSION}"


@pytest.mark.parametrize(
    "prompt, words",
    [
        (PROMPTS[1], PROMPTS[1]),
        (f"{HEAD}, 0.25 edema", f"{HEAD}, mild edema"),
        (f"{HEAD}, 1.0 edema", f"{HEAD}, severe edema"),
        (f"{HEAD}, 0 edema", f"{HEAD}, no finding"),
        ("a cat, 0.43 left pleural effusion", "a cat, 0.43 left pleural effusion"),
        (f"{HEAD}, 12 lead", f"{HEAD}, 12 lead"),
    ],
)
def test_a_word_and_what_is_no_severity_is_one_prompt(prompt, words):
    assert weighted_prompts(prompt) == [(words, 1.0)]


@pytest.mark.parametrize(
    "parts, message",
    [
        ("1.5 edema", r"got a severity of 1\.5 \(edema\), want a number in \[0, 1\]"),
        ("0.1 a, 0.2 b, 0.3 c, 0.4 d", "got 4 severities as numbers, want at most 3"),
    ],
)
def test_a_wrong_number_is_named(parts, message):
    with pytest.raises(ValueError, match=message):
        weighted_prompts(f"{HEAD}, {parts}")


def test_prompts_of_different_length_are_refused():
    with pytest.raises(ValueError, match="got 77 and 154 tokens"):
        mix([torch.zeros(1, 77, 4), torch.zeros(1, 154, 4)], [0.5, 0.5])


@torch.inference_mode()
def test_training_and_comfyui_see_the_same_embedding(tower, files):
    clip = loader.load_clip(files / "clip_text")
    trained = text.encode(tower.text_model, PROMPTS, "cpu")
    for row, prompt in zip(trained, PROMPTS, strict=True):
        ((embedding, more),) = encode(clip.clone(), prompt)
        assert torch.allclose(embedding[0], row, atol=2e-3), prompt  # the file is fp16
        assert torch.equal(clip.encode_from_tokens(clip.tokenize(prompt)), embedding)
        assert more["pooled_output"].shape == (1, architecture.CLIP_TEXT["hidden_size"])
    assert float((trained[2] - trained[0]).abs().max()) > 0.05


@torch.inference_mode()
def test_words_are_what_they_were_bit_for_bit(files):
    (plain,) = encode(loader.load_clip(weights.path_of("clip_text")), PROMPTS[1])
    (number,) = encode(loader.load_clip(files / "clip_text"), PROMPTS[1])
    assert torch.equal(plain[0], number[0]) and torch.equal(plain[1]["pooled_output"], number[1]["pooled_output"])


@torch.inference_mode()
def test_the_guider_asks_a_model_that_was_trained_so_by_embedding(files):
    from mvgen.nodes.support.guider import SeverityGuider, with_severity

    clip = loader.load_clip(files / "clip_text")
    words = {0.0: "no finding", 0.4: f"mild to moderate {EFFUSION}", 0.55: f"moderate {EFFUSION}"}
    scale = [entry for s, said in words.items() for entry in with_severity(encode(clip, f"{HEAD}, {said}"), s)]
    ask = functools.partial(SeverityGuider, scale=scale, negative=scale[:1], severity=0.43, guidance=1.5)
    asked = ask(loader.load_model(files / "unet").clone())
    (wanted,) = encode(clip, PROMPTS[3])
    assert torch.allclose(asked.original_conds["lower"][0]["cross_attn"], wanted[0], atol=1e-6) and asked.share == 0
    plain = loader.load_model(weights.path_of("unet"))
    plain.attachments.pop(loader.SEVERITY)
    mixed = ask(plain)
    assert torch.equal(mixed.original_conds["lower"][0]["cross_attn"], scale[1][0])
    assert mixed.share == pytest.approx(0.2)


def test_a_caption_says_the_severity_that_is_drawn():
    said = captions.caption({"edema": 0.437, "pleural effusion": 0.2}, {"pleural effusion": "left"}, exact=("edema",))
    assert said == f"{HEAD}, 0.437 edema, mild {EFFUSION}"
    assert captions.caption({"edema": 0.95}, {}, exact=("edema",)) == f"{HEAD}, severe edema"
    assert weighted_prompts(said)[1].prompt == f"{HEAD}, moderate edema, mild {EFFUSION}"
