"""Courses on real images: a finding of known severity is drawn onto a real picture that lacks it.

Anatomy and texture are a real patient's and the severity is known, so the later picture of a patient is known exactly.
A domain is a module of this folder with the names of `Courses`; `courses` finds it. Gray pictures are [H, W], those in
color [H, W, 3], float32 in [0, 1].
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol, cast

import cv2
import numpy as np

MODULES: Mapping[str, str] = MappingProxyType({"chest_xray": "chest", "fundus": "fundus", "skin": "skin"})
"""Domain -> the module that draws its courses."""
SEVERITIES = (0.0, 0.15, 0.3, 0.5, 0.7, 0.85, 1.0)
"""The stages of a contact sheet."""


class Courses(Protocol):
    """What a domain's module offers."""

    FINDINGS: tuple[str, ...]
    """What it draws, by the domain's usual words (`mvg.domains`)."""

    def fit(self, image: np.ndarray) -> Any:
        """The anatomy that `draw` needs, or None where it cannot be found: such a picture is skipped and counted."""

    def draw(
        self, image: np.ndarray, finding: str, severity: float, side: str = "", seed: int = 0, anatomy: Any = None
    ) -> np.ndarray:
        """The picture with a finding.

        Args:
            image: float32 in [0, 1], without the finding.
            finding: one of FINDINGS.
            severity: in [0, 1]; 0 gives the image back, and what is drawn grows continuously with it.
            side: the patient's, "left", "right" or "bilateral"; "" where the finding has none.
            seed: where and how it shows; equal seeds are one course at all severities.
            anatomy: of `fit`; found anew where None.

        Returns:
            float32 of the image's shape in [0, 1], equal for equal arguments.

        Raises:
            ValueError: for another finding, severity, side or image, or where the anatomy cannot be found.
        """


def courses(domain: str) -> Courses:
    """The module that draws a domain's courses.

    Raises:
        ValueError: for another domain than those of MODULES.
    """
    if domain not in MODULES:
        raise ValueError(f"domain: got {domain!r}, want one of {', '.join(MODULES)}")
    return cast(Courses, import_module(f"{__name__}.{MODULES[domain]}"))


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str] = (), tile: int = 256) -> np.ndarray:
    """Pictures side by side, a row a course.

    Args:
        rows: of pictures [H, W] or [H, W, 3] in [0, 1]; shorter rows end in black.
        labels: a line in the first picture of each row; none where empty.
        tile: side of a picture in pixels; other sizes are fitted, their shape kept.

    Returns:
        uint8 [rows * tile, longest row * tile, 3], RGB.
    """
    sheet = np.zeros((len(rows) * tile, max(map(len, rows)) * tile, 3), np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            scale = tile / max(picture.shape[:2])
            width, height = (max(1, round(scale * n)) for n in (picture.shape[1], picture.shape[0]))
            small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            small = np.repeat(small[..., None], 3, axis=2) if small.ndim == 2 else small
            top, left = i * tile + (tile - height) // 2, j * tile + (tile - width) // 2
            sheet[top : top + height, left : left + width] = np.round(np.clip(small, 0, 1) * 255).astype(np.uint8)
        if labels:
            cv2.putText(
                sheet, labels[i], (4, i * tile + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 0), 1, cv2.LINE_AA
            )
    return sheet
