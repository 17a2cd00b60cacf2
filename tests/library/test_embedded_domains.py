"""The embedded networks of every domain: they load, they read their own phantoms, and all together stay small."""

import pytest
import torch
from mvgen.models.embedded import architecture, loader
from mvgen.models.standalone_host import use_host
from mvgen.mvg.domains import BUILT_IN
from mvgen.research.bench import classifier as bench
from mvgen.research.bench.patients import patients
from mvgen.research.phantom.captions import FINDINGS
from torchmetrics.functional.classification import binary_auroc

use_host()
MOST_MEGABYTES = 48


@pytest.fixture(scope="module", params=architecture.DOMAINS)
def domain(request):
    return request.param


@pytest.fixture(scope="module")
def networks(domain):
    return loader.load(domain)


def test_a_domain_has_its_networks(networks, domain):
    assert networks.classifier.outputs == loader.drawn_findings(domain)
    assert set(FINDINGS[domain]) <= set(networks.classifier.outputs)
    latents = networks.vae.encode(torch.rand(1, 128, 128, 3))
    assert latents.shape == (1, architecture.LATENT_CHANNELS, 16, 16)
    decoded = networks.vae.decode(latents)
    assert decoded.shape == (1, 128, 128, 3)
    assert torch.equal(decoded[..., 0], decoded[..., 2]) is BUILT_IN[domain].gray
    words = networks.clip.encode_from_tokens(networks.clip.tokenize(BUILT_IN[domain].prefix))
    assert words.shape[-1] == architecture.CLIP_TEXT["hidden_size"]
    assert networks.transition.model.latent_format.latent_dimensions == 3


def test_the_autoencoder_keeps_a_phantom(networks, domain):
    images = patients(domain, FINDINGS[domain][0], range(4000, 4004)).images
    error = (networks.vae.decode(networks.vae.encode(images)).clamp(0, 1) - images).square().mean()
    assert -10 * float(torch.log10(error)) > 28


def test_the_classifier_finds_what_it_has_not_seen(networks, domain):
    pictures, severities = bench.held_out(domain, 80)
    present = bench.shown(severities)
    read, severity = networks.classifier.read(pictures)
    for i, finding in enumerate(FINDINGS[domain]):
        place = networks.classifier.outputs.index(finding)
        assert float(binary_auroc(read[:, place].contiguous(), present[:, i].long())) > 0.95, finding
        assert float((severity[:, place] - severities[:, i]).abs().mean()) < 0.08, finding


def test_one_patient_stays_nearer_than_another(networks, domain):
    group = patients(domain, FINDINGS[domain][0], range(4000, 4006))

    def embed(images):
        return torch.nn.functional.normalize(networks.clip_vision.encode_image(images)["image_embeds"].float(), dim=1)

    well, ill = embed(group.images), embed(group.at(0.85))
    near = well @ ill.T
    same, others = near.diagonal(), near[~torch.eye(6, dtype=torch.bool)]
    assert float(same.mean()) > float(others.mean()) + 0.05


def test_every_domain_is_known_by_name():
    with pytest.raises(ValueError, match="domain: got 'brain', want one of chest_xray, fundus, skin"):
        loader.load("brain")


def test_all_weights_together_stay_small():
    total = sum(file.stat().st_size for file in loader.BUNDLED.iterdir())
    assert total <= MOST_MEGABYTES * 1e6


def test_reliability_counts_every_picture():
    curve = bench.reliability(torch.tensor([0.0, 0.05, 0.5, 1.0]), torch.tensor([False, False, True, True]))
    assert [n for *_, n in curve] == [2, 1, 1]
    assert curve[-1][:2] == (1.0, 1.0)
