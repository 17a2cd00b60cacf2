"""Trains the embedded UNet and its text tower together on VAE latents of phantoms: epsilon loss, SD's schedule.

13 % of the captions are dropped for classifier-free guidance. Latents are encoded once into training/runs. With
``--go-on`` a further round starts from the weights of the one before; a round has a seed of its own, which names its
checkpoint.
"""

import numpy as np
import torch
from safetensors.torch import load_file

from ..models.embedded import architecture
from ..models.embedded.loader import expand_token_table
from ..mvg.phantom.captions import FINDINGS, SIDES, caption
from . import common, dataset, text

DROPOUT = 0.13
COUNT = 16000


def alphas_cumprod() -> torch.Tensor:
    """SD's scaled-linear schedule: betas from 0.00085 to 0.012, linear in the square root, 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def exported(name: str) -> dict[str, torch.Tensor]:
    """A file of models/embedded in fp32."""
    state = load_file(common.WEIGHTS / architecture.FILES[name])
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def load_vae(device: str):
    vae = architecture.build_vae()
    vae.load_state_dict(exported("vae"))
    return vae.eval().to(device)


def latents(images: torch.Tensor, device: str) -> torch.Tensor:
    """Posterior means [n, 8, 16, 16] of uint8 images [n, 128, 128], cached under training/runs."""
    path = common.RUNS / "latents.npy"
    if not path.exists():
        vae = load_vae(device)
        parts = []
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            for batch in images.split(64):
                x = batch[:, None].to(device).float().div(255).repeat(1, 3, 1, 1) * 2 - 1
                parts.append(vae.encode(x).float().cpu())
        np.save(path, torch.cat(parts).numpy())
    return torch.from_numpy(np.load(path))


def captions_of(severities: np.ndarray, sides: np.ndarray, rng: np.random.Generator) -> list[str]:
    out = []
    for row, side in zip(severities, sides, strict=True):
        where = {"pleural effusion": SIDES[side[0]], "consolidation": SIDES[side[1]]}
        out.append(caption(dict(zip(FINDINGS, row.tolist(), strict=True)), where, rng))
    return out


def main() -> None:
    options = common.arguments(__doc__, steps=6000, batch=32, rate=6e-4)
    common.use_host()
    data = dataset.load(COUNT)
    z = latents(torch.from_numpy(data["images"]), options.device)
    abar = alphas_cumprod()
    torch.manual_seed(options.seed)
    unet, tower = architecture.build_unet(), architecture.build_clip_text()
    if options.go_on:
        unet.load_state_dict(exported("unet"))
        tower.load_state_dict(
            expand_token_table(exported("clip_text"), architecture.CLIP_TEXT["vocab_size"]), strict=False
        )
    name = f"diffusion.{options.seed}" if options.go_on else "diffusion"
    trainer = common.Trainer(name, {"unet": unet, "text": tower}, options, decay=0.999)

    def loss(generator: torch.Generator, step: int) -> dict:
        n = options.batch
        index = torch.randint(len(z), (n,), generator=generator)
        rng = np.random.default_rng([options.seed, step])
        words = captions_of(data["severities"][index], data["sides"][index], rng)
        words = ["" if rng.random() < DROPOUT else w for w in words]
        context = tower.text_model(text.tokenise(words).to(options.device)).last_hidden_state
        t = torch.randint(1000, (n,), generator=generator)
        a = abar[t][:, None, None, None]
        noise = torch.randn(n, *z.shape[1:], generator=generator)
        noisy = (a.sqrt() * z[index] + (1 - a).sqrt() * noise).to(options.device)
        predicted = unet(noisy, t.to(options.device), context=context).float()
        return {"loss": (predicted - noise.to(options.device)).square().mean()}

    trainer.fit(loss)
    trainer.averaged()
    state = architecture.compact_text_embedding(tower.state_dict(), text.vocabulary())
    architecture.save_weights(unet.state_dict(), architecture.UNET, common.WEIGHTS / architecture.FILES["unet"])
    architecture.save_weights(state, architecture.CLIP_TEXT, common.WEIGHTS / architecture.FILES["clip_text"])


if __name__ == "__main__":
    main()
