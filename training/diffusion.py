"""Fine-tunes SD 1.x, SD 3 or an embedded UNet on pictures with captions: fully, or as a LoRA.

Defaults are those of PIE's released code: learning rate 5e-5, cosine, 1,000 steps of warm-up, 20,000 steps, bf16. The
result is DIR/lora.safetensors for LoraLoader, DIR/checkpoint.safetensors for CheckpointLoaderSimple and UNETLoader, or
DIR/unet.safetensors for Load Embedded (in models/mvg/embedded).
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..launch.errors import UsageError
from ..models.embedded.architecture import file_name
from ..mvg.domains import BUILT_IN, Domain, find_domain
from . import lora
from .data import TRAIN, VAL, Pictures, Record, Table, balance, check_labels, read, targets
from .data.labels import NO_FINDING, finding_of
from .draws import Draws
from .embedded_model import EmbeddedModel
from .image_model import ImageModel
from .options import parser, run, settings_of
from .run_folder import RunFolder
from .samples import Captioned
from .settings import Settings, weight_dtype
from .stable_diffusion import open_model
from .task import Task
from .trainer import Trainer, write_tensors

EMBEDDED = "embedded"
SAMPLING_STEPS, GUIDANCE = 20, 5.0


class Diffusion(Task):
    """A text-to-image model whose denoiser is trained.

    Args:
        model: it.
        seed: of noise and time steps.
        captions: what is drawn for TensorBoard; none for no pictures.
        size: side of those pictures.
    """

    def __init__(self, model: ImageModel, seed: int, captions: Sequence[str], size: int):
        super().__init__()
        self.model, self.seed, self.captions, self.size = model, seed, list(captions), size

    def train(self, mode: bool = True) -> "Diffusion":
        """What is not trained is never in training mode."""
        super().train(mode)
        for network in self.model.frozen():
            network.eval()
        return self

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """batch: "image" [B, 3, H, W] in [-1, 1], "caption" and "number"."""
        draws = Draws(self.seed, batch["number"])
        latents = self.model.encode(batch["image"], draws).float()
        return {"loss": self.model.losses(latents, self.model.embed(batch["caption"]), draws).mean()}

    def pictures(self) -> Tensor | None:
        """One of every caption."""
        return self.model.sample(self.captions, self.size, SAMPLING_STEPS, GUIDANCE) if self.captions else None


def arguments() -> argparse.ArgumentParser:
    out = parser(
        "diffusion",
        __doc__,
        steps=20_000,
        batch=8,
        accumulation=2,
        rate=5e-5,
        warmup=1000,
        decay=0.9999,
        checkpoint=500,
    )
    out.add_argument(
        "--base", type=Path, default=Path(EMBEDDED), metavar="PATH",
        help="folder in diffusers' layout, checkpoint file, or embedded (default: embedded)",
    )  # fmt: skip
    out.add_argument("--method", choices=("full", "lora"), default="full", help="what is trained (default: full)")
    out.add_argument("--rank", type=int, default=16, metavar="N", help="of the LoRA (default: 16)")
    out.add_argument("--domain", choices=tuple(BUILT_IN), help="kind of image, where the data set does not tell")
    out.add_argument("--findings", metavar="A,B", help="train on these and on normal pictures, and name no others")
    out.add_argument("--size", type=int, metavar="N", help="side of the pictures in pixels (default: the base's)")
    out.add_argument("--caption-dropout", type=float, default=0.1, metavar="P", help="share left empty (default: 0.1)")
    out.add_argument("--snr-gamma", type=float, default=5.0, metavar="G", help="min-SNR's; 0 for none (default: 5)")
    out.add_argument("--balance", action="store_true", help="draw every finding equally often")
    out.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    out.add_argument("--val-share", type=float, default=0.1, metavar="P", help="patients held out (default: 0.1)")
    out.add_argument("--val-pictures", type=int, default=64, metavar="N", help="of the validation (default: 64)")
    out.add_argument("--pictures", type=int, default=4, metavar="N", help="drawn for TensorBoard (default: 4)")
    return out


def choose(table: Table, findings: Sequence[str]) -> dict[str, list[Record]]:
    """Split -> its records; with findings, those alone that show one of them or nothing at all."""
    wanted = {*findings, NO_FINDING} if findings else set()
    out = {}
    for split in (TRAIN, VAL):
        records = table.part(split)
        shown = [r for r in records if not wanted or any(r.labels.get(name) == 1 for name in wanted)]
        if not shown:
            raise ValueError(f"--findings: got no picture of {', '.join(findings)} in {split}, want at least one")
        out[split] = shown
    return out


def digest(table: Table) -> str:
    """Of what is in a data set: a run goes on with the same one alone."""
    told = "\n".join(f"{r.image.name} {r.patient} {r.split} {sorted(r.labels.items())}" for r in table.records)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def model_of(options: argparse.Namespace, domain: Domain, settings: Settings) -> ImageModel:
    """The base, with what is trained of it marked."""
    embedded = str(options.base) == EMBEDDED
    model = EmbeddedModel(domain.name, options.snr_gamma) if embedded else open_model(options.base, options.snr_gamma)
    model.requires_grad_(False)
    torch.manual_seed(settings.seed)
    if options.method == "lora":
        lora.add(model, options.rank, weight_dtype(settings))
    else:
        model.denoiser.requires_grad_(True)
    if options.gradient_checkpointing:
        if embedded:
            raise UsageError("--gradient-checkpointing: the embedded UNet has none. Leave it away.")
        model.denoiser.enable_gradient_checkpointing()  # type: ignore[operator]
    return model


def questions(domain: Domain, findings: Sequence[str], count: int) -> list[str]:
    """Captions of the sample pictures: nothing, then every finding."""
    words = [domain.normal[0], *[f"severe {finding}" for finding in findings]]
    return [f"{domain.prefix}, {word}" for word in words[:count]]


def export(model: ImageModel, options: argparse.Namespace, metadata: dict, domain: Domain) -> Path:
    """Writes what loaders of ComfyUI take."""
    if options.method == "lora":
        path = options.out / "lora.safetensors"
        write_tensors(lora.tensors(model), path, **metadata)
        return path
    name = file_name("unet", domain.name) if model.family == EMBEDDED else "checkpoint.safetensors"
    state, own = model.checkpoint()
    half = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    write_tensors(half, options.out / name, **(own | metadata))
    return options.out / name


def main() -> None:
    options = arguments().parse_args()
    settings = settings_of(options)
    if options.rank < 1:
        raise UsageError(f"--rank is {options.rank}: give 1 or more.")
    if not 0 <= options.caption_dropout < 1:
        raise UsageError(f"--caption-dropout is {options.caption_dropout}: give a share from 0 to below 1.")
    table = read(options.data, domain=options.domain, val_share=options.val_share, seed=settings.seed)
    domain = find_domain(table.domain)
    asked = [name.strip() for name in options.findings.split(",")] if options.findings else []
    labels = check_labels(asked, table.labels, domain)
    findings = list(dict.fromkeys(finding for label in labels if (finding := finding_of(label, domain))))
    records = choose(table, labels if asked else ())
    model = model_of(options, domain, settings)
    size = options.size or model.size
    if size % 16:
        raise UsageError(f"--size is {size}: give a multiple of 16.")
    pictures = {split: Pictures(found, size, gray=domain.gray) for split, found in records.items()}
    known = findings if asked else None
    data = Captioned(
        pictures[TRAIN], domain, settings.seed, dropout=options.caption_dropout, known=known,
        weights=balance(targets(records[TRAIN], labels)[0]) if options.balance else None,
    )  # fmt: skip
    count = min(options.val_pictures, len(pictures[VAL]))
    validation = Captioned(pictures[VAL], domain, settings.seed, fixed=count, known=known) if count else None
    task = Diffusion(model, settings.seed, questions(domain, findings, options.pictures), size)
    told = ("method", "rank", "findings", "caption_dropout", "snr_gamma", "balance")
    config = {
        "training": "diffusion", "base": str(options.base), "data": digest(table), "size": size,
        **{name: getattr(options, name) for name in told},
    }  # fmt: skip
    trainer = Trainer(
        task, data, settings, RunFolder(options.out), validation=validation, config=config, resume=options.resume
    )
    if trainer.main:
        for note in table.notes:
            print(note, flush=True)
        print(f"{len(records[TRAIN])} pictures to train on, {count} to validate on", flush=True)
    trainer.fit()
    trainer.finish()
    if trainer.main:
        metadata = {
            "domain": domain.name, "findings": findings, "licence": "\n".join(table.licences), "family": model.family,
            "base": options.base.name, "method": options.method, "trained_steps": settings.steps,
        }  # fmt: skip
        print(f"result: {export(model, options, metadata, domain)}", flush=True)
    trainer.close()


if __name__ == "__main__":
    run(main)
