"""Nodes that bring in what a run starts from."""

from comfy_api.latest import io

from .sources import LoadEmbedded, LoadMedicalImage, LoadReport

NODES: list[type[io.ComfyNode]] = [LoadEmbedded, LoadMedicalImage, LoadReport]
