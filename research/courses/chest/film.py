"""Attenuation, bands, textures and warps of a film: what every drawn finding is made with.

A film shows 1 - exp(-attenuation) more or less, so what is added in attenuation loses contrast where the film is bright
already, as it does in a real one. Lengths are fractions of the film's shorter side, so that equal seeds give equal
courses at all sizes.
"""

import cv2
import numpy as np

_RANGE = 0.8  # of the film's values; 1 would make the attenuation of white infinite


def to_attenuation(film: np.ndarray) -> np.ndarray:
    """Attenuation [H, W] >= 0 of a film in [0, 1]."""
    return -np.log1p(-_RANGE * np.clip(film, 0, 1)).astype(np.float32)


def to_film(attenuation: np.ndarray) -> np.ndarray:
    """Film in [0, 1] of an attenuation; the inverse of `to_attenuation`."""
    return np.clip(-np.expm1(-attenuation) / _RANGE, 0, 1).astype(np.float32)


def blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; sigma in shorter sides. Wide ones are computed on a smaller grid."""
    pixels = sigma * min(values.shape[:2])
    factor = int(pixels / 4)
    if factor >= 2:
        height, width = values.shape[:2]
        small = cv2.resize(values, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), pixels / factor)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(values, (0, 0), max(pixels, 0.3))


def blur_inside(values: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of what a mask [H, W] in [0, 1] holds; beside it its values go on."""
    weight = blur(mask, sigma)
    far = blur(mask, 4 * sigma)
    near = blur(values * mask, sigma) / np.maximum(weight, 1e-4)
    wide = blur(values * mask, 4 * sigma) / np.maximum(far, 1e-4)
    share = np.clip(weight / 0.02, 0, 1)
    return share * near + (1 - share) * wide


def smoothstep(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, smooth between."""
    t = np.clip((np.asarray(values, dtype=np.float32) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def cloud(shape: tuple[int, int], rng: np.random.Generator, coarsest: int, octaves: int, roughness: float = 0.6):
    """Fractal noise [H, W] of zero mean and unit spread.

    Args:
        shape: of the film.
        rng: equal generators give equal clouds at all sizes.
        coarsest: cells of the coarsest octave across the film; each further octave has twice as many.
        octaves: how many.
        roughness: strength of an octave over that of the one before.
    """
    total, strength = np.zeros(shape, np.float32), 1.0
    for i in range(octaves):
        cells = coarsest * 2**i
        grid = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
        if cells < min(shape):
            total += strength * cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
        strength *= roughness
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def strokes(shape: tuple[int, int], lines: np.ndarray) -> np.ndarray:
    """Soft lines [H, W] in [0, 1].

    Args:
        shape: of the film.
        lines: [n, 6] x0, y0, x1, y1 in pixels, width in shorter sides, strength in [0, 1]. A line thinner than a pixel
            is as much fainter.
    """
    side, scale = min(shape), 3
    canvas = np.zeros((shape[0] * scale, shape[1] * scale), np.uint8)
    for x0, y0, x1, y1, width, strength in sorted(lines.tolist(), key=lambda line: line[5]):
        thick = width * side * scale
        shade = round(255 * strength * min(1.0, thick))
        start, end = ([round((v + 0.5) * scale * 16) for v in point] for point in ((x0, y0), (x1, y1)))
        cv2.line(canvas, start, end, shade, max(1, round(thick)), cv2.LINE_AA, shift=4)
    soft = cv2.resize(canvas, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(soft, (0, 0), 0.6)


def moved(values: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """values [H, W] looked up at x + dx, y + dy (pixels); where both are 0, the values themselves."""
    y, x = np.mgrid[: values.shape[0], : values.shape[1]].astype(np.float32)
    out = cv2.remap(values, x + dx.astype(np.float32), y + dy.astype(np.float32), cv2.INTER_CUBIC, None,
                    cv2.BORDER_REPLICATE)  # fmt: skip
    return np.where((dx == 0) & (dy == 0), values, out)
