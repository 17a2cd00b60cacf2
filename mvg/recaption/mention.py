"""A finding as a sentence of a report names it."""

from dataclasses import dataclass

PRESENT, POSSIBLE, ABSENT, HISTORY = "present", "possible", "absent", "history"


@dataclass(frozen=True)
class Mention:
    """A finding named in a report.

    Attributes:
        finding: its name in the domain.
        status: PRESENT, POSSIBLE, ABSENT, or HISTORY for one that is named without being found.
        severity: mild, moderate, severe, or "" where unsaid.
        side: left, right, bilateral, or "" where unsaid.
        zone: upper, middle, lower, or "".
        trend: worsening, improving, stable, or "".
        section: the heading it stands under.
        sentence: the number of its sentence in the report.
        implied: by words that only imply it, see `Finding.implied`.
        unclear: denied by a negation of which only a comma tells that it goes on.
    """

    finding: str
    status: str
    severity: str = ""
    side: str = ""
    zone: str = ""
    trend: str = ""
    section: str = ""
    sentence: int = 0
    implied: bool = False
    unclear: bool = False
