"""Peak memory and pictures a second of fine-tuning SD 1.4's networks at full size, with random weights.

Several processes: ``.venv/bin/python -m torch.distributed.run --standalone --nproc-per-node 2 -m
mvgen.research.bench.training_size --small``.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import Dataset

from ...training import lora
from ...training.diffusion import Diffusion
from ...training.run_folder import RunFolder
from ...training.settings import Settings, weight_dtype
from ...training.stable_diffusion import SD_1_NOISE, StableDiffusion1, clip_tokenizer
from ...training.trainer import Trainer

WARM = 1


class Noise(Dataset):
    """Pictures of noise with one caption; no end."""

    def __init__(self, size: int):
        self.size = size

    def __getitem__(self, number: int) -> dict:
        image = torch.rand(3, self.size, self.size, generator=torch.Generator().manual_seed(number)) * 2 - 1
        return {"number": number, "image": image, "caption": "frontal chest x-ray, severe edema"}


def networks(small: bool) -> dict:
    """SD 1.4's UNet, VAE and text tower with random weights, or small ones of the same kinds."""
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    widths, context, layers = ([32, 64, 64, 64], 64, 2) if small else ([320, 640, 1280, 1280], 768, 12)
    unet = UNet2DConditionModel(block_out_channels=widths, cross_attention_dim=context, attention_head_dim=8)
    vae = AutoencoderKL(
        block_out_channels=[32, 32, 32, 32] if small else [128, 256, 512, 512],
        layers_per_block=2,
        latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
    )
    config = CLIPTextConfig(
        hidden_size=context,
        intermediate_size=4 * context,
        num_hidden_layers=layers,
        num_attention_heads=context // 64,
    )
    return {
        "unet": unet,
        "vae": vae,
        "text_encoder": CLIPTextModel(config),
        "tokenizer": clip_tokenizer(),
        "scheduler": DDPMScheduler(**SD_1_NOISE),
    }


def peak_gb() -> float:
    """Of the card's memory, or of this process's where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    scale = 1 if sys.platform == "darwin" else 1024  # Linux counts kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench training_size", description=__doc__)
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1, help="pictures a process and step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="timed, after one that is not (default: %(default)s)")
    parser.add_argument("--decay", type=float, default=0.9999, help="of the moving average; 0 for none")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--small", action="store_true", help="small networks: for several processes on one machine")
    options = parser.parse_args()
    settings = Settings(steps=options.steps + WARM, batch=options.batch, rate=1e-5, decay=options.decay)
    model = StableDiffusion1(networks(options.small), 5.0).requires_grad_(False)
    if options.method == "lora":
        lora.add(model, 16, weight_dtype(settings))
    else:
        model.denoiser.requires_grad_(True)
    if options.gradient_checkpointing:
        model.denoiser.enable_gradient_checkpointing()  # type: ignore[operator]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Diffusion(model, 0, [], options.size), Noise(options.size), settings, RunFolder(Path(folder)))
        trainer.model.train()
        batches = trainer.batches()
        for step in range(settings.steps):
            if step == WARM:
                trainer.accelerator.wait_for_everyone()
                start = time.monotonic()
            trainer.train_step(batches)
        trainer.accelerator.wait_for_everyone()
        seconds = time.monotonic() - start
        processes = trainer.accelerator.num_processes
        if trainer.main:
            speed = options.steps * options.batch * processes / seconds
            print(
                f"{options.method} {options.size} px, batch {options.batch} x {processes}, "
                f"{trainer.accelerator.mixed_precision}: {speed:.3g} images/s, peak {peak_gb():.1f} GB"
            )
        trainer.close()


if __name__ == "__main__":
    main()
