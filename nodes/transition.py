"""From stages to a film."""

import comfy.utils
import torch
from comfy_api.latest import io

from ..mvg import roi, transition


class LatentWalkTransition(io.ComfyNode):
    """A walk in latent space between neighbouring stages, blended by eq. 10; no video model takes part."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="MVG_LatentWalkTransition",
            display_name="Latent Walk Transition",
            category="MVG/transition",
            description="Fills the time between stages by walking from latent to latent and decoding on the way. "
            "Stage pictures stay as they are, bit for bit.",
            search_aliases=["interpolate", "morph", "slerp", "in-between frames", "video"],
            inputs=[
                io.Image.Input("states", tooltip="The N + 1 stages, from PIE Loop."),
                io.Latent.Input("latents", tooltip="Their latents, from PIE Loop."),
                io.Vae.Input("vae", tooltip="Decodes the frames between."),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=2,
                    max=256,
                    tooltip="K, frames from one stage to the next, both counted: N * (K - 1) + 1 in all.",
                ),
                io.Combo.Input(
                    "blend",
                    options=["crossfade", "mean"],
                    tooltip="What stands outside the mask between two stages: a fade from one to the other, or their "
                    "mean (eq. 10 of the paper), which jumps a little next to the stages.",
                ),
                io.Combo.Input(
                    "walk",
                    options=list(transition.WALKS),
                    advanced=True,
                    tooltip="slerp: along the great arc between the latents. linear: straight.",
                ),
                io.Mask.Input("mask", optional=True, tooltip="Where the frames may change; outside it blend decides."),
            ],
            outputs=[io.Image.Output("frames", tooltip="The film; frame n * (K - 1) is stage n.")],
        )

    @classmethod
    def execute(cls, states, latents, vae, frames, blend, walk, mask=None) -> io.NodeOutput:
        samples = latents["samples"]
        if len(samples) != len(states):
            raise ValueError(f"latents: got {len(samples)}, want {len(states)}, one a state")
        if mask is not None:
            roi.check_mask(mask, states[:1])
        bar = comfy.utils.ProgressBar(len(states) - 1)
        clips = []
        for n in range(len(states) - 1):
            clip = vae.decode(transition.latent_walk(samples[n], samples[n + 1], frames, walk))
            if clip.shape[1:] != states.shape[1:]:
                raise ValueError(
                    f"vae: frames come out as {clip.shape[2]} x {clip.shape[1]}, want the states' "
                    f"{states.shape[2]} x {states.shape[1]}"
                )
            first, last = states[n], states[n + 1]
            clips.append(roi.clip_blend(anchored(clip, first, last), first, last, mask, blend))
            bar.update(1)
        return io.NodeOutput(transition.join_clips(clips, states))


def anchored(clip: torch.Tensor, first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """A decoded clip [K, H, W, C] whose ends are moved onto the stages, the frames between in proportion.

    A stage is not always what its latent decodes to (stage 0 is the file itself); without this the film would
    jump next to it by the autoencoder's error.
    """
    time = torch.linspace(0, 1, len(clip)).to(clip).reshape(-1, 1, 1, 1)
    return (clip + (1 - time) * (first.to(clip) - clip[0]) + time * (last.to(clip) - clip[-1])).clamp(0, 1)
