"""What the embedded networks were made for, and what to say of a plan or an image that lies outside of it."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .domains import BUILT_IN

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SIZE = 256
"""Side of the images that the networks were made for, in pixels."""
KNOWN_SIZES = (128, IMAGE_SIZE)
"""Sides that they were trained on: phantoms are smaller."""
FINDINGS = "findings.json"
READS_AS = 0.5
"""From this Conf on an image shows a finding already."""
TINT, SHARE = 0.02, 0.99
"""An image passes as gray where the channels of this share of its pixels differ by less, as of a gray film in JPEG."""


def read_findings(path: Path, domain: str) -> tuple[str, ...]:
    """What the embedded networks of a domain were trained to draw.

    Args:
        path: the file FINDINGS beside the weights.
        domain: one of those in it.

    Returns:
        The findings, in the order of the classifier's outputs.

    Raises:
        ValueError: the file is missing or not of this form.
    """
    try:
        findings = json.loads(path.read_text(encoding="utf-8"))[domain]
    except (OSError, ValueError, KeyError, TypeError):
        findings = None
    if not isinstance(findings, list) or not findings or not all(isinstance(name, str) for name in findings):
        raise ValueError(f'{FINDINGS}: want {{"{domain}": [the findings that its networks draw], ...}}')
    return tuple(findings)


def find_loader(node: Callable[[str], Mapping[str, Any]], link: object) -> str | None:
    """The Load Embedded Models that a MODEL comes from, through LoRAs and the like.

    Args:
        node: gives a node of an API graph by its id.
        link: where an input comes from, ``[node id, output]``.

    Returns:
        Its node id, or None where the model is any other.
    """
    seen: set[str] = set()
    while isinstance(link, list) and link[0] not in seen:
        seen.add(link[0])
        found = node(link[0])
        if found["class_type"] == "MVG_LoadEmbedded":
            return link[0]
        link = found["inputs"].get("model")
    return None


def image_notes(images: "Tensor", domain: str) -> list[str]:
    """What of images lies outside of what the embedded networks were trained on.

    Args:
        images: [B, H, W, 3] in [0, 1].
        domain: a built-in one.

    Returns:
        A sentence each on their size and their color; none where both fit.
    """
    height, width = images.shape[1:3]
    notes = []
    if height != width or height not in KNOWN_SIZES:
        notes.append(
            f"the image is {width} x {height} pixels, and the embedded {domain} model was made for {IMAGE_SIZE} x "
            f"{IMAGE_SIZE} (size of Load Medical Image)"
        )
    if has_color(images) is BUILT_IN[domain].gray:
        fitting = " or ".join(name for name, other in BUILT_IN.items() if other.gray is not BUILT_IN[domain].gray)
        got, want = ("in color", "gray ones") if BUILT_IN[domain].gray else ("gray", "ones in color")
        notes.append(
            f"the image is {got}, and the embedded {domain} model was made for {want}; is its domain {fitting}?"
        )
    return notes


def has_color(images: "Tensor") -> bool:
    """Whether images are in color, and by more than a tint.

    Args:
        images: [..., 3] in [0, 1].
    """
    spread = (images.amax(dim=-1) - images.amin(dim=-1)).flatten()
    return float(spread.kthvalue(math.ceil(SHARE * len(spread))).values) >= TINT


def start_note(finding: str, conf: float) -> str | None:
    """What to say of an image that shows the finding before any of it is simulated.

    Args:
        finding: what is to progress.
        conf: the classifier's confidence in it at stage 0, in [0, 1].

    Returns:
        One sentence, or None below READS_AS.
    """
    if conf < READS_AS:
        return None
    return f"the image already reads as {finding} before stage 1 (Conf {conf:.2f}): little of it is left to progress"
