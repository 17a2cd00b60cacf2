"""The faces: V3 nodes over mvg/ and models/, one module a family."""

from comfy_api.latest import ComfyExtension, io

from ..models.embedded.loader import register_folder
from .load.sources import LoadEmbedded, LoadMedicalImage, LoadReport
from .plan.edit import EditPlan
from .plan.recaption import Recaption
from .progression.baselines import Extrapolation, SDWalk
from .progression.pie import DDIMInvert, PIEStep, ROIBlend
from .progression.pie_loop import FixedMask, PIELoop
from .progression.pie_states import PIEStates
from .region.anatomical import AnatomicalROI
from .region.medsam import SegmentBox
from .save.label import SyntheticLabel
from .save.trajectory import SaveTrajectory
from .scores.classifier import Conf, LoadClassifier
from .scores.comparison import KID, CompareImages
from .scores.metrics import CLIPI, DifferenceMap, ProgressionPlot
from .scores.table import ScoreTable
from .support import cache
from .transition.frames import LatentWalkTransition, StagePairs, TransitionBlend
from .transition.seine import LoadSEINE, SEINETransition

NODES: list[type[io.ComfyNode]] = [
    LoadEmbedded,
    LoadMedicalImage,
    LoadReport,
    LoadClassifier,
    Recaption,
    EditPlan,
    AnatomicalROI,
    SegmentBox,
    PIELoop,
    PIEStep,
    PIEStates,
    FixedMask,
    DDIMInvert,
    ROIBlend,
    SDWalk,
    Extrapolation,
    LoadSEINE,
    SEINETransition,
    TransitionBlend,
    StagePairs,
    LatentWalkTransition,
    Conf,
    CLIPI,
    KID,
    CompareImages,
    DifferenceMap,
    ProgressionPlot,
    ScoreTable,
    SyntheticLabel,
    SaveTrajectory,
]


class MVGExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folder()
        await cache.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
