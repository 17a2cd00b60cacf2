"""MedSAM: files of either layout give transformers' own result, others are named; preprocessing; masks of boxes."""

import numpy as np
import pytest
import torch
from mvgen.models.medsam import load_medsam, medsam_input
from safetensors.torch import save_file
from sam_tiny import LAYERS, SIDE, sam, segment_anything_state
from torch.nn.functional import interpolate

HEIGHT, WIDTH = 90, 70
BOXES = torch.tensor([[5.0, 10.0, 40.0, 60.0], [30.0, 20.0, 70.0, 90.0]])


@pytest.fixture(scope="module")
def network():
    return sam()


@pytest.fixture
def image():
    return torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1))


def segmented(path, image):
    model = load_medsam(path, patcher=False)
    return model.masks(model.encode(image), [BOXES[:1]], HEIGHT, WIDTH)


@torch.inference_mode()
def expected(network, image, boxes=BOXES[:1]):
    """By transformers' forward pass: pixels and boxes in one call."""
    scaled = boxes / torch.tensor([WIDTH, HEIGHT] * 2) * SIDE
    out = network(pixel_values=medsam_input(image, SIDE), input_boxes=scaled[None], multimask_output=False)
    assert out.pred_masks.shape == (1, len(boxes), 1, SIDE // 2, SIDE // 2)
    return interpolate(out.pred_masks[0].sigmoid(), (HEIGHT, WIDTH), mode="bilinear")[:, 0].amax(dim=0, keepdim=True)


def files(network, folder):
    """Every way in which such weights are kept."""
    own = network.state_dict()
    original = segment_anything_state(network)
    (tied,) = (name for name in own if name.startswith("prompt_encoder.shared_embedding"))
    torch.save(original, folder / "medsam_vit_b.pth")
    torch.save({"epoch": 3, "model": {f"module.{n}": t for n, t in original.items()}}, folder / "tuned.pth")
    torch.save({**original, "pixel_mean": torch.zeros(3, 1, 1)}, folder / "constants.pt")
    torch.save({name: tensor.half() for name, tensor in original.items()}, folder / "half.pth")
    torch.save(own, folder / "pytorch_model.bin")
    save_file({n: t.clone() for n, t in own.items() if n != tied}, folder / "model.safetensors")
    save_file(original, folder / "original.safetensors")
    return sorted(folder.iterdir())


def test_every_layout_gives_the_result_of_transformers(network, image, tmp_path):
    want = expected(network, image)
    assert float(want.min()) < 0.3 and float(want.max()) > 0.7
    for path in files(network, tmp_path):
        got = segmented(path, image)
        assert got.shape == (1, HEIGHT, WIDTH) and got.dtype == torch.float32
        tolerance = 0.02 if path.name == "half.pth" else 1e-5
        torch.testing.assert_close(
            got, want, rtol=0, atol=tolerance, msg=lambda text, path=path: f"{path.name}: {text}"
        )


def test_a_folder_of_transformers_loads(network, image, tmp_path):
    network.save_pretrained(tmp_path)
    torch.testing.assert_close(
        segmented(tmp_path / "model.safetensors", image), expected(network, image), rtol=0, atol=1e-5
    )


def changed(network, change):
    state = segment_anything_state(network)
    change(state)
    return state


BLOCK = "image_encoder.blocks.1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("mask_decoder.iou_token.weight"), "mask_decoder.iou_token.weight is missing"),
        (lambda s: s.pop(f"{BLOCK}.attn.qkv.bias"), r"1 missing \(image_encoder.blocks.1.attn.qkv.bias\)"),
        (
            lambda s: s.pop("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
            "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix is missing",
        ),
        (lambda s: s.update(extra=torch.ones(1)), r"1 unexpected \(extra\)"),
        (
            lambda s: s.update({f"{BLOCK}.norm1.weight": torch.ones(31)}),
            r"1 of another shape \(image_encoder.blocks.1.norm1.weight \[31\] instead of \[32\]\)",
        ),
        (
            lambda s: [s.pop(name) for name in list(s) if name.startswith(f"{BLOCK}.")],
            r"image_encoder.blocks.1.attn.rel_pos_h is missing",
        ),
        (lambda s: s.update({f"{BLOCK}.norm1.weight": torch.full((32,), torch.nan)}), "no finite numbers"),
        (lambda s: s.update({f"{BLOCK}.norm1.weight": [1, 2]}), f"{BLOCK}.norm1.weight: got list, want a tensor"),
        (lambda s: s.update({"image_encoder.pos_embed": torch.ones(3)}), r"image_encoder.pos_embed: got \[3\]"),
        (lambda s: s.pop("image_encoder.pos_embed"), "no pos_embed of an image encoder: got prompt_encoder"),
    ],
)
def test_a_file_of_another_network_is_refused_with_what_is_wrong(network, tmp_path, change, message):
    path = tmp_path / "other.pth"
    torch.save(changed(network, change), path)
    with pytest.raises(ValueError, match=f"^other.pth: .*{message}"):
        load_medsam(path, patcher=False)


class Code:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))


def test_what_is_no_checkpoint_is_refused(network, tmp_path):
    torch.save({"image_encoder.pos_embed": Code()}, tmp_path / "code.pth")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    torch.save(network, tmp_path / "pickled.pth")
    (tmp_path / "text.pth").write_text("no weights")
    save_file(network.vision_encoder.neck.state_dict(), tmp_path / "whole.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:500])
    for name, message in (
        ("code.pth", "holds .*exec, want tensors alone"),
        ("list.pth", "got list, want the weights of MedSAM"),
        ("pickled.pth", "holds transformers"),
        ("text.pth", "not a file of torch.save"),
        ("half.safetensors", "not a readable safetensors file"),
        ("whole.safetensors", "no pos_embed of an image encoder"),
        ("absent.pth", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: {message}"):
            load_medsam(tmp_path / name, patcher=False)


def test_the_mask_of_two_boxes_is_their_union_and_images_are_independent(network, image, tmp_path):
    save_file(segment_anything_state(network), tmp_path / "tiny.safetensors")
    model = load_medsam(tmp_path / "tiny.safetensors", patcher=False)
    other = image.flip(1).mean(dim=-1, keepdim=True).expand(-1, -1, -1, 3)
    told = []
    features = model.encode(torch.cat([image, other]), lambda: told.append(1))
    assert len(told) == 2 * model.steps == 2 * LAYERS
    got = model.masks(features, [BOXES, BOXES[1:]], HEIGHT, WIDTH)
    torch.testing.assert_close(got[:1], expected(network, image, BOXES), rtol=0, atol=1e-5)
    torch.testing.assert_close(got[1:], expected(network, other, BOXES[1:]), rtol=0, atol=1e-5)


def test_a_cancel_while_an_image_is_encoded_ends_it_and_leaves_no_trace(network, image, tmp_path):
    save_file(segment_anything_state(network), tmp_path / "tiny.safetensors")
    model = load_medsam(tmp_path / "tiny.safetensors", patcher=False)

    def cancel():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        model.encode(image, cancel)
    torch.testing.assert_close(
        model.masks(model.encode(image), [BOXES[:1]], HEIGHT, WIDTH), expected(network, image), rtol=0, atol=1e-5
    )


def test_preprocessing_is_that_of_the_release_up_to_the_kind_of_cubic():
    from skimage import transform

    y, x = np.mgrid[0:1:90j, 0:1:70j]
    picture = np.stack(
        [0.3 + 0.4 * np.exp(-(((x - 0.4) / 0.2) ** 2) - ((y - c) / 0.3) ** 2) for c in (0.3, 0.5, 0.6)], -1
    )
    for side in (256, 48):
        # MedSAM_Inference.py; its rounding to 8 bits left out
        released = transform.resize(picture, (side, side), order=3, preserve_range=True, anti_aliasing=True)
        released = (released - released.min()) / (released.max() - released.min())
        ours = medsam_input(torch.from_numpy(picture)[None], side)
        assert ours.shape == (1, 3, side, side) and (float(ours.min()), float(ours.max())) == (0, 1)
        np.testing.assert_allclose(ours[0].movedim(0, -1).numpy(), released, atol=0.02)


def test_gray_is_repeated_and_a_picture_of_the_right_size_only_stretched():
    gray = torch.rand(1, SIDE, SIDE, 1) * 0.5 + 0.2
    ours = medsam_input(gray, SIDE)
    assert torch.equal(ours[:, 0], ours[:, 2])
    want = (gray - gray.min()) / (gray.max() - gray.min())
    torch.testing.assert_close(ours[:, :1], want.movedim(-1, 1))


def test_pictures_that_cannot_be_segmented_are_named(network, tmp_path):
    save_file(segment_anything_state(network), tmp_path / "tiny.safetensors")
    model = load_medsam(tmp_path / "tiny.safetensors", patcher=False)
    for picture, message in (
        (torch.full((1, 32, 32, 3), 0.5), "images: number 0 of 0 to 0 is constant"),
        (torch.full((1, 32, 32, 3), torch.nan), "NaN"),
        (torch.rand(1, 32, 32, 4), r"image: got \(1, 32, 32, 4\), want"),
    ):
        with pytest.raises(ValueError, match=message):
            model.encode(picture)
