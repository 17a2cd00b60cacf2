"""Names and values of labels: as sources write them, as this repository names them, and as a network is taught them."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ...mvg.domains import Domain
from ...mvg.metrics.conf import label_key
from .record import UNCERTAIN, Record

NO_FINDING = "no finding"
UNCERTAIN_POLICIES = {"ignore": None, "zeros": 0.0, "ones": 1.0, "soft": 0.7}
"""What -1 is taught as. soft is the middle of U(0.55, 0.85), the smoothing of Pham et al. 2021 (arXiv:1911.06475)."""
MISSING_POLICIES = {"ignore": None, "zeros": 0.0}
"""What no label is taught as."""


def standard_name(label: str, domain: Domain) -> str:
    """A label as this repository names it: the domain's finding where it is one of its names, else in small letters.

    Args:
        label: as the source writes it, such as "Pleural_Thickening" or "Effusion".
        domain: the kind of image.

    Returns:
        "pleural thickening", "pleural effusion" and the like.
    """
    key = label_key(label)
    if key in domain.findings:
        return key
    return next((name for name, finding in domain.findings.items() if key in map(label_key, finding.synonyms)), key)


def finding_of(label: str, domain: Domain) -> str:
    """The finding of the domain that a label is a word for.

    Args:
        label: a standard name, such as "infiltration".
        domain: the kind of image.

    Returns:
        Its name, "lung opacity" for the example; "" where the domain has none.
    """
    if label in domain.findings:
        return label
    named = [name for name, finding in domain.findings.items() if finding.present.fullmatch(label)]
    # of a finding and its parent the narrower one says more
    return next((name for name in named if domain.findings[name].parent in named), named[0] if named else "")


def label_value(text: str, where: str) -> float | None:
    """A cell of a label column.

    Args:
        text: 1, 0, -1 or a probability between, or nothing.
        where: what the error calls the cell.

    Returns:
        The number; None for nothing.

    Raises:
        ValueError: it is something else.
    """
    if text in ("", "nan", "NaN"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if value != UNCERTAIN and not 0 <= value <= 1:
        raise ValueError(f"{where}: got {text!r}, want 1, 0, -1 (uncertain) or nothing")
    return value


def labels_of_list(names: Iterable[str], vocabulary: Sequence[str], domain: Domain) -> dict[str, float | None]:
    """The labels of a source that lists what is present.

    Args:
        names: standard names of what it lists.
        vocabulary: every standard name in the source.
        domain: the kind of image.

    Returns:
        1 for what is listed. The others are 0, as a reader who lists findings lists all of them; but where none of
        the names is a finding of the domain or "no finding" (COVID-19 on a film without a reading), nothing is known
        of the others.
    """
    listed = set(names)
    read = any(name == NO_FINDING or finding_of(name, domain) for name in listed)
    return {name: 1.0 if name in listed else 0.0 for name in vocabulary if read or name in listed}


def check_labels(asked: Sequence[str], known: Sequence[str], domain: Domain) -> tuple[str, ...]:
    """The labels that are asked for, by their standard names.

    Args:
        asked: in any case; none asks for all but "no finding".
        known: those of the data set.
        domain: the kind of image.

    Returns:
        Standard names.

    Raises:
        ValueError: one does not exist in the data set, or it has none.
    """
    if not known:
        raise ValueError("labels: the data set has none, want one with labels")
    names = [standard_name(label, domain) for label in asked]
    for label, name in zip(asked, names, strict=True):
        if name not in known:
            raise ValueError(f"labels: got {label!r}, want some of {', '.join(known)}")
    return tuple(dict.fromkeys(names)) or tuple(name for name in known if name != NO_FINDING)


def targets(
    records: Sequence[Record], labels: Sequence[str], *, uncertain: str = "ignore", missing: str = "ignore"
) -> tuple[Tensor, Tensor]:
    """What a network is taught of each picture, by the stated policies.

    Args:
        records: n pictures.
        labels: k findings.
        uncertain: of UNCERTAIN_POLICIES.
        missing: of MISSING_POLICIES.

    Returns:
        Targets in [0, 1], and weights that are 0 where nothing is taught and 1 elsewhere; both float32 [n, k].

    Raises:
        ValueError: an unknown policy.
    """
    _check_policy("uncertain", uncertain, UNCERTAIN_POLICIES)
    _check_policy("missing", missing, MISSING_POLICIES)
    taught = {UNCERTAIN: UNCERTAIN_POLICIES[uncertain], None: MISSING_POLICIES[missing]}
    rows = [[taught.get(v, v) for v in map(record.labels.get, labels)] for record in records]
    values = torch.tensor([[math.nan if v is None else v for v in row] for row in rows]).reshape(-1, len(labels))
    weights = values.isfinite().float()
    return values.nan_to_num(0.0), weights


def balance(values: Tensor) -> Tensor:
    """How often to draw each picture so that rare findings come about as often as frequent ones.

    Args:
        values: targets [n, k].

    Returns:
        [n], of mean 1: the inverse of how many pictures show the rarest finding that a picture shows, where pictures
        that show none count as a finding of their own.
    """
    shown = values >= 0.5
    shown = torch.cat([shown, ~shown.any(dim=1, keepdim=True)], dim=1)
    weights = (shown / shown.sum(dim=0).clamp(min=1)).amax(dim=1)
    return weights / weights.mean()


def _check_policy(name: str, policy: str, policies: Mapping[str, float | None]) -> None:
    if policy not in policies:
        raise ValueError(f"{name}: got {policy!r}, want one of {', '.join(policies)}")
