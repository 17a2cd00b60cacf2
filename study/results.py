"""A study evaluated: all votes as a table, and what they say."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from .manifest import Study, StudyError
from .session import items
from .statistics import Rate, Score, alpha, bradley_terry, clustered, wilson
from .store import Store

ALL = "all domains"
BROKEN = "broken"
ANSWERED = ("real", "finding", "realism", "expected", "comment", "seconds", "made")


def read(store: Store) -> pd.DataFrame:
    """All votes, with the methods that the raters did not see.

    Args:
        store: Of the study.

    Returns:
        A row a vote: rater, item, kind (pair, repeat, check or film), domain, patient, finding_shown, left, right (the
        methods; "broken" for the copy of a check), choice, winner, loser, correct (of a check), real, finding, realism,
        expected, comment, seconds, made, and whether the rater is counted, having passed the checks.
    """
    study = store.study
    films = {film.file: film for film in study.films} | {check.broken: study.film(check.film) for check in study.checks}
    methods = {film.file: film.method for film in study.films} | {check.broken: BROKEN for check in study.checks}
    rows = []
    for vote in store.rows():
        film = films[vote["left"]]
        sides = {side: methods[vote[side]] for side in ("left", "right") if vote[side]}
        winner = sides[vote["choice"]] if vote["choice"] else None
        rows.append(
            {
                **{name: vote[name] for name in ("rater", "item", "kind")},
                "domain": film.domain,
                "patient": film.patient,
                "finding_shown": film.finding,
                "film_real": film.real if vote["kind"] == "film" else None,
                "left": sides["left"],
                "right": sides.get("right"),
                "choice": vote["choice"],
                "winner": winner,
                "loser": next(side for name, side in sides.items() if name != vote["choice"]) if winner else None,
                "correct": winner != BROKEN if vote["kind"] == "check" else None,
                **{name: vote[name] for name in ANSWERED},
            }
        )
    frame = pd.DataFrame(rows)
    if len(frame):
        frame["realism"] = frame["realism"].astype("Int64")
        failed = frame[frame["correct"].eq(False)].groupby("rater").size()
        frame["counted"] = frame["rater"].map(failed).fillna(0) <= study.failed_checks
    return frame


@dataclass(frozen=True)
class Win:
    """How often a method was preferred to another. clustered: the interval that ``statistics.clustered`` gives."""

    domain: str
    method: str
    over: str
    rate: Rate
    clustered: tuple[float, float]


def wins(study: Study, pairs: pd.DataFrame) -> list[Win]:
    """Win rates of every method over every other that it met, in each domain and in all."""
    found = []
    for domain, part in _domains(pairs):
        for method in study.methods:
            for other in study.methods:
                met = part[part["winner"].isin([method, other]) & part["loser"].isin([method, other])]
                if method == other or met.empty:
                    continue
                won = met["winner"].eq(method)
                rate, cases = wilson(int(won.sum()), len(won)), met["domain"] + "\n" + met["patient"]
                found.append(Win(domain, method, other, rate, clustered(won, met["rater"], cases)))
    return found


def _domains(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = [(str(domain), part) for domain, part in frame.groupby("domain", sort=False)]
    return parts + ([(ALL, frame)] if len(parts) > 1 else [])


@dataclass(frozen=True)
class Results:
    """What the votes of a study say.

    Attributes:
        raters: Who voted at all; finished: who answered everything; left_out: who failed too many checks.
        wins: Of every method over every other.
        scores: Domain -> Bradley-Terry scores.
        agreement: Question -> Krippendorff's alpha.
        retest: How often a pair shown again got the same answer.
        left_side: How often the left film was chosen; a half where nobody prefers a side.
        questions: A row a domain and method of the questionnaire.
    """

    votes: int
    raters: int
    finished: int
    left_out: int
    wins: list[Win]
    scores: dict[str, list[Score]]
    agreement: dict[str, float]
    retest: Rate
    left_side: Rate
    questions: list[dict[str, Any]]


def evaluate(study: Study, votes: pd.DataFrame) -> Results:
    """Evaluates the votes of the raters that passed the attention checks.

    Args:
        study: The study.
        votes: From ``read``.

    Returns:
        The results.

    Raises:
        StudyError: There are no votes yet, or none of a rater who passed.
    """
    counted = votes[votes["counted"]] if len(votes) else votes
    if counted.empty:
        raise StudyError("no rater has passed the attention checks" if len(votes) else "there are no votes yet")
    pairs, films = counted[counted["kind"].eq("pair")], counted[counted["kind"].eq("film")]
    done = votes.groupby("rater").size()
    sides = zip(pairs["left"], pairs["right"], strict=True)
    compared = pairs.assign(pair=[" / ".join(sorted(both)) for both in sides])
    unit = ["domain", "patient", "left"]
    agreement = {"preferred method": alpha(compared, ["domain", "patient", "pair"], "winner")}
    if len(films):
        names = {"real or generated": "real", "finding": "finding", "course as expected": "expected"}
        agreement |= {name: alpha(films, unit, column) for name, column in names.items()}
        agreement["realism"] = alpha(films, unit, "realism", ordinal=True)
    return Results(
        votes=len(votes),
        raters=len(done),
        finished=int(done.ge(len(items(study, 1))).sum()),
        left_out=votes.loc[~votes["counted"], "rater"].nunique(),
        wins=wins(study, pairs),
        scores={domain: bradley_terry(part, study.methods) for domain, part in _domains(pairs)},
        agreement=agreement,
        retest=_retest(counted),
        left_side=wilson(int(pairs["choice"].eq("left").sum()), len(pairs)),
        questions=list(_questions(study, films)),
    )


def _retest(votes: pd.DataFrame) -> Rate:
    """The repeats that got the answer of their first time."""
    key = ["rater", "domain", "patient", "winner", "loser"]
    first = set(votes[votes["kind"].eq("pair")][key].itertuples(index=False, name=None))
    again = votes[votes["kind"].eq("repeat")][key]
    return wilson(sum(row in first for row in again.itertuples(index=False, name=None)), len(again))


def _questions(study: Study, films: pd.DataFrame) -> list[dict[str, Any]]:
    """The questionnaire of section 5.6: called real, finding named, course as expected, realism."""
    rows = []
    for domain, part in _domains(films):
        groups = dict(iter(part.groupby("left")))
        for method in sorted(
            groups, key=lambda name: (study.methods.index(name) if name in study.methods else 99, name)
        ):
            of = groups[method]
            known = of[of["finding_shown"].ne("")]
            low, high = clustered(of["realism"], of["rater"], of["domain"] + "\n" + of["patient"])
            rows.append(
                {
                    "domain": domain,
                    "method": method,
                    "films": len(of),
                    "called real": wilson(int(of["real"].astype(bool).sum()), len(of)),
                    "finding named": wilson(int(known["finding"].eq(known["finding_shown"]).sum()), len(known)),
                    "course as expected": wilson(int(of["expected"].astype(bool).sum()), len(of)),
                    "realism": {"mean": float(of["realism"].mean()), "low": low, "high": high},
                }
            )
    return rows
