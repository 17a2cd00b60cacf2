"""Patterns over a long text, piece by piece: Python lets no other thread run while one search lasts."""

import re
import threading
import time
from collections.abc import Iterator

PIECE = 4000  # characters that matches of one search begin in
LONGEST = 1000  # characters that a match and what it looks at ahead may have
BREATH, PAUSE = 0.01, 0.001  # seconds of reading between two pauses, and of a pause

_paused = threading.local()


def let_others_run() -> None:
    """Pause where none was for a while: a request that another thread answers asks for the interpreter dozens of times,
    and would wait each time as long as a thread may keep it."""
    if time.monotonic() - getattr(_paused, "at", 0.0) > BREATH:
        time.sleep(PAUSE)
        _paused.at = time.monotonic()


def matches(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """What ``pattern.finditer(text)`` gives, for a pattern whose matches are no longer than LONGEST.

    Args:
        pattern: whose quantifiers are bounded.
        text: any.

    Yields:
        The matches in order, none over another.
    """
    last = 0
    for start in range(0, max(len(text), 1), PIECE):
        stop = start + PIECE
        let_others_run()
        for match in pattern.finditer(text, max(start, last), stop + LONGEST):
            if match.start() >= stop:
                break
            last = match.end()
            yield match
