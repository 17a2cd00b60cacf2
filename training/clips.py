"""Clips to learn transitions from: videos, folders of frames, and pictures of one patient over time."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..mvg.picture_file import read_picture
from ..mvg.picture_fit import fit_square
from .data import Record
from .draws import rng

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm")
PAIR_FRAMES = 16


@dataclass(frozen=True)
class Clip:
    """Where frames lie: in one video, or in files. dissolve: between two files the frames are made evenly."""

    files: tuple[Path, ...]
    patient: str
    dissolve: bool = False

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.files[0] if len(self.files) == 1 else self.files[0].parent)


def find_clips(folder: Path) -> list[Clip]:
    """The videos of a folder, and its sub-folders of pictures, whose names give their order.

    Args:
        folder: searched to any depth.

    Returns:
        Each video, and each folder with at least three pictures.

    Raises:
        ValueError: there are none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    clips = [Clip((file,), str(file)) for file in files if file.suffix.lower() in VIDEOS]
    frames: dict[Path, list[Path]] = defaultdict(list)
    for file in files:
        if file.suffix.lower() in PICTURES:
            frames[file.parent].append(file)
    clips += [Clip(tuple(found), str(parent)) for parent, found in frames.items() if len(found) > 2]
    if not clips:
        want = f"videos ({', '.join(VIDEOS)}), or folders with three pictures or more, in the order of their names"
        raise ValueError(f"data: {folder} holds no clip, want {want}")
    return clips


def pairs(records: Sequence[Record]) -> list[Clip]:
    """Neighbouring pictures in time of every patient: what is between them is taken to be an even dissolve.

    Raises:
        ValueError: no patient has two pictures whose order is known.
    """
    of: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.order is not None:
            of[record.patient].append(record)
    clips = []
    for patient, seen in of.items():
        seen.sort(key=lambda record: (record.order, record.image.name))
        clips += [Clip((a.image, b.image), patient, dissolve=True) for a, b in pairwise(seen)]
    if not clips:
        raise ValueError("data: got no patient with two pictures in a known order, want some, or a folder of clips")
    return clips


def split(clips: Sequence[Clip], share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Clips to train on and clips to validate on, none of one patient in both.

    Args:
        clips: at least one.
        share: of the patients that are validated on, at least one where there are two.
        seed: of the draw.
    """
    patients = sorted({clip.patient for clip in clips})
    count = max(round(share * len(patients)), 1) if len(patients) > 1 and share else 0
    held = {patients[i] for i in rng(seed, 0, 3).permutation(len(patients))[:count]}
    return [c for c in clips if c.patient not in held], [c for c in clips if c.patient in held]


def read_frames(clip: Clip, size: int) -> Tensor:
    """Every frame of a clip.

    Args:
        clip: it.
        size: side of the result in pixels.

    Returns:
        [F, 3, size, size] in [0, 1].

    Raises:
        ValueError: a file cannot be read, or a video has fewer than three frames.
    """
    if len(clip.files) == 1:
        images = _decode(clip.files[0])
    else:
        images = [read_picture(file, name=str(file)).image for file in clip.files]
    frames = torch.stack([fit_square(image[None], size, "crop")[0][0].movedim(-1, 0) for image in images])
    if clip.dissolve:
        way = torch.linspace(0, 1, PAIR_FRAMES)[:, None, None, None]
        frames = frames[0] + way * (frames[1] - frames[0])
    if len(frames) < 3:
        raise ValueError(f"{clip.name}: got {len(frames)} frames, want three or more")
    return frames.expand(-1, 3, -1, -1).contiguous()


def _decode(path: Path) -> list[Tensor]:
    import av

    try:
        with av.open(str(path)) as container:
            return [
                torch.from_numpy(frame.to_ndarray(format="rgb24")).float() / 255 for frame in container.decode(video=0)
            ]
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a video ({error}), want one that ffmpeg can decode") from error


def piece(count: int, frames: int, source: np.random.Generator) -> np.ndarray:
    """Which frames of a clip to take: at an even pace, forwards or backwards; a short one is taken whole.

    Args:
        count: frames of the clip.
        frames: wanted.
        source: of the draw.

    Returns:
        At most ``frames`` indices.
    """
    frames = min(frames, count)
    stride = int(source.integers(1, (count - 1) // (frames - 1) + 1))
    start = int(source.integers(0, count - stride * (frames - 1)))
    chosen = start + stride * np.arange(frames)
    return chosen[::-1].copy() if source.random() < 0.5 else chosen


def known_frames(frames: int, source: np.random.Generator) -> np.ndarray:
    """Which frames of a clip are given, at random, as SEINE is trained (Chen et al. 2024, section 3.2: random masks).

    Half of the clips are transitions, of which the ends are given; a quarter are continued from their first frames;
    of the others any frames are given.

    Args:
        frames: F >= 3.
        source: of the draw.

    Returns:
        [F] bool, some true and some false.
    """
    known = np.zeros(frames, dtype=bool)
    kind = source.random()
    if kind < 0.5:
        known[[0, -1]] = True
    elif kind < 0.75:
        known[: int(source.integers(1, frames // 2 + 1))] = True
    else:
        known[source.permutation(frames)[: int(source.integers(1, frames))]] = True
    return known


class Clips(Dataset):
    """Pieces of clips with a mask of the frames that are given, by sample number.

    Args:
        clips: they.
        frames: of a piece; shorter clips are filled up by holding their last frame.
        size: side in pixels.
        seed: of order, pieces and masks.
        fixed: how many samples there are, of transitions alone; 0 for no end.
    """

    def __init__(self, clips: Sequence[Clip], frames: int, size: int, seed: int, *, fixed: int = 0):
        self.clips, self.frames, self.size, self.seed, self.fixed = clips, frames, size, seed, fixed

    def __len__(self) -> int:
        return self.fixed or len(self.clips)

    def __getitem__(self, number: int) -> dict:
        """A sample.

        Returns:
            "number", "clip" [3, F, size, size] in [-1, 1] and "known" [F] bool.
        """
        epoch, index = divmod(number, len(self.clips))
        index = index if self.fixed else int(rng(self.seed, epoch, 2).permutation(len(self.clips))[index])
        source = rng(self.seed, number)
        every = read_frames(self.clips[index], self.size)
        chosen = piece(len(every), self.frames, source)
        chosen = np.concatenate([chosen, np.repeat(chosen[-1:], self.frames - len(chosen))])
        known = known_frames(self.frames, source)
        if self.fixed:
            known = np.zeros(self.frames, dtype=bool)
            known[[0, -1]] = True
        return {
            "number": number,
            "clip": every[torch.from_numpy(chosen)].movedim(1, 0) * 2 - 1,
            "known": torch.from_numpy(known),
        }
