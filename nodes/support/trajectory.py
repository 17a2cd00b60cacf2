"""How far a whole progression or film is: one bar for the host, and one sentence for the page, over all its parts."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import comfy.utils
from comfy_execution.utils import get_executing_context
from server import PromptServer

EVENT = "mvg_progress"
"""The message to the page; web/mvg_progress.js reads it."""
SHOWN = "mvg_shown"
"""The message that a stage can be looked at; web/viewer.js reads it."""
EVERY = 0.25  # seconds between two messages


@dataclass
class Work:
    """How far a node of the page is, in model calls, and how long the rest will take.

    Args:
        prompt: the host's id of the run.
        node: the node of the page that shows it.
        total: model calls in all.
    """

    prompt: str
    node: str
    total: int
    reached: float = 0.0  # model calls that are done, or were kept from an earlier run
    since: tuple[float, float] | None = None  # when this run's first part began, and what was reached then
    told: float = 0.0

    def at(self, reached: float, what: str, number: int, count: int, always: bool) -> None:
        """Tells the page that this many model calls are done and which part is at work.

        Args:
            reached: model calls.
            what: a part is, such as "stage".
            number: of the part, 0 for what goes before the first one.
            count: of all parts.
            always: tell it also where the last message is not old.
        """
        self.reached = max(self.reached, reached)
        now = time.monotonic()
        if self.since is None:
            self.since = now, self.reached
        if not (always or now - self.told >= EVERY):
            return
        self.told = now
        server = PromptServer.instance
        data = {"prompt_id": self.prompt, "node": self.node, "what": what, "stage": number, "stages": count}
        text = sentence(what, number, count, self.seconds_left(now))
        server.send_sync(EVENT, {**data, "value": self.reached / self.total, "text": text}, server.client_id)

    def seconds_left(self, now: float) -> float | None:
        """By this run's own pace; None as long as too little of it has gone by."""
        assert self.since is not None
        started, already = self.since
        if self.reached - already < 0.02 * self.total:
            return None
        return (now - started) / (self.reached - already) * (self.total - self.reached)


class Trajectory:
    """The parts of a progression's expansion in the order in which they run.

    Args:
        prompt: the host's id of the run.
        node: the node of the page that it belongs to.
        stages: N.
        parts: node id of a part -> (number of its stage, 0 for what goes before the first one; its model calls).
    """

    def __init__(self, prompt: str, node: str, stages: int, parts: Mapping[str, tuple[int, int]]):
        self.prompt, self.node, self.stages = prompt, node, stages
        self.numbers = {part: number for part, (number, _) in parts.items()}
        self.costs = {part: max(cost, 1) for part, (_, cost) in parts.items()}
        self.total = sum(self.costs.values())
        self.work = Work(prompt, node, self.total)
        self.bar = comfy.utils.ProgressBar(self.total, node_id=node)

    def at(self, part: str, share: float) -> int:
        """Tells that a share in [0, 1] of a part is done -> model calls of the whole that are."""
        before = 0
        for name, cost in self.costs.items():
            if name == part:
                break
            before += cost
        reached = before + min(share, 1) * self.costs[part]
        self.work.at(reached, "stage", self.numbers[part], self.stages, share in (0, 1))
        self.bar.update_absolute(round(self.work.reached))
        return round(self.work.reached)


def sentence(what: str, number: int, count: int, seconds: float | None) -> str:
    """Such as "stage 3 of 6, about 60 s left"."""
    where = f"{what} {number} of {count}" if number else f"preparing {what} 1 of {count}"
    return where if seconds is None else f"{where}, {duration(seconds)} left"


def duration(seconds: float) -> str:
    """As exact as an estimate is."""
    if seconds < 3:
        return "a moment"
    if seconds < 20:
        return f"about {round(seconds)} s"
    if seconds < 100:
        return f"about {round(seconds / 10) * 10} s"
    return f"about {round(seconds / 60)} min"


_running: dict[str, dict[str, Trajectory]] = {}  # prompt -> node id of a part -> its trajectory


def begin(node: str, stages: int, parts: Mapping[str, tuple[int, int]]) -> None:
    """Announces a progression that is about to run.

    Args:
        node: its id on the page.
        stages: N.
        parts: node id -> (number of its stage or 0, model calls), in the order in which they run.
    """
    context = get_executing_context()
    if context is None or not parts:
        return
    trajectory = Trajectory(context.prompt_id, node, stages, parts)
    kept = _running.get(context.prompt_id, {})
    _running.clear()  # the host runs one prompt at a time
    _running[context.prompt_id] = kept | dict.fromkeys(parts, trajectory)


def current() -> tuple[Trajectory, str] | None:
    """The trajectory that the running node is a part of, with the node's id."""
    context = get_executing_context()
    if context is None:
        return None
    trajectory = _running.get(context.prompt_id, {}).get(context.node_id)
    return None if trajectory is None else (trajectory, context.node_id)


def show(index: dict[str, str]) -> None:
    """Tells the page that the pictures of more stages lie where the index file says.

    Args:
        index: of `preview.write_preview`.
    """
    if found := current():
        whole, _ = found
        server = PromptServer.instance
        data = {"prompt_id": whole.prompt, "node": whole.node, "stages": whole.stages, "index": index}
        server.send_sync(SHOWN, data, server.client_id)


def finish() -> None:
    """Tells that all of the trajectory whose last part is running is done."""
    if found := current():
        whole, node = found
        whole.at(node, 1)
