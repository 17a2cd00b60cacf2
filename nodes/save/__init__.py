"""Nodes that save a progression."""

from comfy_api.latest import io

from .label import SyntheticLabel
from .trajectory import SaveTrajectory

NODES: list[type[io.ComfyNode]] = [SyntheticLabel, SaveTrajectory]
