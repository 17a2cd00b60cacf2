"""Courses on real frontal films: effusion, edema, consolidation, cardiomegaly and atelectasis of known severity.

A film is drawn on in attenuation (film.py) by the anatomy that was found in it (anatomy.py); each finding is a module.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from . import atelectasis, cardiomegaly, consolidation, edema, effusion
from .anatomy import Chest, fit
from .film import to_film

__all__ = ["FINDINGS", "SIDED", "SIDES", "Chest", "draw", "fit"]
_DRAWN: Mapping[str, Callable[[Chest, float, tuple[str, ...], int], np.ndarray]] = MappingProxyType(
    {
        "pleural effusion": effusion.attenuation,
        "edema": edema.attenuation,
        "consolidation": consolidation.attenuation,
        "cardiomegaly": cardiomegaly.attenuation,
        "atelectasis": atelectasis.attenuation,
    }
)
FINDINGS = tuple(_DRAWN)
SIDED = ("pleural effusion", "consolidation", "atelectasis")
"""Those that have a side; for the others it is ""."""
SIDES = ("left", "right", "bilateral")


def draw(
    image: np.ndarray, finding: str, severity: float, side: str = "", seed: int = 0, anatomy: Chest | None = None
) -> np.ndarray:
    """A frontal film with a finding; see `research.courses.Courses`.

    Args:
        image: [H, W] float32 in [0, 1], sides of at least 128 pixels.
        finding: one of FINDINGS.
        severity: in [0, 1]; 0 gives the image back.
        side: one of SIDES for a finding of SIDED, else "".
        seed: where and how it shows.
        anatomy: `fit` of this image; found anew where None.

    Returns:
        [H, W] float32 in [0, 1].

    Raises:
        ValueError: another finding, severity, side or image, or no anatomy found.
    """
    if finding not in FINDINGS:
        raise ValueError(f"finding: got {finding!r}, want one of {', '.join(FINDINGS)}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
    if side not in (SIDES if finding in SIDED else ("",)):
        raise ValueError(f"side of {finding}: got {side!r}, want {' or '.join(SIDES) if finding in SIDED else 'none'}")
    chest = fit(image) if anatomy is None else anatomy
    if chest is None:
        raise ValueError("image: no two whole lungs were found, want a frontal film that shows both")
    if chest.shape != image.shape:
        raise ValueError(f"anatomy: got one of a film of {chest.shape}, want {image.shape}")
    if severity == 0:
        return image.copy()
    sides = ("right", "left") if side in ("", "bilateral") else (side,)
    changed = _DRAWN[finding](chest, float(severity), sides, seed) - chest.attenuation
    # what is nearly unchanged stays the film's own to the last bit
    return np.where(np.abs(changed) < 1e-4, image, to_film(chest.attenuation + changed)).astype(np.float32)
