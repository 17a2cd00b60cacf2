"""Pleural effusion: fluid takes the place of the lung from below, with a meniscus that rises along the chest wall."""

import numpy as np

from .anatomy import Chest, Lung
from .film import blur, cloud, moved, smoothstep
from .replace import filled


def _level(severity: float) -> float:
    """How far up the chest wall the fluid reaches, as a share of the lung's height."""
    return 0.78 * severity**0.92


def _fluid(chest: Chest, lung: Lung, severity: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(share of air replaced by fluid, haze of the pressed lung above it), [H, W] in [0, 1]."""
    depth = rng.uniform(0.17, 0.27)  # of the meniscus
    ramp = rng.uniform(0.07, 0.13)
    veil = rng.uniform(0.0, 0.22) * (rng.random() < 0.6)  # fluid behind the lung of a patient who lies
    waves = cloud(chest.shape, rng, 3, 2)
    w = np.clip(lung.half, 0, 1.05)
    bowl = 1 - w ** rng.uniform(2.2, 3.4)  # 0 at the wall, 1 at the midline
    inner = 0.35 * smoothstep(0.45 - w, 0.0, 0.45)  # it rises a little at the mediastinum too
    height = _level(severity) * (1 + 0.02 * waves) - depth * (1 - 0.55 * severity) * (bowl - inner * bowl)
    below = (height - (1 - lung.down)) / (ramp * (0.5 + 0.5 * min(1, severity * 2)))
    share = 1 - np.exp(-(np.clip(below + 0.35, 0, None) ** 1.6))
    x = np.arange(chest.shape[1], dtype=np.float32)[None]
    beyond = lung.sign * (x - lung.lateral[:, None]) / chest.side  # past the wall
    inside = smoothstep(-beyond, -0.024, -0.008) * smoothstep(lung.half, -0.12, 0.12)
    deep = 1 - smoothstep(lung.down, 1.02, 1.15)
    share = 0.97 * share * inside * deep
    field = blur(lung.field, 0.01)
    over = field * (
        veil * severity * smoothstep(lung.down, -0.2, 1.0) + 0.16 * severity * np.exp(-np.clip(-below, 0, None) / 2.5)
    )
    return share.astype(np.float32), over.astype(np.float32)


def attenuation(chest: Chest, severity: float, sides: tuple[str, ...], seed: int) -> np.ndarray:
    """The film's attenuation [H, W] with fluid on the given sides."""
    out = chest.attenuation
    for i, side in enumerate(("right", "left")):
        if side not in sides:
            continue
        rng = np.random.default_rng([seed, 1, i])
        lung = chest.lungs[side]
        share, haze = _fluid(chest, lung, severity, rng)
        out = filled(chest, out, haze, shadows=0.9)
        out = filled(chest, out, share, shadows=0.35)
        if len(sides) == 1:
            out = _pushed(chest, out, lung, severity)
    return out


def _pushed(chest: Chest, values: np.ndarray, lung: Lung, severity: float) -> np.ndarray:
    """The mediastinum moved away from much fluid, by at most 3 % of the film."""
    far = 0.03 * chest.side * float(smoothstep(severity, 0.55, 1.1))
    if far == 0:
        return values
    x = np.arange(chest.shape[1], dtype=np.float32)[None]
    reach = 0.32 * (chest.lungs["left"].lateral - chest.lungs["right"].lateral)[:, None]
    near = np.clip(1 - ((x - chest.middle[:, None]) / reach) ** 2, 0, 1) ** 2
    near = near * smoothstep(lung.down, 0.0, 0.3) * (1 - smoothstep(lung.down, 0.95, 1.25))
    return moved(values, lung.sign * far * near, np.zeros_like(near))
