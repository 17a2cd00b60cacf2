"""Drawn courses before judges that know real labels alone: ``run.py bench courses --domain DOMAIN --data CSV``.

Each finding of `research.courses` is drawn onto real pictures without it, and a judge that was trained on the real
labels of other patients reads it. Shown are its mean Conf of the untouched films, of the drawn ones and of real films
with the label; the aim is that a severe course is read as the finding no less than real ones are. A weak judge says
little: its AUROC on real labels stands beside, and so does the other way round, a judge that saw drawn courses alone
and reads real labels.

The own judge is a linear layer on frozen features of EfficientNet-Lite0, of a chest framed by its lungs, of skin
as it is. It is trained on the train patients and reads val; ``--cross`` deals all patients into folds instead, so that
each is read by a judge that saw others, as val holds too few films of some labels. ``--part`` keeps what is drawn on in
halves: settings are looked at on one, figures are reported of the other. ``--judge`` adds networks of `run.py train
classifier`, which must not have seen a val patient either; they read the whole film, val alone.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from ...models.densenet import Classifier, load_densenet
from ...models.standalone_host import use_host
from ...mvg.domains import BUILT_IN
from ...training.classifier_network import LITE_FEATURES, Judge, LiteFeatures, load_judge
from ...training.classifier_scores import auroc
from ...training.common import RUNS
from ...training.data import TRAIN, VAL, Pictures, Record, read
from ...training.data.labels import finding_of
from ..courses import courses
from ..courses.chest.lungs import segment
from ..courses.dataset import DRAWN_ON

DOMAINS = ("chest_xray", "skin")
"""Those with pictures of real labels; the fundus has `research.bench.fundus_lesions`."""
SIDES = ("left", "right", "bilateral")
SIZE = 256
LITE_SIZE = 224
SEVERE = 0.85
FOLDS = 5
PARTS = {"all": slice(None), "report": slice(0, None, 2), "tuning": slice(1, None, 2)}
WEIGHT = 0.1
"""Of the squared weights of the own judge's layer, chosen on folds of the train patients."""


@dataclass(frozen=True)
class Film:
    """A real picture: its record, pixels [SIZE, SIZE] or [SIZE, SIZE, 3] in [0, 1], and which findings it is labeled
    with."""

    record: Record
    image: np.ndarray
    labels: tuple[bool, ...]


class Drawn(NamedTuple):
    """A course on a film: the film's index, the finding drawn ("" for none), its severity, the picture."""

    film: int
    finding: str
    severity: float
    image: np.ndarray


def read_films(data: Path, domain: str) -> list[Film]:
    """The films of train and val whose labels name findings; those of other sources have no labels to judge by."""
    records = [r for r in read(data, domain=domain).records if r.split in (TRAIN, VAL) and _judged(r)]
    words, findings = BUILT_IN[domain], courses(domain).FINDINGS
    pictures = Pictures(records, SIZE, gray=words.gray, cache_bytes=0)
    films = []
    for i, record in enumerate(records):
        present = {finding_of(label, words) for label, value in record.labels.items() if value == 1}
        picture = pictures[i][0]
        image = (picture[0] if words.gray else picture.movedim(0, -1)).contiguous().numpy()
        films.append(Film(record, image, tuple(finding in present for finding in findings)))
    return films


def _judged(record: Record) -> bool:
    """Whether a report was read for the labels: COVID-19 alone says nothing about the film."""
    return {label for label, value in record.labels.items() if value == 1} != {"covid-19"}


def framed(image: np.ndarray) -> np.ndarray:
    """The chest of a film [S, S] from its lungs' apices down, one and an eighth of their width wide, [224, 224].

    Its exposure is evened, which differs more between portable and other films than between findings.
    """
    lungs = segment(image).max(axis=0) > 0.5
    columns, rows = np.flatnonzero(lungs.sum(axis=0) > 4), np.flatnonzero(lungs.sum(axis=1) > 4)
    if len(columns) < 20 or len(rows) < 20:
        return _exposed(_smaller(image))
    unit = image.shape[0] / len(lungs)
    width = (columns[-1] + 1 - columns[0]) * unit
    zoom = LITE_SIZE / (1.12 * width)
    left, top = columns[0] * unit - 0.06 * width, rows[0] * unit - 0.06 * width
    place = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
    return _exposed(cv2.warpAffine(image, place, (LITE_SIZE, LITE_SIZE), borderMode=cv2.BORDER_REPLICATE))


def _smaller(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (LITE_SIZE, LITE_SIZE), interpolation=cv2.INTER_AREA)


def _exposed(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, (2, 98))
    return np.clip((image - low) / max(high - low, 1e-3), 0, 1).astype(np.float32)


def features(images: Sequence[np.ndarray]) -> np.ndarray:
    """[n, LITE_FEATURES] of pictures, those in gray framed."""
    network, out = LiteFeatures(), []
    for start in range(0, len(images), 16):
        part = images[start : start + 16]
        batch = np.stack([framed(i)[None] if i.ndim == 2 else np.moveaxis(_smaller(i), -1, 0) for i in part])
        with torch.autocast("cpu", torch.bfloat16):
            out.append(network(torch.from_numpy(batch)).float().numpy())
    return np.concatenate(out) if out else np.empty((0, LITE_FEATURES), np.float32)


def features_of(films: Sequence[Film]) -> np.ndarray:
    """`features` of real films, kept between runs."""
    pixels = hashlib.blake2b(b"".join(film.image.tobytes() for film in films), digest_size=6).hexdigest()
    kept = RUNS / "courses" / f"judge-{pixels}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, features([film.image for film in films]))
    return np.load(kept)


def fit_judge(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """A logistic regression of labels [n, k] on features [n, F].

    Returns:
        mean and std [F] of the features, weight [F, k] and bias [k].
    """
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-3
    inputs, targets = torch.from_numpy((x - mean) / std).float(), torch.from_numpy(y).float()
    weight = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = inputs @ weight + bias
        error = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        value = error + WEIGHT * weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return {"mean": mean, "std": std, "weight": weight.detach().numpy(), "bias": bias.detach().numpy()}


def train_judge(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`fit_judge` as what gives Conf [m, k] of features [m, F]."""
    fit = fit_judge(x, y)

    def conf(features: np.ndarray) -> np.ndarray:
        logits = ((features - fit["mean"]) / fit["std"]) @ fit["weight"] + fit["bias"]
        return 1 / (1 + np.exp(-logits))

    return conf


def draw_all(
    domain: str, films: Sequence[Film], chosen: Sequence[int], severities: Sequence[float]
) -> tuple[list[Drawn], int]:
    """Every finding on each chosen film that has an anatomy, and how many have none. Sides take turns."""
    module, sided = courses(domain), BUILT_IN[domain].sided
    drawn, without = [], 0
    for turn, index in enumerate(chosen):
        image = films[index].image
        anatomy = module.fit(image)
        if anatomy is None:
            without += 1
            continue
        drawn.append(Drawn(index, "", 0.0, image))
        side = SIDES[turn % len(SIDES)]
        for finding in module.FINDINGS:
            for severity in severities:
                picture = module.draw(image, finding, severity, side if finding in sided else "", turn, anatomy)
                drawn.append(Drawn(index, finding, severity, picture))
    return drawn, without


def mean_interval(values: np.ndarray, patients: Sequence[str], draws: int = 1000) -> str:
    """Mean with the bounds of its 95 % interval by a bootstrap over patients, and n, in words."""
    if not len(values):
        return "none"
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    rows = [values[number == i] for i in range(number.max() + 1)]
    rng = np.random.default_rng(0)
    means = [np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))]).mean() for _ in range(draws)]
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}] n {len(values)}"


def auroc_interval(scores: np.ndarray, positive: np.ndarray, patients: Sequence[str], draws: int = 500) -> str:
    """AUROC with its 95 % interval by a bootstrap over patients, in words."""
    if min(positive.sum(), (~positive).sum()) < 2:
        return "too few"
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    rows = [np.flatnonzero(number == i) for i in range(number.max() + 1)]
    rng = np.random.default_rng(0)
    parts = (np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))]) for _ in range(draws))
    values = [auroc(scores[part], positive[part]) for part in parts]
    low, high = np.nanquantile(values, (0.025, 0.975))
    return f"{auroc(scores, positive):.2f} [{low:.2f}, {high:.2f}]"


def report(
    name: str,
    films: Sequence[Film],
    real: np.ndarray,
    drawn: Sequence[Drawn],
    conf: np.ndarray,
    names: Sequence[str],
    findings: Sequence[str],
) -> bool:
    """Prints a judge's figures; whether every severe course is read no less than real ones.

    Args:
        name: of the judge.
        films: those that it may read.
        real: [films, k] Conf of the real films; NaN where it must not read one.
        drawn: what was drawn.
        conf: [drawn, k] Conf of that.
        names: [k] its findings.
        findings: those that are drawn.
    """
    print(f"\n{name}")
    passed = True
    read_them = np.isfinite(real[:, 0])
    patients = np.array([film.record.patient for film in films])
    theirs = np.array([films[d.film].record.patient for d in drawn])
    for finding in findings:
        if finding not in names:
            continue
        k, label = list(names).index(finding), findings.index(finding)
        positive = np.array([film.labels[label] for film in films])
        print(f"  {finding}: AUROC on real labels "
              f"{auroc_interval(real[read_them, k], positive[read_them], patients[read_them])}")  # fmt: skip
        truly = read_them & positive
        print(f"    real films with the label  {mean_interval(real[truly, k], patients[truly])}")
        for severity in sorted({d.severity for d in drawn}):
            rows = np.array([d.severity == severity and d.finding in (finding, "") for d in drawn])
            print(f"    drawn, severity {severity:.2f}       {mean_interval(conf[rows, k], theirs[rows])}")
        others = np.array([d.severity >= SEVERE and d.finding != finding for d in drawn])
        print(f"    another drawn, severe      {mean_interval(conf[others, k], theirs[others])}")
        severe = np.array([d.severity == SEVERE and d.finding == finding for d in drawn])
        good = bool(truly.any()) and conf[severe, k].mean() >= real[truly, k].mean()
        passed &= good
        print(f"    {'pass' if good else 'FAIL'}  severe courses are read no less than real films with the label")
    return passed


def own_judge(
    films: Sequence[Film], drawn: Sequence[Drawn], cross: bool, findings: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(Conf of the films [n, k], NaN of those that it was trained on; Conf of what was drawn)."""
    x, x_drawn = features_of(films), features([d.image for d in drawn])
    y = np.array([film.labels for film in films])
    patients = [film.record.patient for film in films]
    if cross:
        order = np.random.default_rng(0).permutation(sorted(set(patients)))
        place = {patient: i % FOLDS for i, patient in enumerate(order)}
        fold = np.array([place[patient] for patient in patients])
    else:
        fold = np.array([0 if film.record.split == VAL else -1 for film in films])
    real, conf = np.full(y.shape, np.nan), np.full((len(drawn), y.shape[1]), np.nan)
    for part in range(FOLDS if cross else 1):
        judge = train_judge(x[fold != part], y[fold != part])
        real[fold == part] = judge(x[fold == part])
        rows = [i for i, d in enumerate(drawn) if fold[d.film] == part]
        conf[rows] = judge(x_drawn[rows])
    if cross:
        _reverse(films, x, y, drawn, x_drawn, fold, findings)
    return real, conf


def _reverse(
    films: Sequence[Film],
    x: np.ndarray,
    y: np.ndarray,
    drawn: Sequence[Drawn],
    x_drawn: np.ndarray,
    fold: np.ndarray,
    findings: Sequence[str],
) -> None:
    """Prints how well judges that saw drawn courses alone read the real labels of other patients."""
    taught = np.array([[d.finding == finding for finding in findings] for d in drawn])
    conf = np.full(y.shape, np.nan)
    where = np.array([fold[d.film] for d in drawn])
    for part in range(FOLDS):
        conf[fold == part] = train_judge(x_drawn[where != part], taught[where != part])(x[fold == part])
    print("\na judge of drawn courses alone, on real labels")
    patients = [film.record.patient for film in films]
    for k, finding in enumerate(findings):
        print(f"  {finding}: AUROC {auroc_interval(conf[:, k], y[:, k], patients)}")


def read_by(
    path: Path, domain: str, films: Sequence[Film], drawn: Sequence[Drawn]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """(Conf of the val films, NaN for others; Conf of what was drawn; findings) by a network of `train classifier`."""
    judge: Judge | Classifier
    try:
        judge = load_judge(path)
    except ValueError:
        judge = load_densenet(path)
    names = tuple(finding_of(output, BUILT_IN[domain]) or output for output in judge.outputs)
    real = np.full((len(films), len(names)), np.nan)
    val = [i for i, film in enumerate(films) if film.record.split == VAL]

    def conf(images: Sequence[np.ndarray]) -> np.ndarray:
        parts = (np.stack(images[i : i + 32]) for i in range(0, len(images), 32))
        parts = (part if part.ndim == 4 else part[..., None] for part in parts)
        return np.concatenate([judge.conf(torch.from_numpy(part)).numpy() for part in parts])

    real[val] = conf([films[i].image for i in val])
    return real, conf([d.image for d in drawn]), names


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench courses", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--data", type=Path, required=True, help="the CSV of the films, split by patient")
    parser.add_argument("--judge", type=Path, nargs="*", default=[], help="networks of train classifier that read too")
    parser.add_argument("--cross", action="store_true", help="all patients in folds, with the own judge alone")
    parser.add_argument("--part", choices=list(PARTS), default="all", help="of what can be drawn on (default: all)")
    parser.add_argument("--films", type=int, default=120, help="healthy films to draw on at most (default: 120)")
    options = parser.parse_args()
    if options.cross and options.judge:
        parser.error("--judge reads val alone: leave out --cross")
    use_host()
    cv2.setNumThreads(1)
    domain, findings = options.domain, courses(options.domain).FINDINGS
    films = read_films(options.data, domain)
    healthy = [i for i, f in enumerate(films) if DRAWN_ON[domain](f.record)]
    healthy = [i for i in healthy if options.cross or films[i].record.split == VAL][PARTS[options.part]]
    chosen = np.random.default_rng(0).permutation(healthy)[: options.films]
    drawn, without = draw_all(domain, films, chosen.tolist(), (SEVERE,) if options.cross else (0.5, SEVERE))
    patients = len({films[d.film].record.patient for d in drawn})
    print(f"{len(films)} films; courses on {len(chosen) - without} of {patients} patients, {without} have no anatomy")
    real, conf = own_judge(films, drawn, options.cross, findings)
    passed = report("own judge", films, real, drawn, conf, findings, findings)
    for path in options.judge:
        real, conf, names = read_by(path, domain, films, drawn)
        passed &= report(path.name, films, real, drawn, conf, names, findings)
    if not passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
