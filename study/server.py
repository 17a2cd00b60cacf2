"""A server of studies alone: for raters on a network that is not to reach ComfyUI, which has no accounts."""

import logging
import socket
from collections.abc import Sequence

from aiohttp import web

from .routes import add_routes
from .store import Store


def serve(stores: Sequence[Store], address: str, port: int) -> None:
    """Runs until Ctrl-C or a signal.

    Args:
        stores: The studies.
        address: To listen at.
        port: The same; 0 for a free one.

    Raises:
        OSError: The port is in use.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    routes = web.RouteTableDef()
    add_routes(routes, stores)
    app = web.Application()
    app.add_routes(routes)
    listening = socket.create_server((address, port))
    with listening:
        where = f"http://{address}:{listening.getsockname()[1]}"
        print(f"the study's pages: {where}/mvg/study/LINK   (Ctrl-C stops it)", flush=True)
        web.run_app(app, sock=listening, print=None, access_log=None)  # a log of accesses would hold the links
