"""Fine-tunes SEINE on clips: videos or folders of frames, or patients' pictures in order.

The loss is on the noise under SEINE's own betas; which frames are given is drawn anew for every clip. The base is
seine.pt with the text tower and VAE of SD 1.4 (--sd), or the embedded network of a domain. The result is
DIR/seine.safetensors, for Load SEINE or, of the embedded one, for Load Embedded (in models/mvg/embedded).
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..launch.errors import UsageError
from ..models.embedded.architecture import DOMAINS, FILES, IMAGE_SIZE, file_name
from ..models.embedded.loader import BUNDLED
from ..models.seine.checkpoint import read_checkpoint
from ..models.seine.unet import UNet3D
from ..mvg import seine
from .clips import Clip, Clips, find_clips, pairs, split
from .data import read
from .draws import Draws
from .embedded_model import EmbeddedModel
from .image_model import ImageModel
from .options import parser, run, settings_of
from .run_folder import RunFolder
from .stable_diffusion import open_model
from .task import Task
from .trainer import Trainer, write_tensors

PROMPT = "smooth transition."
EMBEDDED = "embedded"
SIZE = 512


def betas() -> dict[str, Any]:
    """SEINE's schedule: betas straight from 1e-4 to 2e-2, 1000 steps."""
    return {"beta_start": 1e-4, "beta_end": 2e-2, "beta_schedule": "linear", "num_train_timesteps": 1000}


def masked_video(latents: Tensor, gray: Tensor, known: Tensor, between: str) -> tuple[Tensor, Tensor]:
    """What the network is shown beside the noise, for any frames that are given (eq. 9).

    Args:
        latents: of the true frames [B, C, F, h, w].
        gray: of a mid-gray picture [1, C, h, w].
        known: [B, F] bool, at least one a row.
        between: of `mvg.seine.BETWEEN`: what stands for frames that are not given.

    Returns:
        The masked video [B, C, F, h, w], and the mask [B, 1, F, h, w] of 1 (to be generated) and 0 (given).
    """
    video = gray[:, :, None].expand_as(latents).clone()
    for clip, shown, given in zip(latents, video, known, strict=True):
        places = given.nonzero().flatten().tolist()
        for frame in range(len(given)):
            before = max((place for place in places if place <= frame), default=places[0])
            after = min((place for place in places if place >= frame), default=places[-1])
            if frame in places or (between == "walk" and before == after):
                shown[:, frame] = clip[:, frame if frame in places else before]
            elif between == "walk":
                way = (frame - before) / (after - before)
                shown[:, frame] = torch.lerp(clip[:, before], clip[:, after], way)
    mask = (~known).to(latents)[:, None, :, None, None]
    return video, mask.expand(-1, 1, -1, *latents.shape[3:])


class Transition(Task):
    """SEINE's network on the latents of a VAE.

    Args:
        network: it; trained.
        model: whose VAE makes latents and whose tower reads the prompt; it stays as it is.
        seed: of noise and time steps.
        size: side of the pictures in pixels.
    """

    context: Tensor
    gray: Tensor

    def __init__(self, network: UNet3D, model: ImageModel, seed: int, size: int):
        from diffusers import DDPMScheduler

        super().__init__()
        self.network, self.seed = network, seed
        self.model = model.requires_grad_(False)
        self.scheduler = DDPMScheduler(**betas())
        with torch.no_grad():
            context = model.eval().embed([PROMPT, ""])
            gray = model.encode(torch.full((1, 3, size, size), 2 * seine.GRAY - 1), Draws(0, [0]))
        self.register_buffer("context", context, persistent=False)
        self.register_buffer("gray", gray, persistent=False)

    def train(self, mode: bool = True) -> "Transition":
        """What is not trained is never in training mode."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, batch: dict) -> dict[str, Tensor]:
        """batch: "clip" [B, 3, F, H, W] in [-1, 1], "known" [B, F] and "number"."""
        clips, known = batch["clip"], batch["known"]
        frames = seine.flatten_frames(clips)
        draws = Draws(self.seed, batch["number"])
        each = Draws(self.seed, [int(n) * clips.shape[2] + f for n in batch["number"] for f in range(clips.shape[2])])
        latents = self.model.encode(frames, each).float()
        latents = latents.unflatten(0, (len(clips), -1)).movedim(1, 2)
        video, mask = masked_video(latents, self.gray, known, self.network.config.between)
        t = draws.integers(self.scheduler.config.num_train_timesteps).to(latents.device)
        noise = draws.normal(latents.shape[1:]).to(latents)
        noisy = self.scheduler.add_noise(latents, noise, t)
        dropped = (draws.uniform() < 0.1).long().to(latents.device)
        predicted = self.network(torch.cat((noisy, mask, video), dim=1), t, self.context[dropped])
        return {"loss": (predicted.float() - noise).square().mean()}


def arguments() -> argparse.ArgumentParser:
    out = parser("transition", __doc__, steps=20_000, batch=1, accumulation=8, rate=5e-5, warmup=1000, decay=0.999)
    out.add_argument(
        "--base", type=Path, default=Path(EMBEDDED), metavar="PATH",
        help="seine.pt or its safetensors, or embedded (default: embedded)",
    )  # fmt: skip
    out.add_argument("--sd", type=Path, metavar="PATH", help="SD 1.4, whose VAE and text tower SEINE uses")
    out.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0], help="of embedded (default: %(default)s)")
    out.add_argument("--frames", type=int, default=16, metavar="N", help="of a clip (default: 16)")
    out.add_argument("--size", type=int, metavar="N", help=f"side in pixels (default: {IMAGE_SIZE} or {SIZE})")
    out.add_argument("--val-share", type=float, default=0.1, metavar="P", help="clips held out (default: 0.1)")
    return out


def read_clips(options: argparse.Namespace) -> tuple[list[Clip], str]:
    """The clips of DATA and the licence lines of its table, if it is one."""
    if options.data.is_dir():
        return find_clips(options.data), ""
    table = read(options.data, val_share=0.0)
    return pairs(table.records), "\n".join(table.licences)


def open_networks(options: argparse.Namespace) -> tuple[UNet3D, ImageModel]:
    """SEINE's network, and the model whose VAE and text tower it uses."""
    model: ImageModel
    if str(options.base) == EMBEDDED:
        path, model = BUNDLED / file_name("seine", options.domain), EmbeddedModel(options.domain, 0.0)
    elif options.sd is None:
        raise UsageError("--sd is missing: give SD 1.4, a folder or a checkpoint, whose VAE and text tower SEINE uses.")
    else:
        if not options.base.is_file():
            raise UsageError(f"--base: there is no {options.base}. Give seine.pt or its safetensors.")
        path, model = options.base, open_model(options.sd, 0.0)
    state, config = read_checkpoint(path)
    network = UNet3D(config)
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    model.denoiser = nn.Identity()  # the image model's own is not needed
    return network, model


def main() -> None:
    options = arguments().parse_args()
    settings = settings_of(options)
    if options.frames < 3:
        raise UsageError(f"--frames is {options.frames}: give 3 or more.")
    clips, licence = read_clips(options)
    network, model = open_networks(options)
    embedded = str(options.base) == EMBEDDED
    size = options.size or (IMAGE_SIZE if embedded else SIZE)
    if size % 16:
        raise UsageError(f"--size is {size}: give a multiple of 16.")
    shown, held = split(clips, options.val_share, settings.seed)
    data = Clips(shown, options.frames, size, settings.seed)
    validation = Clips(held, options.frames, size, settings.seed, fixed=len(held)) if held else None
    task = Transition(network, model, settings.seed, size)
    names = "\n".join(file.name for clip in clips for file in clip.files)
    config = {
        "training": "transition", "base": str(options.base), "sd": str(options.sd), "size": size,
        "frames": options.frames, "data": hashlib.sha256(names.encode()).hexdigest()[:16],
    }  # fmt: skip
    trainer = Trainer(
        task, data, settings, RunFolder(options.out), validation=validation, config=config, resume=options.resume
    )
    if trainer.main:
        print(f"{len(shown)} clips to train on, {len(held)} to validate on", flush=True)
    trainer.fit()
    trainer.finish()
    if trainer.main:
        path = options.out / FILES["seine"]
        state = {name: tensor.half() for name, tensor in network.state_dict().items()}
        frequencies = {name: t for name, t in network.state_dict().items() if name.endswith("rotary_emb.freqs")}
        write_tensors(state | frequencies, path, config=network.config.values, licence=licence, base=options.base.name)
        print(f"result: {path}", flush=True)
    trainer.close()


if __name__ == "__main__":
    run(main)
