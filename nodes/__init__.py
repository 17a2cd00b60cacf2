"""The faces: V3 nodes over mvg/ and models/, one module a family."""

from comfy_api.latest import ComfyExtension, io

from ..models.embedded.loader import register_folder
from . import cache
from .baselines import Extrapolation, SDWalk
from .classifier import Conf, LoadClassifier
from .comparison import KID, CompareImages
from .edit_plan import EditPlan
from .label import SyntheticLabel
from .load import LoadEmbedded, LoadMedicalImage, LoadReport
from .medsam import SegmentBox
from .metrics import CLIPI, DifferenceMap, ProgressionPlot
from .pie import DDIMInvert, PIEStep, ROIBlend
from .pie_loop import FixedMask, PIELoop
from .pie_states import PIEStates
from .plan import Recaption
from .roi import AnatomicalROI
from .save import SaveTrajectory
from .score_table import ScoreTable
from .seine import LoadSEINE, SEINETransition
from .transition import LatentWalkTransition, StagePairs, TransitionBlend

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
