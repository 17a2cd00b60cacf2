"""What a node has to say before it computes: in the log, and on the page under the node."""

import logging
from collections.abc import Sequence

from server import PromptServer


def tell(node: str, notes: Sequence[str]) -> None:
    """Log notes, and show them under a node of the page.

    Args:
        node: its id.
        notes: a sentence each; nothing is shown where there is none.
    """
    for note in notes:
        logging.warning("MVG: %s", note)
    if notes:
        server = PromptServer.instance
        server.send_progress_text("\n".join(notes), node, server.client_id)
