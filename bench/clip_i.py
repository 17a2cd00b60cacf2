"""What a CLIP-I of the embedded CLIP means: ``run.py bench clip_i``.

Mean and range of the cosine between the healthy picture of a phantom and (a) the same patient with a finding, (b) other
healthy patients, (c) the same picture upside down, (d) noise. CLIP-I says how far the patient stayed the same only as
far as (a) and (b) lie apart.
"""

import argparse

import numpy as np
import torch

from ..models.headless import use_host
from ..mvg.metrics.clip_i import clip_i_per_stage
from ..mvg.phantom import chest_xray
from ..mvg.phantom.captions import FINDINGS


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench clip_i", description=__doc__)
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    use_host()
    from ..models.embedded import loader

    clip = loader.load("chest_xray").clip_vision

    @torch.inference_mode()
    def embed(pictures: list[np.ndarray]) -> torch.Tensor:
        images = torch.from_numpy(np.stack(pictures)).float()[..., None].repeat(1, 1, 1, 3)
        return clip.encode_image(images)["image_embeds"].float().cpu()

    people = [chest_xray.sample_patient(options.first_seed + i) for i in range(options.patients)]
    healthy = [chest_xray.render(p) for p in people]
    reference = embed(healthy)
    rng = np.random.default_rng(0)
    others = {f"same patient, severe {f}": embed([chest_xray.render(p, {f: 0.85}) for p in people]) for f in FINDINGS}
    others |= {
        "another patient": reference.roll(1, dims=0),
        "upside down": embed([h[::-1].copy() for h in healthy]),
        "noise": embed([rng.random(h.shape) for h in healthy]),
    }
    for name, embeddings in others.items():
        values = torch.cat([clip_i_per_stage(e[None], r) for e, r in zip(embeddings, reference, strict=True)])
        print(f"{name:34} mean {values.mean():.3f}  lowest {values.min():.3f}  highest {values.max():.3f}")


if __name__ == "__main__":
    main()
