"""Nodes that score a progression."""

from comfy_api.latest import io

from .classifier import Conf, LoadClassifier
from .comparison import KID, CompareImages
from .metrics import CLIPI, DifferenceMap, ProgressionPlot
from .sheet import ComparisonSheet
from .table import ScoreTable

NODES: list[type[io.ComfyNode]] = [
    LoadClassifier,
    Conf,
    CLIPI,
    KID,
    CompareImages,
    DifferenceMap,
    ProgressionPlot,
    ScoreTable,
    ComparisonSheet,
]
