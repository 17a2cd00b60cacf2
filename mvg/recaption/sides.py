"""Sides and zones of a finding."""

import re

from ..domains.patterns import any_of

_OTHER_ORGAN = (
    r"(?! (?:heart|ventric|atri|internal|subclav|arm\b|shoulder|chest tube|picc|ij\b|central|line\b|catheter|pacemaker"
    r"|port\b|jugular|breast|rib|clavic|humer|mastect|kidney|leg\b|hip\b|knee|ankle|[\w -]{0,12}(?:catheter|pacemaker"
    r"|line\b|tube\b|picc|fracture)))"
)
LEFT = any_of(
    rf"left(?:[- ]sided)?{_OTHER_ORGAN}",
    "lul",
    "lll",
    "lingular?",
    r"lt?(?=[- ](?:lung|hemithorax|base|basal|upper|lower))",
)
RIGHT = any_of(
    rf"right(?:[- ]sided)?{_OTHER_ORGAN}", "rul", "rml", "rll", r"rt?(?=[- ](?:lung|hemithorax|base|basal|upper|lower))"
)
BOTH = any_of(
    "bilat(?:eral(?:ly)?)?",
    "both",
    "biapical",
    "bi[- ]?bas(?:al|ilar)",
    "either (?:side|lung|base|eye)",
    "each (?:side|lung|base|eye)",
    "all lung",
    "throughout the lungs",
    "diffuse lungs?",
    "multilobar",
    "panlobar",
    r"(?:lung )?bases(?! of)",
    "two[- ]sided",
)
_ZONES = (
    ("upper", any_of("upper", "apical", "apex", "apices", "biapical", "rul", "lul")),
    ("middle", any_of("mid(?:dle)?(?:[- ]?zones?)?", "lingular?", "rml", "perihilar")),
    ("lower", any_of("lower", "basal", "basilar", "bases?", "bibasal", "bibasilar", "retrocardiac", "rll", "lll")),
)


_OTHER_SIDE = re.compile(
    r"\b(?:larger|greater|bigger|worse|smaller|more) than (?:that )?(?:on |in )?(?:the )?(?:left|right)\b"
)


def compared(text: str) -> bool:
    """Whether a text compares one side with the other, so that both have the finding.

    Args:
        text: in lower case.

    Returns:
        True where it does.
    """
    return bool(_OTHER_SIDE.search(text))


def sides(text: str) -> set[str]:
    """The sides that a text names.

    Args:
        text: in lower case.

    Returns:
        Some of left, right and bilateral.
    """
    found = {name for name, p in (("left", LEFT), ("right", RIGHT), ("bilateral", BOTH)) if p.search(text)}
    return found - {"bilateral"} if len(found) > 1 and not re.search(r"\bboth\b|\bbilat", text) else found


def zones(text: str) -> set[str]:
    """The zones that a text names.

    Args:
        text: in lower case.

    Returns:
        Some of upper, middle and lower.
    """
    return {name for name, p in _ZONES if p.search(text)}


def one_side(found: set[str]) -> str:
    """The side that several make together.

    Args:
        found: of `sides`.

    Returns:
        left, right or bilateral; "" for none.
    """
    return "bilateral" if "bilateral" in found or len(found) > 1 else next(iter(found), "")
