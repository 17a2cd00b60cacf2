"""The faces: V3 nodes over mvg/ and models/, one module a family."""

from comfy_api.latest import ComfyExtension, io

from ..models.embedded.loader import register_folder
from . import cache
from .load import LoadEmbedded, LoadMedicalImage, LoadReport
from .metrics import CLIPI, Conf, DifferenceMap, ProgressionPlot
from .pie import DDIMInvert, FixedMask, PIELoop, PIEStates, PIEStep, ROIBlend
from .plan import AnatomicalROI, Recaption
from .save import SaveTrajectory
from .transition import LatentWalkTransition

NODES: list[type[io.ComfyNode]] = [
    LoadEmbedded,
    LoadMedicalImage,
    LoadReport,
    Recaption,
    AnatomicalROI,
    PIELoop,
    PIEStep,
    PIEStates,
    FixedMask,
    DDIMInvert,
    ROIBlend,
    LatentWalkTransition,
    Conf,
    CLIPI,
    DifferenceMap,
    ProgressionPlot,
    SaveTrajectory,
]


class MVGExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folder()
        await cache.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
