"""Trains a domain's DenseNet-121 classifier (is it there, and how severe?) or the severity reader of the benches.

Both have the same network and images and other seeds. The classifier has two logits a finding: cross-entropy on
presence, and on the severity itself, whose minimiser is the expected severity; the reader has the second alone. Blur,
noise and tone changes keep them from reading the grain. The reader takes no part in any node, so what it says of a
trajectory is independent of Conf and of the severity that a user sees. ``--go-on`` starts from the file in
models/embedded and trains the later half of the network alone, so that what the earlier half sees is computed once; a
round has a seed of its own, which names its checkpoint.
"""

import argparse
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torchvision.models import DenseNet
from torchvision.transforms.v2.functional import gaussian_blur

from ...models.embedded import architecture
from ...mvg.domains.severity import SEVERITY_BANDS
from ...training import common
from ..phantom.captions import FINDINGS
from . import dataset

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
HELD_OUT = 500
ILL = 4.0
"""How much more the severity counts where there is any: most findings are absent from most pictures."""
EARLIER = 8
"""Layers of the network, up to the second transition, that a further round leaves alone."""
VIEWS = 3
"""How often a further round augments every picture."""


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """images [B, C, H, W] in [0, 1]: blur or noise, small shifts and tone changes."""
    draw = torch.rand(4, generator=generator)
    if draw[0] < 0.5:
        images = gaussian_blur(images, kernel_size=5, sigma=float(0.3 + 0.9 * draw[1]))
    if draw[2] < 0.5:
        images = images + 0.02 * float(draw[3]) * torch.randn(images.shape, generator=generator)
    gain = 1 + 0.10 * (torch.rand(len(images), 1, 1, 1, generator=generator) - 0.5)
    offset = 0.06 * (torch.rand(len(images), 1, 1, 1, generator=generator) - 0.5)
    shift = torch.randint(-3, 4, (2,), generator=generator).tolist()
    return torch.roll(images * gain + offset, shift, dims=(2, 3)).clamp(0, 1)


def network_input(images: torch.Tensor) -> torch.Tensor:
    """[B, 1 or 3, H, W] in [0, 1] -> RGB with ImageNet statistics (spec: metrics, Conf)."""
    return (images.expand(-1, 3, -1, -1) - MEAN.to(images)) / STD.to(images)


class Later(torch.nn.Module):
    """The layers of a DenseNet behind the EARLIER ones."""

    def __init__(self, network: DenseNet):
        super().__init__()
        self.features, self.classifier = network.features[EARLIER:], network.classifier

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.classifier(F.relu(self.features(seen)).mean(dim=(2, 3)))


@torch.no_grad()
def earlier(network: DenseNet, images: torch.Tensor, options: argparse.Namespace) -> torch.Tensor:
    """What the EARLIER layers make of uint8 images [n, C, H, W], augmented VIEWS times: [n, VIEWS, ...]."""
    generator = torch.Generator().manual_seed(options.seed)
    layers = network.features[:EARLIER].eval().to(options.device)
    views = []
    for _ in range(VIEWS):
        parts = []
        for batch in images.split(options.batch):
            with common.autocast(options.device):
                parts.append(layers(network_input(augment(batch.float() / 255, generator).to(options.device))).float())
        views.append(torch.cat(parts).cpu())
    return torch.stack(views, dim=1)


def auc(score: torch.Tensor, label: torch.Tensor) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney)."""
    positive, negative = score[label], score[~label]
    return float((positive[:, None] > negative[None]).float().mean())


def evaluate(
    network: torch.nn.Module, images: torch.Tensor, severities: torch.Tensor, outputs: tuple[str, ...]
) -> None:
    with torch.no_grad():
        batches = images.float().div(255).split(64)
        read = torch.cat([network(network_input(b)) for b in batches]).sigmoid()
    present = severities >= SEVERITY_BANDS["mild"][0]
    severity = read[:, -len(outputs) :]  # of the reader, all that it has
    for i, name in enumerate(outputs):
        crossing = ((read[:, i] > 0.5) == present[:, i]).float().mean()
        error = (severity[:, i] - severities[:, i]).abs().mean()
        print(
            f"{name}: AUC {auc(read[:, i], present[:, i]):.4f}, right at 0.5 {crossing:.3f}, severity MAE {error:.4f}"
        )


def main() -> None:
    kind = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "classifier"
    if kind not in ("classifier", "reader"):
        raise SystemExit(f"kind: got {kind!r}, want classifier or reader")
    options = common.arguments(__doc__, steps=1000, batch=32, rate=2e-3)
    for domain in architecture.FAMILIES[options.family]:
        if options.domain in (None, domain):
            train(kind, domain, options)


def train(kind: str, domain: str, options: argparse.Namespace) -> None:
    pool = dataset.Pool(options.family, options.count or dataset.SIZES[options.family], domains=(domain,))
    images, severities = torch.from_numpy(pool.images), torch.from_numpy(pool.parts[0][1]["severities"])
    torch.manual_seed(options.seed + (0 if kind == "classifier" else 1))
    outputs = FINDINGS[domain]
    config = architecture.CLASSIFIER | {"outputs": outputs, "graded": kind == "classifier"}
    network = architecture.build_classifier(config)
    path = common.WEIGHTS / architecture.file_name(kind, domain)
    name = f"{kind}.{domain}"
    usable = len(images) - HELD_OUT
    if options.go_on:
        network.load_state_dict(load_file(path))
        name = f"{name}.{options.seed}"
        seen = earlier(network, images[:usable], options)
    trained = Later(network) if options.go_on else network
    trainer = common.Trainer(name, {"network": trained}, options, decay=0.99)

    def loss(generator: torch.Generator, step: int) -> dict:
        index = torch.randint(usable, (options.batch,), generator=generator)
        if options.go_on:
            batch = seen[index, torch.randint(VIEWS, (options.batch,), generator=generator)].to(options.device)
        else:
            batch = network_input(augment(images[index].float() / 255, generator)).to(options.device)
        target = severities[index].to(options.device)
        weight = torch.ones_like(target)
        if kind == "classifier":
            present = (target >= SEVERITY_BANDS["mild"][0]).float()
            weight = torch.cat([weight, 1 + ILL * present], dim=1)
            target = torch.cat([present, target], dim=1)
        logits = trained(batch).float()
        return {"loss": F.binary_cross_entropy_with_logits(logits, target, weight)}

    trainer.fit(loss)
    trainer.averaged()
    network.to("cpu").float().eval()
    evaluate(network, images[usable:], severities[usable:], outputs)
    architecture.save_weights(network.state_dict(), config, path, kind=kind)


if __name__ == "__main__":
    main()
