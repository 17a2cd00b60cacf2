"""The one ComfyUI client: uploads, submits a prompt, follows it by websocket or history, fetches what it saved."""

from .client import Client, ServerInfo
from .errors import DISK, PROMPT, SERVER, PromptFailed, StatusError

__all__ = ["DISK", "PROMPT", "SERVER", "Client", "PromptFailed", "ServerInfo", "StatusError"]
