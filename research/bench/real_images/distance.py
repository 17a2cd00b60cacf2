"""How far sets of pictures lie apart in features of EfficientNet-Lite0: KID, and whether a classifier tells them apart.

The features learned from ImageNet and know neither films nor these networks.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ....mvg.metrics.kid import kid_exact
from ....training.classifier_network import LITE_FEATURES, LiteFeatures
from ....training.data import VAL, Record
from .. import courses as course_bench
from ..bars import PIE, Verdict, in_words
from ..patients import TARGET
from .options import as_table, findings_of, simulator, table_of
from .pictures import JUDGES, as_image, courses_of, healthy_pictures, part_of, read_picture
from .pictures import findings_of as labels_of

SIZE = 224
GROUPS = 20
LEAST = 10
"""Patients with real pictures of a finding, below which a distance to them says little."""
FOLDS = 5
UNSEEN = "seen by no network of the product"


@torch.inference_mode()
def features(pictures: Sequence[Tensor]) -> np.ndarray:
    """[n, LITE_FEATURES] of pictures [H, W, 3] in [0, 1], as they are."""
    network, out = LiteFeatures(), []
    for start in range(0, len(pictures), 16):
        batch = torch.stack(list(pictures[start : start + 16])).movedim(-1, 1)
        out.append(network(torch.nn.functional.interpolate(batch, (SIZE, SIZE), mode="area")).numpy())
    return np.concatenate(out) if out else np.empty((0, LITE_FEATURES), np.float32)


def real_with(table, finding: str, parts: Sequence[str]) -> list[Record]:
    """The pictures of some parts that are labeled with a finding."""
    found = []
    for part in parts:
        try:
            found += [r for r in part_of(table, part) if finding in labels_of(r, table.domain)]
        except ValueError:  # a domain without such a part
            continue
    return found


def kid_difference(
    real: np.ndarray, real_patients: Sequence[str], fake: np.ndarray, other: np.ndarray, patients: Sequence[str],
    other_patients: Sequence[str],
) -> tuple[float, float, float, float]:  # fmt: skip
    """KID of ``fake`` to ``real``, that of ``other`` to ``real``, and the 95 % bounds of their difference.

    The bounds are those of a jackknife over groups of patients: a bootstrap would hold pictures twice, which an
    unbiased MMD takes for nearness.

    Args:
        real, fake, other: features [n, F].
        real_patients, patients, other_patients: whose.

    Returns:
        Two distances, low and high of the first less the second.
    """
    names = sorted({*real_patients, *patients, *other_patients})
    order = np.random.default_rng(0).permutation(len(names))
    group = {names[i]: g % min(GROUPS, len(names)) for g, i in enumerate(order)}
    count = min(GROUPS, len(names))

    def without(x: np.ndarray, whose: Sequence[str], left_out: int) -> Tensor:
        kept = np.array([group[name] != left_out for name in whose])
        return torch.from_numpy(x[kept])

    def distances(left_out: int) -> tuple[float, float]:
        those = without(real, real_patients, left_out)
        mine, theirs = without(fake, patients, left_out), without(other, other_patients, left_out)
        return kid_exact(those, mine), kid_exact(those, theirs)

    near, far = distances(-1)
    left = np.array([np.subtract(*distances(g)) for g in range(count)])
    error = 1.96 * float(np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum()))
    return near, far, near - far - error, near - far + error


def run_kid(options: argparse.Namespace) -> list[Verdict]:
    """Prints KID of simulated severe stages to real pictures with the label, beside that of the unchanged ones.

    Every picture of val without finding is simulated with each side, so that there are as many as it takes; ``--count``
    is of pictures here. Real ones: all of the data with the label, as they are few; those that are seen by no network
    of the product in a line of their own.
    """
    table, made = table_of(options), simulator(options)
    starts = healthy_pictures(table, options.of, options.count, options.size, first=options.first, each=True)
    if (people := len({start.patient for start in starts})) < LEAST:
        raise ValueError(f"--count: got pictures of {people} patients, want those of at least {LEAST}")
    lines, verdicts = [], []
    if options.findings is None and options.domain == "chest_xray":
        options.findings = ["pleural effusion"]  # of the others there are few real films
    for finding in findings_of(options, made):
        sided = courses_of(starts[:1], finding)[0].side != ""
        cases = [case for turn in range(3 if sided else 1) for case in courses_of(starts, finding, turn)]
        fake = features([states[-1] for states in made.states(cases, PIE, options.stages)])
        own = [case.start.patient for case in cases]
        drawn = features([case.truth([TARGET])[0] for case in cases])
        unchanged = features([start.image() for start in starts])
        theirs = [start.patient for start in starts]
        for name, parts in (("all", (VAL, "train")), (UNSEEN, (VAL, JUDGES))):
            records = real_with(table, finding, parts)
            if len({r.patient for r in records}) < LEAST:
                print(f"{finding}, real pictures {name}: {len(records)}, too few")
                continue
            real = features([as_image(read_picture(r, options.domain, options.size)) for r in records])
            whose = [r.patient for r in records]
            near, far, low, high = kid_difference(real, whose, fake, unchanged, own, theirs)
            drawn_near = kid_exact(torch.from_numpy(real), torch.from_numpy(drawn))
            counts = f"{len(fake)} / {len(unchanged)} / {len(records)}"
            lines.append([finding, name, counts, f"{near:.4f}", f"{drawn_near:.4f}", f"{far:.4f}",
                          f"{near - far:+.4f} ({low:+.4f} to {high:+.4f})"])  # fmt: skip
            if name == "all":
                people = len({*own, *whose})
                mean, bar = near - far, in_words(None, 0.0)
                verdicts.append(Verdict(f"KID of simulated {finding} less that of unchanged", bar, mean, low, high,
                                        people, mean < 0))  # fmt: skip
    head = ["finding", "real pictures", "simulated / unchanged / real", "KID simulated", "drawn", "unchanged", "less"]
    print(as_table(head, lines))
    return verdicts


def run_told_apart(options: argparse.Namespace) -> list[Verdict]:
    """Prints the AUROC of a classifier that tells simulated severe stages from real pictures with the label, on
    patients that it has not seen, by folds over patients.

    Simulated ones begin at pictures without finding, whose patients, views and devices are others than those of real
    ones: the AUROC of the same classifier with the unchanged pictures in place of the simulated ones stands beside, and
    that with the drawn courses. What is above it is the simulation's.
    """
    table, made = table_of(options), simulator(options)
    starts = healthy_pictures(table, options.of, options.count, options.size, first=options.first)
    sets: dict[str, list[Tensor]] = {"simulated": [], "drawn": [], "unchanged": []}
    real: list[Record] = []
    own: list[str] = []
    for finding in findings_of(options, made):
        cases = courses_of(starts, finding)
        sets["simulated"] += [states[-1] for states in made.states(cases, PIE, options.stages)]
        sets["drawn"] += [case.truth([TARGET])[0] for case in cases]
        sets["unchanged"] += [case.image() for case in cases]
        own += [case.start.patient for case in cases]
        real += [r for r in real_with(table, finding, (VAL, JUDGES)) if r not in real]
    x_real = features([as_image(read_picture(r, options.domain, options.size)) for r in real])
    whose = [r.patient for r in real]
    lines = []
    for name, pictures in sets.items():
        scores, positive, people = cross_judged(features(pictures), own, x_real, whose)
        lines.append([name, len(pictures), len(real), len(set(people)),
                      course_bench.auroc_interval(scores, positive, people)])  # fmt: skip
    print(as_table(["told from real pictures", "n", "real", "patients", "AUROC"], lines))
    return []


def cross_judged(
    fake: np.ndarray, fake_patients: Sequence[str], real: np.ndarray, real_patients: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores of "is not real" by classifiers that saw other patients.

    Args:
        fake, real: features [n, F].
        fake_patients, real_patients: whose.

    Returns:
        scores [n], bool [n] whether it is fake, and the patients.
    """
    x, people = np.concatenate([fake, real]), [*fake_patients, *real_patients]
    positive = np.arange(len(x)) < len(fake)
    names = sorted(set(people))
    order = np.random.default_rng(0).permutation(len(names))
    place = {names[i]: fold % FOLDS for fold, i in enumerate(order)}
    fold = np.array([place[name] for name in people])
    scores = np.full(len(x), 0.5)
    for part in range(FOLDS):
        rest = fold != part
        if (~rest).any() and 0 < positive[rest].sum() < rest.sum():
            judge = course_bench.train_judge(x[rest], positive[rest, None].astype(np.float32))
            scores[~rest] = judge(x[~rest])[:, 0]
    return scores, positive, people
