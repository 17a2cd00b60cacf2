"""What the product knows of one kind of image and of the findings that it can show."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from .severity import SEVERITY_WORDS


@dataclass(frozen=True)
class Finding:
    """One finding of a domain.

    Attributes:
        name: as prompts and plans have it.
        present: the words of a report that name it.
        synonyms: other words for it that a prompt may hold.
        region: where it lies, in words, "{side}" where the side belongs; "" where it is read but not progressed.
        sided: whether it lies on a side of the patient.
        zoned: whether its region may be narrowed to the upper, middle or lower zone.
        normal: words that deny it without a negation ("heart size is normal").
        implied: those of ``present`` that only imply it ("heart failure"); they count where the report says nothing
            else of it.
        explains: findings that are not told by what only implies them where this one is present.
    """

    name: str
    present: re.Pattern[str]
    synonyms: tuple[str, ...] = ()
    region: str = ""
    sided: bool = False
    zoned: bool = False
    normal: re.Pattern[str] | None = None
    implied: re.Pattern[str] | None = None
    explains: tuple[str, ...] = ()


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
    """name -> finding, in the given order."""
    return MappingProxyType({finding.name: finding for finding in findings})
