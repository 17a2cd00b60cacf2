"""The study's pages in ComfyUI, of the folders that the operator names in the environment."""

import ipaddress
import logging
import os
from pathlib import Path

VARIABLE = "MVG_STUDIES"
PUBLIC = (
    "this ComfyUI answers other machines (--listen {addresses}): anyone who reaches it can use all of it. That is "
    "more than the study: ComfyUI has no accounts. run.py study serve DIR --listen serves the study alone, of which "
    "only who holds a link sees anything."
)
"""``run.py serve`` shows it from the log, as it does every line that begins with "MVG study: "."""


def register() -> None:
    """Adds the routes under /mvg/study where MVG_STUDIES names folders, separated as in PATH; else there are none.

    A study that cannot be served, or a package that is missing, costs the pages alone.
    """
    named = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name.strip()]
    if not named:
        return
    try:
        import folder_paths
        from comfy.cli_args import args
        from server import PromptServer

        from ...study import routes

        shown = ("get_output_directory", "get_input_directory", "get_temp_directory", "get_user_directory")
        stores, problems = routes.open_stores(named, [Path(getattr(folder_paths, name)()) for name in shown])
        if stores:
            routes.add_routes(PromptServer.instance.routes, stores)
    except Exception as error:
        logging.error("MVG study: no study is served: %s: %s", type(error).__name__, error)
        return
    for problem in problems:
        logging.error("MVG study: not served: %s", problem)
    for store in stores:
        logging.info("MVG study: served to who holds a link: %s", store.folder)
    if stores and (addresses := beyond_this_machine(args.listen)):
        logging.warning("MVG study: %s", PUBLIC.format(addresses=addresses))


def beyond_this_machine(listen: str) -> str:
    """Returns the addresses of the host's --listen that other machines can reach, as they stand there."""
    return ",".join(address for address in listen.split(",") if not _is_loopback(address))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        return address == "localhost"
