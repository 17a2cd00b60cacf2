"""Courses on fundus photographs: diabetic retinopathy, by the grades of the international clinical scale.

Severity carries the grades as the domain's words do: microaneurysms alone below 0.4 (mild), dot, blot and flame
hemorrhages, hard exudates and cotton wool spots from there (moderate), many of them in all quadrants with venous
beading and IRMA from 0.7 (severe), new vessels and blood before the retina from about 0.9 (proliferative).
"""

import numpy as np

from ...mvg.regions.picture import blur
from .fundus_anatomy import Retina, fit_retina
from .fundus_lesions import cotton_wool, exudates, late_signs, red_lesions

FINDINGS = ("diabetic retinopathy",)
BLOOD = np.array([0.38, 1.0, 0.62], np.float32)
"""Absorbance in red, green and blue of a hemorrhage, per unit in green; median of 79 boxes of IDRiD."""
POOLED = np.array([0.55, 0.26, 0.30], np.float32)
"""A pool of blood before the retina, as shares of the retina's color."""
EXUDATE, EXUDATE_GLOW = np.array([1.22, 1.72, 1.75], np.float32), np.array([0.03, 0.05, 0.03], np.float32)
COTTON, COTTON_GLOW = np.array([1.10, 1.42, 1.60], np.float32), np.array([0.02, 0.03, 0.03], np.float32)


def fit(image: np.ndarray) -> Retina | None:
    """The field, optic disc, fovea and vessels; see `fit_retina`."""
    return fit_retina(image)


def draw(
    image: np.ndarray, finding: str, severity: float, side: str = "", seed: int = 0, anatomy: Retina | None = None
) -> np.ndarray:
    """A fundus photograph after diabetic retinopathy has come; its light, sharpness and noise stay.

    Args:
        image: float32 [H, W, 3] in [0, 1], of a retina without lesions; 512 pixels or more for sharp lesions.
        finding: one of FINDINGS.
        severity: in [0, 1]; 0 gives the image back.
        side: "", "left" or "right": the eye, which changes nothing, as the photograph shows it.
        seed: where lesions lie; equal seeds are one course at all severities.
        anatomy: of `fit`; found anew where None.

    Returns:
        float32 [H, W, 3] in [0, 1].

    Raises:
        ValueError: for another finding, severity, side or image, or where no retina with an optic disc is found.
    """
    if finding not in FINDINGS:
        raise ValueError(f"finding: got {finding!r}, want one of {', '.join(FINDINGS)}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
    if side not in ("", "left", "right"):
        raise ValueError(f"side: got {side!r}, want '', left or right")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: got shape {image.shape}, want [H, W, 3]")
    anatomy = anatomy or fit(image)
    if anatomy is None:
        raise ValueError("image: got no lit retina with an optic disc, want a colour fundus photograph")
    if severity == 0:
        return image.copy()
    field = anatomy.field[..., None]
    # what a lesion hides keeps the photograph's own noise
    noise = image - np.stack([blur(image[..., c], 1.0) for c in range(3)], -1)
    blood, pool = late_signs(anatomy, severity, seed)
    noise = noise / anatomy.background
    out = _covered(image, exudates(anatomy, severity, seed), anatomy.background * EXUDATE + EXUDATE_GLOW, noise)
    out = out * np.exp(-np.maximum(red_lesions(anatomy, severity, seed), blood)[..., None] * BLOOD)
    out = _covered(out, cotton_wool(anatomy, severity, seed), anatomy.background * COTTON + COTTON_GLOW, noise)
    out = _covered(out, pool, anatomy.background * POOLED, noise)
    return np.clip(image + field * (out - image), 0, 1).astype(np.float32)


def _covered(image: np.ndarray, cover: np.ndarray, color: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """An image [H, W, 3] under a layer of a color [H, W, 3] that covers a share [H, W]; noise: a share of the color."""
    color = np.minimum(color, 0.97)
    return image + cover[..., None] * (color * (1 + np.clip(noise, -0.1, 0.1)) - image)
