"""Nodes from stages to a film."""

from comfy_api.latest import io

from .frames import LatentWalkTransition, StagePairs, TransitionBlend
from .seine import LoadSEINE, SEINETransition

NODES: list[type[io.ComfyNode]] = [LoadSEINE, SEINETransition, TransitionBlend, StagePairs, LatentWalkTransition]
