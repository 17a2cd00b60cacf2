"""What the product knows of one kind of image and of the findings that it can show."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from .severity import SEVERITY_WORDS

REGION_RULES = (
    "heart",
    "mediastinum",
    "lungs",
    "lung",
    "upper lung zone",
    "middle lung zone",
    "lower lung zone",
    "lung base",
    "chest",
    "retina",
    "macula",
    "optic disc",
    "lesion",
    "whole image",
)
"""What `mvg.regions` can outline in an image."""


@dataclass(frozen=True)
class Finding:
    """One finding of a domain.

    Attributes:
        name: as prompts and plans have it.
        present: the words of a report that name it.
        synonyms: other words for it that a prompt may hold.
        region: where it lies, in words, "{side}" where the side belongs; "" where it is read but not progressed.
        rule: what of the image that is: one of REGION_RULES.
        sided: whether it lies on a side of the patient.
        zoned: whether its region may be narrowed to the upper, middle or lower zone.
        normal: words that deny it without a negation ("heart size is normal").
        implied: those of ``present`` that only imply it ("heart failure"); they count where the report says nothing
            else of it.
        explains: findings that are not told by what only implies them where this one is present.
        parent: the wider finding of the domain that a mention of this one also names, and that stands for it in a plan
            for a model which draws only that one; "" for none.
        benign: it is no disease: a plan is about it only where it is asked for.
    """

    name: str
    present: re.Pattern[str]
    synonyms: tuple[str, ...] = ()
    region: str = ""
    rule: str = "whole image"
    sided: bool = False
    zoned: bool = False
    normal: re.Pattern[str] | None = None
    implied: re.Pattern[str] | None = None
    explains: tuple[str, ...] = ()
    parent: str = ""
    benign: bool = False


@dataclass(frozen=True)
class Domain:
    """One kind of image.

    Attributes:
        name: as plans and workflows have it.
        prefixes: words for the modality; every prompt begins with the first.
        normal: words for none of the findings; the first is that of prompts.
        findings: name -> finding.
        clear: the words of a report that call the whole image normal.
        lookalikes: the words of a report that hold the name of a finding and mean another thing.
        short_forms: (pattern, words) of short forms that reports of this kind use.
        paired: whether each finding lies in the left, the right or both of a pair, as of eyes.
        words: beyond names and synonyms, what a language model's prompts may describe the findings with.
        gray: whether the images have no color.
        rule: the region, of REGION_RULES, of a plan of no finding.
        severities: severity word of prompts -> the severity in [0, 1] that it stands for, in rising order.
    """

    name: str
    prefixes: tuple[str, ...]
    normal: tuple[str, ...]
    findings: Mapping[str, Finding]
    clear: re.Pattern[str]
    lookalikes: re.Pattern[str] | None = None
    short_forms: tuple[tuple[re.Pattern[str], str], ...] = ()
    paired: bool = False
    words: str = ""
    gray: bool = False
    rule: str = "whole image"
    severities: Mapping[str, float] = field(default_factory=lambda: SEVERITY_WORDS)

    @property
    def prefix(self) -> str:
        """The words that every prompt begins with."""
        return self.prefixes[0]

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The findings that a plan can be about."""
        return tuple(name for name, finding in self.findings.items() if finding.region)

    @cached_property
    def naming(self) -> re.Pattern[str]:
        """The words of a report that name any of the findings."""
        return re.compile("|".join(finding.present.pattern for finding in self.findings.values()))

    @cached_property
    def sided(self) -> tuple[str, ...]:
        """The findings with a side."""
        return tuple(name for name, finding in self.findings.items() if finding.sided)

    def children(self, finding: str) -> tuple[Finding, ...]:
        """The findings of which a finding is the parent.

        Args:
            finding: its name.

        Returns:
            Them, () for none.
        """
        return self._children.get(finding, ())

    @cached_property
    def _children(self) -> dict[str, tuple[Finding, ...]]:
        parents = {finding.parent for finding in self.findings.values()} - {""}
        return {p: tuple(f for f in self.findings.values() if f.parent == p) for p in parents}

    def related(self, finding: str) -> frozenset[str]:
        """A finding with its parent and its children: what a mention of it may name too.

        Args:
            finding: its name.

        Returns:
            Names of findings.
        """
        names = (finding, self.findings[finding].parent, *(child.name for child in self.children(finding)))
        return frozenset(names) - {""}

    def severity_word(self, severity: float) -> str:
        """The word of prompts nearest to a severity; halfway the milder one.

        Args:
            severity: in [0, 1].

        Returns:
            One of ``severities``.

        Raises:
            ValueError: outside of [0, 1].
        """
        if not 0 <= severity <= 1:
            raise ValueError(f"severity: got {severity}, want a value in [0, 1]")
        return min(self.severities, key=lambda word: round(abs(self.severities[word] - severity), 9))

    def phrase(self, finding: str, severity: float, side: str) -> str:
        """A finding as a prompt names it.

        Args:
            finding: one of ``findings``.
            severity: in [0, 1].
            side: the patient's; left out where the finding has none.

        Returns:
            "severe left pleural effusion" and the like.
        """
        return " ".join([self.severity_word(severity), *([side] if finding in self.sided else []), finding])


def by_name(findings: Iterable[Finding]) -> Mapping[str, Finding]:
    """Findings by name.

    Args:
        findings: in the order that they keep.

    Returns:
        name -> finding, read-only.
    """
    return MappingProxyType({finding.name: finding for finding in findings})
