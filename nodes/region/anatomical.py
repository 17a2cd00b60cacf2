"""Where the progression may change the picture: the region that a plan's finding has in it."""

import torch
from comfy_api.latest import io

from ...mvg import regions, roi
from ...mvg.plan import Plan
from ..support import types
from ..support.domains import domain_folder


def shape_inputs() -> list[io.Input]:
    """What `mvg.roi.refine` takes."""
    return [
        io.Float.Input(
            "grow",
            optional=True,
            default=0.0,
            min=-roi.MAX_SHARE,
            max=roi.MAX_SHARE,
            step=0.005,
            tooltip="How far to move the edge outwards, or inwards where negative, as a share of the picture's shorter "
            "side: 0.05 is 26 pixels of 512.",
        ),
        io.Float.Input(
            "feather",
            optional=True,
            default=0.0,
            min=0.0,
            max=roi.MAX_SHARE,
            step=0.005,
            tooltip="Over how far the edge fades, as a share of the picture's shorter side, half of it inside and half "
            "outside. Done after grow.",
        ),
        io.Boolean.Input(
            "fill",
            optional=True,
            default=False,
            tooltip="On: what the region encloses becomes part of it. Done before grow.",
        ),
    ]


class AnatomicalROI(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_AnatomicalROI",
            display_name="Anatomical ROI",
            category="MVG/plan",
            description="Outlines where the plan's finding shows in a frontal chest X-ray, a fundus photograph or a "
            "dermoscopic image, from the picture's own shape. Edit the result in the mask editor where it is off.",
            search_aliases=[
                "region of interest",
                "mask",
                "lung mask",
                "heart mask",
                "optic disc",
                "lesion",
                "segmentation",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The input image."),
                types.Plan.Input("plan", tooltip="Its domain, finding and side say which region."),
                *shape_inputs(),
                io.Boolean.Input(
                    "strict",
                    display_name="stop if no chest",
                    optional=True,
                    default=False,
                    tooltip="On: a chest that cannot be found is an error, as a fundus or a lesion always is. Off: the "
                    "region of a usual chest is taken, and notes says so.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", tooltip="1 where the image may change, with soft edges."),
                io.String.Output("notes", tooltip="How well chest, disc or lesion was found; read it before a run."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        plan: Plan,
        grow: float = 0.0,
        feather: float = 0.0,
        fill: bool = False,
        strict: bool = False,
    ) -> io.NodeOutput:
        mask, notes = regions.roi_mask(image, plan, domain_folder().find(plan.domain), strict)
        return io.NodeOutput(roi.refine(mask, grow, feather, fill), notes)
