"""Consolidation: fluid in the air spaces of a lower lobe, air in the bronchi, and borders lost beside it."""

import numpy as np

from .anatomy import Chest, Lung
from .film import blur, cloud, smoothstep, strokes
from .replace import filled

CENTERS = {"right": (0.50, 0.80), "left": (0.40, 0.80)}
"""Of the lower lobe, where pneumonia is commonest, (across, down) of a lung. Always there: in another lobe by lot, no
model could tell from film and caption where."""
REACH = (0.61, 0.26)


def _bronchi(chest: Chest, lung: Lung, center: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
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
        target = place(center[0] + rng.uniform(-0.1, 0.2), center[1] + rng.uniform(-0.08, 0.12))
        way = target - root
        length = float(np.linalg.norm(way))
        branch(root, way / max(length, 1e-3), 0.55 * length, 0.007, 2)
    return blur(strokes(chest.shape, np.array(lines)), 0.0035)


def _lobar(chest: Chest, lung: Lung, severity: float, rng: np.random.Generator) -> np.ndarray:
    center = np.array(CENTERS[lung.side]) + rng.normal(0, 0.02, 2)
    shape, texture = cloud(chest.shape, rng, 4, 3), cloud(chest.shape, rng, 14, 4, 0.7)
    bronchi = _bronchi(chest, lung, (center[0], center[1]), rng)
    size = 0.42 + 0.75 * severity
    du = (lung.across - center[0]) / REACH[0]
    dv = (lung.down - center[1]) / REACH[1]
    level = size**2 - du**2 - dv**2 + 0.14 * shape * size + 0.07 * texture
    share = smoothstep(level, -0.65, 0.8)
    density = (0.32 + 0.52 * severity) * smoothstep(severity, 0.0, 0.22)
    share = share * np.clip(1 + 0.10 * texture * (1.2 - severity), 0.3, 1.2)
    return np.clip(density * share, 0, 0.93) * (1 - 0.36 * bronchi * smoothstep(share, 0.4, 0.9))


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with consolidation on the given sides."""
    out = chest.attenuation
    for i, side in enumerate(("right", "left")):
        if side not in sides:
            continue
        rng = np.random.default_rng([seed, 3, i])
        lung = chest.lungs[side]
        share = _lobar(chest, lung, severity, rng)
        # a little over the lung's border too, so that heart and diaphragm lose theirs where it touches them
        reach = np.clip(blur(lung.field, 0.012) * 2.2, 0, 1) * smoothstep(1.01 - lung.half, 0.0, 0.02)
        out = filled(chest, out, share * reach, level=0.95, shadows=0.45)
    return out
