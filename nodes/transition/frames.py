"""From stages to a film, by a walk in latent space or with frames that other nodes made."""

import comfy.utils
import torch
from comfy_api.latest import io

from ...mvg import roi, transition
from ...mvg.wording import one_or


def states_input() -> io.Image.Input:
    return io.Image.Input("states", tooltip="The N + 1 stages, from PIE Loop.")


def blend_input() -> io.Combo.Input:
    return io.Combo.Input(
        "blend",
        options=["crossfade", "mean"],
        tooltip="What stands outside the mask between two stages: a fade from one to the other, or their mean (eq. 10 "
        "of the paper), which jumps a little next to the stages. Without a mask it has no effect.",
    )


def anchor_input() -> io.Boolean.Input:
    return io.Boolean.Input(
        "anchor",
        default=True,
        advanced=True,
        label_on="onto the stages",
        label_off="as made",
        tooltip="On: moves every clip so that its ends meet the stages, the frames between in proportion. What the "
        "autoencoder loses (grain, fine vessels) is put back, and the film does not jump next to a stage. Off: the "
        "frames as they were made; only the stages themselves are exact.",
    )


def time_input() -> io.Combo.Input:
    return io.Combo.Input(
        "time",
        options=list(transition.TIMES),
        optional=True,
        tooltip="as made: as many frames from each stage to the next. equal change: the same number in all, laid so "
        "that each differs from the one before by as much as can be made even; the film never stands still and then "
        "jumps. Stages stay exact, at other frames.",
    )


def mask_input() -> io.Mask.Input:
    return io.Mask.Input(
        "mask",
        optional=True,
        tooltip="Where the frames may change, of the stages' size; outside it blend decides. Nothing: everywhere.",
    )


def check_states(states: torch.Tensor, mask: torch.Tensor | None) -> None:
    if mask is not None:
        roi.check_mask(mask, states[:1])
    if states.shape[-1] != 3:
        raise ValueError(f"states: got {states.shape[-1]} channels, want 3")
    bad = [n for n, state in enumerate(states) if not torch.isfinite(state).all()]
    if bad:
        raise ValueError(f"states: stage {bad[0]} has values that are not finite (NaN)")


def film(
    clips: list[torch.Tensor],
    states: torch.Tensor,
    mask: torch.Tensor | None,
    blend: str,
    anchor: bool,
    inner: int = 0,
    time: str = transition.TIMES[0],
) -> torch.Tensor:
    """The clips between the stages, blended by eq. 10 and joined; ValueError names a clip that does not fit.

    inner: see `mvg.transition.anchored`. time: one of `mvg.transition.TIMES`.
    """
    if time not in transition.TIMES:
        raise ValueError(f"time: got {time!r}, want one of {', '.join(transition.TIMES)}")
    done = []
    for n, clip in enumerate(clips, start=1):
        if clip.shape[1:] != states.shape[1:]:
            raise ValueError(
                f"frames: clip {n} is {clip.shape[2]} x {clip.shape[1]} with {clip.shape[3]} channels, want the "
                f"states' {states.shape[2]} x {states.shape[1]} with {states.shape[3]}"
            )
        if not torch.isfinite(clip).all():
            raise ValueError(f"frames: clip {n} has values that are not finite (NaN)")
        first, last = states[n - 1], states[n]
        if anchor:
            clip = transition.anchored(clip, first, last, inner)
        done.append(roi.clip_blend(clip, first, last, mask, blend))
    joined = transition.join_clips(done, states)
    return transition.equal_change_film(joined, len(done))[0] if done and time == transition.TIMES[1] else joined


class LatentWalkTransition(io.ComfyNode):
    """A walk in latent space between neighbouring stages, blended by eq. 10; no video model takes part."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_LatentWalkTransition",
            display_name="Latent Walk Transition",
            category="MVG/transition",
            description="Fills the time between stages by walking from latent to latent and decoding on the way. "
            "Stage pictures stay as they are, bit for bit. The baseline that SEINE Transition is measured against.",
            search_aliases=["interpolate", "morph", "slerp", "in-between frames", "video"],
            inputs=[
                states_input(),
                io.Latent.Input("latents", tooltip="Their latents, from PIE Loop."),
                io.Vae.Input("vae", tooltip="Decodes the frames between."),
                io.Int.Input(
                    "frames",
                    default=16,
                    min=2,
                    max=256,
                    tooltip="K, frames from one stage to the next, both counted: N * (K - 1) + 1 in all.",
                ),
                blend_input(),
                io.Combo.Input(
                    "walk",
                    options=list(transition.WALKS),
                    advanced=True,
                    tooltip="slerp: along the great arc between the latents. linear: straight.",
                ),
                mask_input(),
                time_input(),
            ],
            outputs=[
                io.Image.Output("frames", tooltip="The film; frame n * (K - 1) is stage n, as long as time is as made.")
            ],
        )

    @classmethod
    def execute(
        cls,
        states: torch.Tensor,
        latents: io.Latent.Type,
        vae: io.Vae.Type,
        frames: int,
        blend: str,
        walk: str,
        mask: torch.Tensor | None = None,
        time: str = transition.TIMES[0],
    ) -> io.NodeOutput:
        samples = latents["samples"]
        if len(samples) != len(states):
            raise ValueError(f"latents: got {len(samples)}, want {len(states)}, one a state")
        check_states(states, mask)
        bar = comfy.utils.ProgressBar(len(states) - 1)
        clips = []
        for n in range(len(states) - 1):
            clips.append(vae.decode(transition.latent_walk(samples[n], samples[n + 1], frames, walk)))
            bar.update(1)
        return io.NodeOutput(film(clips, states, mask, blend, anchor=True, time=time))


class StagePairs(io.ComfyNode):
    """The ends of every transition, as lists: what follows runs once a transition."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_StagePairs",
            display_name="Stage Pairs",
            category="MVG/transition",
            description="Gives the first and the last picture of every transition, one transition after the other, so "
            "that first-last-frame nodes such as Wan's make all clips of a trajectory. Transition Blend joins them.",
            search_aliases=["first last frame", "FLF2V", "start image", "end image", "keyframes"],
            inputs=[states_input()],
            outputs=[
                io.Image.Output("first", is_output_list=True, tooltip="The stage that each transition starts from."),
                io.Image.Output("last", is_output_list=True, tooltip="The stage that each transition ends at."),
            ],
        )

    @classmethod
    def execute(cls, states: torch.Tensor) -> io.NodeOutput:
        if len(states) < 2:
            raise ValueError(f"states: got {len(states)} picture, want two or more")
        return io.NodeOutput(list(states[:-1].split(1)), list(states[1:].split(1)))


class TransitionBlend(io.ComfyNode):
    """Eq. 10 of the MVG paper and exact keyframes over frames that any video model made."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_TransitionBlend",
            display_name="Transition Blend",
            category="MVG/transition",
            description="Puts frames from anywhere between the stages: Wan first-last-frame, frame interpolation and "
            "the like stand in for SEINE. Stage pictures stay as they are, bit for bit.",
            search_aliases=["Wan", "FLF2V", "RIFE", "FILM", "interpolation", "keyframes", "join clips", "composite"],
            is_input_list=True,
            inputs=[
                states_input(),
                io.Image.Input(
                    "frames",
                    tooltip="One clip a transition (a list, from nodes behind Stage Pairs), or one film of "
                    "N * (K - 1) + 1 frames; the stages' size.",
                ),
                blend_input(),
                anchor_input(),
                mask_input(),
                time_input(),
            ],
            outputs=[
                io.Image.Output(
                    "frames",
                    is_output_list=True,
                    tooltip="A film a trajectory; frame n * (K - 1) is stage n, as long as time is as made.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        states: list[torch.Tensor],
        frames: list[torch.Tensor],
        blend: list[str],
        anchor: list[bool],
        mask: list[torch.Tensor] | None = None,
        time: list[str] | None = None,
    ) -> io.NodeOutput:
        counts = [len(trajectory) - 1 for trajectory in states]
        if len(frames) == len(states):
            clips = [
                transition.split_film(one, count) if count else [] for one, count in zip(frames, counts, strict=True)
            ]
        elif len(frames) == sum(counts):
            left = iter(frames)
            clips = [[next(left) for _ in range(count)] for count in counts]
        else:
            raise ValueError(
                f"frames: got {len(frames)} batches, want {sum(counts)} clips (one a transition) or {len(states)} "
                f"films (one a trajectory)"
            )
        masks: list[torch.Tensor] | list[None] = mask or [None]
        if len(masks) not in (1, len(states)):
            raise ValueError(f"mask: got {len(masks)}, want {one_or(len(states))}, one a trajectory")
        films = []
        for n, (made, trajectory) in enumerate(zip(clips, states, strict=True)):
            inside = masks[n % len(masks)]
            check_states(trajectory, inside)
            films.append(
                film(
                    made, trajectory, inside, blend[0], anchor[0], time=transition.TIMES[0] if time is None else time[0]
                )
            )
        return io.NodeOutput(films)
