"""The phantoms of every domain behind one set of functions.

A domain's module has SIZE, ``sample_patient(seed, stream)``, ``render(patient, severities, size)`` and
``roi(patient, finding, size)``; its words are in captions.py.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from . import captions, chest_xray, fundus, skin

PHANTOMS: dict[str, ModuleType] = {"chest_xray": chest_xray, "fundus": fundus, "skin": skin}


def phantom(domain: str) -> ModuleType:
    """The module that draws a domain; ValueError names the domains there are."""
    if domain not in PHANTOMS:
        raise ValueError(f"domain: got {domain!r}, want one of {', '.join(PHANTOMS)}")
    return PHANTOMS[domain]


def picture(domain: str, patient: Any, severities: Mapping[str, float] | None = None) -> np.ndarray:
    """[SIZE, SIZE, 3] float32 in [0, 1], whether the domain is gray or in colour."""
    image = phantom(domain).render(patient, severities)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def sides(domain: str, patient: Any) -> dict[str, str]:
    """finding -> the side of the patient on which it would show, for the findings that have one."""
    return {finding: patient.sides[finding] for finding in captions.sided(domain)}
