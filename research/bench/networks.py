"""The networks of an evaluation as functions on batches, through the host's own model classes but without its queue."""

from pathlib import Path

import torch


class Networks:
    """A diffusion model with its text encoder and autoencoder, and the networks that score what it makes.

    clip_vision, classifier and reader (a second classifier, which no node uses) may be None where nothing asks them.
    The model's only conditioning is cross-attention, as with Stable Diffusion 1.x and 2.x.
    """

    def __init__(self, model, clip, vae, clip_vision=None, classifier=None, reader=None):
        import comfy.model_management

        self.clip, self.vae = clip, vae
        self.clip_vision, self.classifier, self.reader = clip_vision, classifier, reader
        comfy.model_management.load_models_gpu([model])
        self.patcher = model  # the host calls a model leaked whose patcher is gone, and says so at every call
        self.model = model.model
        self.device = model.load_device

    @classmethod
    def embedded(cls, domain: str) -> "Networks":
        from ...models.densenet import load_densenet
        from ...models.embedded import loader

        networks = loader.load(domain)
        reader = load_densenet(loader.find_weights("reader", domain))
        return cls(networks.model, networks.clip, networks.vae, networks.clip_vision, networks.classifier, reader)

    @classmethod
    def checkpoint(cls, path: Path, clip_vision=None, classifier=None) -> "Networks":
        """Of a user's own Stable Diffusion 1.x or 2.x checkpoint; ValueError for one of another kind."""
        import comfy.model_base
        import comfy.sd

        model, clip, vae, _ = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=True, output_clip=True)
        if model is None or clip is None or vae is None:
            raise ValueError(f"{path.name}: got a file without a model, a text encoder or a VAE, want all three in it")
        if model.model.adm_channels or type(model.model) is not comfy.model_base.BaseModel:
            kind = type(model.model).__name__
            raise ValueError(f"{path.name}: got a {kind} model, want Stable Diffusion 1.x or 2.x")
        return cls(model, clip, vae, clip_vision, classifier)

    def sigmas(self, scheduler: str, steps: int, k: int) -> torch.Tensor:
        """The k + 1 lowest noise levels of a schedule of ``steps`` steps."""
        from ...nodes.support import sampling

        return sampling.schedule(self.patcher, scheduler, steps, k)

    def text(self, prompts: list[str]) -> torch.Tensor:
        """[B, tokens, width]"""
        encoded = {p: self.clip.encode_from_tokens(self.clip.tokenize(p)) for p in dict.fromkeys(prompts)}
        return torch.cat([encoded[p] for p in prompts]).to(self.device)

    def denoiser(self, cond: torch.Tensor, uncond: torch.Tensor, guidance: float):
        """D of classifier-free guidance; one network call for both halves, none for a second that changes nothing."""
        alone = guidance == 1.0 or torch.equal(cond, uncond)

        def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            if alone:
                return self.model.apply_model(x, sigma, c_crossattn=cond)
            both = self.model.apply_model(torch.cat([x, x]), sigma.repeat(2), c_crossattn=torch.cat([cond, uncond]))
            d, d_uncond = both.chunk(2)
            return d_uncond + guidance * (d - d_uncond)

        return model

    def graded_denoiser(
        self, lower: torch.Tensor, upper: torch.Tensor, shares: torch.Tensor, uncond: torch.Tensor, guidance: float
    ):
        """D guided towards severities between two words, as SeverityGuider: one share [B] a row."""
        from ...models.embedded.loader import SEVERITY
        from ...mvg.severity_prompt import TEXT

        if self.patcher.attachments.get(SEVERITY) == TEXT:  # trained on embeddings between the words
            return self.denoiser(torch.lerp(lower, upper, shares.to(lower).reshape(-1, 1, 1)), uncond, guidance)
        if not shares.any():
            return self.denoiser(lower, uncond, guidance)
        shares = shares.to(self.device).reshape(-1, 1, 1, 1)

        def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            conds = [lower, upper, uncond]
            out = self.model.apply_model(
                torch.cat([x] * len(conds)), sigma.repeat(len(conds)), c_crossattn=torch.cat(conds)
            )
            d_lower, d_upper, d_uncond = out.chunk(len(conds))
            return d_uncond + guidance * (torch.lerp(d_lower, d_upper, shares) - d_uncond)

        return model

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """[B, H, W, 3] in [0, 1] -> latents as the network sees them."""
        return self.model.process_latent_in(self.vae.encode(images)).to(self.device)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.vae.decode(self.model.process_latent_out(latents)).float().cpu()

    @torch.inference_mode()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """[B, D]: what CLIP-I compares."""
        return self.clip_vision.encode_image(images)["image_embeds"].float().cpu()
