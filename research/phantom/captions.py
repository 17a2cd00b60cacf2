"""Captions of phantoms, which the embedded models are trained on: what phantoms show, in words that vary."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ...mvg.domains import BUILT_IN
from ...mvg.domains.severity import SEVERITY_BANDS, SEVERITY_WORDS, band_of

SIDES = ("left", "right", "bilateral")
FINDINGS: Mapping[str, tuple[str, ...]] = {
    "chest_xray": ("cardiomegaly", "edema", "pleural effusion", "consolidation"),
    "fundus": ("diabetic retinopathy",),
    "skin": ("melanoma",),
}
"""Domain -> what its phantoms can show, in the order of the classifiers' outputs."""


def sided(domain: str) -> tuple[str, ...]:
    """Those of a domain's FINDINGS that have a side."""
    return tuple(finding for finding in FINDINGS[domain] if finding in BUILT_IN[domain].sided)


def names(domain: str, finding: str) -> tuple[str, ...]:
    """The words of a finding in captions, the usual one first."""
    return (finding, *BUILT_IN[domain].findings[finding].synonyms)


def phrase(
    domain: str, finding: str, severity: float, side: str, name: str = "", *, fine: bool = False, exact: bool = False
) -> str:
    """A finding as a caption names it: "severe left pleural effusion" and the like.

    Args:
        domain: one of FINDINGS.
        finding: one of the domain's.
        severity: in [0.1, 1], or in [0, 1] with ``fine`` or ``exact``.
        side: the patient's; left out where the finding has none.
        name: in place of the finding's usual one.
        fine: with the words of prompts in place of those of the three bands.
        exact: with the severity itself, up to that of the last word, as `mvg.severity_prompt` reads it.

    Returns:
        The words, without the domain's prefix.
    """
    if exact and severity <= max(BUILT_IN[domain].severities.values()):
        words = [f"{severity:.3f}"]
    else:
        words = [BUILT_IN[domain].severity_word(severity) if fine or exact else band_of(severity)]
    if finding in sided(domain):
        words.append(side)
    return " ".join([*words, name or finding])


def caption(
    severities: Mapping[str, float],
    sides: Mapping[str, str],
    rng: np.random.Generator | None = None,
    domain: str = "chest_xray",
    exact: Collection[str] = (),
) -> str:
    """Caption of a phantom: the usual words, or with ``rng`` sometimes synonyms, a shuffled order, finer grades.

    Args:
        severities: finding -> [0, 1]; values under 0.1 count as absent.
        sides: finding -> the patient's side, for those that have one.
        rng: source of the variation.
        domain: one of FINDINGS.
        exact: the findings whose severity is said as a number.

    Returns:
        "frontal chest x-ray, mild edema, severe left pleural effusion" and the like.
    """
    words = BUILT_IN[domain]
    present = [f for f in FINDINGS[domain] if severities.get(f, 0.0) >= SEVERITY_BANDS["mild"][0]]
    vary = rng is not None and rng.random() < 0.3
    fine = rng is not None and rng.random() < 0.5
    prefix, normal, said = words.prefix, words.normal[0], dict.fromkeys(present, "")
    if rng is not None and vary:
        rng.shuffle(present)
        prefix = str(rng.choice(words.prefixes))
        said = {f: str(rng.choice(names(domain, f))) for f in present}
        normal = str(rng.choice(words.normal))
    if not present:
        return f"{prefix}, {normal}"
    phrases = [
        phrase(domain, f, severities[f], sides.get(f, ""), said[f], fine=fine, exact=f in exact) for f in present
    ]
    return ", ".join([prefix, *phrases])


def vocabulary(domains: Iterable[str]) -> list[str]:
    """Texts that together hold every word of the captions of these domains."""
    texts = [*SIDES, *SEVERITY_BANDS, *SEVERITY_WORDS]
    for domain in domains:
        texts += [*BUILT_IN[domain].prefixes, *BUILT_IN[domain].normal]
        texts += [name for finding in FINDINGS[domain] for name in names(domain, finding)]
    return texts
