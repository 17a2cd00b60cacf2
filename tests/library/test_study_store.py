"""Votes: each once, none lost, none of a changed study, and a full disk told as such."""

import os
import threading

import pytest
import sqlalchemy as sa
from mvgen.study.manifest import StudyError
from mvgen.study.store import DATABASE, AlreadyAnswered, NotSaved, Store
from mvgen.tests.library.study_films import opened, unfilmed

SHOWN = {"kind": "pair", "left": "a.mp4", "right": "b.mp4"}
LEFT, RIGHT = {"choice": "left"}, {"choice": "right"}


@pytest.fixture
def study():
    return unfilmed(["MVG", "Pika"], ["skin"], 8)


@pytest.fixture
def store(tmp_path, study):
    store = opened(tmp_path / "study", study)
    yield store
    store.close()


def test_a_link_is_a_secret_that_is_kept_nowhere(store, tmp_path):
    made = store.add_raters(3)
    assert [number for number, _ in made] == [1, 2, 3] and len({token for _, token in made}) == 3
    assert all(store.rater(token) == number and len(token) == 43 for number, token in made)
    assert store.rater("x" * 43) is None and store.rater(made[0][1][:-1]) is None
    for path in (tmp_path / "study").iterdir():
        assert made[0][1].encode() not in path.read_bytes()
    if os.name != "nt":
        assert (tmp_path / "study" / DATABASE).stat().st_mode & 0o077 == 0
    with pytest.raises(StudyError, match="has 3 links, want at most 10000"):
        store.add_raters(10_000)


def test_an_item_counts_once(store):
    store.add_raters(2)
    store.vote(1, 0, SHOWN, LEFT, 2.5)
    store.vote(1, 0, SHOWN, LEFT, 9.0)  # sent again, as its receipt was lost
    with pytest.raises(AlreadyAnswered):
        store.vote(1, 0, SHOWN, RIGHT, 1.0)
    with pytest.raises(LookupError, match="item 3 comes later"):
        store.vote(1, 2, SHOWN, LEFT, 1.0)
    (row,) = store.rows()
    assert (row["choice"], row["seconds"], row["rater"]) == ("left", 2.5, 1)
    assert store.answered(1) == 1 and store.answered(2) == 0


def test_the_same_link_used_at_once_counts_once(store, tmp_path, study):
    store.add_raters(4)
    other = Store(tmp_path / "study", study)  # another server
    outcomes = []

    def vote(where: Store, choice: dict) -> None:
        for item in range(10):
            for rater in range(1, 5):
                try:
                    where.vote(rater, item, SHOWN, choice, 1.0)
                except (AlreadyAnswered, LookupError) as error:
                    outcomes.append(type(error))

    threads = [threading.Thread(target=vote, args=(where, c)) for where in (store, other) for c in (LEFT, RIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    places = [(row["rater"], row["item"]) for row in store.rows()]
    assert places == [(rater, item) for rater in range(1, 5) for item in range(10)]
    assert set(outcomes) <= {AlreadyAnswered, LookupError}


def test_a_study_changed_after_its_first_vote_is_refused(store, tmp_path, study):
    changed = study.model_copy(update={"question": "Which one?"})
    other = Store(tmp_path / "study", changed)  # before a vote it may be changed
    store.add_raters(1)
    store.vote(1, 0, SHOWN, LEFT, 1.0)
    with pytest.raises(StudyError, match="was changed after its first vote"):
        Store(tmp_path / "study", changed)
    with pytest.raises(NotSaved, match="was changed after its first vote"):
        other.vote(1, 1, SHOWN, LEFT, 1.0)
    assert len(Store(tmp_path / "study", study).rows()) == 1


def test_a_full_disk_is_told_and_nothing_half_kept(store):
    store.add_raters(1)
    store.vote(1, 0, SHOWN, LEFT, 1.0)

    def fill(connection, _):
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    store.engine.dispose()
    sa.event.listen(store.engine, "connect", fill)
    answer = {"comment": "x" * 9000}
    with pytest.raises(NotSaved, match="database or disk is full"):
        store.vote(1, 1, SHOWN, answer, 1.0)
    assert store.answered(1) == 1
    with pytest.raises(StudyError, match=r"no link was made \(database or disk is full\)"):
        store.add_raters(500)
    sa.event.remove(store.engine, "connect", fill)
    store.engine.dispose()
    store.vote(1, 1, SHOWN, answer, 1.0)
    assert store.answered(1) == 2


def test_a_database_that_is_none_is_told(tmp_path, study):
    (tmp_path / DATABASE).write_bytes(b"no database" * 500)
    with pytest.raises(StudyError, match=r"votes\.sqlite cannot be opened"):
        Store(tmp_path, study)


def test_it_is_written_ahead_and_synced(store):
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
