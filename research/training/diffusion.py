"""Trains the embedded UNet of a family and its text tower together on VAE latents of phantoms: epsilon loss, SD's
schedule.

13 % of the captions are dropped for classifier-free guidance. Latents are encoded once into training/runs. With
``--go-on`` a further round starts from the weights of the one before; a round has a seed of its own, which names its
checkpoint. With ``--exact`` most captions say the severity as a number, and the files say so: the model can then be
asked for any severity (`mvg.severity_prompt`).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.embedded import architecture
from ...mvg.severity_prompt import TEXT
from ...training import common, text, weights
from ..phantom import captions
from . import dataset

DROPOUT = 0.13
OPTIONS: dict[str, dict[str, Any]] = {
    "--exact": {
        "nargs": "*",
        "metavar": "FINDING",
        "help": "severities as numbers: of every finding, or of these alone, on pictures that show them or nothing",
    },
    "--out": {
        "type": Path,
        "default": common.WEIGHTS,
        "help": "where the weights go (default: models/embedded/weights)",
    },
}
UNETS = {"gray": architecture.UNET, "colour": architecture.UNET_COLOR}


def alphas_cumprod() -> torch.Tensor:
    """SD's scaled-linear schedule: betas from 0.00085 to 0.012, linear in the square root, 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def latents(images: torch.Tensor, family: str, device: str, name: str) -> torch.Tensor:
    """Posterior means [n, 8, 16, 16] of uint8 images [n, 1 or 3, 128, 128], cached by ``name`` under training/runs."""
    path = common.RUNS / f"latents.{dataset.encoding(family)}.{name}.npy"
    if not path.exists():
        vae = weights.load_vae(family, device)
        parts = []
        with torch.no_grad(), common.autocast(device):
            for batch in images.split(64):
                x = batch.to(device).float().div(255).expand(-1, 3, -1, -1) * 2 - 1
                parts.append(vae.encode(x).float().cpu())
        np.save(path, torch.cat(parts).numpy())
    return torch.from_numpy(np.load(path))


def main() -> None:
    options = common.arguments(__doc__, steps=6000, batch=32, rate=6e-4, more=OPTIONS)
    domains = architecture.FAMILIES[options.family]
    known = [finding for domain in domains for finding in captions.FINDINGS[domain]]
    if unknown := set(options.exact or ()) - set(known):
        raise SystemExit(f"--exact: got {', '.join(sorted(unknown))}, want any of {', '.join(known)}")
    common.use_host()
    pool = dataset.Pool(options.family, options.count or dataset.SIZES[options.family])
    rows = pool.showing(options.exact) if options.exact else torch.arange(len(pool))
    exact = [] if options.exact is None else options.exact or known
    name = "-".join([str(len(pool)), *sorted(options.exact or ())]).replace(" ", "_")
    z = latents(torch.from_numpy(pool.images[rows]), options.family, options.device, name)
    abar = alphas_cumprod()
    torch.manual_seed(options.seed)
    unet, tower = architecture.build_unet(UNETS[options.family]), architecture.build_clip_text()
    if options.go_on:
        unet.load_state_dict(weights.exported("unet", options.family))
        tower = weights.load_text_tower(options.family)
        # known words stay as they are: their table is nearly all of the tower, and a third of what a step would update
        tower.text_model.embeddings.token_embedding.requires_grad_(False)
    name = f"diffusion.{options.seed}" if options.go_on else "diffusion"
    if options.exact is not None:
        name = f"{name}.exact"
    trainer = common.Trainer(name, {"unet": unet, "text": tower}, options, decay=0.999)

    def loss(generator: torch.Generator, step: int) -> dict:
        n = options.batch
        index = torch.randint(len(z), (n,), generator=generator)
        rng = np.random.default_rng([options.seed, step])
        words = pool.captions(rows[index], rng, exact)
        words = ["" if rng.random() < DROPOUT else w for w in words]
        context = text.encode(tower.text_model, words, options.device)
        t = torch.randint(1000, (n,), generator=generator)
        a = abar[t][:, None, None, None]
        noise = torch.randn(n, *z.shape[1:], generator=generator)
        noisy = (a.sqrt() * z[index] + (1 - a).sqrt() * noise).to(options.device)
        predicted = unet(noisy, t.to(options.device), context=context).float()
        return {"loss": (predicted - noise.to(options.device)).square().mean()}

    trainer.fit(loss)
    trainer.averaged()
    tokens = text.vocabulary(captions.vocabulary(domains))
    told = {} if options.exact is None else {"severity": TEXT}
    for part, state, config in (
        ("unet", unet.state_dict(), UNETS[options.family]),
        ("clip_text", architecture.compact_text_embedding(tower.state_dict(), tokens), architecture.CLIP_TEXT),
    ):
        architecture.save_weights(state, config, weights.path_of(part, options.family, options.out), **told)


if __name__ == "__main__":
    main()
