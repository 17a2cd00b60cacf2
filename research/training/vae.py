"""Trains the embedded AutoencoderKL on real pictures, drawn courses and phantoms: L1, MSE, gradient L1 and a light KL.

It starts from the weights of the round before. Three steps of four see crops and phantoms of half the set's size, the
fourth whole pictures. On export the latents are normalised per channel, folded into the 1 x 1 quant convolutions, but
not where the encoder stays: then they are what they were.
"""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from ...models.embedded import architecture
from ...models.embedded.architecture import DOMAINS
from ...training import common, weights
from . import dataset, examples

SIZE = 256
SHARES = torch.tensor([0.45, 0.30, 0.25])
"""Of DOMAINS."""
PHANTOMS = 0.2
"""Of the smaller pictures."""
OPTIONS: dict[str, dict[str, Any]] = {
    "--examples": {"type": Path, "required": True, "metavar": "DIR", "help": "a folder of examples a domain"},
    "--encoder-stays": {"action": "store_true", "help": "train the decoder alone: latents stay as they are"},
    "--start": {"type": Path, "metavar": "DIR", "help": "where the weights are that it starts from (default: --out)"},
    "--out": {"type": Path, "default": common.WEIGHTS, "help": "where the weights go"},
}
KL_WEIGHT = 1e-4
EDGE_WEIGHT = 2.0  # vessels are faint: at 0.5 they are still missing where the picture is at 37 dB


def gradients(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def losses(target: torch.Tensor, output: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor) -> dict:
    """target, output [B, 3, H, W] in [-1, 1]."""
    l1, mse = (output - target).abs().mean(), (output - target).square().mean()
    edges = sum((a - b).abs().mean() for a, b in zip(gradients(output), gradients(target), strict=True))
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    return {
        "loss": l1 + 0.5 * mse + EDGE_WEIGHT * edges + KL_WEIGHT * kl,
        "psnr": -10 * torch.log10(mse.detach() / 4),
        "kl": kl.detach(),
    }


def normalized(state: dict[str, torch.Tensor], mean: torch.Tensor, std: torch.Tensor) -> dict[str, torch.Tensor]:
    """Folds z -> (z - mean) / std into quant_conv and its inverse into post_quant_conv."""
    state = dict(state)
    n = len(mean)
    weight, bias = state["quant_conv.weight"].clone(), state["quant_conv.bias"].clone()
    weight[:n] /= std[:, None, None, None]
    bias[:n] = (bias[:n] - mean) / std
    bias[n:] -= 2 * std.log()
    state["quant_conv.weight"], state["quant_conv.bias"] = weight, bias
    post = state["post_quant_conv.weight"]
    state["post_quant_conv.bias"] = state["post_quant_conv.bias"] + post[:, :, 0, 0] @ mean
    state["post_quant_conv.weight"] = post * std[None, :, None, None]
    return state


def preview_factors(z: torch.Tensor, images: torch.Tensor) -> dict[str, str]:
    """Metadata for the host's live preview: the linear map from latents [n, C, h, w] to colour, by least squares.

    images: [n, 3, H, W] in [0, 1]; the map gives [-1, 1], as the host's Latent2RGBPreviewer wants it.
    """
    small = F.interpolate(images, size=z.shape[2:], mode="area").movedim(1, -1).flatten(0, 2) * 2 - 1
    latents = z.movedim(1, -1).flatten(0, 2)
    latents = torch.cat([latents, torch.ones_like(latents[:, :1])], dim=1)
    *factors, bias = torch.linalg.lstsq(latents.double(), small.double()).solution.tolist()
    return {
        "latent_rgb_factors": json.dumps([[round(f, 4) for f in row] for row in factors]),
        "latent_rgb_factors_bias": json.dumps([round(b, 4) for b in bias]),
    }


def export(vae, images: torch.Tensor, out: Path, encoder_stays: bool, **told: str) -> None:
    """images [n, 3, H, W] in [0, 1]."""
    with torch.no_grad():
        z = torch.cat([vae.encode(batch * 2 - 1) for batch in images.split(8)])
    mean, std = z.mean(dim=(0, 2, 3)), z.std(dim=(0, 2, 3))
    if encoder_stays:
        mean, std = torch.zeros_like(mean), torch.ones_like(std)
    state = normalized(vae.state_dict(), mean, std)
    preview = preview_factors((z - mean[:, None, None]) / std[:, None, None], images)
    architecture.save_weights(state, architecture.VAE, weights.path_of("vae", out), **preview, **told)


class Batches:
    """Pictures of all domains, real and drawn, and phantoms beside them: whole, or crops of half their sides.

    Args:
        root: of `examples.read`.
        phantoms: how many of each domain.
    """

    def __init__(self, root: Path, phantoms: int):
        self.real = examples.read(root)
        self.phantoms = {domain: dataset.load(domain, phantoms)["images"] for domain in DOMAINS}

    def draw(self, count: int, generator: torch.Generator, crop: bool) -> torch.Tensor:
        """[count, 3, 256, 256] in [0, 1], or [4 x count, 3, 128, 128] where they are crops and phantoms."""
        out = []
        for _ in range(4 * count if crop else count):
            domain = DOMAINS[int(torch.multinomial(SHARES, 1, generator=generator))]
            draw = torch.rand(5, generator=generator)
            if crop and draw[0] < PHANTOMS:
                pool = self.phantoms[domain]
                image = torch.from_numpy(pool[int(draw[1] * len(pool))]).float() / 255
                image = image[None].expand(3, -1, -1) if image.ndim == 2 else image.movedim(-1, 0)
            else:
                real = self.real[domain]
                index = int(draw[1] * len(real))
                halved = crop and draw[4] < 0.25
                image = real.picture(index, SIZE // 2 if halved else SIZE)
                if crop and not halved:
                    top, left = (int(d * (SIZE // 2 + 1)) for d in draw[2:4])
                    image = image[:, top : top + SIZE // 2, left : left + SIZE // 2]
                image = image ** float(torch.exp(0.15 * torch.randn((), generator=generator)))
                if draw[4] > 0.5:
                    image = image.flip(-1)
            out.append(image)
        return torch.stack(out)


def main() -> None:
    options = common.arguments(__doc__, steps=1000, batch=2, rate=8e-4, more=OPTIONS)
    common.use_host()
    batches = Batches(options.examples, options.count or 600)
    vae = architecture.build_vae()
    torch.manual_seed(options.seed)
    vae.load_state_dict(weights.exported("vae", options.start or options.out))
    if options.encoder_stays:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    trainer = common.Trainer(f"vae.{options.seed}", {"vae": vae}, options, decay=0.995)

    def loss(generator: torch.Generator, step: int) -> dict:
        target = batches.draw(options.batch, generator, crop=step % 4 > 0).to(options.device) * 2 - 1
        with torch.set_grad_enabled(not options.encoder_stays):
            moments = vae.quant_conv(vae.encoder(target)).float()
        mean, log_variance = moments.chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        z = mean + (0.5 * log_variance).exp() * noise
        output = vae.decoder(vae.post_quant_conv(z)).float()
        return losses(target, output, mean, log_variance)

    trainer.fit(loss)
    trainer.averaged()
    generator = torch.Generator().manual_seed(options.seed)
    some = batches.draw(128, generator, crop=False).to(options.device)
    export(vae.float(), some, options.out, options.encoder_stays, size=str(SIZE), **examples.told(options.examples))


if __name__ == "__main__":
    main()
