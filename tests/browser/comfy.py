"""The host's page, ready for work."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator

from ..host.hosting import Server
from .devtools import Page, open_page

READY = "window.app?.extensionManager && app.canvas && LiteGraph.registered_node_types.MVG_PIELoop"


@contextlib.contextmanager
def open_comfy(server: Server, browser: str) -> Iterator[Page]:
    """A tab with the server's page, its nodes registered and no welcome dialog over it."""
    data = json.dumps({"Comfy.TutorialCompleted": True}).encode()
    request = urllib.request.Request(f"http://{server.address}/settings", data=data, method="POST")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=30).close()
    with open_page(browser) as page:
        page.goto(f"http://{server.address}/")
        page.wait(READY, 120)
        yield page
