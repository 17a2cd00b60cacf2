"""What is wrong with a cohort, all of it at once."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct.

    Attributes:
        where: "row 7 (P-12)", "columns", "workflow" or the address of a server.
        message: What was given there, and what is wanted.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class CohortError(ValueError):
    """A cohort that cannot be run as it is.

    Args:
        problems: Every reason that could be seen beforehand.
    """

    def __init__(self, problems: Iterable[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def refuse(where: str, message: str) -> CohortError:
    """Makes the error of one problem; see ``Problem`` for the arguments."""
    return CohortError([Problem(where, message)])
