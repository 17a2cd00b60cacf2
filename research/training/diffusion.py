"""Trains the embedded UNet and its text tower on VAE latents of real pictures, drawn courses and phantoms.

Five steps of six see pictures of the set's size, the sixth phantoms of half of it. Of what was drawn, two pictures
that share a background see the same noise at the same time step: what differs between their errors is then what their
captions tell, not whom they show (common random numbers; the expected gradient is that of independent draws). And where
the two differ their errors count more, since a finding of a few pixels is else lost in what all pictures share. 13 % of
the captions are dropped for classifier-free guidance; most of the others say the severity as a number, and the files
say so: the model can be asked for any severity (`mvg.severity_prompt`). Latents are encoded once into training/runs.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...models.embedded import architecture
from ...models.embedded.architecture import DOMAINS
from ...mvg.severity_prompt import TEXT
from ...training import common, text, weights
from ..phantom import captions
from . import dataset, examples

SIZE = "256"
DROPOUT = 0.13
SHARES = (0.30, 0.37, 0.33)
"""Of DOMAINS."""
PHANTOM_EVERY = 6
CHANGED = 6.0
"""How much more the error counts where two pictures on one background differ, at most."""
HALF = 0.05
"""Squared difference of latents, mean of the channels, at which half of that is reached."""
ALONE = 0.25
"""Share of a batch that are real pictures with their labels; the others are pairs on one background."""
OPTIONS: dict[str, dict[str, Any]] = {
    "--examples": {"type": Path, "required": True, "metavar": "DIR", "help": "a folder of examples a domain"},
    "--start": {"type": Path, "metavar": "DIR", "help": "where the weights are that it starts from (default: --out)"},
    "--out": {"type": Path, "default": common.WEIGHTS, "help": "where the weights go"},
}


def alphas_cumprod() -> torch.Tensor:
    """SD's scaled-linear schedule: betas from 0.00085 to 0.012, linear in the square root, 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def weight_of_change(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much the errors of two pictures on one background count -> float32 [1, h, w], 1 where they are equal."""
    squared = np.square(first.astype(np.float32) - second.astype(np.float32)).mean(axis=0, keepdims=True)
    return 1 + CHANGED * squared / (squared + HALF)


@torch.no_grad()
def encode(vae, pictures, count: int, path: Path, device: str) -> np.ndarray:
    """Posterior means [count, 8, h, w] fp16 of pictures(i) [3, H, W] in [0, 1], cached."""
    if not path.exists():
        parts = []
        vae = vae.to(memory_format=torch.channels_last)  # twice as fast in bf16 on a processor
        for start in range(0, count, 16):
            x = torch.stack([pictures(i) for i in range(start, min(start + 16, count))])
            with common.autocast(device):
                x = x.to(device, memory_format=torch.channels_last)
                parts.append(vae.encode(x * 2 - 1).half().cpu().numpy())
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, np.concatenate(parts))
        temporary.replace(path)
    return np.load(path, mmap_mode="r")


class Real:
    """Latents of one domain's examples, those that share a background side by side."""

    def __init__(self, pool: examples.Examples, latents: np.ndarray):
        self.latents = latents
        self.captions = [line["caption"] for line in pool.lines]
        self.groups = pool.groups
        self.alone = [i for i, line in enumerate(pool.lines) if line["group"] < 0]


class Phantoms:
    """Latents of one domain's phantoms."""

    def __init__(self, domain: str, pool: dataset.Pool, latents: np.ndarray):
        self.domain, self.pool, self.latents = domain, pool, latents

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """Most of them with numbers."""
        return self.pool.captions([index], rng, captions.FINDINGS[self.domain])[0]


class Batches:
    """What a step sees: a function of seed and step."""

    def __init__(self, options, vae):
        mark = dataset.digest(weights.path_of("vae", options.out))
        self.seed, self.real, self.phantoms = options.seed, [], []
        for domain, pool in examples.read(options.examples).items():
            about = dataset.digest(pool.folder / "examples.jsonl")
            path = common.RUNS / f"latents.{domain}-{about}-{mark}.npy"
            self.real.append(Real(pool, encode(vae, pool.picture, len(pool), path, options.device)))
            drawn = dataset.Pool(options.count, domains=(domain,))
            path = common.RUNS / f"latents.phantoms.{domain}-{dataset.drawing(domain)}-{len(drawn)}-{mark}.npy"
            self.phantoms.append(Phantoms(domain, drawn, encode(vae, drawn.picture, len(drawn), path, options.device)))

    def draw(self, step: int, batch: int) -> tuple[torch.Tensor, list[str], torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents [n, 8, h, w], captions, time steps [n], noise as the latents, weights [n, 1, h, w] of mean 1."""
        rng = np.random.default_rng([self.seed, step])
        domains = rng.choice(len(DOMAINS), size=2 * batch, p=SHARES)
        rows: list[tuple[np.ndarray, str, int]] = []  # latents, caption, number of its noise
        counts: dict[int, np.ndarray] = {}  # number of the noise -> weight of the errors
        if step % PHANTOM_EVERY == PHANTOM_EVERY - 1:
            for n in range(2 * batch):
                phantoms = self.phantoms[domains[n]]
                index = int(rng.integers(len(phantoms.latents)))
                rows.append((phantoms.latents[index], phantoms.caption(index, rng), n))
        else:
            while len(rows) < batch:
                n = len(rows)
                real = self.real[domains[n]]
                if n >= (1 - ALONE) * batch:
                    index = int(rng.choice(real.alone))
                    rows.append((real.latents[index], real.captions[index], n))
                    continue
                group = real.groups[int(rng.integers(len(real.groups)))]
                pair = rng.choice(group, 2, replace=False)
                rows += [(real.latents[i], real.captions[i], n) for i in pair]
                counts[n] = weight_of_change(*(real.latents[i] for i in pair))
        z = torch.from_numpy(np.stack([row[0] for row in rows])).float()
        said = ["" if rng.random() < DROPOUT else row[1] for row in rows]
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise, t = torch.randn(z.shape, generator=generator), torch.randint(1000, (len(z),), generator=generator)
        shared = torch.tensor([row[2] for row in rows])
        plain = np.ones((1, *z.shape[2:]), dtype=np.float32)
        count = torch.from_numpy(np.stack([counts.get(row[2], plain) for row in rows]))
        return z, said, t[shared], noise[shared], count / count.mean()


def main() -> None:
    options = common.arguments(__doc__ or "", steps=4000, batch=16, rate=5e-4, more=OPTIONS)
    common.use_host()
    start = options.start or options.out
    batches = Batches(options, weights.load_vae(options.device, options.out))
    abar = alphas_cumprod()
    torch.manual_seed(options.seed)
    unet, tower = architecture.build_unet(), weights.load_text_tower(start)
    unet.load_state_dict(weights.exported("unet", start))
    trainer = common.Trainer(f"diffusion.{options.seed}", {"unet": unet, "text": tower}, options, decay=0.999)

    def loss(generator: torch.Generator, step: int) -> dict:
        z, said, t, noise, count = batches.draw(step, options.batch)
        a = abar[t][:, None, None, None]
        context = text.encode(tower.text_model, said, options.device)
        noisy = (a.sqrt() * z + (1 - a).sqrt() * noise).to(options.device)
        predicted = unet(noisy, t.to(options.device), context=context).float()
        return {"loss": ((predicted - noise.to(options.device)).square() * count.to(options.device)).mean()}

    trainer.fit(loss)
    trainer.averaged()
    export(unet, tower, batches, options)


def export(unet, tower, batches: Batches, options) -> None:
    """Writes both networks, of the token table the rows that captions of the training or of the phantoms hold."""
    said = {caption for real in batches.real for caption in real.captions}
    tokens = text.vocabulary([*captions.vocabulary(DOMAINS), *(c for c in said if "0." not in c)])
    tower_state = architecture.compact_text_embedding(tower.state_dict(), tokens)
    for part, state, config in (
        ("unet", unet.state_dict(), architecture.UNET),
        ("clip_text", tower_state, architecture.CLIP_TEXT),
    ):
        path = weights.path_of(part, options.out)
        told = examples.told(options.examples)
        architecture.save_weights(state, config, path, severity=TEXT, size=SIZE, **told)


if __name__ == "__main__":
    main()
