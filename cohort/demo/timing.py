"""How long each part took."""

import time

WORTH_A_LINE = 0.05


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
        parts = [(name, seconds) for name, seconds in self.seconds.items() if seconds >= WORTH_A_LINE]
        rows = [*parts, ("in all", sum(self.seconds.values()))]
        width = max(len(name) for name, _ in rows)
        for name, seconds in rows:
            print(f"{name:{width}}  {seconds:6.1f} s", flush=True)
