"""What the phantoms of every domain do alike."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np


def checked_severities(severities: Mapping[str, float], findings: Sequence[str]) -> dict[str, float]:
    """finding -> severity, 0 where not given. ValueError for an unknown finding or a severity outside [0, 1]."""
    unknown = set(severities) - set(findings)
    if unknown:
        raise ValueError(f"severities: got unknown findings {sorted(unknown)}, want some of {list(findings)}")
    out = {name: float(severities.get(name, 0.0)) for name in findings}
    for name, value in out.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"severity of {name}: got {value}, want a value in [0, 1]")
    return out


def region_of_change(change: np.ndarray, threshold: float, feather: float, dilations: int = 2) -> np.ndarray:
    """[size, size] float32 in [0, 1] round the pixels where ``change`` [size, size] is above ``threshold``.

    Lone pixels do not count; feather: width of the soft edge as an image fraction; dilations: in units of it.
    """
    size = len(change)
    core = cv2.GaussianBlur((change > threshold).astype(np.float32), (0, 0), 0.01 * size) > 0.35
    radius = max(1, round(feather * size))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate(core.astype(np.uint8), kernel, iterations=dilations).astype(np.float32)
    return np.clip(cv2.GaussianBlur(grown, (0, 0), radius / 1.5), 0, 1)
