"""MedSAM in the graph: the region in a box, which is drawn or taken from the plan."""

import hashlib
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy.patcher_extension import CallbacksMP
from comfy_api.latest import io

from ...models.medsam import MedSAM, load_medsam
from ...mvg import regions, roi
from ...mvg.plan import Plan
from ...mvg.wording import one_or
from ..support import types
from ..support.domains import domain_folder
from ..support.model_files import MEDSAM
from .anatomical import shape_inputs

FORM = "{x, y, width, height} in pixels"
Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels."""


class SegmentBox(io.ComfyNode):
    """MedSAM (Ma et al., Segment anything in medical images, Nature Communications 15:654, 2024)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_MedSAM",
            display_name="MedSAM",
            category="MVG/plan",
            description="Outlines what lies in a box of a medical image with MedSAM. The box is drawn, or it is that "
            "round the region of the plan's finding. Edit the result in the mask editor where it is off.",
            search_aliases=[
                "segment anything",
                "SAM",
                "medical segmentation",
                "region of interest",
                "mask",
                "bounding box",
                "bbox",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The input image. Of a batch, every picture gets a mask."),
                io.Combo.Input(
                    "file",
                    options=MEDSAM.files(),
                    tooltip="A checkpoint of ComfyUI/models/mvg/medsam. A pickle (.pth) is read as tensors alone; code "
                    "in it is refused, never run.",
                ),
                *shape_inputs(),
                io.BoundingBox.Input(
                    "box",
                    optional=True,
                    force_input=True,
                    tooltip="From Create Bounding Boxes, where it is drawn, from Bounding Box, or from a detector. In "
                    "pixels of the image. The mask of several boxes is their union. Goes before the plan.",
                ),
                types.Plan.Input(
                    "plan",
                    optional=True,
                    tooltip="Where no box is connected: the box round the region that its finding has in the image, as "
                    "Anatomical ROI finds it. Two lungs are two boxes.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", tooltip="1 where the image may change, with soft edges."),
                io.String.Output("notes", tooltip="Which boxes were looked at and how much was found; read it."),
                io.BoundingBox.Output("boxes", tooltip="The boxes that were looked at, for Draw BBoxes."),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return MEDSAM.check(file)

    @classmethod
    def fingerprint_inputs(cls, file: str | None, **_: object) -> str:
        return MEDSAM.stamp(file)

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        file: str,
        grow: float = 0.0,
        feather: float = 0.0,
        fill: bool = False,
        box: Any = None,
        plan: Plan | None = None,
    ) -> io.NodeOutput:
        count, height, width, _ = image.shape
        if box is not None:
            frames, source = read_boxes(box, count, width, height), "drawn"
        elif plan is not None:
            found, words = plan_boxes(image, plan)
            frames, source = [found] * count, f"of the plan: {words}"
        else:
            raise ValueError("box: nothing is connected, want a box or a plan")
        masks = KEPT.masks(file, image, [torch.tensor(boxes) for boxes in frames])
        masks = roi.refine(masks, grow, feather, fill)
        return io.NodeOutput(masks, describe(masks, frames, source), [[as_dict(b) for b in boxes] for boxes in frames])


def read_boxes(box: Any, count: int, width: int, height: int) -> list[list[Box]]:
    """The boxes of every one of ``count`` images from what a BOUNDING_BOX socket carries.

    That is a box, a list of them for every image, or a list of such lists, one for every image or one for all.
    ValueError where it is anything else, where an image has none, or where a box is not within the image.
    """
    frames = [[box]] if isinstance(box, dict) else box
    if isinstance(frames, list) and frames and not any(isinstance(frame, list) for frame in frames):
        frames = [frames]
    if not isinstance(frames, list) or not all(isinstance(frame, list) for frame in frames):
        raise ValueError(f"box: got {type(box).__name__}, want {FORM}, or a list of such boxes")
    if not any(frames):
        raise ValueError("box: got none, want at least one: draw it, or disconnect the socket to take the plan's")
    frames = frames * count if len(frames) == 1 else frames
    if len(frames) != count:
        raise ValueError(f"box: got boxes for {len(frames)} images, want them for {one_or(count)}")
    for n, frame in enumerate(frames):
        if not frame:
            raise ValueError(f"box: got none for image {n} of 0 to {count - 1}, want at least one")
    return [[read_box(one, width, height) for one in frame] for frame in frames]


def read_box(box: Any, width: int, height: int) -> Box:
    """One box of an image of that size. ValueError as `read_boxes`."""
    try:
        x, y, w, h = (float(box[key]) for key in ("x", "y", "width", "height"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"box: got {box!r}, want {FORM}") from error
    if not (0 <= x < x + w <= width and 0 <= y < y + h <= height):
        raise ValueError(
            f"box: got x {x:g} to {x + w:g}, y {y:g} to {y + h:g}, want it within the image of {width} x {height}"
        )
    return x, y, x + w, y + h


def plan_boxes(image: torch.Tensor, plan: Plan) -> tuple[list[Box], str]:
    """The boxes round the region of the plan's finding in the first image, and a sentence about it.

    ValueError where there is no such region, and as `mvg.regions.roi_mask`.
    """
    region, words = regions.roi_mask(image, plan, domain_folder().find(plan.domain))
    found: list[Box] = [(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in roi.boxes(region[0])]
    if not found:
        raise ValueError(f"plan: got no region in the image ({words}), want a box: draw one")
    return found, words


def as_dict(box: Box) -> dict[str, int]:
    """The box as the host has it."""
    x0, y0, x1, y1 = (round(value) for value in box)
    return {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}


def describe(masks: torch.Tensor, frames: list[list[Box]], source: str) -> str:
    """Boxes and the share of the image that the mask covers, one line an image."""
    lines = []
    for n, (mask, boxes) in enumerate(zip(masks, frames, strict=True)):
        places = ", ".join(f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g}" for x0, y0, x1, y1 in boxes)
        share = float((mask >= 0.5).float().mean())
        found = f"{share:.1%} of the image found" if share else "nothing found, so draw another box"
        lines.append((f"image {n}: " if len(frames) > 1 else "") + f"box {places} ({source}); {found}")
    return "\n".join(lines)


@dataclass
class Kept:
    """The network that ran last and what it saw in the images, so that another box takes no time.

    Both go when the host frees the network's memory.
    """

    key: tuple = ()
    model: MedSAM | None = None
    images: str = ""
    features: torch.Tensor | None = None

    def masks(self, file: str, images: torch.Tensor, boxes: list[torch.Tensor]) -> torch.Tensor:
        """Masks [B, H, W] of what lies in the boxes [N, 4] of every image."""
        model = self.load(file)
        digest = hashlib.sha256(repr(images.shape).encode())
        digest.update(images.detach().float().cpu().numpy().tobytes())
        features = self.features
        if features is None or digest.hexdigest() != self.images:
            bar = comfy.utils.ProgressBar(len(images) * model.steps)

            def progress() -> None:
                comfy.model_management.throw_exception_if_processing_interrupted()
                bar.update(1)

            features = model.encode(images, progress)
            self.images, self.features = digest.hexdigest(), features
        return model.masks(features, boxes, *images.shape[1:3])

    def load(self, file: str) -> MedSAM:
        path = MEDSAM.find(file)
        key = str(path), path.stat().st_mtime_ns
        if self.model is None or key != self.key:
            self.key, self.model, self.images, self.features = (), None, "", None
            self.model = load_medsam(path)
            self.model.patcher.add_callback(CallbacksMP.ON_DETACH, self.freed)
            self.key = key
        return self.model

    def freed(self, patcher: Any, unpatched: bool) -> None:
        """The host detached a network: out of its memory, or (then not unpatched) to load it once more.

        Only what takes memory goes: the host is walking through its list of networks, which would lose this one.
        """
        if unpatched and self.model is not None and self.model.patcher is patcher:
            for weights in self.model.network.parameters():
                weights.data = weights.new_empty(0)
            self.key, self.images, self.features = (), "", None


KEPT = Kept()
