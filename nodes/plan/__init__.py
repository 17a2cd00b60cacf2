"""Nodes from a report to a progression plan."""

from comfy_api.latest import io

from .edit import EditPlan
from .recaption import Recaption

NODES: list[type[io.ComfyNode]] = [Recaption, EditPlan]
