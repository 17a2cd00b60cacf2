"""How far a whole progression is: one bar for the host, and one sentence for the page, over all its stages."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import comfy.utils
from comfy_execution.utils import get_executing_context
from server import PromptServer

EVENT = "mvg_progress"
"""The message to the page; web/mvg_progress.js reads it."""
EVERY = 0.25  # seconds between two messages


@dataclass
class Trajectory:
    """The parts of a progression's expansion in the order in which they run.

    Args:
        prompt: the host's id of the run.
        node: the node of the page that it belongs to.
        stages: N.
        costs: node id of a part -> its model calls.
        names: node id of a part -> the number of its stage, 0 for what goes before the first one.
    """

    prompt: str
    node: str
    stages: int
    costs: Mapping[str, int]
    names: Mapping[str, int]
    reached: float = 0.0  # model calls that are done, or were kept from an earlier run
    since: tuple[float, float] | None = None  # when this run's first part began, and what was reached then
    told: float = 0.0
    bar: comfy.utils.ProgressBar = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.costs.values())
        self.bar = comfy.utils.ProgressBar(self.total, node_id=self.node)

    def at(self, part: str, share: float) -> int:
        """Tells that a share in [0, 1] of a part is done -> model calls of the whole that are."""
        before = 0
        for name, cost in self.costs.items():
            if name == part:
                break
            before += cost
        self.reached = max(self.reached, before + min(share, 1) * self.costs[part])
        now = time.monotonic()
        if self.since is None:
            self.since = now, self.reached
        self.bar.update_absolute(round(self.reached))
        if share in (0, 1) or now - self.told >= EVERY:
            self.told = now
            self.tell(self.names[part], now)
        return round(self.reached)

    def tell(self, stage: int, now: float) -> None:
        server = PromptServer.instance
        left = self.seconds_left(now)
        data = {"prompt_id": self.prompt, "node": self.node, "stage": stage, "stages": self.stages}
        shown = {"value": self.reached / self.total, "text": sentence(stage, self.stages, left)}
        server.send_sync(EVENT, {**data, **shown}, server.client_id)

    def seconds_left(self, now: float) -> float | None:
        """By this run's own pace; None as long as too little of it has gone by."""
        assert self.since is not None
        started, already = self.since
        if self.reached - already < 0.02 * self.total:
            return None
        return (now - started) / (self.reached - already) * (self.total - self.reached)


def sentence(stage: int, stages: int, seconds: float | None) -> str:
    """Such as "stage 3 of 6, about 60 s left"."""
    where = f"stage {stage} of {stages}" if stage else f"preparing stage 1 of {stages}"
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
    costs = {part: max(cost, 1) for part, (_, cost) in parts.items()}
    trajectory = Trajectory(context.prompt_id, node, stages, costs, {part: stage for part, (stage, _) in parts.items()})
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


def finish() -> None:
    """Tells that all of the trajectory whose last part is running is done."""
    if found := current():
        whole, node = found
        whole.at(node, 1)
