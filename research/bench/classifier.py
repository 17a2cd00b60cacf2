"""The embedded classifiers on phantoms they have not seen: ``run.py bench classifier``.

AUC of every finding (present: severity 0.1 or more, as in the captions), how often 0.5 decides rightly, and the
expected calibration error over ten bins; with ``--out`` the reliability diagram of all of them as a picture. Then the
severity that they read: its mean absolute error on the same phantoms and on those with the finding, and what is read on
average of patients with nothing but the finding at some severities.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from ...models.densenet import Classifier, load_densenet
from ...models.embedded import loader
from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg.domains.severity import SEVERITY_BANDS
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom, picture
from ..training.dataset import sample_severities

FIRST_SEED = 60_000
BINS = 10
LEAST_AUC = 0.95
MOST_ERROR = 0.06
LADDER = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1.0)
LADDER_SEED, LADDER_PATIENTS = 62_000, 24


def held_out(domain: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [n, H, W, 3] of the evaluation stream and the severities [n, findings] that they show."""
    module, findings = phantom(domain), FINDINGS[domain]
    pictures, severities = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        course = sample_severities(domain, np.random.default_rng([13, seed]))
        pictures.append(picture(domain, module.sample_patient(seed), course))
        severities.append([course.get(f, 0.0) for f in findings])
    return torch.from_numpy(np.stack(pictures)), torch.tensor(severities)


def shown(severities: torch.Tensor) -> torch.Tensor:
    """Which findings count as present."""
    return severities >= SEVERITY_BANDS["mild"][0]


def ladder(classifier: Classifier, domain: str, finding: str) -> list[float]:
    """What is read on average of patients at the severities of LADDER."""
    module, place = phantom(domain), classifier.outputs.index(finding)
    people = [module.sample_patient(seed) for seed in range(LADDER_SEED, LADDER_SEED + LADDER_PATIENTS)]
    read = []
    for severity in LADDER:
        pictures = np.stack([picture(domain, person, {finding: severity}) for person in people])
        read.append(float(classifier.severity(torch.from_numpy(pictures))[:, place].mean()))
    return read


def reliability(probability: torch.Tensor, present: torch.Tensor) -> list[tuple[float, float, int]]:
    """Per bin that holds any: mean probability, share that is present, and how many."""
    place = (probability * BINS).long().clamp(max=BINS - 1)
    bins = [place == i for i in range(BINS)]
    return [
        (float(probability[b].mean()), float(present[b].float().mean()), int(b.sum())) for b in bins if bool(b.any())
    ]


def draw(curves: dict[str, list[tuple[float, float, int]]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="0.6", linestyle="--", linewidth=1)
    for name, points in curves.items():
        x, y, counts = zip(*points, strict=True)
        line = axes.plot(x, y, label=name)[0]
        axes.scatter(x, y, s=[8 + 40 * (c / max(counts)) for c in counts], color=line.get_color())
    axes.set(xlabel="Conf", ylabel="share with the finding", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench classifier", description=__doc__)
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS))
    parser.add_argument("--patients", type=int, default=600, help="a domain (default: 600)")
    parser.add_argument("--out", type=Path, metavar="PNG", help="reliability diagram")
    options = parser.parse_args()
    if options.patients < 2:
        parser.error("--patients wants an integer >= 2")
    use_host()
    curves, passed = {}, True
    for domain in options.domains:
        pictures, severities = held_out(domain, options.patients)
        present = shown(severities)
        classifier = load_densenet(loader.find_weights("classifier", domain))
        probability, severity = classifier.read(pictures)
        assert severity is not None, "the embedded classifiers are graded"
        for i, finding in enumerate(FINDINGS[domain]):  # it knows more than phantoms show
            place = classifier.outputs.index(finding)
            p, label = probability[:, place].contiguous(), present[:, i].contiguous()
            auc = float(binary_auroc(p, label.long()))
            error = float(binary_calibration_error(p, label.long(), n_bins=BINS))
            right = float(((p > 0.5) == label).float().mean())
            curves[f"{domain}, {finding}"] = reliability(p, label)
            good = auc >= LEAST_AUC
            passed &= good
            figures = f"AUC {auc:.4f}, right at 0.5 {right:.3f}, calibration error {error:.4f}"
            print(f"{'pass' if good else 'FAIL'}  {domain:11} {finding:21} {figures}")
            off = (severity[:, place] - severities[:, i]).abs()
            read = ladder(classifier, domain, finding)
            good = float(off.mean()) <= MOST_ERROR and all(b > a for a, b in pairwise(read))
            passed &= good
            steps = " ".join(f"{asked:g}: {value:.2f}" for asked, value in zip(LADDER, read, strict=True))
            figures = f"severity MAE {float(off.mean()):.4f}, where present {float(off[label].mean()):.4f}; {steps}"
            print(f"{'pass' if good else 'FAIL'}  {domain:11} {finding:21} {figures}")
    if options.out:
        draw(curves, options.out)
        print(f"written: {options.out}")
    if not passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
