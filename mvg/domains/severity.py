"""The severity words of reports and prompts, and what each stands for in [0, 1]."""

from collections.abc import Mapping
from types import MappingProxyType

SEVERITY_BANDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"mild": (0.10, 0.40), "moderate": (0.40, 0.70), "severe": (0.70, 1.00)}
)
"""What a report tells apart: word -> the severities that it stands for."""
SEVERITY_WORDS: Mapping[str, float] = MappingProxyType(
    {
        "minimal": 0.10,
        "mild": 0.25,
        "mild to moderate": 0.40,
        "moderate": 0.55,
        "moderate to severe": 0.70,
        "severe": 0.85,
    }
)
"""The finer scale of prompts: word -> the severity that it stands for, one even step apart."""


def band_of(severity: float) -> str:
    """The word of the band that a severity lies in.

    Args:
        severity: in [0.1, 1].

    Returns:
        mild, moderate or severe.

    Raises:
        ValueError: outside of the bands.
    """
    for word, (low, high) in SEVERITY_BANDS.items():
        if low <= severity < high or severity == high == 1.0:
            return word
    raise ValueError(f"severity: got {severity}, want a value in [0.1, 1]")


def band_center(word: str) -> float:
    """The middle of a band: the severity that its word asks for.

    Args:
        word: mild, moderate or severe.

    Returns:
        A severity in [0, 1].

    Raises:
        ValueError: for another word.
    """
    if word not in SEVERITY_BANDS:
        raise ValueError(f"severity word: got {word!r}, want one of {', '.join(SEVERITY_BANDS)}")
    low, high = SEVERITY_BANDS[word]
    return (low + high) / 2
