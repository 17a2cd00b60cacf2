"""Courses on dermoscopic images: a nevus becomes a melanoma, or a seborrheic keratosis grows over it."""

import numpy as np

from .skin_anatomy import Skin, fit_skin
from .skin_keratosis import keratosis
from .skin_melanoma import melanoma
from .texture import smooth_step

FINDINGS = ("melanoma", "seborrheic keratosis")
_DRAW = {"melanoma": melanoma, "seborrheic keratosis": keratosis}


def fit(image: np.ndarray) -> Skin | None:
    """The lesion and the skin round it; see `fit_skin`."""
    return fit_skin(image)


def draw(
    image: np.ndarray, finding: str, severity: float, side: str = "", seed: int = 0, anatomy: Skin | None = None
) -> np.ndarray:
    """A dermoscopic image after its lesion has changed; hairs, glints, the dermoscope's edge and noise stay.

    Args:
        image: float32 [H, W, 3] in [0, 1], of a benign lesion.
        finding: one of FINDINGS.
        severity: in [0, 1]; 0 gives the image back.
        side: "", as skin has none.
        seed: how it changes; equal seeds are one course at all severities.
        anatomy: of `fit`; found anew where None.

    Returns:
        float32 [H, W, 3] in [0, 1].

    Raises:
        ValueError: for another finding, severity, side or image, or where no lesion stands out from the skin.
    """
    if finding not in FINDINGS:
        raise ValueError(f"finding: got {finding!r}, want one of {', '.join(FINDINGS)}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
    if side:
        raise ValueError(f"side: got {side!r}, want '', as a lesion of the skin has none")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image: got shape {image.shape}, want [H, W, 3]")
    anatomy = anatomy or fit(image)
    if anatomy is None:
        raise ValueError("image: got no lesion that stands out from the skin, want a dermoscopic image of one")
    if severity == 0:
        return image.copy()
    change = (_DRAW[finding](anatomy, severity, seed) - anatomy.density) * (1 - anatomy.on_top[..., None])
    out = image * np.exp(-change)
    # where much pigment goes, its texture would shine through as noise
    hidden = smooth_step(-change.mean(axis=-1, keepdims=True), 0.1, 0.6)
    smooth = anatomy.bare * np.exp(-anatomy.density - change)
    out = out + hidden * (np.clip(out, 0.85 * smooth, 1.15 * smooth) - out)
    return np.clip(out, 0, 1).astype(np.float32)
