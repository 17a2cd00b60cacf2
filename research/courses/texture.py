"""Seeded random fields that courses are drawn with; lengths are in pixels."""

import cv2
import numpy as np
from scipy.spatial import cKDTree


def smooth_step(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, a cubic without kinks between.

    Args:
        values: any shape.
        low, high: low < high.

    Returns:
        float32 of the shape of values in [0, 1].
    """
    t = np.clip((np.asarray(values, np.float32) - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def fractal(
    shape: tuple[int, int], wavelength: float, rng: np.random.Generator, octaves: int = 3, persistence: float = 0.55
) -> np.ndarray:
    """Smooth noise of mean 0 and spread 1: octaves of halving wavelength and falling amplitude.

    Args:
        shape: height, width.
        wavelength: of the first octave.
        rng: where the noise comes from; what is taken from it depends on shape and wavelength alone.
        octaves: 1 or more.
        persistence: amplitude of an octave in that of the one before.

    Returns:
        float32 [height, width].
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step = wavelength / 2**octave
        grid = rng.standard_normal((int(height / step) + 4, int(width / step) + 4)).astype(np.float32)
        shift = rng.uniform(0, 1, 2)
        if step < 1.5:
            layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        else:
            x = (np.arange(width, dtype=np.float32) / step + 1 + shift[0]).astype(np.float32)
            y = (np.arange(height, dtype=np.float32) / step + 1 + shift[1]).astype(np.float32)
            columns, rows = np.meshgrid(x, y)
            layer = cv2.remap(grid, columns, rows, cv2.INTER_CUBIC)
        total += persistence**octave * layer
    return (total - total.mean()) / (total.std() + 1e-6)


def cell_walls(shape: tuple[int, int], spacing: float, rng: np.random.Generator, warp: float = 0.5) -> np.ndarray:
    """The walls of an irregular honeycomb: 1 on a wall, falling to 0 in a cell's middle.

    Args:
        shape: height, width.
        spacing: between the middles of cells.
        rng: where the cells come from.
        warp: how far the honeycomb is bent, in spacings.

    Returns:
        float32 [height, width] in [0, 1].
    """
    height, width = shape
    rows, columns = int(height / spacing) + 4, int(width / spacing) + 4
    y, x = np.mgrid[:rows, :columns].astype(np.float64) - 2
    middles = np.stack([x + 0.5 * (y % 2), y], axis=-1) + rng.uniform(-0.38, 0.38, (rows, columns, 2))
    bend = [warp * spacing * fractal(shape, 4 * spacing, rng, 2) for _ in range(2)]
    v, u = np.mgrid[:height, :width].astype(np.float32)
    places = np.stack([(u + bend[0]) / spacing, (v + bend[1]) / spacing], axis=-1)
    near, _ = cKDTree(middles.reshape(-1, 2)).query(places.reshape(-1, 2), k=2)
    return np.clip(1 - 2.2 * (near[:, 1] - near[:, 0]), 0, 1).reshape(shape).astype(np.float32)


def ring_noise(angle: np.ndarray, orders: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of mean 0 and spread 1 over an angle, without a seam.

    Args:
        angle: in radians, any shape.
        orders: lowest and highest number of waves round the circle.
        rng: where the noise comes from.

    Returns:
        float32 of the shape of angle.
    """
    waves = np.arange(orders[0], orders[1] + 1)
    amplitude = rng.standard_normal((2, len(waves))) / np.sqrt(len(waves))
    circle = np.linspace(-np.pi, np.pi, 2048)
    phases = waves[:, None] * circle
    line = amplitude[0] @ np.cos(phases) + amplitude[1] @ np.sin(phases)
    return np.interp(angle, circle, line).astype(np.float32)
