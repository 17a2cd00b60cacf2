"""Whether a picture can be an upright frontal chest film: what is told of one that is turned, inverted or no film.

A template that `research.training.film_check` made from real films looks at a thumbnail of ranks, which exposure does
not change. It answers to a film that stands upright: a picture to which it answers more when turned or inverted is
taken to be so, and one to which it hardly answers at all to be something else. A film with left and right exchanged
is not told (by such means half of these are found where one film in a hundred is taken for one wrongly), nor is a
child's.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

DOMAIN = "chest_xray"
SIZE = 32
"""Side of the thumbnail."""
MARGIN, CERTAIN = 0.08, 0.3
"""How much more the template answers to a film put right than to the film as it is, and how much at least."""
FILE = Path(__file__).with_name("film_check.npz")

UNDONE = MappingProxyType(
    {
        "upside down": lambda x: x[::-1],
        "inverted": lambda x: -x,
        "upside down and inverted": lambda x: -x[::-1],
        "turned clockwise": lambda x: np.rot90(x, 1),
        "turned counterclockwise": lambda x: np.rot90(x, -1),
    }
)
"""What may be wrong with a film -> the thumbnail of ranks without it."""
WANTED = "want the head at the top"
NOTES: Mapping[str, str] = MappingProxyType(
    {
        "upside down": f"seems to be upside down: {WANTED}",
        "inverted": "seems to be inverted, lungs bright and bones dark: want bones bright",
        "upside down and inverted": f"seems to be upside down and inverted: {WANTED} and bones bright",
        "turned clockwise": f"seems to be turned clockwise: {WANTED}",
        "turned counterclockwise": f"seems to be turned counterclockwise: {WANTED}",
        "no frontal film": "does not look like a frontal chest film: want a frontal one, no lateral film, CT slice or "
        "photograph; what is drawn on another image means nothing",
    }
)
"""What is seen -> what is told of it."""


@cache
def _template() -> tuple[np.ndarray, float]:
    """[SIZE, SIZE] of unit length, and the least that it answers to a film."""
    with np.load(FILE) as arrays:
        return arrays["upright"], float(arrays["least"])


def ranks(image: np.ndarray) -> np.ndarray:
    """The pixels' ranks, ties sharing theirs, with zero mean and unit length; zeros where all are equal.

    Args:
        image: [H, W].

    Returns:
        float64 [H, W].
    """
    _, place, count = np.unique(image, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - 0.5 * (count - 1))[place].reshape(image.shape)
    rank -= rank.mean()
    return rank / max(float(np.linalg.norm(rank)), 1e-12)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Ranks [SIZE, SIZE] of the centre of a gray image [H, W] in [0, 1]."""
    height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    part = image[top : top + side, left : left + side].astype(np.float32)
    # rounded, or what is equal would be ranked by the last bits of its mean
    return ranks(np.round(cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_AREA), 5))


def look(image: np.ndarray) -> str:
    """What is odd about one picture, taken for a frontal chest film.

    Args:
        image: gray, [H, W] in [0, 1].

    Returns:
        One of NOTES, or "" where nothing is, as where all pixels are equal.
    """
    template, least = _template()
    thumb = thumbnail(image)
    if not thumb.any():
        return ""
    upright = float((template * thumb).sum())
    answers = {name: float((template * undo(thumb)).sum()) for name, undo in UNDONE.items()}
    best = max(answers, key=lambda name: answers[name])
    if answers[best] > max(upright + MARGIN, CERTAIN):
        return best
    return "no frontal film" if upright < least else ""


def film_notes(images: "Tensor", domain: str) -> list[str]:
    """What of images does not fit an upright frontal chest film.

    Args:
        images: [B, H, W, 3] in [0, 1].
        domain: of the images; nothing is said of others than chest X-rays.

    Returns:
        A sentence for each kind of oddity, which names the images where there are several.
    """
    if domain != DOMAIN:
        return []
    seen: dict[str, list[int]] = {}
    for number, image in enumerate(images.detach().cpu().float().mean(dim=-1).numpy(), start=1):
        if np.isfinite(image).all() and (odd := look(image)):
            seen.setdefault(odd, []).append(number)
    several = len(images) > 1
    return [f"the image{_numbers(rows) if several else ''} {NOTES[odd]}" for odd, rows in seen.items()]


def _numbers(rows: list[int], most: int = 10) -> str:
    """As in "(3, 5 of the batch)"."""
    more = ", ..." if len(rows) > most else ""
    return f" ({', '.join(map(str, rows[:most]))}{more} of the batch)"
