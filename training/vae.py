"""Fine-tunes the embedded AutoencoderKL, or the VAE of SD, on pictures.

The loss is L1, L1 of the gradients, the distance of features of a network trained on photographs, a light KL term and,
if asked for, a patch discriminator (Isola et al. 2017, hinge form). The result is DIR/vae.safetensors, for VAELoader
or, of the embedded one, for Load Embedded (in models/mvg/embedded). --encoder-stays trains the decoder alone: the
latents of a diffusion model that was made for them stay as they were.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import relu

from ..launch.errors import UsageError
from ..models.embedded.architecture import FILES, IMAGE_SIZE
from ..models.standalone_host import use_host
from ..models.weights import errors_naming, read_named
from ..mvg.domains import BUILT_IN, find_domain
from . import ldm_keys
from .data import TRAIN, VAL, Pictures, read
from .diffusion import EMBEDDED, digest
from .draws import Draws
from .embedded_model import build_vae
from .options import parser, run, settings_of
from .perceptual import BUNDLED, Perceptual
from .run_folder import RunFolder
from .samples import Captioned
from .task import Task
from .trainer import Trainer, write_tensors

NONE = "none"


class Discriminator(nn.Module):
    """Whether patches of a picture are real: three strided convolutions and one logit a patch."""

    def __init__(self, width: int = 64):
        super().__init__()
        layers: list[nn.Module] = []
        widths = [3, width, 2 * width, 4 * width]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.GroupNorm(8, after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in [-1, 1] -> logits [B, 1, h, w]."""
        return self.layers(images)


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbouring pixels along rows and columns."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


class Autoencoder(Task):
    """An AutoencoderKL of the host or of diffusers, with what judges it.

    Args:
        vae: it.
        seed: of the draws from its posterior.
        weights: of the terms "gradient", "perceptual", "kl" and "adversarial"; 0 leaves one away.
        backbone: as in `Perceptual`.
        shown: pictures [n, 3, H, W] in [-1, 1] whose round trip is shown.
    """

    shown: Tensor
    vae: Any
    discriminator: Any

    def __init__(self, vae: nn.Module, seed: int, weights: dict[str, float], backbone: str, shown: Tensor):
        super().__init__()
        self.vae, self.seed, self.weights = vae, seed, weights
        self.perceptual = Perceptual(backbone) if weights["perceptual"] else None
        self.discriminator = Discriminator() if weights["adversarial"] else None
        self.register_buffer("shown", shown, persistent=False)

    def train(self, mode: bool = True) -> "Autoencoder":
        """The judge of likeness is never in training mode."""
        super().train(mode)
        if self.perceptual is not None:
            self.perceptual.eval()
        return self

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the posterior [B, C, h, w]."""
        moments = self.vae.encoder(images)
        if getattr(self.vae, "quant_conv", None) is not None:
            moments = self.vae.quant_conv(moments)
        mean, log_variance = moments.float().chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, z: Tensor) -> Tensor:
        """Latents [B, C, h, w] -> images [B, 3, H, W]."""
        if getattr(self.vae, "post_quant_conv", None) is not None:
            z = self.vae.post_quant_conv(z)
        return self.vae.decoder(z).float()

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """batch: "image" [B, 3, H, W] in [-1, 1] and "number"."""
        target = batch["image"]
        mean, log_variance = self.moments(target)
        noise = Draws(self.seed, batch["number"]).normal(mean.shape[1:]).to(mean)
        output = self.decode(mean + (0.5 * log_variance).exp() * noise)
        terms = {
            "l1": (output - target).abs().mean(),
            "gradient": sum((a - b).abs().mean() for a, b in zip(gradients(output), gradients(target), strict=True)),
            "kl": 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(),
        }
        if self.perceptual is not None:
            terms["perceptual"] = self.perceptual(output, target)
        if self.discriminator is not None and self.training:  # it is no measure: a validation goes without
            terms |= self._adversarial(output, target)
        loss = terms["l1"] + sum(self.weights[name] * terms[name] for name in self.weights if name in terms)
        if "discriminator" in terms:
            loss = loss + terms["discriminator"]
        psnr = -10 * torch.log10((output.detach() - target).square().mean() / 4)
        return {"loss": loss, **terms, "psnr": psnr}

    def _adversarial(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """What the picture is told of the discriminator, and the discriminator of the picture, in one pass.

        Each is held still for the other, so one step of one optimiser moves both.
        """
        still = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        fake, real = self.discriminator(output.detach()), self.discriminator(target)
        return {
            "adversarial": -functional_call(self.discriminator, still, (output,)).mean(),
            "discriminator": 0.5 * (relu(1 - real).mean() + relu(1 + fake).mean()),
        }

    def pictures(self) -> Tensor | None:
        """Each picture above what comes back of it."""
        back = self.decode(self.moments(self.shown)[0])
        return torch.cat([self.shown, back], dim=2) / 2 + 0.5


def read_vae(path: Path) -> nn.Module:
    """The VAE of SD 1.x or SD 3: a checkpoint, a VAE in one file, or a folder in diffusers' layout.

    Raises:
        ValueError: there is none.
    """
    from diffusers import AutoencoderKL

    use_host()
    if path.is_dir():
        folder = path / "vae" if (path / "vae").is_dir() else path
        try:
            return AutoencoderKL.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # whatever a damaged file breaks in diffusers
            raise ValueError(f"--base: {folder} holds no AutoencoderKL ({str(error).splitlines()[0]})") from error
    with errors_naming(path):
        state, _ = read_named(path, "a VAE")
        return ldm_keys.build_vae(ldm_keys.part(state, ldm_keys.VAE) or state)


def arguments() -> argparse.ArgumentParser:
    out = parser(
        "vae", __doc__, steps=20_000, batch=8, rate=1e-4, warmup=500, decay=0.999, checkpoint=500, validate=500
    )
    out.add_argument(
        "--base", type=Path, default=Path(EMBEDDED), metavar="PATH",
        help="checkpoint, VAE file, folder in diffusers' layout, or embedded (default: embedded)",
    )  # fmt: skip
    out.add_argument("--domain", choices=tuple(BUILT_IN), help="kind of image, where the data set does not tell")
    out.add_argument("--size", type=int, metavar="N", help=f"side of the pictures in pixels (default: {IMAGE_SIZE})")
    out.add_argument("--encoder-stays", action="store_true", help="train the decoder alone")
    out.add_argument(
        "--perceptual", default=BUNDLED, metavar="B", help=f"{BUNDLED}, NAME:FILE of torchvision, or {NONE}"
    )
    for name, weight in (("gradient", 0.5), ("perceptual", 0.1), ("kl", 1e-6), ("adversarial", 0.0)):
        words = f"weight of the {name} term (default: %(default)s)"
        out.add_argument(f"--{name}-weight", type=float, default=weight, metavar="W", help=words)
    out.add_argument("--val-share", type=float, default=0.1, metavar="P", help="patients held out (default: 0.1)")
    out.add_argument("--val-pictures", type=int, default=64, metavar="N", help="of the validation (default: 64)")
    return out


def open_vae(options: argparse.Namespace, domain: str) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and the metadata that its file needs beside the general."""
    if str(options.base) == EMBEDDED:
        vae, config, metadata = build_vae(domain)
        return vae, {"config": config, **metadata}
    if not options.base.exists():
        raise ValueError(f"--base: there is no {options.base}, want a VAE, a checkpoint or a folder")
    return read_vae(options.base), {}


def export(vae: nn.Module, options: argparse.Namespace, metadata: dict[str, Any]) -> Path:
    """Writes what the loaders of the host, or Load Embedded, take."""
    embedded = str(options.base) == EMBEDDED
    state = vae.state_dict() if embedded else ldm_keys.vae_to_ldm(vae.state_dict())
    path = options.out / FILES["vae"]
    write_tensors({name: tensor.half() for name, tensor in state.items()} if embedded else state, path, **metadata)
    return path


def main() -> None:
    options = arguments().parse_args()
    settings = settings_of(options)
    table = read(options.data, domain=options.domain, val_share=options.val_share, seed=settings.seed)
    domain = find_domain(table.domain)
    vae, own = open_vae(options, domain.name)
    size = options.size or IMAGE_SIZE
    if size % 16:
        raise UsageError(f"--size is {size}: give a multiple of 16.")
    pictures = {split: Pictures(table.part(split), size, gray=domain.gray) for split in (TRAIN, VAL)}
    count = min(options.val_pictures, len(pictures[VAL]))
    data = Captioned(pictures[TRAIN], domain, settings.seed)
    validation = Captioned(pictures[VAL], domain, settings.seed, fixed=count)
    shown = torch.stack([validation[i]["image"] for i in range(min(4, count))])
    weights = {name: getattr(options, f"{name}_weight") for name in ("gradient", "perceptual", "kl", "adversarial")}
    if options.perceptual == NONE:
        weights["perceptual"] = 0.0
    torch.manual_seed(settings.seed)
    task = Autoencoder(vae.float(), settings.seed, weights, options.perceptual, shown)
    if options.encoder_stays:
        for part in (vae.encoder, getattr(vae, "quant_conv", None)):
            if part is not None:
                part.requires_grad_(False)
    config = {
        "training": "vae", "base": str(options.base), "data": digest(table), "size": size, "weights": weights,
        "perceptual": options.perceptual, "encoder_stays": options.encoder_stays,
    }  # fmt: skip
    trainer = Trainer(
        task, data, settings, RunFolder(options.out), validation=validation, config=config, resume=options.resume
    )
    trainer.fit()
    trainer.finish()
    if trainer.main:
        metadata = {"domain": domain.name, "licence": "\n".join(table.licences), "base": options.base.name, **own}
        print(f"result: {export(task.vae, options, metadata)}", flush=True)
    trainer.close()


if __name__ == "__main__":
    run(main)
