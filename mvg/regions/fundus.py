"""Where findings show in a color fundus photograph: soft regions by classical means.

The lit field is what is not dark, the optic disc is the bright compact spot that vessels run to (brightness and vessel
convergence, after Hoover and Goldbaum, IEEE TMI 22(8), 2003), the fovea the dark spot beside it, and retinopathy shows
in the posterior pole between and around the arcades.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from .picture import blur, blur_inside, checked_picture, disc_kernel, filled, full_size, working_size

# Lengths are in radii of the lit field.
MIN_FIELD = 0.15  # of the image
DISC_RADII = (0.11, 0.135, 0.16, 0.185)
FOVEA_DISTANCE, FOVEA_DROP = (0.55, 0.95), 0.08
# How far the pole reaches from the fovea past the disc, to the temporal side, up and down: in distances from fovea to
# disc, and the least in radii of the field, as that distance is foreshortened where the disc is at the field's edge.
POLE_NASAL, POLE_TEMPORAL, POLE_TALL = 1.42, 0.82, 1.36
LEAST_TEMPORAL, LEAST_TALL = 0.70, 0.95
MACULA = 0.55  # radius, in distances from fovea to disc: 5.5 mm across, where those are 5 mm apart
ROUND_DISC = 1.5  # radius, in those of the disc
SURE_DISC = 2.3  # phantoms and photographs have 3 or more, pictures of skin 1.6 or less

RULES = ("retina", "macula", "optic disc")


@dataclass(frozen=True)
class Fundus:
    """What was found in a fundus photograph; lengths in pixels of the working size, points as (x, y).

    field: the lit field, [h, w] bool. radius: of that field. side: +1 where the disc lies on the right of the fovea.
    disc_score: brightness and vessels at the disc, below `SURE_DISC` for a guess.
    """

    field: np.ndarray
    radius: float
    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    side: int
    disc_score: float


def _field_of_view(small: np.ndarray) -> tuple[np.ndarray, tuple[float, float], float]:
    """The lit field [h, w] bool, its centre and its radius. ValueError where there is none."""
    bright = blur(small.max(axis=2), 1.0)
    lit = (bright > max(0.07, 0.22 * float(np.percentile(bright, 95)))).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(lit, cv2.MORPH_OPEN, disc_kernel(3)))
    share = 0.0
    if count > 1:
        lit = filled(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
        share = float(lit.mean())
    if share < MIN_FIELD:
        raise ValueError(
            f"image: got no field of view (lit part {share:.2f} of the picture, want {MIN_FIELD} or more), "
            "want a colour fundus photograph"
        )
    red, green, blue = small[lit].mean(axis=0)
    if red < 1.1 * max(green, blue):
        raise ValueError(
            f"image: got no field of view (the lit part is R {red:.2f}, G {green:.2f}, B {blue:.2f}; a retina is red), "
            "want a colour fundus photograph"
        )
    ys, xs = np.nonzero(lit)
    # the frame often cuts the circle at top and bottom, seldom at the sides; percentiles leave the notch's tab out
    (x0, x1), (y0, y1) = np.percentile(xs, (0.2, 99.8)), np.percentile(ys, (0.2, 99.8))
    return lit, (0.5 * (x0 + x1), 0.5 * (y0 + y1)), 0.5 * max(x1 - x0, y1 - y0)


def _vessels(green: np.ndarray, field: np.ndarray, radius: float) -> np.ndarray:
    """Dark thin lines of the green channel, [h, w] >= 0 of about unit spread, nothing near the field's border."""
    filled = np.where(field, green, np.median(green[field])).astype(np.float32)
    dark = cv2.morphologyEx(filled, cv2.MORPH_BLACKHAT, disc_kernel(0.05 * radius))
    inner = cv2.erode(field.astype(np.uint8), disc_kernel(0.06 * radius), borderValue=0)
    return dark * inner / (dark[inner > 0].std() + 1e-6)


def _find_disc(small: np.ndarray, field: np.ndarray, centre, radius: float) -> tuple[float, float, float, float]:
    """(x, y, radius, score) of the optic disc."""
    # green tells the disc from the retina, red tells it from exudates, which are yellow and no brighter in red
    light = blur_inside(0.6 * small[..., 1] + 0.4 * small[..., 0], field, 1.0)
    flat = np.where(field, light - blur_inside(light, field, 0.35 * radius), 0)
    flat /= flat[field].std() + 1e-6
    vessels = np.minimum(_vessels(small[..., 1], field, radius), 3.0)
    height, width = field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = (x - centre[0]) / radius, (y - centre[1]) / radius
    # vessels leave the disc upwards and downwards
    tall = (round(0.2 * radius) | 1, round(0.6 * radius) | 1)
    busy = cv2.GaussianBlur(vessels.astype(np.float32), tall, 0.09 * radius, sigmaY=0.18 * radius)
    busy = (busy - busy[field].mean()) / (busy[field].std() + 1e-6)
    prior = -((v / 0.35) ** 2) - 2.0 * np.clip(np.hypot(u, v) - 0.9, 0, None) / 0.1
    best = (-np.inf, 0, 0, 0.0)
    for part in DISC_RADII:
        r = part * radius
        inner = _mean_disc(np.clip(flat, -2, 4), field, r)
        outer = _mean_disc(np.clip(flat, -2, 4), field, 1.9 * r)
        score = np.where(
            field, 1.3 * (inner - outer) + 0.45 * inner + 0.45 * np.clip(busy, -1, 2.5) + 0.35 * prior, -99
        )
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        if score[row, column] > best[0]:
            best = (float(score[row, column]), int(column), int(row), r)
    return float(best[1]), float(best[2]), best[3], best[0]


def _mean_disc(values: np.ndarray, inside: np.ndarray, radius: float) -> np.ndarray:
    kernel = disc_kernel(radius).astype(np.float32)
    border = cv2.BORDER_CONSTANT
    total = cv2.filter2D((values * inside).astype(np.float32), -1, kernel, borderType=border)
    return total / (cv2.filter2D(inside.astype(np.float32), -1, kernel, borderType=border) + 0.15 * kernel.sum())


def _find_fovea(small: np.ndarray, field: np.ndarray, centre, radius: float, disc) -> tuple[tuple[float, float], int]:
    """The fovea (x, y) and the side of the disc, +1 for right."""
    green = cv2.morphologyEx(small[..., 1], cv2.MORPH_CLOSE, disc_kernel(0.05 * radius))  # without vessels
    dark = -blur_inside(green, field, 0.05 * radius)
    dark = np.where(field, dark - blur_inside(dark, field, 0.35 * radius), -9)
    dark = dark / (dark[field].std() + 1e-6)
    height, width = field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    near, far = FOVEA_DISTANCE
    away = (disc[0] - centre[0]) / radius
    off_centre = 0.35 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (0.3 * radius) ** 2
    best: tuple[float, tuple[float, float], int] = (-np.inf, (0.0, 0.0), 1)
    for side in (1, -1):
        run, drop = -side * (x - disc[0]) / radius, (y - disc[1]) / radius
        unusual = ((run - 0.5 * (near + far)) / 0.15) ** 2 + ((drop - FOVEA_DROP) / 0.12) ** 2
        # pictures are centred near the macula
        score = dark - 0.35 * unusual + 3.0 * side * np.clip(away, -0.5, 0.5) - off_centre
        score[(run < near) | (run > far) | (np.abs(drop - FOVEA_DROP) > 0.3)] = -99
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        if score[row, column] > best[0]:
            best = (float(score[row, column]), (float(column), float(row)), side)
    return best[1], best[2]


def find_fundus(image: Tensor) -> Fundus:
    """Lit field, optic disc and fovea of a color fundus photograph.

    Args:
        image: [B, H, W, 3] in [0, 1], of which the first is looked at.

    Returns:
        What was found, at the working size.

    Raises:
        ValueError: as `fundus_roi`.
    """
    small = working_size(checked_picture(image))
    field, centre, radius = _field_of_view(small)
    x, y, disc_radius, score = _find_disc(small, field, centre, radius)
    fovea, side = _find_fovea(small, field, centre, radius, (x, y))
    return Fundus(field, radius, (x, y), disc_radius, fovea, side, score)


def fundus_roi(image: Tensor, rule: str = "retina") -> tuple[Tensor, str]:
    """A region of a color fundus photograph.

    Args:
        image: [B, H, W, 3] in [0, 1], of which the first is looked at.
        rule: one of RULES. retina: the posterior pole around arcades and macula within the lit field, without the optic
            disc. macula: a circle round the fovea. optic disc: it and a rim round it.

    Returns:
        (mask [H, W] float32 in [0, 1] with soft edges, a sentence about it).

    Raises:
        ValueError: for another rule or shape, sides below 32 pixels, values that are not finite or not in [0, 1], a
            constant or a gray picture, and where there is no lit red field.
    """
    if rule not in RULES:
        raise ValueError(f"rule: got {rule!r}, want one of {', '.join(RULES)}")
    found = find_fundus(image)
    disc, fovea = np.array(found.disc), np.array(found.fovea)
    apart = float(np.hypot(*(disc - fovea)))
    height, width = found.field.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    if rule == "retina":
        inside = _pole(found, x, y) & (np.hypot(x - disc[0], y - disc[1]) >= found.disc_radius)
    elif rule == "macula":
        inside = np.hypot(x - fovea[0], y - fovea[1]) < MACULA * apart
    else:
        inside = np.hypot(x - disc[0], y - disc[1]) < ROUND_DISC * found.disc_radius
    mask = blur(inside & found.field, 0.02 * found.radius)
    where = "right" if found.side > 0 else "left"
    words = f"lit field, optic disc ({where} of the fovea) and fovea found"
    if found.disc_score < SURE_DISC:
        words += f"; the disc is a guess (score {found.disc_score:.1f}, want {SURE_DISC}), so check the mask"
    return full_size(mask, *image.shape[1:3]), words


def _pole(found: Fundus, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The posterior pole [h, w] bool, of the coordinates x and y of every pixel."""
    disc, fovea = np.array(found.disc), np.array(found.fovea)
    apart = float(np.hypot(*(disc - fovea)))
    along = (disc - fovea) / apart
    nasal, temporal = POLE_NASAL * apart, max(POLE_TEMPORAL * apart, LEAST_TEMPORAL * found.radius)
    tall = max(POLE_TALL * apart, LEAST_TALL * found.radius)
    middle = fovea + 0.5 * (nasal - temporal) * along
    u = ((x - middle[0]) * along[0] + (y - middle[1]) * along[1]) / (0.5 * (nasal + temporal))
    v = ((y - middle[1]) * along[0] - (x - middle[0]) * along[1]) / tall
    return (np.abs(u) ** 2.5 + np.abs(v) ** 2.5) < 1
