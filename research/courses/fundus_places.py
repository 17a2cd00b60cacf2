"""Where lesions of the retina lie: one rule for all eyes, in a frame that optic disc, fovea and vessels span.

A network can learn from a photograph only what the photograph tells, and a lesion whose place is drawn by lot is
learned as a haze; so the picture tells, as it does in phantoms. Real retinopathy keeps to no such rule.
"""

import math

import cv2
import numpy as np

from .fundus_anatomy import Retina
from .texture import smooth_step

DISC = 0.62
"""Between fovea and the middle of the disc in radii of the field of 50 degrees; the rule's frame."""
DISC_RADIUS = 0.125
STRAY = 25.0
"""Micrometers that a seed moves a lesion by, one standard deviation."""


class Places:
    """Draws places from where a kind of lesion may lie: by one rule in a frame that disc and fovea span.

    Args:
        retina: of the picture.
        kind: of lesion, a number; it begins ``rule``, the random numbers that are the same for every eye.
        rng: what differs from seed to seed.
    """

    def __init__(self, retina: Retina, kind: int, rng: np.random.Generator):
        self.retina, self.rng, self.rule = retina, rng, np.random.default_rng([kind, 0x72756C65])
        # u from the fovea toward the disc, v upward, in radii of the field
        v, u = np.mgrid[-1.1:1.1:0.02, -1.3:1.3:0.02]
        self.u, self.v = u, v
        middle = 0.25 * DISC
        self.out = np.hypot(u - middle, v)
        off = np.hypot(u - DISC, v) / DISC_RADIUS
        self.allowed = (self.out < 0.97) * smooth_step(off, 1.25, 1.6)
        fovea, disc = np.array(retina.fovea), np.array(retina.disc)
        self.scale = math.hypot(*(disc - fovea)) / DISC
        along = (disc - fovea) / (self.scale * DISC)
        across = np.array([along[1], -along[0]])
        self.axes = np.stack([along, across if across[1] < 0 else -across])
        self.crest = vessel_points(retina)

    def some(self, weight: np.ndarray, count: int, pull: float = 0.0) -> np.ndarray:
        """[count, 2] x, y drawn by a weight on the grid of u and v; pull in [0, 1]: toward the vessel beside."""
        share = (weight * self.allowed).ravel().astype(np.float64)
        picked = self.rule.choice(share.size, count, p=share / share.sum())
        jitter = self.rule.uniform(-0.01, 0.01, (count, 2))
        places = self.there(np.stack([self.u.ravel()[picked], self.v.ravel()[picked]], -1) + jitter)
        if pull and len(self.crest):
            apart = np.hypot(*(places[:, None] - self.crest[None]).transpose(2, 0, 1))
            near = apart.min(axis=1, keepdims=True) < 0.14 * self.scale
            places = places + near * pull * (self.crest[apart.argmin(axis=1)] - places)
        return places + self.rng.normal(0, STRAY * self.retina.micrometer, (count, 2))

    def there(self, frame: np.ndarray) -> np.ndarray:
        """x, y in the picture of points [n, 2] of the frame."""
        return np.array(self.retina.fovea) + self.scale * frame @ self.axes

    def near(self, centers: np.ndarray, spread: float) -> np.ndarray:
        """A weight: Gaussians of a spread in radii of the field round centers [n, 2] of the frame."""
        return sum(np.exp(-((self.u - cu) ** 2 + (self.v - cv) ** 2) / (2 * spread**2)) for cu, cv in centers) + 1e-9

    def load(self, count: int) -> int:
        """A count that seeds change by some 15 %."""
        return round(count * math.exp(self.rng.normal(0, 0.15)))


def vessel_points(retina: Retina) -> np.ndarray:
    """[n, 2] x, y in the middle of vessels, the widest first, thinned to where they tell places apart."""
    half = retina.half_width
    crest = (half >= cv2.dilate(half, np.ones((3, 3), np.uint8))) & (half > 0.006 * retina.radius)
    ys, xs = np.nonzero(crest & (retina.field > 0.9))
    off = np.hypot(xs - retina.disc[0], ys - retina.disc[1])
    points, wide = np.stack([xs, ys], -1)[off > 1.6 * retina.disc_radius].astype(np.float64), half[ys, xs]
    order = np.argsort(-wide[off > 1.6 * retina.disc_radius], kind="stable")
    cells = np.floor(points[order] / (0.03 * retina.radius))
    _, first = np.unique(cells, axis=0, return_index=True)
    return points[order][np.sort(first)]


LEAKS = np.array([(-0.16, 0.13), (-0.27, -0.10), (0.14, -0.20)])
"""Where vessels leak, in the frame: microaneurysms crowd there and exudates ring it."""
