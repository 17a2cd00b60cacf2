"""Small shapes drawn at fractions of a pixel."""

import math

import cv2
import numpy as np

FINE = 4
"""Drawing pixels per pixel, so that lesions smaller than a pixel grow evenly."""


class Canvas:
    """A layer [H, W] in [0, 1] onto which small shapes are drawn at a fraction of a pixel; the stronger one shows."""

    def __init__(self, shape: tuple[int, int]):
        self.values = np.zeros(shape, np.float32)

    def polygon(self, points: np.ndarray, strength: float, closed: bool = True, thickness: float = 1.0) -> None:
        """Draws a filled outline, or a line where not closed.

        Args:
            points: [n, 2] x and y in pixels.
            strength: in [0, 1].
            closed: an area rather than a line.
            thickness: of a line in pixels.
        """
        height, width = self.values.shape
        pad = 2 + thickness
        left, top = np.floor(points.min(axis=0) - pad).astype(int)
        right, bottom = np.ceil(points.max(axis=0) + pad).astype(int) + 1
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        if right <= left or bottom <= top or strength <= 0:
            return
        patch = np.zeros(((bottom - top) * FINE, (right - left) * FINE), np.uint8)
        places = np.round((points - [left, top] + 0.5) * FINE * 16 - 8).astype(np.int32)
        if closed:
            cv2.fillPoly(patch, [places], 255, cv2.LINE_AA, 4)
        else:
            cv2.polylines(patch, [places], False, 255, max(1, round(thickness * FINE)), cv2.LINE_AA, 4)
        small = cv2.resize(patch, (right - left, bottom - top), interpolation=cv2.INTER_AREA).astype(np.float32)
        part = self.values[top:bottom, left:right]
        np.maximum(part, small * np.float32(strength / 255), out=part)

    def blob(
        self, place, radius: float, strength: float, outline: np.ndarray, long: float = 1.0, turn: float = 0.0
    ) -> None:
        """Draws a round thing with an irregular outline.

        Args:
            place: x, y of the middle.
            radius: of a circle of about its area, in pixels.
            strength: in [0, 1].
            outline: factors of the radius at even angles.
            long: length over width.
            turn: angle of the long axis, radians.
        """
        angle = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
        u, v = np.cos(angle) * outline * math.sqrt(long), np.sin(angle) * outline / math.sqrt(long)
        x, y = u * math.cos(turn) - v * math.sin(turn), u * math.sin(turn) + v * math.cos(turn)
        self.polygon(np.stack([x, y], -1) * radius + np.asarray(place), strength)


def rough_outline(rng: np.random.Generator, roughness: float, points: int = 16) -> np.ndarray:
    """[points] factors of a radius, of mean about 1, with lobes of a few sizes."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    lobes = sum(rng.normal() / order**0.9 * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in (2, 3, 4, 5))
    return np.clip(1 + roughness * np.asarray(lobes), 0.35, 1.9)
