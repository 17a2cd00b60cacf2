"""Consolidation: fluid in the air spaces of a lobe or in patches, air in the bronchi, and borders lost beside it."""

from dataclasses import dataclass

import numpy as np

from .anatomy import Chest, Lung
from .film import blur, cloud, smoothstep, strokes
from .replace import filled


@dataclass(frozen=True)
class Lobe:
    """Where a lobe shows: center and reach in (across, down) of a lung; above or below a sharp fissure, if any."""

    center: tuple[float, float]
    reach: tuple[float, float]
    fissure: float = 0.0  # where it crosses, as a share of the height; 0 for none
    above: bool = True


LOBES = {
    "right": (
        Lobe((0.50, 0.30), (0.55, 0.24), 0.47, True),
        Lobe((0.25, 0.70), (0.46, 0.22), 0.50, False),
        Lobe((0.50, 0.80), (0.60, 0.26)),
        Lobe((0.50, 0.80), (0.60, 0.26)),
    ),
    "left": (
        Lobe((0.48, 0.30), (0.55, 0.26)),
        Lobe((0.20, 0.66), (0.50, 0.22)),
        Lobe((0.40, 0.80), (0.62, 0.26)),
        Lobe((0.40, 0.80), (0.62, 0.26)),
    ),
}
"""By side: upper, middle (lingula), lower; pneumonia is commonest below."""


def _bronchi(chest: Chest, lung: Lung, lobe: Lobe, rng: np.random.Generator) -> np.ndarray:
    """Branching air-filled bronchi from the hilum into a lobe, [H, W] in [0, 1]."""

    def place(across: float, down: float) -> np.ndarray:
        y = lung.top + down * lung.height
        row = int(np.clip(y, 0, chest.shape[0] - 1))
        return np.array([lung.medial[row] + across * (lung.lateral[row] - lung.medial[row]), y])

    root = place(0.02, 0.42)
    lines: list[list[float]] = []

    def branch(start: np.ndarray, heading: np.ndarray, length: float, width: float, depth: int) -> None:
        end = start + heading * length
        middle = 0.5 * (start + end) + rng.normal(0, 0.06 * length, 2)
        for a, b in ((start, middle), (middle, end)):
            lines.append([*a, *b, width, 0.9])
        if depth:
            for turn in (rng.uniform(0.2, 0.55), -rng.uniform(0.2, 0.55)):
                c, s = np.cos(turn), np.sin(turn)
                branch(end, np.array([c * heading[0] - s * heading[1], s * heading[0] + c * heading[1]]),
                       length * rng.uniform(0.6, 0.8), width * 0.78, depth - 1)  # fmt: skip

    for _ in range(2):
        target = place(lobe.center[0] + rng.uniform(-0.1, 0.2), lobe.center[1] + rng.uniform(-0.08, 0.12))
        way = target - root
        length = float(np.linalg.norm(way))
        branch(root, way / max(length, 1e-3), 0.55 * length, 0.007, 2)
    return blur(strokes(chest.shape, np.array(lines)), 0.0035)


def _lobar(chest: Chest, lung: Lung, severity: float, rng: np.random.Generator) -> np.ndarray:
    lobes = LOBES[lung.side]
    lobe = lobes[int(rng.integers(len(lobes)))]
    shape, texture = cloud(chest.shape, rng, 4, 3), cloud(chest.shape, rng, 14, 4, 0.7)
    bronchi = _bronchi(chest, lung, lobe, rng)
    size = 0.42 + 0.75 * severity
    du = (lung.across - lobe.center[0]) / lobe.reach[0]
    dv = (lung.down - lobe.center[1]) / lobe.reach[1]
    level = size**2 - du**2 - dv**2 + 0.24 * shape * size + 0.07 * texture
    share = smoothstep(level, -0.65, 0.8)
    if lobe.fissure:
        past = lung.down - lobe.fissure - 0.04 * (lung.across - 0.5)
        share = share * smoothstep(-past if lobe.above else past, -0.012, 0.012)
    density = (0.32 + 0.52 * severity) * smoothstep(severity, 0.0, 0.22)
    share = share * np.clip(1 + 0.10 * texture * (1.2 - severity), 0.3, 1.2)
    return np.clip(density * share, 0, 0.93) * (1 - 0.36 * bronchi * smoothstep(share, 0.4, 0.9))


def _patchy(chest: Chest, lung: Lung, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Bronchopneumonia: patches, more below, that grow and run together."""
    coarse, texture = cloud(chest.shape, rng, 6, 3), cloud(chest.shape, rng, 16, 4, 0.75)
    center = rng.uniform(0.3, 0.65), rng.uniform(0.5, 0.85)
    reach = 1.1 * ((lung.across - center[0]) / 0.55) ** 2 + ((lung.down - center[1]) / 0.36) ** 2
    bronchi = _bronchi(chest, lung, Lobe(center, (0.5, 0.3)), rng)
    level = 0.5 * coarse + 0.16 * texture - 0.9 * reach + 2.1 * severity - 0.5
    share = smoothstep(level, -0.7, 1.2)
    density = (0.34 + 0.5 * severity) * smoothstep(severity, 0.0, 0.22)
    share = share * np.clip(1 + 0.14 * texture * (1.1 - 0.5 * severity), 0.3, 1.25)
    return np.clip(density * share, 0, 0.9) * (1 - 0.32 * bronchi * smoothstep(share, 0.4, 0.9))


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with consolidation on the given sides."""
    out = chest.attenuation
    for i, side in enumerate(("right", "left")):
        if side not in sides:
            continue
        rng = np.random.default_rng([seed, 3, i])
        lung = chest.lungs[side]
        share = (_patchy if rng.random() < 0.4 else _lobar)(chest, lung, severity, rng)
        # a little over the lung's border too, so that heart and diaphragm lose theirs where it touches them
        reach = np.clip(blur(lung.field, 0.012) * 2.2, 0, 1) * smoothstep(1.01 - lung.half, 0.0, 0.02)
        out = filled(chest, out, share * reach, level=0.95, shadows=0.45)
    return out
