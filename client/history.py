"""What a ComfyUI says of a prompt that it refused or ended."""

from typing import Any

from .errors import DISK, PROMPT, SERVER, PromptFailed, one_line

NO_ROOM = ("No space left on device", "Disk quota exceeded", "not enough space on the disk")
NO_MEMORY = ("OutOfMemoryError", "MemoryError", "AcceleratorError")
"""What a host may have only now: others use its card too, and a card in error is in error until it starts again."""


def outputs_of(entry: dict[str, Any]) -> dict[str, Any]:
    """The outputs of a history entry, by node id.

    Raises:
        PromptFailed: The prompt ended in an error, told in the node's own words, or was cancelled.
    """
    status = entry.get("status") or {}
    for kind, data in status.get("messages", []):
        if kind == "execution_interrupted":
            raise PromptFailed("the run was cancelled in ComfyUI", SERVER)
        if kind == "execution_error":
            raise _failure(data)
    if status and not status.get("completed", True):
        raise PromptFailed("ComfyUI ended the run without saying why", SERVER)
    return entry.get("outputs", {})


def _failure(data: dict[str, Any]) -> PromptFailed:
    details = {name: data.get(name) for name in ("node_id", "node_type", "exception_type", "traceback")}
    message = str(data.get("exception_message") or data.get("exception_type"))
    is_full = any(words in message for words in NO_ROOM) or ("disk" in message and "full" in message)
    is_short = str(details["exception_type"]).endswith(NO_MEMORY) or "CUDA error" in message
    told = f"{one_line(data.get('node_type'))}: {'its disk is full' if is_full else one_line(message) or 'error'}"
    return PromptFailed(told, DISK if is_full else SERVER if is_short else PROMPT, details)


def refusal(reply: dict[str, Any]) -> str:
    """The first reason that a rejected prompt's answer gives, as one line."""
    for node in (reply.get("node_errors") or {}).values():
        for error in node.get("errors", []):
            return one_line(f"{node.get('class_type')}: {error.get('message')} {error.get('details')}")
    return one_line((reply.get("error") or {}).get("message", reply))
