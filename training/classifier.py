"""Trains a DenseNet for the score Conf, by cross-entropy and then by AUC maximisation (section 5 of the paper).

Cross-entropy over --steps, then the AUC margin loss with PESG over --auc-steps (Yuan et al. 2021), each in a folder of
its own under DIR; both are judged on val. DIR/classifier.safetensors loads in Load Classifier as it is, calibrated on
val. --backbone efficientnet-lite0 trains a head on frozen features instead: an independent judge, which
training.classifier_network.load_judge reads.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..launch.errors import UsageError
from ..models.classifier_config import MIN_IMAGE_SIZE
from ..mvg.domains import BUILT_IN, find_domain
from ..mvg.metrics.conf import IMAGENET_MEAN, IMAGENET_STD
from ..mvg.picture_fit import FITS
from . import data, options
from .aucm import PESG, AUCMLoss
from .classifier_augment import Augment
from .classifier_network import BACKBONES, DENSENET, EFFICIENTNET, DenseNetLogits, Head, Shape, start_from
from .classifier_report import CARD, PLOT, SCORES, Answers, write_report
from .classifier_scores import calibrate
from .classifier_task import ClassifierTask, Features, Labelled, answers_of
from .data import TRAIN, VAL, Samples, Table
from .run_folder import RunFolder
from .settings import Settings, make_accelerator
from .trainer import Trainer, write_tensors

FILE = "classifier.safetensors"
BCE, AUCM = "BCE", "AUCM"
Taught = Mapping[str, tuple[Tensor, Tensor]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains as a command line says.

    Raises:
        LaunchError, ValueError: one line that names the input, what it got and what it wants.
    """
    given = _parser().parse_args(arguments)
    settings = options.settings_of(given)
    _check(given)
    table = data.read(given.data, domain=given.domain, labels=given.labels, val_share=given.val_share, seed=given.seed)
    domain = find_domain(table.domain)
    asked = data.check_labels(given.labels, table.labels, domain)
    records = {split: table.part(split) for split in (TRAIN, VAL)}
    policies = {"uncertain": given.uncertain, "missing": given.missing}
    findings, taught = _learnable(
        asked, {split: data.targets(part, asked, **policies) for split, part in records.items()}, bool(given.labels)
    )
    print(f"{table.name}: {len(records[TRAIN])} train, {len(records[VAL])} val; {', '.join(findings)}", flush=True)
    for note in table.notes:
        print(f"note: {note}", flush=True)
    pictures = {
        split: data.Pictures(
            part,
            given.image_size,
            fit=given.fit,
            gray=domain.gray,
            transform=Augment(sided=domain.gray) if split == TRAIN and given.backbone == DENSENET else None,
            seed=given.seed,
            max_unreadable=given.max_unreadable,
        )
        for split, part in records.items()
    }
    answers, network = _train(given, settings, table, findings, pictures, taught)
    text = write_report(given.out, answers, findings, table, _told(given, settings, pictures))
    _export(given, network, list(answers.values())[-1], findings, table)
    print(f"{text}\nresult: {given.out / FILE}, {CARD}, {SCORES}, {PLOT}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = options.parser("classifier", __doc__, steps=1000, batch=32, rate=1e-4, decay=0.0, checkpoint=100)
    uncertain, missing = data.UNCERTAIN_POLICIES, data.MISSING_POLICIES
    for name, kind, default, words in (
        ("labels", _words, [], "findings to read, between commas (default: all of the data)"),
        ("val-share", float, 0.1, "share of patients drawn for val where the data have none"),
        ("max-unreadable", float, data.MAX_UNREADABLE, "share of pictures that may be unreadable"),
        ("image-size", int, 224, "side of the pictures in pixels"),
        ("growth", int, 32, "growth rate of the DenseNet; it begins with twice as many channels"),
        ("blocks", _numbers, "6,12,24,16", "layers of each of its blocks"),
        ("init", Path, None, "weights to start from, such as torchvision's of ImageNet"),
        ("auc-steps", int, 1000, "steps of AUC maximisation; 0 for none"),
        ("auc-rate", float, 0.1, "its learning rate"),
        ("margin", float, 1.0, "its margin"),
        ("epoch-decay", float, 0.003, "how strongly PESG holds to its reference"),
    ):
        words = words if default in (None, []) else f"{words} (default: {default})"
        parser.add_argument(f"--{name}", type=kind, default=default, metavar="V", help=words)
    for name, choices, first, words in (
        ("domain", tuple(BUILT_IN), None, "kind of image, where the data do not tell"),
        ("uncertain", tuple(uncertain), "soft", f"what -1 is taught as; soft is {uncertain['soft']} (default: soft)"),
        ("missing", tuple(missing), "ignore", "what no label is taught as (default: ignore)"),
        ("fit", FITS, "crop", "how pictures become squares (default: crop)"),
        ("backbone", BACKBONES, DENSENET, f"(default: {DENSENET})"),
    ):
        parser.add_argument(f"--{name}", choices=choices, default=first, help=words)
    parser.add_argument("--balance", action="store_true", help="draw rare findings as often as frequent ones")
    return parser


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


def _check(given: argparse.Namespace) -> None:
    """UsageError for what the parser lets pass."""
    if given.image_size < MIN_IMAGE_SIZE:
        raise UsageError(f"--image-size is {given.image_size}: give {MIN_IMAGE_SIZE} or more.")
    if given.auc_steps < 0:
        raise UsageError(f"--auc-steps is {given.auc_steps}: give 0 or more.")
    if not given.auc_rate > 0:
        raise UsageError(f"--auc-rate is {given.auc_rate}: give a number above 0.")
    if min(given.growth, *given.blocks) < 1:
        raise UsageError("--growth and --blocks: give whole numbers above 0, such as 32 and 6,12,24,16.")
    if given.init and given.backbone != DENSENET:
        raise UsageError(f"--init is for --backbone {DENSENET}, not {given.backbone}.")


def _learnable(findings: tuple[str, ...], taught: Taught, asked: bool) -> tuple[tuple[str, ...], Taught]:
    """Without what train shows always or never; ValueError where it was asked for or nothing is left."""
    share = _positives(*taught[TRAIN])
    kept = [k for k in range(len(findings)) if 0 < share[k] < 1]
    if lost := [finding for k, finding in enumerate(findings) if k not in kept]:
        told = f"train has no picture with, or none without, {', '.join(lost)}"
        if asked or not kept:
            raise ValueError(f"labels: {told}; want both")
        print(f"note: {told}; left out", flush=True)
    cut = {split: (values[:, kept], weights[:, kept]) for split, (values, weights) in taught.items()}
    return tuple(findings[k] for k in kept), cut


def _positives(values: Tensor, weights: Tensor) -> Tensor:
    """Share of positives of each finding among what is known, [k]; NaN where nothing is."""
    return (values * weights).sum(dim=0) / weights.sum(dim=0)


def _train(
    given: argparse.Namespace,
    settings: Settings,
    table: Table,
    findings: tuple[str, ...],
    pictures: Mapping[str, data.Pictures],
    taught: Taught,
) -> tuple[dict[str, Answers], DenseNetLogits | Head]:
    """-> what the network says of val after each stage, and the network after the last."""
    torch.manual_seed(settings.seed)
    device = make_accelerator(settings, given.out).device
    inputs: Mapping[str, Any] = pictures
    network: DenseNetLogits | Head
    if given.backbone == EFFICIENTNET:
        sided = find_domain(table.domain).gray
        inputs = {split: Features(part, split == TRAIN and not sided, device) for split, part in pictures.items()}
        values = inputs[TRAIN].values.flatten(0, 1)
        network = Head(values.mean(dim=0), values.std(dim=0) + 1e-3, len(findings))
    else:
        network = DenseNetLogits(Shape(given.growth, given.blocks, 2 * given.growth), len(findings))
        if given.init:
            start_from(network, given.init)
    drawn = data.balance(taught[TRAIN][0]) if given.balance else None
    train = Labelled(Samples(inputs[TRAIN], seed=settings.seed, weights=drawn), *taught[TRAIN])
    val = Labelled(Samples(inputs[VAL], seed=None), *taught[VAL])
    patients = [record.patient for record in pictures[VAL].records]
    answers = {}
    epoch = max(len(train) // (settings.batch * settings.accumulation), 1)
    for stage, task, own, optimizer in _stages(given, settings, network, _positives(*taught[TRAIN]), epoch):
        folder = RunFolder(given.out / stage.lower())
        trainer = Trainer(
            task,
            train,
            own,
            folder,
            validation=val,
            optimizer=optimizer,
            config=_config(given, table, findings),
            resume=given.resume and (stage == BCE or folder.config.is_file()),
        )
        trainer.fit()
        trainer.finish(best=False)  # val is for the figures: it chooses nothing
        folder.close()
        answers[stage] = answers_of(network, inputs[VAL], taught[VAL], patients, device)
    return answers, network


def _stages(given: argparse.Namespace, settings: Settings, network: nn.Module, positives: Tensor, epoch: int):
    """Name, task, settings and optimizer of each stage; the network goes on from one to the next."""
    yield BCE, ClassifierTask(network), settings, None
    if given.auc_steps:
        loss = AUCMLoss(positives, given.margin)
        own = replace(settings, steps=given.auc_steps, rate=given.auc_rate, warmup=0)

        def optimizer(parameters: list[nn.Parameter]) -> PESG:
            primal = [parameter for parameter in parameters if parameter is not loss.alpha]
            return PESG(primal, [loss.alpha], lr=given.auc_rate, epoch_decay=given.epoch_decay, period=epoch)

        yield AUCM, ClassifierTask(network, loss), own, optimizer


def _config(given: argparse.Namespace, table: Table, findings: tuple[str, ...]) -> dict[str, Any]:
    """What makes a run what it is, beside its settings."""
    names = "uncertain missing balance image_size fit backbone growth blocks margin epoch_decay val_share"
    held = {name: getattr(given, name) for name in names.split()}
    return held | {"data": table.name, "pictures": len(table.records), "findings": findings, "init": str(given.init)}


def _told(given: argparse.Namespace, settings: Settings, pictures: Mapping[str, data.Pictures]) -> dict[str, Any]:
    """Lines of the model card."""
    network = f"DenseNet, growth {given.growth}, blocks {given.blocks}, from {given.init or 'scratch'}"
    if given.backbone == EFFICIENTNET:
        network = f"linear layer on frozen features of {EFFICIENTNET}"
    told = {
        "Network": f"{network}, at {given.image_size} x {given.image_size}",
        "Cross-entropy": f"{settings.steps} steps of {settings.batch}, rate {settings.rate:g}",
        "Uncertain labels": given.uncertain,
        "Missing labels": given.missing,
        "Seed": settings.seed,
    }
    if given.auc_steps:
        told["AUC maximisation"] = f"{given.auc_steps} steps of PESG, rate {given.auc_rate:g}, margin {given.margin:g}"
    for split, part in pictures.items():
        if part.unreadable:
            told[f"Unreadable in {split}"] = len(part.unreadable)
    return told


def _export(
    given: argparse.Namespace,
    network: DenseNetLogits | Head,
    answers: Answers,
    findings: tuple[str, ...],
    table: Table,
) -> None:
    """Writes the network with the calibration in its last layer, so that its logits are those of probabilities."""
    fits = [
        calibrate(answers.logits[answers.known[:, k], k], answers.targets[answers.known[:, k], k] >= 0.5)
        for k in range(len(findings))
    ]
    scale, offset = torch.tensor(fits).float().unbind(dim=1)
    module: nn.Module = network if isinstance(network, Head) else network.densenet
    state = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
    head = "" if isinstance(network, Head) else "classifier."
    state[f"{head}weight"] *= scale[:, None]
    state[f"{head}bias"] = state[f"{head}bias"] * scale + offset
    config: dict[str, Any] = {"name": given.out.resolve().name, "outputs": findings, "image_size": given.image_size}
    if given.backbone == EFFICIENTNET:
        config["backbone"] = EFFICIENTNET
    else:
        config |= {"activation": "sigmoid", "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
    write_tensors(state, given.out / FILE, config=config, domain=table.domain, licences=table.licences)


if __name__ == "__main__":
    options.run(main)
