"""Trains a domain's DenseNet-121 classifier (is it there, and how severe?) or the severity reader of the benches.

The classifier has two logits a finding: cross-entropy on presence, and on the severity itself, whose minimiser is the
expected severity; the reader has the second alone. The classifier learns from the examples: presence from real labels
and from what was drawn, severity from what was drawn and from pictures without any finding; and from phantoms. The
reader learns from phantoms alone, with other seeds, and takes no part in any node, so what it says of a phantom's
trajectory is independent of Conf and of the severity that a user sees. Blur, noise and tone changes keep them from
reading the grain.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torchvision.transforms.v2.functional import gaussian_blur

from ...models.embedded import architecture
from ...mvg.domains.severity import SEVERITY_BANDS
from ...training import common
from ..courses import courses
from ..phantom.captions import FINDINGS
from . import dataset, examples

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
HELD_OUT = 500
ILL = 4.0
"""How much more the severity counts where there is any: most findings are absent from most pictures."""
SIZES = {"chest_xray": 128, "skin": 128, "fundus": 256}
"""Sides in pixels of what a classifier sees: the lesions of a fundus are of 1 to 6 pixels at 256."""
PHANTOMS = 0.3
"""Share of a classifier's batch."""
OPTIONS: dict[str, dict[str, Any]] = {
    "--domain": {"choices": architecture.DOMAINS, "help": "this one alone (default: each of them)"},
    "--examples": {"type": Path, "metavar": "DIR", "help": "a folder of examples a domain, for the classifier"},
    "--out": {"type": Path, "default": common.WEIGHTS, "help": "where the weights go"},
}


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


def auc(score: torch.Tensor, label: torch.Tensor) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney)."""
    positive, negative = score[label], score[~label]
    return float((positive[:, None] > negative[None]).float().mean())


class Pictures:
    """Pictures with targets [n, findings] of presence and severity, NaN where nothing is known.

    Args:
        images: uint8 [n, 1 or 3, size, size].
        presence, severity: as above.
    """

    def __init__(self, images: torch.Tensor, presence: torch.Tensor, severity: torch.Tensor):
        self.images, self.presence, self.severity = images, presence, severity

    def __len__(self) -> int:
        return len(self.images)


def of_phantoms(domain: str, findings: tuple[str, ...], count: int, size: int) -> Pictures:
    pool = dataset.Pool(count, domains=(domain,))
    images = torch.from_numpy(pool.images)
    if size != images.shape[-1]:
        images = torch.cat([F.interpolate(part.float(), size=(size, size)).byte() for part in images.split(256)])
    severity = torch.full((len(pool), len(findings)), torch.nan)
    for place, finding in enumerate(FINDINGS[domain]):
        severity[:, findings.index(finding)] = torch.from_numpy(pool.parts[0][1]["severities"][:, place])
    return Pictures(images, present(severity), severity)


def of_examples(domain: str, findings: tuple[str, ...], root: Path, size: int) -> Pictures:
    pool = examples.Examples(root / domain)
    gray = pool.images.ndim == 3
    images = torch.stack([(pool.picture(i, size)[: 1 if gray else 3] * 255).round().byte() for i in range(len(pool))])
    presence, severity = (torch.zeros(len(pool), len(findings)) for _ in range(2))
    for row, line in enumerate(pool.lines):
        for finding, degree in line["findings"].items():
            place = findings.index(finding)
            severity[row, place] = torch.nan if degree is None else degree
            presence[row, place] = 1.0 if degree is None else float(degree >= SEVERITY_BANDS["mild"][0])
    return Pictures(images, presence, severity)


def present(severity: torch.Tensor) -> torch.Tensor:
    """1 or 0 where the severity is known, else NaN."""
    return torch.where(severity.isnan(), severity, (severity >= SEVERITY_BANDS["mild"][0]).float())


def known_entropy(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the targets that are known."""
    known = ~target.isnan()
    each = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(), weight, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def evaluate(network: torch.nn.Module, held_out: Pictures, outputs: tuple[str, ...]) -> None:
    """Prints what the network makes of pictures that it did not learn from."""
    batches = held_out.images.float().div(255).split(64)
    read = torch.cat([network(network_input(b)) for b in batches]).sigmoid()
    severity = read[:, -len(outputs) :]  # of the reader, all that it has
    for i, name in enumerate(outputs):
        known, there = ~held_out.severity[:, i].isnan(), held_out.presence[:, i] == 1
        absent = held_out.presence[:, i] == 0
        error = (severity[known, i] - held_out.severity[known, i]).abs().mean()
        if there.any():
            label = there[there | absent]
            print(f"{name}: AUC {auc(read[there | absent, i], label):.4f}, severity MAE {error:.4f}")


def main() -> None:
    kind = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else "classifier"
    if kind not in ("classifier", "reader"):
        raise SystemExit(f"kind: got {kind!r}, want classifier or reader")
    options = common.arguments(__doc__, steps=1000, batch=32, rate=2e-3, more=OPTIONS)
    for domain in [options.domain] if options.domain else architecture.DOMAINS:
        train(kind, domain, options)


def train(kind: str, domain: str, options: argparse.Namespace) -> None:
    real = kind == "classifier" and options.examples is not None
    outputs = courses(domain).FINDINGS if real else FINDINGS[domain]
    size = SIZES[domain] if real else 128
    phantoms = of_phantoms(domain, outputs, options.count or dataset.PHANTOMS[domain], size)
    pools = [(phantoms, PHANTOMS if real else 1.0)]
    if real:
        pools.append((of_examples(domain, outputs, options.examples, size), 1 - PHANTOMS))
    if (least := min(len(pool) for pool, _ in pools)) <= HELD_OUT:
        raise SystemExit(f"{domain}: got {least} pictures, want more than the {HELD_OUT} that are held out")
    torch.manual_seed(options.seed + (0 if kind == "classifier" else 1))
    config = architecture.CLASSIFIER | {"outputs": outputs, "graded": kind == "classifier", "image_size": size}
    network = architecture.build_classifier(config)
    if (before := common.WEIGHTS / architecture.file_name(kind, domain)).exists():  # outputs may be others now
        known = {name: tensor for name, tensor in load_file(before).items() if name.startswith("features.")}
        network.load_state_dict({name: tensor.float() for name, tensor in known.items()}, strict=False)
    trainer = common.Trainer(f"{kind}.{domain}", {"network": network}, options, decay=0.99)

    def loss(generator: torch.Generator, step: int) -> dict:
        images, presence, severity = [], [], []
        for pool, share in pools:
            count = round(share * options.batch)
            index = torch.randint(len(pool) - HELD_OUT, (count,), generator=generator)
            images.append(augment(pool.images[index].float() / 255, generator))
            presence.append(pool.presence[index])
            severity.append(pool.severity[index])
        target = torch.cat(severity)
        weight = torch.ones_like(target)
        if kind == "classifier":
            there = torch.cat(presence)
            weight = torch.cat([weight, 1 + ILL * (target > 0)], dim=1)
            target = torch.cat([there, target], dim=1)
        logits = network(network_input(torch.cat(images)).to(options.device)).float()
        return {"loss": known_entropy(logits, target.to(options.device), weight.to(options.device))}

    trainer.fit(loss)
    trainer.averaged()
    network.to("cpu").float().eval()
    for pool, _ in pools:
        last = slice(len(pool) - HELD_OUT, None)
        evaluate(network, Pictures(pool.images[last], pool.presence[last], pool.severity[last]), outputs)
    path = options.out / architecture.file_name(kind, domain)
    told = examples.told(options.examples, (domain,)) if real else {}
    architecture.save_weights(network.state_dict(), config, path, kind=kind, **told)


if __name__ == "__main__":
    main()
