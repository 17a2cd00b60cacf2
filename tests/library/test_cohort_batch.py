"""A batch over an engine that does as the test says: every chain ends as it should, whatever breaks."""

import errno
import json
from collections import deque
from pathlib import Path

import pytest
from mvgen import cohort
from mvgen.client import DISK, PROMPT, SERVER, ServerInfo
from mvgen.cohort import batch, console, preflight
from mvgen.cohort import store as store_module
from mvgen.cohort.engines.base import Job, NoWorkers, Outcome
from mvgen.tests.library.cohort_files import HEADER, VERSIONS, five_chains, manifest, run, workflow
from PIL import Image


class Scripted:
    """An engine of two places. script: chain number -> what its attempts end in, "" for well. mvg: who saves."""

    mvg = ""
    saves: tuple[str, ...] = ()

    def __init__(self, script: dict[int, list[str]] | None = None, versions=VERSIONS, nodes=None):
        self.script = script or {}
        self.versions = versions
        self.nodes = nodes or {}
        self.jobs: deque[Job] = deque()
        self.order: list[str] = []
        self.closed = False

    def start(self, classes):
        return [ServerInfo("here", self.versions, "cpu", {name: {} for name in classes} | self.nodes)]

    def free_slots(self):
        if any("nobody" in attempts[:1] for attempts in self.script.values()):
            raise NoWorkers("nobody is left")
        return 2 - len(self.jobs)

    def submit(self, job):
        self.jobs.append(job)

    def collect(self, timeout):
        if not self.jobs:
            return None
        job = self.jobs.popleft()
        if job.chain not in self.order:
            self.order.append(job.chain)
        attempts = self.script.get(self.order.index(job.chain), [])
        kind = attempts.pop(0) if attempts else ""
        if kind:
            return Outcome(job, 1.0, "here", f"it was {kind}", kind, {"gone": True} if kind == SERVER else {})
        (job.into / "result.txt").write_text(job.chain)
        for name in self.saves:
            (job.into / name).write_text("{}")
        if self.mvg:
            (job.into / "provenance.json").write_text(json.dumps({"versions": {"mvg": self.mvg}}))
        return Outcome(job, 1.0, "here")

    def close(self):
        self.closed = True


@pytest.fixture
def plan(tmp_path) -> cohort.Cohort:
    return five_chains(tmp_path)


@pytest.fixture
def store(tmp_path) -> cohort.Store:
    return cohort.Store(tmp_path / "out")


def test_only_what_is_missing_runs(plan, store):
    assert len(run(plan, store, Scripted()).done) == 5
    assert store.done() == plan.ids()
    second = Scripted()
    assert run(plan, store, second).before == 5 and second.order == []
    assert cohort.estimate(store).seconds == 1.0


def test_what_breaks_is_tried_again_and_a_bad_chain_never_ends_the_cohort(plan, store):
    engine, events, left = Scripted({0: [SERVER, SERVER], 1: [PROMPT], 2: [SERVER] * 3}), [], []

    def on_event(event):
        events.append(event)
        left.append(event.outcome.job.into.exists())

    result = run(plan, store, engine, on_event=on_event)
    assert not any(left), "what an attempt left goes at once"
    assert len(result.done) == 3 and len(result.failed) == 2 and engine.closed
    assert [event.kind for event in events].count("retry") == 4
    assert {record["kind"] for record in store.failures().values()} == {PROMPT, SERVER}
    # those that broke are tried again by themselves, those that are wrong on request
    assert len(run(plan, store, Scripted()).done) == 1
    assert len(run(plan, store, Scripted()).done) == 0
    assert len(run(plan, store, Scripted(), retry_failed=True).done) == 1
    assert store.failures() == {} and store.done() == plan.ids()


def test_no_host_closes_a_chain_itself(plan, store):
    engine = Scripted()
    engine.saves = ("done.json",)
    failed = run(plan, store, engine).failed
    assert store.done() == set() and len(failed) == 5
    assert "could not be kept (the host saved a file of the name done.json" in failed.popitem()[1]


@pytest.mark.parametrize(("kind", "error"), [(DISK, batch.DiskFull), ("nobody", NoWorkers)])
def test_what_was_done_is_kept_where_nothing_more_can_be(plan, store, kind, error):
    engine = Scripted({1: [kind]})
    with pytest.raises(error):
        run(plan, store, engine)
    assert engine.closed and store.failures() == {} and not store.partials.exists()
    run(plan, store, Scripted())
    assert store.done() == plan.ids()


def test_a_chain_that_comes_with_a_broken_picture_is_computed_again(plan, store):
    """A server whose first answers are cut off."""
    engine, events = Scripted(), []
    collect, cut = engine.collect, [True, True]

    def collect_pictures(timeout):
        outcome = collect(timeout)
        if outcome is not None:
            picture = outcome.job.into / "stage_00.png"
            Image.new("L", (32, 32)).save(picture)
            if cut and cut.pop():
                picture.write_bytes(picture.read_bytes()[:60])
        return outcome

    engine.collect = collect_pictures
    assert len(run(plan, store, engine, on_event=events.append).done) == 5
    again = [event.outcome.error for event in events if event.kind not in ("done", "failed")]
    assert len(again) == 2 and all("stage_00.png is no whole picture" in told for told in again)
    assert store.done() == plan.ids()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_for_a_result_ends_the_batch_and_no_chain_counts_as_failed(plan, store, monkeypatch, number):
    def full(path):
        raise OSError(number, "no room")

    monkeypatch.setattr(store_module, "_sealed", full)
    with pytest.raises(batch.DiskFull, match=r"is full\. Free some space"):
        run(plan, store, Scripted())
    assert store.done() == set() and store.failures() == {} and not store.partials.exists()


def test_a_full_disk_ends_the_batch_whatever_notices_it_first(plan, store, monkeypatch):
    def full(*arguments, **about):
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched, pytest.raises(batch.DiskFull, match=r"is full\. Free some space"):
        patched.setattr(store, "note", full)
        run(plan, store, Scripted())
    with monkeypatch.context() as patched, pytest.raises(batch.DiskFull, match=r"is full\. Free some space"):
        patched.setattr(store_module, "LEAST_ROOM", 2**62)  # a host that cannot take an upload says 500 and no more
        run(plan, store, Scripted({1: [SERVER]}))
    assert store.failures() == {}
    run(plan, store, Scripted())
    assert store.done() == plan.ids()


def test_the_plan_says_whether_its_time_is_a_guess(plan, store):
    def told() -> str:
        return console.plan(plan, store, plan.todo(store), workers=2).splitlines()[-1 if not store.done() else -2]

    assert told() == "time: about 3 min, guessing 60 s a chain: none is done yet"  # five chains, two at a time
    run(plan, store, Scripted({3: [PROMPT], 4: [SERVER] * 3}))
    assert told() == "time: about 1 s, from the 3 that were run so far"
    assert console.too_little_room(store, 1) is None
    assert "MB are free" in str(console.too_little_room(store, 2**60))


def test_hosts_are_asked_before_anything_runs(plan, store):
    with pytest.raises(cohort.CohortError, match="here: it has no node MVG_PIELoop"):
        run(plan, store, Scripted(nodes={"MVG_PIELoop": None}))
    loop = {"input": {"required": {"steps": ["INT", {"max": 10}], "mode": ["COMBO", {"options": ["sde"]}], "new": []}}}
    with pytest.raises(cohort.CohortError) as error:
        run(plan, store, Scripted(nodes={"MVG_PIELoop": loop}))
    assert sorted(map(str, error.value.problems)) == [
        "workflow: 6 (MVG_PIELoop) lacks its input new",
        "workflow: mode: got 'ddim', want one of: sde",
        "workflow: steps: got 16, want at most 10",
    ]
    assert store.done() == set()
    text = {"input": {"required": {"folder_prefix": ["INT", {}]}}}
    with pytest.raises(cohort.CohortError, match="workflow: folder_prefix: got 'mvg/chest_xray', want a number"):
        run(plan, store, Scripted(nodes={"MVG_SaveTrajectory": text}))


def test_values_of_rows_are_checked_by_row(tmp_path, store):
    rows = [["A", "a.png", "report.txt", "0", "7"], ["B", "a.png", "report.txt", "0", "99"]]
    plan = cohort.build(manifest(tmp_path, rows, [*HEADER, "guidance"]), workflow(tmp_path))
    nodes: dict = {name: {} for name in preflight.node_classes(plan.workflow)}
    nodes["MVG_PIELoop"] = {"input": {"required": {"guidance": ["FLOAT", {"min": 0.0, "max": 30.0}]}}}
    (problem,) = preflight.check(plan.workflow, plan.chains, [ServerInfo("here", VERSIONS, "cpu", nodes)])
    assert str(problem) == "row 3 (B): guidance: got 99.0, want 0.0 to 30.0"


def test_another_version_is_refused_unless_it_is_allowed(plan, store):
    run(plan, store, Scripted({1: [PROMPT]}))
    other = {**VERSIONS, "torch": "3"}
    told = r"torch 3, the chains that are there comfyui 0\.30\.0, torch 2: results may differ \(--any-version allows it"
    with pytest.raises(cohort.CohortError, match=told):
        run(plan, store, Scripted(versions=other), retry_failed=True)
    run(plan, store, Scripted(versions=other), retry_failed=True, any_version=True)
    assert store.done() == plan.ids()


def test_another_version_of_the_extension_is_seen_in_what_a_host_gives(plan, store):
    first, other, own = Scripted({1: [PROMPT], 2: [PROMPT]}), Scripted(), Scripted(versions={**VERSIONS, "mvg": "2"})
    first.mvg, other.mvg, own.mvg = "1", "2", "2"
    run(plan, store, first)
    assert store.record()["versions"] == {**VERSIONS, "mvg": "1"}
    told = run(plan, store, other, retry_failed=True).failed
    assert set(told.values()) == {"MVG 2 computed it, want 1 as for the others (or --any-version)"}
    with pytest.raises(cohort.CohortError, match=r"here: it runs comfyui 0\.30\.0, mvg 2, torch 2, the chains"):
        run(plan, store, own, retry_failed=True)  # a host of ours: it is known before
    run(plan, store, other, retry_failed=True, any_version=True)
    assert store.done() == plan.ids()


def test_no_host_answers(plan, store):
    engine = cohort.Pool([cohort.RunningServer("127.0.0.1:9", patience=0.1)])
    with pytest.raises(NoWorkers, match=r"no ComfyUI answers at http://127\.0\.0\.1:9"):
        run(plan, store, engine)
    assert not (Path(store.out) / "cohort.json").exists()


def test_seeds_and_fractions_that_a_host_would_not_take_are_named(tmp_path, store):
    rows = [["A", "a.png", "report.txt", "7 5000000000", "50"], ["B", "a.png", "report.txt", "8", "50.5"]]
    plan = cohort.build(manifest(tmp_path, rows, [*HEADER, "steps"]), workflow(tmp_path))
    nodes: dict = {name: {} for name in preflight.node_classes(plan.workflow)}
    kinds = {"seed": ["INT", {"max": 2**32 - 1}], "steps": ["INT", {}]}
    nodes["MVG_PIELoop"] = {"input": {"required": kinds}}
    problems = preflight.check(plan.workflow, plan.chains, [ServerInfo("here", VERSIONS, "cpu", nodes)])
    assert sorted(map(str, problems)) == [
        "row 2 (A): seed: got 5000000000, want at most 4294967295",
        "row 3 (B): steps: got 50.5, want a whole number",
    ]
