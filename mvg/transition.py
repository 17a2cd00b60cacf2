"""From stages to a film: a walk in latent space between two stages, and the clips joined."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .interpolation import slerp

WALKS = ("slerp", "linear")
TIMES = ("as made", "equal change")
NEARLY_PARALLEL = 1 - 5e-13
"""|cos| of an angle whose sine, below 1e-6, is rounding."""
NEVER = -1.0
"""A |cos| that no angle stays below: the way is straight."""


def _check_frames(frames: int) -> None:
    if frames != int(frames) or frames < 2:
        raise ValueError(f"frames: got {frames}, want an integer >= 2, both ends counted")


def latent_walk(z_a: Tensor, z_b: Tensor, frames: int, mode: str = "slerp") -> Tensor:
    """A walk in latent space from one stage to the next.

    Args:
        z_a: the latent of a stage.
        z_b: that of the next one, of the same shape.
        frames: K >= 2, both ends counted.
        mode: "slerp" goes along the great arc, the whole latent taken as one vector, its length going with it, and
            straight where the two are parallel; "linear" goes straight.

    Returns:
        [frames, *shape], z_a and z_b at the ends bit for bit.

    Raises:
        ValueError: fewer than two frames, an unknown mode, or shapes that differ.
    """
    _check_frames(frames)
    if mode not in WALKS:
        raise ValueError(f"mode: got {mode!r}, want one of {', '.join(WALKS)}")
    if z_a.shape != z_b.shape:
        raise ValueError(f"z_b: got {tuple(z_b.shape)}, want the shape of z_a, {tuple(z_a.shape)}")
    parallel = NEARLY_PARALLEL if mode == "slerp" else NEVER
    times = torch.linspace(0, 1, frames, dtype=torch.float64).tolist()
    return torch.cat([slerp(z_a[None], z_b.to(z_a)[None], t, parallel) for t in times])


def anchored(clip: Tensor, first: Tensor, last: Tensor, inner: int = 0) -> Tensor:
    """A decoded clip whose ends are moved onto the stages, the frames between in proportion.

    A clip's own ends are not the stage images bit for bit: an autoencoder loses grain and fine lines, and a video model
    is only steered by the frames it is given. Without this a film whose keyframes are exact would jump next to them.

    Args:
        clip: [K, H, W, C] in [0, 1].
        first: stage image [H, W, C].
        last: the next one.
        inner: 0 takes the clip's own ends. A number takes the straight lines through so many frames next to each end,
            prolonged to it, which removes what is wrong in all inner frames alike, as it is where they came of one
            noise; the ends are then the stages themselves. A clip of fewer than four frames has no such line.

    Returns:
        [K, H, W, C] in [0, 1].
    """
    first, last = first.to(clip), last.to(clip)
    start, end = clip[0], clip[-1]
    inner = min(inner, len(clip) - 2)
    if inner >= 2:
        start, end = _prolonged(clip[1 : inner + 1]), _prolonged(clip[-inner - 1 : -1].flip(0))
    time = torch.linspace(0, 1, len(clip)).to(clip).reshape(-1, 1, 1, 1)
    out = (clip + (1 - time) * (first - start) + time * (last - end)).clamp(0, 1)
    if inner >= 2:
        out[0], out[-1] = first, last
    return out


def _prolonged(frames: Tensor) -> Tensor:
    """The frame before the first of `frames` [m, ...], on the straight line of least squares through them."""
    place = torch.arange(1, len(frames) + 1).to(frames)
    off = place - place.mean()
    weights = 1 / len(frames) - place.mean() * off / off.square().sum()
    return torch.tensordot(weights, frames, dims=1)


def jumps(film: Tensor) -> Tensor:
    """The mean absolute change from each frame to the next.

    Args:
        film: [F, H, W, C].

    Returns:
        [F - 1].
    """
    return (film[1:] - film[:-1]).abs().flatten(1).mean(1)


def split_film(film: Tensor, clips: int) -> list[Tensor]:
    """Cuts a film into its clips, neighbors sharing their keyframe.

    Args:
        film: [N * (K - 1) + 1, H, W, C].
        clips: N >= 1.

    Returns:
        N clips [K, H, W, C].

    Raises:
        ValueError: no K >= 2 gives that number of frames.
    """
    inner, rest = divmod(len(film) - 1, clips)
    if rest or inner < 1:
        raise ValueError(
            f"frames: got {len(film)}, want N * (K - 1) + 1 for {clips} transitions: {clips + 1}, {2 * clips + 1}, ..."
        )
    return [film[n * inner : (n + 1) * inner + 1] for n in range(clips)]


def film_length(stages: int, frames: int) -> int:
    """The frames of a film; stage frames that two clips share count once.

    Args:
        stages: N transitions.
        frames: K >= 2 of a clip.

    Returns:
        N * (K - 1) + 1.

    Raises:
        ValueError: K is below 2.
    """
    _check_frames(frames)
    return stages * (frames - 1) + 1


def join_clips(clips: Sequence[Tensor], stages: Tensor) -> Tensor:
    """Joins the clips between stages into one film.

    Args:
        clips: N clips [K, H, W, C]; none gives the one stage alone.
        stages: stage images [N + 1, H, W, C].

    Returns:
        [N * (K - 1) + 1, H, W, C]; frame n * (K - 1) is stage n bit for bit.

    Raises:
        ValueError: K is below 2, shapes differ, or there are not N + 1 stages.
    """
    if stages.ndim != 4 or len(stages) != len(clips) + 1:
        raise ValueError(f"stages: got {tuple(stages.shape)}, want [{len(clips) + 1}, H, W, C] for {len(clips)} clips")
    parts = [stages[:1]]
    for n, clip in enumerate(clips):
        if clip.shape != clips[0].shape or clip.shape[1:] != stages.shape[1:]:
            want = (len(clips[0]), *stages.shape[1:])
            raise ValueError(f"clips: clip {n} is {tuple(clip.shape)}, want {want}")
        _check_frames(len(clip))
        parts += [clip[1:-1].to(stages), stages[n + 1 : n + 2]]
    return torch.cat(parts)


def equal_change_film(film: Tensor, clips: int) -> tuple[Tensor, list[int]]:
    """The same film with its time in proportion to its change, so that it neither stands still nor jumps.

    The steps from frame to frame are given to the clips so that the largest is as small as can be, at least one to
    each; within a clip the frames lie at equal arc length, on the straight way between two of its own. The stages are
    kept bit for bit.

    Args:
        film: [N * (K - 1) + 1, H, W, C], of `join_clips`.
        clips: N >= 1.

    Returns:
        As many frames, and the frame that each of the N + 1 stages is at. A film without any change stays as it is.

    Raises:
        ValueError: no K >= 2 gives that number of frames.
    """
    parts = split_film(film, clips)
    steps = [jumps(part).double().cpu().numpy() for part in parts]
    lengths = np.array([step.sum() for step in steps])
    counts = np.full(clips, 1 if lengths.any() else len(parts[0]) - 1)
    for _ in range(len(film) - 1 - counts.sum()):
        counts[np.argmax(lengths / counts)] += 1
    out = [film[:1]]
    for part, step, count in zip(parts, steps, counts, strict=True):
        out += [_at_times(part, _even_times(step, count)[1:-1]), part[-1:]]
    return torch.cat(out), np.cumsum([0, *counts]).tolist()


def _even_times(steps: np.ndarray, count: int) -> np.ndarray:
    """count + 1 times in frames at which a clip of changes ``steps`` has come equally far; without change even ones."""
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if not length[-1] > 0:
        return np.linspace(0, len(steps), count + 1)
    # a step without change would make the inverse ambiguous
    length = length + np.linspace(0, 1e-6 * length[-1], len(length))
    return np.interp(np.linspace(0, length[-1], count + 1), length, np.arange(len(length)))


def _at_times(clip: Tensor, times: np.ndarray) -> Tensor:
    """Frames [len(times), H, W, C] of a clip at times between its own."""
    before = torch.from_numpy(np.minimum(np.floor(times), len(clip) - 2).astype(np.int64))
    part = torch.from_numpy(times).to(clip) - before.to(clip)
    return torch.lerp(clip[before], clip[before + 1], part.reshape(-1, 1, 1, 1))
