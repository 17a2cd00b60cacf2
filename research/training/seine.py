"""Trains the embedded SEINE: clips of real pictures and phantoms whose disease moves evenly from one state to another.

The network is SEINE's own class at a small size, on latents of the embedded VAE. The first and last frame are given as
the released model has them, by mask and masked video; between them that shows the straight way from one to the other.
It starts from the weights of the round before, or where there are none from the embedded image UNet wherever shapes
agree. The text is the same for every clip, so other captions, none and a little noise stand in for it at times: the
network then leans on it less than on the frames. Three steps of four see the set's size, the fourth phantoms of half of
it.
"""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.embedded import architecture
from ...models.seine.unet import UNet3D
from ...mvg import seine
from ...mvg.domains import BUILT_IN
from ...training import common, text, weights
from ...training.data import TRAIN, Pictures, Table, read
from ..courses import courses
from ..courses.dataset import DRAWN_AT, DRAWN_ON, of_part
from ..phantom import captions
from ..phantom.captions import FINDINGS
from ..phantom.domains import phantom, picture
from . import dataset

PROMPT = "smooth transition."
SIZE = 256
CLIPS = {"chest_xray": 200, "fundus": 50, "skin": 50}
PHANTOM_CLIPS = 50
"""Of each domain."""
SHARES = (0.55, 0.25, 0.20)
"""Of the domains."""
CHUNK, FRAMES = 50, 16
FRAMES_A_STEP = 32
PHANTOM_EVERY = 4
DECISIVE = (40, 560)
DECISIVE_SHARE = 0.7
"""Time steps where noise and picture are of one order; this share of the draws is from here, the others from all."""
FIRST_PATIENT = 100_000
"""Patients of the training stream that the images of training/dataset.py do not show."""
OPTIONS: dict[str, dict[str, Any]] = {
    "--data": {
        "type": Path, "nargs": 3, "required": True, "metavar": ("CHEST", "FUNDUS", "SKIN"),
        "help": "tables of real pictures, as `run.py train classifier` takes them",
    },
    "--start": {"type": Path, "metavar": "DIR", "help": "where the weights are that it starts from (default: --out)"},
    "--out": {"type": Path, "default": common.WEIGHTS, "help": "where the weights go"},
}  # fmt: skip


def states(domain: str, rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """The severities at the ends of a clip: one finding moves, where there are several at times two, some stay.

    Half of the steps are below 0.26, as between two stages of PIE; the largest is 0.93.
    """
    findings = FINDINGS[domain]
    order = rng.permutation(len(findings))
    moving, still = (2, 0) if rng.random() < 0.15 else (1, int(rng.random() < 0.3))
    first, last = {}, {}
    for place, index in enumerate(order[: moving + still]):
        step = 0.03 + 0.9 * rng.random() ** 2 if place < moving else 0.0
        low = rng.uniform(0, 1 - step)
        first[findings[index]], last[findings[index]] = low, low + step
    return (first, last) if rng.random() < 0.5 else (last, first)


def true_clip(domain: str, patient, first: dict, last: dict, frames: int) -> np.ndarray:
    """[frames, 128, 128, 3] in [0, 1]: the patient on the even way from one state to the other."""
    mix = [{f: first[f] + (last[f] - first[f]) * i / (frames - 1) for f in first} for i in range(frames)]
    return np.stack([picture(domain, patient, severities) for severities in mix])


def encode(vae, images: np.ndarray) -> Tensor:
    """Posterior means [n, 8, 16, 16] of images [n, 128, 128, 3]."""
    return vae.encode(torch.from_numpy(images).movedim(-1, 1).float() * 2 - 1).float()


class RealClips:
    """Courses drawn onto real pictures of the players' part of the train split.

    Args:
        table: of one domain.
        size: side in pixels.
    """

    def __init__(self, table: Table, size: int):
        self.domain, self.module = table.domain, courses(table.domain)
        records = [record for record in of_part(table, "players").part(TRAIN) if DRAWN_ON[table.domain](record)]
        self.gray, self.size = BUILT_IN[table.domain].gray, size
        self.pictures = Pictures(records, max(size, DRAWN_AT.get(table.domain, 0)), gray=self.gray)

    def clip(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """[16, size, size, 3] in [0, 1]: one finding of one patient, evenly more severe from frame to frame."""
        anatomy = None
        while anatomy is None:
            tensor, _ = self.pictures[int(rng.integers(len(self.pictures)))]
            picture = tensor.numpy()
            image = np.ascontiguousarray(picture[0] if self.gray else np.moveaxis(picture, 0, -1))
            anatomy = self.module.fit(image)
        finding = str(rng.choice(self.module.FINDINGS))
        side = str(rng.choice(captions.SIDES)) if finding in BUILT_IN[self.domain].sided else ""
        step, seed = 0.03 + 0.9 * rng.random() ** 2, int(rng.integers(2**31))
        severities = np.linspace(0, step, FRAMES) + rng.uniform(0, 1 - step)
        frames = []
        for severity in severities:
            frame = self.module.draw(image, finding, float(severity), side, seed, anatomy)
            if len(frame) > self.size:
                frame = cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_AREA)
            frames.append(frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2))
        return np.clip(np.stack(frames), 0, 1)


def phantom_clip(domain: str, number: int, rng: np.random.Generator) -> np.ndarray:
    """[16, 128, 128, 3] in [0, 1]: one patient of the training stream."""
    module = phantom(domain)
    patient = module.sample_patient(FIRST_PATIENT + number, module.TRAINING)
    return true_clip(domain, patient, *states(domain, rng), FRAMES)


def clip_latents(name: str, count: int, make: Callable[[int, np.random.Generator], np.ndarray], vae) -> Tensor:
    """[count, 16, 8, h, w] fp16 of make(number, rng), made and encoded once into training/runs."""
    cv2.setNumThreads(1)
    parts = []
    for start in range(0, count, CHUNK):
        path = common.RUNS / f"clips.{name}" / f"{start:06d}.npy"
        if not path.exists():
            chunk = []
            for i in range(start, start + CHUNK):
                images = make(i, np.random.Generator(np.random.PCG64([11, i])))
                with torch.no_grad(), common.autocast("cpu"):
                    chunk.append(encode(vae, images).half().cpu().numpy())
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp.npy")
            np.save(temporary, np.stack(chunk))
            temporary.replace(path)
            print(f"clips: {name} {path.name}", flush=True)
        parts.append(np.load(path))
    return torch.from_numpy(np.concatenate(parts)[:count])


def from_image_unet(image: dict[str, Tensor], network: UNet3D) -> dict[str, Tensor]:
    """The network's own weights with those of an SD-1.x UNet (the host's names) wherever the shapes agree.

    Of a level with more residual blocks than the network has, the first are taken on the way down, the first and the
    last on the way up. The channels of mask and masked video start at zero; so does what attention over time adds, and
    attention that the image UNet does not have: the network starts out as a denoiser of single pictures.
    """
    own, layers = network.state_dict(), network.config.layers_per_block
    renamed = {name: image[theirs] for name in own if (theirs := _image_name(name, image, layers)) in image}
    out = {}
    for name, tensor in own.items():
        fresh = name not in renamed or renamed[name].shape != tensor.shape
        out[name] = tensor.clone() if fresh else renamed[name].clone()
        if fresh and re.search(r"attn_temp\.to_out\.0\.|\.proj_out\.|relative_attention_bias", name):
            out[name] = torch.zeros_like(tensor)
    out["conv_in.weight"] = torch.zeros_like(own["conv_in.weight"])
    channels = renamed["conv_in.weight"].shape[1]
    out["conv_in.weight"][:, :channels] = renamed["conv_in.weight"]
    return out


def _image_name(name: str, image: dict[str, Tensor], layers: int) -> str:
    """The image UNet's name of a parameter of SEINE's with `layers` residual blocks a level; "" where it has none."""
    head = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
    head |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    for ours, theirs in head.items():
        if name.startswith(f"{ours}."):
            return theirs + name[len(ours) :]
    levels = sum(bool(re.fullmatch(r"input_blocks\.\d+\.0\.op\.weight", n)) for n in image) + 1
    depth = max(int(n.split(".")[1]) for n in image if n.startswith("input_blocks.")) // levels
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
        kind, i, rest = found[1], int(found[2]), found[3]
        return f"middle_block.{1 if kind == 'attentions' else 2 * i}.{_inner(kind, rest)}"
    if not (found := re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)):
        return ""
    way, level, kind, i, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if way == "down":
        if kind == "downsamplers":
            return f"input_blocks.{(level + 1) * (depth + 1)}.0.op.{rest.removeprefix('conv.')}"
        return f"input_blocks.{1 + level * (depth + 1) + i}.{int(kind == 'attentions')}.{_inner(kind, rest)}"
    place = depth if kind == "upsamplers" else i + depth - layers if i > 0 else 0
    block = level * (depth + 1) + place
    if kind == "upsamplers":
        part = max((int(n.split(".")[2]) for n in image if n.startswith(f"output_blocks.{block}.")), default=0)
        return f"output_blocks.{block}.{part}.{rest}"
    return f"output_blocks.{block}.{int(kind == 'attentions')}.{_inner(kind, rest)}"


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def _inner(kind: str, rest: str) -> str:
    if kind == "attentions":
        return rest
    layer, _, parameter = rest.partition(".")
    return f"{RESNET[layer]}.{parameter}"


def alphas_cumprod() -> Tensor:
    """SEINE's schedule: betas straight from 1e-4 to 2e-2, 1000 steps."""
    return torch.cumprod(1 - torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float64), dim=0).float()


def text_context(words: list[str], options) -> Tensor:
    """[n, 77, 96] from the embedded text tower as it is."""
    tower = weights.load_text_tower(options.out)
    with torch.no_grad():
        hidden = tower.eval().to(options.device).text_model(text.tokenize(words).to(options.device))
    return hidden.last_hidden_state.float()


def other_captions(count: int) -> list[str]:
    """Captions of pictures, which say nothing of a transition."""
    rng = np.random.default_rng(5)
    out = []
    for i in range(count):
        domain = architecture.DOMAINS[i % len(architecture.DOMAINS)]
        findings = len(FINDINGS[domain])
        severities = rng.random(findings) * (rng.random(findings) < 0.4)
        out.append(dataset.caption_of(domain, severities, rng.integers(0, 3, len(captions.sided(domain))), rng))
    return out


def piece(clip: Tensor, frames: int, rng: np.random.Generator) -> Tensor:
    """`frames` frames at an even pace out of a clip [16, ...], forwards or backwards."""
    stride = int(rng.integers(1, (len(clip) - 1) // (frames - 1) + 1))
    start = int(rng.integers(0, len(clip) - stride * (frames - 1)))
    part = clip[start : start + stride * (frames - 1) + 1 : stride]
    return part.flip(0) if rng.random() < 0.5 else part


def all_clips(options, vae) -> tuple[list[Tensor], list[Tensor]]:
    """Latents of the clips of each domain: of real pictures, and of phantoms."""
    mark = dataset.digest(weights.path_of("vae", options.out))
    real, phantoms = [], []
    for domain in architecture.DOMAINS:
        source = RealClips(read(options.data[architecture.DOMAINS.index(domain)], domain=domain), SIZE)
        name = f"{domain}-{mark}"
        real.append(clip_latents(name, CLIPS[domain], source.clip, vae))
        name = f"phantoms.{domain}-{dataset.drawing(domain)}-{mark}"
        make = functools.partial(phantom_clip, domain)
        phantoms.append(clip_latents(name, PHANTOM_CLIPS, make, vae))
    return real, phantoms


def main() -> None:
    options = common.arguments(__doc__ or "", steps=1000, batch=FRAMES_A_STEP // FRAMES, rate=4e-4, more=OPTIONS)
    common.use_host()
    vae = weights.load_vae(options.device, options.out)
    real, phantoms = all_clips(options, vae)
    with torch.no_grad():
        grays = {side: encode(vae, np.full((1, side, side, 3), seine.GRAY)) for side in (SIZE, SIZE // 2)}
    contexts = text_context([PROMPT, "", *other_captions(64)], options)
    abar, config = alphas_cumprod(), architecture.SEINE
    torch.manual_seed(options.seed)
    network = architecture.build_seine(config)
    start = options.start or options.out
    if weights.path_of("seine", start).exists():
        network.load_state_dict(weights.exported("seine", start))
    else:
        network.load_state_dict(from_image_unet(weights.exported("unet", start), network))
    trainer = common.Trainer(f"seine.{options.seed}", {"network": network}, options, decay=0.995)

    def loss(generator: torch.Generator, step: int) -> dict:
        rng = np.random.default_rng([options.seed, step])
        frames = FRAMES if rng.random() < 0.4 else int(rng.integers(5, 9))
        small = step % PHANTOM_EVERY == PHANTOM_EVERY - 1
        n = options.batch * (2 if small else 1) * FRAMES // frames
        pools = [(phantoms if small else real)[d] for d in rng.choice(len(SHARES), size=n, p=SHARES)]
        z = torch.stack([piece(pool[int(rng.integers(len(pool)))], frames, rng).float() for pool in pools])
        z = z.movedim(1, 2)
        gray = grays[SIZE // 2 if small else SIZE]
        ends = [seine.clip_conditioning(clip[:, [0, -1]].movedim(1, 0), gray, frames, config["between"]) for clip in z]
        video, mask = (torch.cat(parts) for parts in zip(*ends, strict=True))
        said = [0 if u < 0.6 else 1 if u < 0.75 else int(rng.integers(2, len(contexts))) for u in rng.random(n)]
        context = contexts[said]
        context = context + 0.2 * context.std() * torch.randn(context.shape, generator=generator).to(context)
        t = torch.from_numpy(
            np.where(rng.random(n) < DECISIVE_SHARE, rng.integers(*DECISIVE, n), rng.integers(len(abar), size=n))
        )
        a = abar[t].reshape(-1, 1, 1, 1, 1)
        noise = torch.randn(z.shape, generator=generator)
        noisy = a.sqrt() * z + (1 - a).sqrt() * noise
        x = torch.cat((noisy, mask, video), dim=1).to(options.device)
        predicted = network(x, t.to(options.device), context).float()
        return {"loss": (predicted - noise.to(options.device)).square().mean()}

    trainer.fit(loss)
    trainer.averaged()
    architecture.save_weights(network.state_dict(), config, weights.path_of("seine", options.out))


if __name__ == "__main__":
    main()
