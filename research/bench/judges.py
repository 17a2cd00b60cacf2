"""Judges apart from the players: classifiers of real labels that no network of the product learned from.

``run.py bench judges --data CSV`` trains them on the judges' patients of the train split (`research.courses.dataset`:
40 % of the patients with films, 30 % of the skin pictures) and prints the AUROC of each finding on val, and on the
players' pictures of train, which the judges have not seen either and which are more. Two classifiers learn the real
labels: a small DenseNet, by ``run.py train classifier`` with the settings of training/README, and a linear layer on
frozen features of EfficientNet-Lite0. Their thresholds leave 80 % of the players' pictures without a finding below.
A third network, the reader, grades the change from one picture to another; it learns from courses drawn onto the
judges' patients. Where a domain has no judges' patients (the fundus, of which no real grades exist), there is the
reader alone, trained on drawn courses of the train split's photographs.

Weights stay in training/runs/judges/DOMAIN and are made again by this command, bit by bit on one machine. What is there
already is not made again.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

from ...launch.errors import LaunchError
from ...models.standalone_host import use_host
from ...mvg.domains import BUILT_IN
from ...training import classifier
from ...training.data import VAL, Record, Table, read
from ..courses import MODULES, courses
from . import courses as course_bench
from .courses import auroc_interval, mean_interval
from .real_images import judges, reader
from .real_images.pictures import as_image, read_picture

DENSENET = {
    "chest_xray": ("--image-size", "128", "--growth", "8", "--labels",
                   "cardiomegaly,edema,consolidation,atelectasis,pleural effusion,pneumonia,infiltration"),
    "skin": ("--image-size", "64", "--growth", "8", "--labels", "melanoma,nevus,seborrheic keratosis"),
}  # fmt: skip
"""Settings of the DenseNet, as training/README found them."""
COLUMNS = ("file", "patient", "labels", "split", "view", "licence")


def write_table(table: Table, path: Path) -> None:
    """A CSV with the judges' pictures as train, and the players' as val, by which the DenseNet is calibrated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = judges.parts(table)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for part, split in (("judges", "train"), (judges.PLAYERS, "val")):
            for r in found[part]:
                words = "|".join(label for label, value in r.labels.items() if value == 1)
                writer.writerow([r.image.resolve(), r.patient, words, split, r.view, r.licence])


def train_densenet(table: Table, folder: Path, steps: int, seed: int) -> None:
    """By the training command, resumed where it was stopped."""
    out = folder / "densenet"
    if (out / classifier.FILE).is_file():
        return
    write_table(table, folder / "table.csv")
    options = [str(folder / "table.csv"), "--domain", table.domain, "--out", str(out), "--rate", "1e-3"]
    options += ["--warmup", str(min(30, steps // 4)), "--steps", str(steps), "--auc-steps", "0", "--seed", str(seed)]
    resumed = ["--resume"] if (out / "bce" / "run.json").is_file() else []
    classifier.main([*options, *DENSENET[table.domain], *resumed])


def pictures_of(records: list[Record], domain: str) -> list[np.ndarray]:
    """As a judge sees them, in the order of the records."""
    return [read_picture(record, domain, judges.SIZE) for record in records]


def train_lite(table: Table, folder: Path) -> None:
    """The linear layer on the judges' pictures; exact, so that it needs no seed."""
    if (folder / judges.FILES[judges.LITE]).is_file():
        return
    records = judges.parts(table)["judges"]
    x = course_bench.features(pictures_of(records, table.domain))
    y = judges.truth(records, table.domain).astype(np.float32)
    weights = course_bench.fit_judge(x, y)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / judges.FILES[judges.LITE], outputs=np.array(courses(table.domain).FINDINGS), **weights)  # type: ignore[arg-type]


def threshold(scores: np.ndarray, positive: np.ndarray) -> float:
    """What SPECIFICITY of the pictures without the finding lie below."""
    return float(np.quantile(scores[~positive], judges.SPECIFICITY))


def judge_all(table: Table, folder: Path, names: list[str]) -> None:
    """Writes thresholds.json and prints the AUROC of every finding as some judges read it."""
    domain, findings = table.domain, courses(table.domain).FINDINGS
    found = judges.parts(table)
    thresholds: dict[str, dict[str, float]] = {name: {} for name in names}
    reads: dict[str, dict[str, np.ndarray]] = {}
    for judge in judges.panel(domain, folder, thresholds):
        kept = folder / f"{judge.name}.read.npz"
        if not kept.is_file():
            np.savez(kept, **{part: conf_of(judge, found[part], domain) for part in (judges.PLAYERS, VAL)})  # type: ignore[arg-type]
        with np.load(kept) as file:
            reads[judge.name] = {part: file[part] for part in file.files}
        for k, finding in enumerate(findings):
            positive = judges.truth(found[judges.PLAYERS], domain)[:, k]
            own = reads[judge.name][judges.PLAYERS][:, judge.outputs.index(finding)]
            thresholds[judge.name][finding] = threshold(own, positive)
    (folder / judges.THRESHOLDS).write_text(json.dumps(thresholds, indent=1) + "\n")
    print_table(judges.panel(domain, folder, thresholds), reads, found, domain)


def conf_of(judge: judges.Judge, records: list[Record], domain: str) -> np.ndarray:
    """[n, outputs]: what a judge reads in the pictures of some records."""
    parts = (pictures_of(records[i : i + 32], domain) for i in range(0, len(records), 32))
    return np.concatenate([judge.conf(torch.stack([as_image(p) for p in part])) for part in parts])


def print_table(made, reads, found, domain: str) -> None:
    """AUROC on val and on the players' pictures, and sensitivity on real positives of val at the threshold."""
    print(f"\n{domain}: judges trained on {len(found['judges'])} pictures of "
          f"{len({r.patient for r in found['judges']})} patients")  # fmt: skip
    print("| judge | finding | taught with | AUROC on val | with / without | AUROC on players' | with / without "
          "| sensitivity on val at specificity 0.8 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    taught = judges.truth(found["judges"], domain)
    for judge in made:
        for k, finding in enumerate(courses(domain).FINDINGS):
            cells = [judge.name, finding, str(int(taught[:, k].sum()))]
            for part in (VAL, judges.PLAYERS):
                scores = reads[judge.name][part][:, judge.outputs.index(finding)]
                positive = judges.truth(found[part], domain)[:, k]
                patients = [r.patient for r in found[part]]
                cells += [auroc_interval(scores, positive, patients), f"{positive.sum()} / {(~positive).sum()}"]
            scores = reads[judge.name][VAL][:, judge.outputs.index(finding)]
            positive = judges.truth(found[VAL], domain)[:, k]
            seen = (scores[positive] >= judge.thresholds[finding]).astype(float)
            cells.append(mean_interval(seen, [r.patient for r, p in zip(found[VAL], positive, strict=True) if p]))
            print(f"| {' | '.join(cells)} |")


def make_reader(table: Table, folder: Path, count: int, steps: int, seed: int) -> None:
    """Trains the reader where there is none, and prints its errors on courses drawn onto val."""
    path = folder / "reader.safetensors"
    findings = courses(table.domain).FINDINGS
    if not path.is_file():
        data = reader.pairs(table, count, seed)
        reader.save(reader.train(*data, findings, steps, seed), path)
    network = reader.load(path)
    first, later, severities = reader.pairs(table, 40 * (len(findings) + 1), seed + 1, VAL)
    with torch.inference_mode():
        pairs = (torch.from_numpy(x).float() / 255 for x in (first, later))
        read_as = network(*pairs).sigmoid().numpy()
    print(f"\n{table.domain}: the reader, of courses drawn onto val")
    print("| finding | n | error of the severity, where there is any | severity read where there is none |")
    print("|---|---|---|---|")
    for k, finding in enumerate(findings):
        ill = severities[:, k] > 0
        error = np.abs(read_as[ill, k] - severities[ill, k]).mean()
        print(f"| {finding} | {ill.sum()} | {error:.3f} | {read_as[~ill, k].mean():.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench judges", description=__doc__)
    parser.add_argument("--domain", choices=list(MODULES), default="chest_xray")
    parser.add_argument("--data", type=Path, required=True, help="a data set as `run.py train classifier` takes it")
    parser.add_argument("--judges", nargs="+", choices=judges.NAMES, default=list(judges.NAMES), help="(default: all)")
    parser.add_argument("--steps", type=int, default=300, help="of the DenseNet (default: 300)")
    parser.add_argument("--pairs", type=int, default=2000, help="drawn pictures that the reader sees (default: 2000)")
    parser.add_argument("--reader-steps", type=int, default=1200, help="(default: 1200)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    use_host()
    began = time.time()
    try:
        table = read(options.data, domain=options.domain)
        folder = judges.folder_of(options.domain)
        if judges.judged(options.domain):
            if judges.LITE in options.judges:
                train_lite(table, folder)
            if judges.DENSENET in options.judges:
                train_densenet(table, folder, options.steps, options.seed)
            judge_all(table, folder, options.judges)
        else:
            print(judges.OUT_OF_DOMAIN.format(domain=BUILT_IN[options.domain].name))
        make_reader(table, folder, options.pairs, options.reader_steps, options.seed)
    except (ValueError, LaunchError) as error:
        sys.exit(f"error: {error}")
    print(f"{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
