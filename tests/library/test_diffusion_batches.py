"""What a step of the embedded diffusion training sees: pairs on one background, told apart where they differ."""

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
from mvgen.models.embedded.architecture import DOMAINS
from mvgen.research.training import dataset, diffusion
from mvgen.research.training.examples import Examples, told
from mvgen.training import common, weights

SIZE = 64
NAMED = {"chest_xray": "pleural effusion", "fundus": "diabetic retinopathy", "skin": "melanoma"}


def write_examples(folder, domain, rng):
    """Three backgrounds with two pictures each, of which the second is white in a corner, and two pictures alone."""
    shape = (8, SIZE, SIZE) if domain == "chest_xray" else (8, SIZE, SIZE, 3)
    images = rng.integers(60, 120, shape, dtype=np.uint8)
    lines = []
    for i in range(8):
        group = i // 2 if i < 6 else -1
        shown = {NAMED[domain]: 0.5} if i % 2 else {}
        if group >= 0 and i % 2:
            images[i] = images[i - 1]
            images[i, :16, :16] = 255
        lines.append({"caption": f"{domain} {i}", "group": group, "findings": shown})
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", images)
    (folder / "examples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "about.json").write_text(json.dumps({"licences": ["CC0"]}))


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        for module in (common, dataset):
            patch.setattr(module, "RUNS", folder / "runs")
        patch.setattr(dataset, "CHUNK", 2)
        common.use_host()
        rng = np.random.default_rng(5)
        for domain in DOMAINS:
            write_examples(folder / "examples" / domain, domain, rng)
        options = Namespace(seed=3, examples=folder / "examples", out=common.WEIGHTS, device="cpu", count=2)
        yield diffusion.Batches(options, weights.load_vae("cpu"))


def test_pictures_on_one_background_share_noise_and_time(batches):
    z, said, t, noise, count = batches.draw(0, 8)
    assert z.shape == noise.shape == (8, 8, SIZE // 8, SIZE // 8) and len(said) == len(t) == 8
    pairs = [(i, i + 1) for i in range(0, 6, 2)]
    for a, b in pairs:
        assert torch.equal(noise[a], noise[b]) and t[a] == t[b] and torch.equal(count[a], count[b])
        assert not torch.equal(z[a], z[b])
    assert len({float(noise[i].sum()) for i in (0, 2, 4, 6, 7)}) == 5


def test_errors_count_where_the_two_differ(batches):
    count = batches.draw(0, 8)[4]
    assert float(count.mean()) == pytest.approx(1) and count.shape == (8, 1, SIZE // 8, SIZE // 8)
    for pair in (0, 2, 4):
        corner, far = count[pair, 0, 0, 0], count[pair, 0, -1, -1]
        assert 2 < corner / far <= 1 + diffusion.CHANGED
    assert (count[6:] == count[6, 0, 0, 0]).all(), "pictures that stand alone count alike everywhere"


def test_a_step_is_a_function_of_seed_and_step(batches):
    one, again, other = batches.draw(1, 8), batches.draw(1, 8), batches.draw(2, 8)
    assert torch.equal(one[3], again[3]) and one[1] == again[1]
    assert not torch.equal(one[3], other[3])


def test_every_sixth_step_sees_phantoms_of_half_the_size(batches):
    assert batches.draw(diffusion.PHANTOM_EVERY - 1, 4)[0].shape == (8, 8, 16, 16)


def test_the_weight_of_equal_pictures_is_one():
    latent = np.random.default_rng(0).normal(size=(8, 4, 4)).astype(np.float16)
    assert (diffusion.weight_of_change(latent, latent) == 1).all()
    most = diffusion.weight_of_change(latent, latent + 100)
    assert np.allclose(most, 1 + diffusion.CHANGED, rtol=1e-3)


def test_what_the_files_say_of_the_data(batches, tmp_path):
    for domain in DOMAINS:
        write_examples(tmp_path / domain, domain, np.random.default_rng(1))
    about = told(tmp_path)
    assert json.loads(about["licences"]) == ["CC0"] and "melanoma" in about["findings"]


def test_a_folder_without_its_lines_is_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((1, 8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"has no examples\.jsonl, want what research.courses.dataset writes"):
        Examples(tmp_path)
