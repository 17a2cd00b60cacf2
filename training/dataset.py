"""Phantom chest X-rays with severities and captions, rendered once into a cache under training/runs.

25 % normal, 45 % one finding, 30 % two or three; every image is another patient of the TRAINING stream. Visit 1
holds the same patients on another day: in another state of disease.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from ..mvg.phantom import chest_xray
from ..mvg.phantom.captions import FINDINGS, SEVERITY_BANDS, SIDES
from .common import RUNS

CHUNK = 1000


def sample_severities(rng: np.random.Generator) -> dict[str, float]:
    """Severity of each present finding, uniform in the bands."""
    count = int(rng.choice((0, 1, 2, 3), p=(0.25, 0.45, 0.20, 0.10)))
    low = SEVERITY_BANDS["mild"][0]
    chosen = rng.choice(len(FINDINGS), size=count, replace=False, p=(0.27, 0.27, 0.27, 0.19))
    return {FINDINGS[i]: float(rng.uniform(low, 1.0)) for i in chosen}


def _chunk_path(start: int, visit: int) -> Path:
    return RUNS / "phantoms" / (f"{start:06d}.npz" if visit == 0 else f"{start:06d}.visit{visit}.npz")


def _render_chunk(start: int, visit: int = 0) -> str:
    import cv2

    cv2.setNumThreads(1)
    path = _chunk_path(start, visit)
    if not path.exists():
        images = np.empty((CHUNK, chest_xray.SIZE, chest_xray.SIZE), dtype=np.uint8)
        severities = np.zeros((CHUNK, len(FINDINGS)), dtype=np.float32)
        sides = np.zeros((CHUNK, 2), dtype=np.uint8)
        for i in range(CHUNK):
            patient = chest_xray.sample_patient(start + i, chest_xray.TRAINING)
            course = sample_severities(np.random.Generator(np.random.PCG64([7 + visit, start + i])))
            images[i] = np.round(chest_xray.render(patient, course) * 255)
            severities[i] = [course.get(f, 0.0) for f in FINDINGS]
            sides[i] = [SIDES.index(patient.sides[f]) for f in ("pleural effusion", "consolidation")]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, images=images, severities=severities, sides=sides)
        temporary.replace(path)
    return path.name


def build(count: int, visit: int = 0, workers: int = 2) -> None:
    """Renders what is missing of the first ``count`` training images."""
    starts = range(0, count, CHUNK)
    with ProcessPoolExecutor(workers) as pool:
        for name in pool.map(_render_chunk, starts, [visit] * len(starts)):
            print(f"phantoms: {name}", flush=True)


def load(count: int, visit: int = 0) -> dict[str, np.ndarray]:
    """images [n, 128, 128] uint8, severities [n, findings] float32, sides [n, 2] (index into SIDES)."""
    if not all(_chunk_path(start, visit).exists() for start in range(0, count, CHUNK)):
        build(count, visit)
    parts = []
    for start in range(0, count, CHUNK):
        with np.load(_chunk_path(start, visit)) as chunk:
            parts.append({k: chunk[k] for k in chunk.files})
    return {k: np.concatenate([p[k] for p in parts])[:count] for k in parts[0]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=16000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    build(options.count, workers=options.workers)
