"""What the page's viewer (web/viewer.js) is told of a progression: where its pictures lie, and its figures."""

from collections.abc import Collection, Sequence
from typing import Any

import torch

THUMB = 32  # pixels of a side, enough to tell a stage from its neighbors
AT_ONCE = 64


def progression(
    place: dict[str, str],
    files: Collection[str],
    scores: dict[str, dict],
    *,
    fps: float | None = None,
    film_frames: Sequence[int] = (),
    label: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """The stages, difference maps and further files in a folder, with the scores ``conf`` (and severity), ``clip_i``
    and ``curve``.

    Args:
        place: the folder as the host's ``/view`` names it, ``subfolder`` and ``type``.
        files: the names in it.
        scores: by the names of Save Trajectory's inputs.
        fps: frames a second of ``video.mp4``.
        film_frames: the frame of the film at which each stage stands, see :func:`frames_of`.
        label: height and width of what covers the top left corner of every stage but the first, in pixels.

    Returns:
        What is to be sent to the page; None or an empty list where there is no such file or score.
    """
    ordered = sorted(files, key=lambda name: (len(name), name))  # stage_100 behind stage_99

    def all_of(prefix: str, suffix: str = ".png") -> list[dict[str, str]]:
        names = (name for name in ordered if name.startswith(prefix) and name.endswith(suffix))
        return [{"filename": name, **place} for name in names]

    def one(name: str) -> dict[str, str] | None:
        return {"filename": name, **place} if name in files else None

    conf = scores.get("conf")
    graded = conf.get("severity") if conf else None
    return {
        "stages": all_of("stage_"),
        "maps": all_of("difference_"),
        "conf": {"finding": conf.get("finding"), "values": conf["values"]} if conf else None,
        "severity": graded["values"] if graded else [],
        "clip_i": scores.get("clip_i", {}).get("values", []),
        "change": scores.get("curve", {}).get("values", []),
        "film": one("video.mp4"),
        "fps": fps,
        "film_frames": list(film_frames),
        "sheet": one("contact_sheet.png"),
        "dicom": all_of("stage_", ".dcm"),
        "about": one("provenance.json"),
        "label": label,
    }


def frames_of(states: torch.Tensor, frames: torch.Tensor) -> list[int]:
    """At which frame of a film each stage stands: that which looks most like it, behind that of the stage before.

    Args:
        states: [N + 1, H, W, C].
        frames: [F, H', W', C], F >= 1.

    Returns:
        N + 1 numbers from 0 on that rise, [] where the film has not as many frames.
    """
    if len(frames) < len(states):
        return []
    wanted, there = _thumbs(states), _thumbs(frames)
    found: list[int] = []
    for n, stage in enumerate(wanted):
        first = found[-1] + 1 if found else 0
        end = len(there) - (len(wanted) - 1 - n)  # leaves a frame to each stage that follows
        found.append(first + int((there[first:end] - stage).square().flatten(1).sum(1).argmin()))
    return found


def _thumbs(images: torch.Tensor) -> torch.Tensor:
    def small(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(part.movedim(-1, 1).float(), THUMB)

    return torch.cat([small(part[..., :3]) for part in images.split(AT_ONCE)])
