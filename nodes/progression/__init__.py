"""Nodes that simulate the stages: PIE and the baselines."""

from comfy_api.latest import io

from .baselines import Extrapolation, SDWalk
from .fixed_mask import FixedMask
from .pie import DDIMInvert, PIEStep, ROIBlend
from .pie_loop import PIELoop
from .pie_states import PIEStates
from .severity import ConditioningSeverity, SeverityGuiderNode, SeverityStage
from .spacing import PickSeverity, StageSpacing

NODES: list[type[io.ComfyNode]] = [
    PIELoop,
    PIEStep,
    PIEStates,
    FixedMask,
    DDIMInvert,
    ROIBlend,
    SDWalk,
    Extrapolation,
    ConditioningSeverity,
    SeverityGuiderNode,
    SeverityStage,
    StageSpacing,
    PickSeverity,
]
