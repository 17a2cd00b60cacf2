"""From a report to a progression plan, and from a plan to where in the image it happens."""

from comfy_api.latest import io

from ..models.embedded.architecture import DOMAINS
from ..mvg import regions
from ..mvg.phantom.captions import FINDINGS
from ..mvg.recaption import offline
from .types import Plan


class Recaption(io.ComfyNode):
    """Section 4.1 of the MVG paper with a rule-based engine in place of a language model: no network, no key."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MVG_Recaption",
            display_name="Recaption Report",
            category="MVG/plan",
            description="Turns a clinical report into the prompts of a progression, with rules that run offline.",
            search_aliases=["report to prompt", "progression plan", "recaption", "prompt"],
            inputs=[
                io.String.Input(
                    "report",
                    force_input=True,
                    tooltip="The report's text, from Load Report. A socket only: text typed into a widget would be "
                    "saved inside every picture.",
                ),
                io.Combo.Input("domain", options=list(DOMAINS), tooltip="Which kind of image the report is about."),
                io.Int.Input(
                    "stages",
                    default=6,
                    min=0,
                    max=99,
                    tooltip="N, the number of simulated stages after the input image. 0 gives the input image alone.",
                ),
                io.Combo.Input(
                    "mode",
                    options=["terminal", "ladder"],
                    tooltip="terminal: every stage is drawn towards the final state (the paper's choice). ladder: each "
                    "stage goes from the words of the one before to slightly worse ones, from what the report says to "
                    "severe.",
                ),
                io.Combo.Input(
                    "finding",
                    options=["auto", *FINDINGS],
                    tooltip="What progresses. auto takes the finding that the report makes most of.",
                ),
                io.Boolean.Input(
                    "strict",
                    default=False,
                    tooltip="On: a report without a finding of this domain is an error. Off: it gives a plan of "
                    "'no finding', which leaves the image as it is.",
                ),
            ],
            outputs=[
                Plan.Output("plan", tooltip="The prompt and the severity of every stage."),
                io.String.Output("text", tooltip="The plan in words, to read before the run."),
            ],
        )

    @classmethod
    def execute(cls, report: str, domain: str, stages: int, mode: str, finding: str, strict: bool) -> io.NodeOutput:
        plan = offline.recaption(
            report, domain, stages=stages, mode=mode, finding=None if finding == "auto" else finding, strict=strict
        )
        return io.NodeOutput(plan, plan.to_text())


class AnatomicalROI(io.ComfyNode):
    @classmethod
    def define_schema(cls):
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
                Plan.Input("plan", tooltip="Its domain, finding and side say which region."),
            ],
            outputs=[
                io.Mask.Output("mask", tooltip="1 where the image may change, with soft edges."),
                io.String.Output("notes", tooltip="How well chest, disc or lesion was found; read it before a run."),
            ],
        )

    @classmethod
    def execute(cls, image, plan) -> io.NodeOutput:
        return io.NodeOutput(*regions.roi_mask(image, plan))
