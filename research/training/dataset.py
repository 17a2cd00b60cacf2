"""Phantoms of a domain with severities and captions, rendered once into a cache under training/runs.

A quarter of the images is normal; the others show one finding or, where the domain has several, up to three. Every
image is another patient of the TRAINING stream. Visit 1 holds the same patients on another day: in another state of
disease.
"""

import argparse
import hashlib
import inspect
import multiprocessing
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import torch

from ...models.embedded.architecture import DOMAINS
from ...mvg.domains.severity import SEVERITY_BANDS
from ...training.common import RUNS
from ..phantom import captions, common
from ..phantom.captions import FINDINGS, SIDES, caption
from ..phantom.domains import phantom, sides

CHUNK = 1000
COUNTS = {4: (0.25, 0.45, 0.20, 0.10), 1: (0.25, 0.75)}
"""Number of a domain's findings -> how often 0, 1, ... of them are present."""
SHARES = {4: (0.27, 0.27, 0.27, 0.19), 1: (1.0,)}
"""Number of a domain's findings -> how often each is drawn."""
EXACT = 0.75
"""How often a caption says a severity as a number, where a training is to learn numbers; the others keep the words."""
PHANTOMS = {"chest_xray": 4000, "fundus": 2000, "skin": 2000}
"""Images of each domain that stand beside the real ones."""


def sample_severities(domain: str, rng: np.random.Generator) -> dict[str, float]:
    """Severity of each present finding, uniform in the bands."""
    findings = FINDINGS[domain]
    chances = COUNTS[len(findings)]
    count = int(rng.choice(len(chances), p=chances))
    low = SEVERITY_BANDS["mild"][0]
    chosen = rng.choice(len(findings), size=count, replace=False, p=SHARES[len(findings)])
    return {findings[i]: float(rng.uniform(low, 1.0)) for i in chosen}


@cache
def drawing(domain: str) -> str:
    """Digest of the code that draws a domain's phantoms: pictures of an older drawing are other pictures."""
    module = phantom(domain)
    modules = (module, sys.modules[module.sample_patient.__module__], captions, common)
    return hashlib.blake2b("".join(map(inspect.getsource, modules)).encode(), digest_size=4).hexdigest()


def digest(path: Path) -> str:
    """Of a file's bytes, short enough for a name."""
    return hashlib.blake2b(path.read_bytes(), digest_size=4).hexdigest()


def _chunk_path(domain: str, start: int, visit: int) -> Path:
    name = f"{start:06d}.npz" if visit == 0 else f"{start:06d}.visit{visit}.npz"
    return RUNS / "phantoms" / f"{domain}-{drawing(domain)}" / name


def _render_chunk(path: Path, domain: str, start: int, count: int, visit: int) -> str:
    import cv2

    cv2.setNumThreads(1)
    if not path.exists():
        module = phantom(domain)
        images, severities, where = [], [], []
        for i in range(count):
            patient = module.sample_patient(start + i, module.TRAINING)
            course = sample_severities(domain, np.random.Generator(np.random.PCG64([7 + visit, start + i])))
            images.append(np.round(module.render(patient, course) * 255).astype(np.uint8))
            severities.append([course.get(f, 0.0) for f in FINDINGS[domain]])
            where.append([SIDES.index(side) for side in sides(domain, patient).values()])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(
            temporary,
            images=np.stack(images),
            severities=np.asarray(severities, dtype=np.float32),
            sides=np.asarray(where, dtype=np.uint8),
        )
        temporary.replace(path)
    return path.name


def build(domain: str, count: int, visit: int = 0, workers: int = 2) -> None:
    """Renders what is missing of the first ``count`` training images."""
    starts = range(0, count, CHUNK)
    paths = [_chunk_path(domain, start, visit) for start in starts]
    several = ([domain] * len(starts), starts, [CHUNK] * len(starts), [visit] * len(starts))
    # a process that is forked while torch computes in threads may wait for one of them for ever
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for name in pool.map(_render_chunk, paths, *several):
            print(f"phantoms: {domain} {name}", flush=True)


def load(domain: str, count: int, visit: int = 0) -> dict[str, np.ndarray]:
    """images [n, 128, 128] or [n, 128, 128, 3] uint8, severities [n, findings] float32, sides [n, sided] (of SIDES)."""
    if not all(_chunk_path(domain, start, visit).exists() for start in range(0, count, CHUNK)):
        build(domain, count, visit)
    parts = []
    for start in range(0, count, CHUNK):
        with np.load(_chunk_path(domain, start, visit)) as chunk:
            parts.append({k: chunk[k] for k in chunk.files})
    return {k: np.concatenate([p[k] for p in parts])[:count] for k in parts[0]}


class Pool:
    """The training images of domains as one numbered set.

    Args:
        count: of each domain; by default as many as PHANTOMS says.
        visit: 0, or 1 for the same patients on another day.
        domains: whose.

    Attributes:
        images: [n, 3 or 1, 128, 128] uint8, with one channel where all domains are gray.
    """

    def __init__(self, count: int | None = None, visit: int = 0, domains: Sequence[str] = DOMAINS):
        self.parts = [(domain, load(domain, count or PHANTOMS[domain], visit)) for domain in domains]
        self.starts = np.cumsum([0, *(len(data["images"]) for _, data in self.parts)])
        color = any(data["images"].ndim == 4 for _, data in self.parts)
        self.images = np.concatenate([self._channels_first(data["images"], color) for _, data in self.parts])

    @staticmethod
    def _channels_first(images: np.ndarray, color: bool) -> np.ndarray:
        if images.ndim == 4:
            return np.moveaxis(images, -1, 1)
        return np.repeat(images[:, None], 3, axis=1) if color else images[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def _place(self, index: int) -> tuple[int, int]:
        """Which of the parts holds a picture, and its row there."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])

    def picture(self, index: int) -> torch.Tensor:
        """float32 [3, 128, 128] in [0, 1]."""
        return torch.from_numpy(self.images[index]).float().div(255).expand(3, -1, -1)

    def domain(self, index: int) -> str:
        return self.parts[self._place(index)[0]][0]

    def captions(self, indices, rng: np.random.Generator, exact: Collection[str] = ()) -> list[str]:
        """A caption of each picture, varied by ``rng``; most of them say the severity of ``exact`` as a number."""
        out = []
        for index in (int(i) for i in indices):
            part, row = self._place(index)
            domain, data = self.parts[part]
            numbers = exact if exact and rng.random() < EXACT else ()
            out.append(caption_of(domain, data["severities"][row], data["sides"][row], rng, numbers))
        return out


def caption_of(
    domain: str, severities: np.ndarray, sides: np.ndarray, rng: np.random.Generator, exact: Collection[str] = ()
) -> str:
    """Caption of one row of a data set."""
    where = {finding: SIDES[side] for finding, side in zip(captions.sided(domain), sides, strict=True)}
    return caption(dict(zip(FINDINGS[domain], severities.tolist(), strict=True)), where, rng, domain, exact)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", choices=DOMAINS, nargs="+", default=DOMAINS)
    parser.add_argument("--count", type=int)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for name in sorted(set(options.domain)):
        build(name, options.count or PHANTOMS[name], workers=options.workers)
