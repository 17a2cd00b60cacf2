"""Nodes that say where in the image the progression may change it."""

from comfy_api.latest import io

from .anatomical import AnatomicalROI
from .medsam import SegmentBox

NODES: list[type[io.ComfyNode]] = [AnatomicalROI, SegmentBox]
