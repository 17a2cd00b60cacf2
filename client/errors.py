"""What can go wrong with a prompt, by who would have to change something."""

from typing import Any

PROMPT = "wrong"  # the prompt itself: it would fail again
SERVER = "broken"  # whatever computed it: worth another try
DISK = "full"  # no room for results
MAX_LETTERS = 500


class PromptFailed(Exception):
    """A prompt that gave nothing.

    Args:
        message: One line.
        kind: PROMPT, SERVER or DISK.
        details: What the server said of it.
    """

    def __init__(self, message: str, kind: str = PROMPT, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.kind = kind
        self.details = details or {}


class StatusError(ConnectionError):
    """An HTTP answer that is none of success. body: what came with it."""

    def __init__(self, status: int, reason: str, body: bytes = b""):
        super().__init__(f"it answered {status} ({reason})")
        self.status = status
        self.reason = reason
        self.body = body


def one_line(text: Any) -> str:
    """The first line of a server's words, without what would steer a terminal; "" where it says nothing."""
    lines = str(text).strip().splitlines()
    return "".join(letter for letter in lines[0] if letter.isprintable())[:MAX_LETTERS] if lines else ""
