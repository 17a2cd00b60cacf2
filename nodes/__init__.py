"""The nodes: a package a family, thin over mvg/ and models/."""

import importlib
import logging

from comfy_api.latest import ComfyExtension, io

from ..models.embedded.loader import register_folder
from .support import cache, study

FAMILIES = ("load", "plan", "region", "progression", "transition", "scores", "save")


def import_families() -> tuple[list[type[io.ComfyNode]], dict[str, str]]:
    """Import every family by itself, so that a broken package costs those alone that need it.

    Returns:
        The nodes of the families that can be imported, and why each of the others cannot.
    """
    nodes: list[type[io.ComfyNode]] = []
    missing: dict[str, str] = {}
    for family in FAMILIES:
        try:
            nodes += importlib.import_module(f".{family}", __package__).NODES
        except Exception as error:
            missing[family] = f"{type(error).__name__}: {error}"
    return nodes, missing


class MVGExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folder()
        await cache.register()
        study.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        nodes, missing = import_families()
        for family, reason in missing.items():
            logging.error("MVG: the nodes of nodes/%s are left out, as they cannot be imported: %s", family, reason)
        return nodes
