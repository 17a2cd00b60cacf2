"""The votes of a study: SQLite beside its manifest, a transaction a vote, each item once a rater."""

import datetime
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from .manifest import Study, StudyError

DATABASE = "votes.sqlite"
ANSWERS = ("choice", "real", "finding", "realism", "expected", "comment")
MAX_RATERS = 10_000

_tables = sa.MetaData()
facts = sa.Table("facts", _tables, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String))
raters = sa.Table(
    "raters",
    _tables,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("token", sa.String, nullable=False, unique=True),  # its hash: the link itself is kept nowhere
    sa.Column("made", sa.String, nullable=False),
)
votes = sa.Table(
    "votes",
    _tables,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("rater", sa.ForeignKey("raters.number"), nullable=False),
    sa.Column("item", sa.Integer, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("left", sa.String, nullable=False),
    sa.Column("right", sa.String, nullable=False),
    sa.Column("choice", sa.String),
    sa.Column("real", sa.Boolean),
    sa.Column("finding", sa.String),
    sa.Column("realism", sa.Integer),
    sa.Column("expected", sa.Boolean),
    sa.Column("comment", sa.String),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("made", sa.String, nullable=False),
    sa.UniqueConstraint("rater", "item"),
)


class AlreadyAnswered(ValueError):
    """The item has another answer, which stays."""


class NotSaved(OSError):
    """The vote could not be written; nothing of it was."""


class Store:
    """The votes of a study.

    Args:
        folder: Of the study.
        study: As its manifest says now.

    Raises:
        StudyError: The study was changed after its first vote, or the database cannot be opened.
    """

    def __init__(self, folder: Path, study: Study):
        self.folder, self.study = folder, study
        path = folder / DATABASE
        self.engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(self.engine, "connect", _prepare)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            _tables.create_all(self.engine)
            with self.engine.connect() as connection:
                known = connection.scalar(sa.select(facts.c.value).where(facts.c.name == "study"))
        except (sa.exc.DatabaseError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise StudyError(f"{path} cannot be opened ({reason})") from error
        if known not in (None, study.hash()):
            raise StudyError(
                f"{folder} was changed after its first vote: restore its study.json, or make a new study for the change"
            )

    def add_raters(self, count: int) -> list[tuple[int, str]]:
        """Makes links.

        Args:
            count: How many.

        Returns:
            Number and token of each new rater. The token is not kept, so this is the one time that it can be seen.

        Raises:
            StudyError: There would be more than 10,000, or they cannot be kept; none was made.
        """
        try:
            with self.engine.begin() as connection:
                last = connection.scalar(sa.select(sa.func.max(raters.c.number))) or 0
                if last + count > MAX_RATERS:
                    raise StudyError(f"{self.folder} has {last} links, want at most {MAX_RATERS} in all")
                made = [(last + n, secrets.token_urlsafe(32)) for n in range(1, count + 1)]
                rows = [{"number": number, "token": _digest(token), "made": _now()} for number, token in made]
                connection.execute(raters.insert(), rows)
        except OperationalError as error:
            raise StudyError(f"{self.folder}: no link was made ({error.orig})") from error
        return made

    def rater(self, token: str) -> int | None:
        """Returns the number of the rater with a token, None where there is none."""
        with self.engine.connect() as connection:
            return connection.scalar(sa.select(raters.c.number).where(raters.c.token == _digest(token)))

    def answered(self, rater: int) -> int:
        """Returns how many items a rater has answered; they come in order."""
        with self.engine.connect() as connection:
            return _answered(connection, rater)

    def vote(self, rater: int, item: int, shown: Mapping[str, str], answer: Mapping[str, Any], seconds: float) -> None:
        """Keeps a vote. The same vote again changes nothing, so that one whose receipt was lost can be sent again.

        Args:
            rater: Their number.
            item: Place of the item among theirs, from 0.
            shown: Its kind, left and right.
            answer: Of ``ANSWERS`` those that the kind has.
            seconds: How long it took.

        Raises:
            AlreadyAnswered: The item has another answer.
            LookupError: The item before was not answered yet.
            NotSaved: The disk is full, or the database cannot be written.
        """
        row = {"rater": rater, "item": item, **shown, **answer, "seconds": seconds, "made": _now()}
        try:
            with self.engine.begin() as connection:
                # first of all a write: the lock is held from here on, and nothing changes between look and vote
                stated = facts.insert().prefix_with("OR IGNORE").values(name="study", value=self.study.hash())
                connection.execute(stated)
                if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "study")) != self.study.hash():
                    raise NotSaved("the study was changed after its first vote")
                if item > _answered(connection, rater):
                    raise LookupError(f"item {item + 1} comes later")
                connection.execute(votes.insert().values(row))
        except IntegrityError:
            if self._kept(rater, item) != {name: answer.get(name) for name in ANSWERS}:
                raise AlreadyAnswered(f"item {item + 1} was answered before") from None
        except OperationalError as error:
            raise NotSaved(str(error.orig)) from error

    def _kept(self, rater: int, item: int) -> dict[str, Any]:
        columns = [votes.c[name] for name in ANSWERS]
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(*columns).where(votes.c.rater == rater, votes.c.item == item)).one()
        return dict(row._mapping)

    def rows(self) -> list[dict[str, Any]]:
        """Returns all votes in the order of raters and items; no token is among them."""
        with self.engine.connect() as connection:
            found = connection.execute(sa.select(votes).order_by(votes.c.rater, votes.c.item))
            return [dict(row._mapping) for row in found]

    def count_raters(self) -> int:
        """Returns how many links there are."""
        with self.engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(raters)) or 0

    def close(self) -> None:
        """Lets go of the database."""
        self.engine.dispose()


def _prepare(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):  # FULL: also a power cut loses no vote
        connection.execute(f"PRAGMA {pragma}")


def _answered(connection: sa.Connection, rater: int) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(votes).where(votes.c.rater == rater)) or 0


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
