"""The visible mark for what the host's own nodes save."""

import torch
from comfy_api.latest import io

from ...mvg.label import TEXT, labelled


class SyntheticLabel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SyntheticLabel",
            display_name="Synthetic Label",
            category="MVG/save",
            description=f"Draws the word {TEXT} into the top left corner of pictures, for what is saved by other nodes "
            "than Save Trajectory, which does so itself. Connect it last: scores are of pictures without it.",
            search_aliases=["watermark", "mark as synthetic", "burn in", "stamp"],
            inputs=[
                io.Image.Input("images", tooltip="Frames of a film, or stages, just before they are saved."),
                io.Boolean.Input(
                    "keep_first",
                    default=False,
                    tooltip="Leave the first picture as it is: on for stages, whose first one is the input image.",
                ),
            ],
            outputs=[io.Image.Output("images", tooltip="The pictures with the label, to Create Video or Save Image.")],
        )

    @classmethod
    def execute(cls, images: torch.Tensor, keep_first: bool) -> io.NodeOutput:
        rgb = images[..., :3]
        kept = rgb[: int(keep_first)]
        return io.NodeOutput(torch.cat([kept, labelled(rgb[len(kept) :])]))
