"""Captions of real pictures by the domain's words: from a report where there is one, else from labels."""

from collections.abc import Collection

import numpy as np

from ...mvg.domains import Domain
from ...mvg.recaption.mention import ABSENT, PRESENT
from ...mvg.recaption.offline import read_report
from ...mvg.recaption.sections import sections, sentences
from .labels import NO_FINDING, finding_of
from .record import Record


def caption(
    record: Record, domain: Domain, rng: np.random.Generator | None = None, known: Collection[str] | None = None
) -> str:
    """What a picture shows, in the words that prompts have.

    What is uncertain is left out, and so is a label that the domain has no word for.

    Args:
        record: the picture.
        domain: its kind.
        rng: source of variation: now and then another prefix, synonyms and another order.
        known: the findings that may be named; all of the domain by default.

    Returns:
        "frontal chest x-ray, moderate left pleural effusion" and the like; the prefix alone where nothing is known.

    Raises:
        ValueError: the report cannot be read.
    """
    phrases, clear = _of_report(record, domain) if record.report else _of_labels(record, domain)
    if known is not None:
        phrases = {finding: words for finding, words in phrases.items() if finding in known}
    vary = rng is not None and rng.random() < 0.3
    said = list(phrases.items())
    prefix, normal = domain.prefix, domain.normal[0]
    if rng is not None and vary:
        rng.shuffle(said)
        prefix, normal = str(rng.choice(domain.prefixes)), str(rng.choice(domain.normal))
        said = [(str(rng.choice([finding, *domain.findings[finding].synonyms])), words) for finding, words in said]
    if not said:
        return f"{prefix}, {normal}" if clear else prefix
    return ", ".join([prefix, *(" ".join([*words, finding]) for finding, words in said)])


def _of_report(record: Record, domain: Domain) -> tuple[dict[str, list[str]], bool]:
    """Finding -> words before it, and whether the report denies all that it names or calls the image normal."""
    text = record.report_text()
    observed = read_report(text, domain) if text.strip() else {}
    normal = any(domain.clear.search(sentence) for _, body in sections(text) for sentence in sentences(body))
    phrases = {
        name: [word for word in (seen.severity, seen.side) if word]
        for name, seen in observed.items()
        if seen.status == PRESENT
    }
    return phrases, all(seen.status == ABSENT for seen in observed.values()) and (bool(observed) or normal)


def _of_labels(record: Record, domain: Domain) -> tuple[dict[str, list[str]], bool]:
    phrases: dict[str, list[str]] = {}
    for label, value in record.labels.items():
        finding = finding_of(label, domain)
        if finding and value == 1:
            severity = record.severities.get(label)
            phrases[finding] = [] if severity is None else [domain.severity_word(severity)]
    return phrases, record.labels.get(NO_FINDING) == 1
