"""What a CLIP-I of the embedded CLIP means: ``run.py bench clip_i``.

Mean and range of the cosine between the healthy picture of a phantom and (a) the same patient with a finding, (b) other
healthy patients, (c) the same picture upside down, (d) noise. CLIP-I says how far the patient stayed the same only as
far as (a) and (b) lie apart.
"""

import argparse

import torch

from ...models.embedded.architecture import DOMAINS
from ...models.standalone_host import use_host
from ...mvg.metrics.clip_i import clip_i_per_stage
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom
from .patients import pictures


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench clip_i", description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, default=DOMAINS[0])
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    use_host()
    from ...models.embedded import loader

    clip = loader.load(options.domain).clip_vision

    @torch.inference_mode()
    def embed(images: torch.Tensor) -> torch.Tensor:
        return clip.encode_image(images)["image_embeds"].float().cpu()

    domain, module = options.domain, phantom(options.domain)
    people = [module.sample_patient(options.first_seed + i) for i in range(options.patients)]
    healthy = pictures(domain, people)
    reference = embed(healthy)
    noise = torch.rand(healthy.shape, generator=torch.Generator().manual_seed(0))
    findings = FINDINGS[domain]
    others = {f"same patient, severe {f}": embed(pictures(domain, people, {f: 0.85})) for f in findings}
    others |= {
        "another patient": reference.roll(1, dims=0),
        "upside down": embed(healthy.flip(1)),
        "noise": embed(noise),
    }
    for name, embeddings in others.items():
        values = torch.cat([clip_i_per_stage(e[None], r) for e, r in zip(embeddings, reference, strict=True)])
        print(f"{name:34} mean {values.mean():.3f}  lowest {values.min():.3f}  highest {values.max():.3f}")


if __name__ == "__main__":
    main()
