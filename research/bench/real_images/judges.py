"""Judges of real pictures: they learned from real labels of patients whom no network of the product has seen.

Two of different backbones: a small DenseNet on the whole picture, and a linear layer on frozen features of
EfficientNet-Lite0, of a chest framed by its lungs. ``run.py bench judges`` makes them; see there.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....training.common import RUNS
from ....training.data import TRAIN, VAL, Record, Table
from ...courses import courses
from ...courses.dataset import is_judges
from .. import courses as course_bench
from .pictures import findings_of

PLAYERS = "players"
DENSENET, LITE = NAMES = ("DenseNet", "EfficientNet-Lite0")
SPECIFICITY = 0.8
"""Share of the pictures without a finding that a judge's threshold leaves below it."""
SIZE = 256
FILES = {DENSENET: "densenet/classifier.safetensors", LITE: "lite.npz"}
THRESHOLDS = "thresholds.json"
OUT_OF_DOMAIN = "of {domain} no picture has a real label that a judge could learn from"


@dataclass(frozen=True)
class Judge:
    """A judge of some findings.

    Attributes:
        name: one of NAMES.
        outputs: the findings that it reads, in order.
        conf: pictures [B, H, W, 3] in [0, 1] -> Conf [B, outputs].
        thresholds: finding -> the Conf from which it counts as seen: SPECIFICITY of the real pictures of the players
            that are without it lie below.
    """

    name: str
    outputs: tuple[str, ...]
    conf: Callable[[Tensor], np.ndarray]
    thresholds: dict[str, float]

    def reads(self, pictures: Tensor, finding: str) -> np.ndarray:
        """Conf [B] of one finding."""
        return self.conf(pictures)[:, self.outputs.index(finding)]


def folder_of(domain: str) -> Path:
    """Where the judges of a domain are kept, outside of what is tracked."""
    return RUNS / "judges" / domain


def judged(domain: str) -> bool:
    """Whether a domain has real labels of the findings that are drawn."""
    return domain in course_bench.DOMAINS


def labeled(record: Record) -> bool:
    """Whether a picture was read for its labels."""
    return bool(record.labels) and {k for k, v in record.labels.items() if v == 1} != {"covid-19"}


def parts(table: Table) -> dict[str, list[Record]]:
    """Part -> its labeled records: the judges' and the players' of train, and val."""
    out: dict[str, list[Record]] = {"judges": [], PLAYERS: [], VAL: []}
    for record in table.records:
        if not labeled(record) or record.split not in (TRAIN, VAL):
            continue
        own = "judges" if is_judges(table.domain, record.patient) else PLAYERS
        out[VAL if record.split == VAL else own].append(record)
    return out


def truth(records: Sequence[Record], domain: str) -> np.ndarray:
    """bool [n, k]: the labels, in the order of the findings that are drawn."""
    findings = courses(domain).FINDINGS
    return np.array([[f in findings_of(r, domain) for f in findings] for r in records])


def lite_conf(weights: dict[str, np.ndarray], gray: bool) -> Callable[[Tensor], np.ndarray]:
    """The judge on frozen features.

    Args:
        weights: mean, std [F], weight [F, k], bias [k].
        gray: whether pictures are films.
    """

    def conf(pictures: Tensor) -> np.ndarray:
        own = pictures.float().numpy()
        x = course_bench.features([p.mean(axis=-1) if gray else p for p in own])
        logits = ((x - weights["mean"]) / weights["std"]) @ weights["weight"] + weights["bias"]
        return 1 / (1 + np.exp(-logits))

    return conf


def load(domain: str, folder: Path | None = None) -> list[Judge]:
    """The judges of a domain.

    Args:
        domain: one with real labels.
        folder: where they are; by default where `run.py bench judges` puts them.

    Raises:
        ValueError: the domain has no real labels, or the judges were not made yet.
    """
    if not judged(domain):
        raise ValueError(f"--domain: {OUT_OF_DOMAIN.format(domain=domain)}, want {' or '.join(course_bench.DOMAINS)}")
    folder = folder or folder_of(domain)
    about = folder / THRESHOLDS
    if not about.is_file():
        raise ValueError(f"judges: there is no {about}; `run.py bench judges --domain {domain} --data ...` makes it")
    return panel(domain, folder, json.loads(about.read_text()))


def panel(domain: str, folder: Path, thresholds: dict[str, dict[str, float]]) -> list[Judge]:
    """The judges of a folder that there are thresholds for: name of a judge -> finding -> Conf."""
    read = {DENSENET: _densenet, LITE: _lite}
    return [Judge(name, *read[name](folder / FILES[name], domain), own) for name, own in thresholds.items()]


def _densenet(path: Path, domain: str) -> tuple[tuple[str, ...], Callable[[Tensor], np.ndarray]]:
    from ....models.densenet import load_densenet

    made = load_densenet(path, patcher=False)

    def conf(pictures: Tensor) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([made.network(part) for part in pictures.float().split(32)]).sigmoid().numpy()

    return made.outputs, conf


def _lite(path: Path, domain: str) -> tuple[tuple[str, ...], Callable[[Tensor], np.ndarray]]:
    from ....mvg.domains import BUILT_IN

    with np.load(path) as file:
        weights = {name: file[name] for name in file.files}
    outputs = tuple(str(name) for name in weights.pop("outputs"))
    return outputs, lite_conf(weights, BUILT_IN[domain].gray)
