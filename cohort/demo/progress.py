"""A line for each stage and each node as they end, and how long each part took."""

import re
import time
from collections.abc import Mapping
from typing import Any

STAGE = re.compile(r"\bstage\.(\d+)$")
WORTH_A_LINE = 0.05  # seconds
START = "execution_start"
ENDS = ("executing", "execution_success")


class Timing:
    """Attributes the time since the last mark to a part; parts with the same name add up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._mark = time.monotonic()

    def part(self, name: str) -> float:
        """End a part. Returns the seconds since the end of the part before."""
        now = time.monotonic()
        seconds, self._mark = now - self._mark, now
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        return seconds

    @staticmethod
    def line(text: str, seconds: float) -> None:
        """A line of progress, unless it took no time."""
        if seconds >= WORTH_A_LINE:
            print(f"  {text}: {seconds:.1f} s", flush=True)

    def table(self) -> None:
        """Print every part and their sum."""
        parts = [(name, seconds) for name, seconds in self.seconds.items() if seconds >= WORTH_A_LINE]
        rows = [*parts, ("in all", sum(self.seconds.values()))]
        width = max(len(name) for name, _ in rows)
        for name, seconds in rows:
            print(f"{name:{width}}  {seconds:6.1f} s", flush=True)


class Progress:
    """Takes the websocket messages of a run.

    Args:
        timing: Gets a part for each node.
        graph: The prompt, whose titles name the nodes.
        stages: How many stages there will be.
    """

    def __init__(self, timing: Timing, graph: Mapping[str, dict[str, Any]], stages: int):
        self.timing = timing
        self.titles = {key: node.get("_meta", {}).get("title") or node["class_type"] for key, node in graph.items()}
        self.stages = stages
        self.running = self.shown = ""  # the node that runs, and the one of the workflow that it belongs to
        self.seconds = 0.0  # that the latter took so far

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        if kind == START:
            self.timing.part("upload")
        if kind in ENDS and self.running:
            name = self.titles.get(self.shown, self.shown)
            took = self.timing.part(name)
            self.seconds += took
            if stage := STAGE.search(self.running):
                self.timing.line(f"stage {stage.group(1)} of {self.stages}", took)
            if data.get("display_node") != self.shown:
                self.timing.line(name, self.seconds)
                self.seconds = 0.0
        if kind == "executed":
            for note in (data.get("output") or {}).get("mvg_notes", []):
                print(f"note: {note}", flush=True)
        if kind == "executing":
            self.running, self.shown = data["node"] or "", data["display_node"] or ""
