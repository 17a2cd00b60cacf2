"""Trains the embedded AutoencoderKL of a family on phantoms: L1, MSE, gradient L1 and a light KL term.

A share of the images is re-cropped, re-toned or overlaid with smooth noise, so that pictures from outside the
phantom world survive the round trip as well as they can. Pictures in colour start from the weights for gray ones, a
``--go-on`` round from those of the round before. On export the latents are normalised per channel, folded into the
1 x 1 quant convolutions.
"""

import json

import torch
import torch.nn.functional as F

from ...models.embedded import architecture
from ...training import common, weights
from . import dataset

KL_WEIGHT = 1e-4
EDGE_WEIGHT = 2.0  # vessels are faint: at 0.5 they are still missing where the picture is at 37 dB


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """images [B, C, H, W] in [0, 1]: zoomed crops, tone curves and blurred noise, each for some of the batch."""
    out = images.clone()
    size = images.shape[-1]
    for i in range(len(out)):
        draw = torch.rand(8, generator=generator)
        if draw[0] < 0.15:
            crop = int(size * (0.5 + 0.45 * draw[1]))
            top, left = (int((size - crop) * d) for d in draw[2:4])
            part = out[i : i + 1, :, top : top + crop, left : left + crop]
            out[i] = F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)[0]
        if draw[4] < 0.25:
            out[i] = out[i] ** (0.6 + draw[5]) * (0.6 + 0.4 * draw[6])
            if len(out[i]) == 3:
                out[i] *= 0.8 + 0.2 * torch.rand(3, 1, 1, generator=generator)
        if draw[7] < 0.10:
            coarse = int(2 ** (2 + 4 * float(torch.rand(1, generator=generator))))
            noise = torch.rand(1, 1, coarse, coarse, generator=generator)
            noise = F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)[0]
            out[i] = 0.5 * out[i] + 0.5 * noise
    return out.clamp(0, 1)


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


def export(vae, images: torch.Tensor, family: str) -> None:
    """images [n, 3, H, W] in [0, 1]."""
    with torch.no_grad():
        z = torch.cat([vae.encode(batch * 2 - 1) for batch in images.split(32)])
    mean, std = z.mean(dim=(0, 2, 3)), z.std(dim=(0, 2, 3))
    state = normalized(vae.state_dict(), mean, std)
    preview = preview_factors((z - mean[:, None, None]) / std[:, None, None], images)
    architecture.save_weights(state, architecture.VAE, weights.path_of("vae", family), **preview)


def main() -> None:
    options = common.arguments(__doc__, steps=3200, batch=8, rate=1.2e-3)
    common.use_host()
    images = torch.from_numpy(dataset.Pool(options.family, 8000 // len(architecture.FAMILIES[options.family])).images)
    vae = architecture.build_vae()
    torch.manual_seed(options.seed)
    if options.go_on:
        vae.load_state_dict(weights.exported("vae", options.family))
    elif options.family == "gray":
        common.initialize(vae)
    else:
        vae.load_state_dict(weights.exported("vae", "gray"))
    name = f"vae.{options.seed}" if options.go_on else "vae"
    trainer = common.Trainer(name, {"vae": vae}, options, decay=0.998)

    def loss(generator: torch.Generator, step: int) -> dict:
        index = torch.randint(len(images), (options.batch,), generator=generator)
        batch = augment(images[index].float() / 255, generator)
        target = batch.expand(-1, 3, -1, -1).to(options.device) * 2 - 1
        moments = vae.quant_conv(vae.encoder(target)).float()
        mean, log_variance = moments.chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 10)
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        z = mean + (0.5 * log_variance).exp() * noise
        output = vae.decoder(vae.post_quant_conv(z)).float()
        return losses(target, output, mean, log_variance)

    trainer.fit(loss)
    trainer.averaged()
    some = images[torch.linspace(0, len(images) - 1, 512).long()].float() / 255
    export(vae.float(), some.expand(-1, 3, -1, -1).to(options.device), options.family)


if __name__ == "__main__":
    main()
