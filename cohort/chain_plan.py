"""What a chain was planned to show, from the provenance that was saved with it."""

import json
from dataclasses import dataclass
from pathlib import Path

from ..mvg.plan import NO_FINDING


@dataclass(frozen=True)
class ChainPlan:
    """The plan of a chain.

    Attributes:
        finding: What progresses; "" where nothing is known of a plan.
        notes: What the reader of the report and the run noted, one text; never the report's own words.
    """

    finding: str = ""
    notes: str = ""

    @property
    def progresses(self) -> bool:
        """False where the report gave no finding, so that the chain shows no disease."""
        return self.finding != NO_FINDING


def read_plan(folder: Path) -> ChainPlan:
    """Reads the plan of a chain.

    Args:
        folder: The chain's folder.

    Returns:
        The plan in the first provenance.json that has one; an empty one where none has.
    """
    for path in sorted(folder.rglob("provenance.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            plan = record["plan"]
            notes = [*plan.get("notes", ()), *record.get("notes", ())]
            return ChainPlan(str(plan["finding"]), "; ".join(map(str, notes)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of another node, or without a plan
    return ChainPlan()
