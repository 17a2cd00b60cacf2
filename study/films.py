"""Films made alike, so that nothing but what they show tells one method from another.

Every copy has the same size, length, frame rate and encoder, no metadata of its source, no sound, and the same number
of bytes. Where one of them carries the visible label, its corner is covered in all.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ..mvg.label import label_size
from .manifest import StudyError

FORMATS = {
    ".mp4": "mov",
    ".mov": "mov",
    ".m4v": "mov",
    ".webm": "matroska",
    ".mkv": "matroska",
    ".avi": "avi",
    ".gif": "gif",
}
"""By name, as a demuxer that is guessed could be one of playlists, which open further files."""
MAX_BYTES = 500_000_000
MAX_SIDE = 4096
MAX_FRAMES = 5000
HELD_BYTES = 2_000_000_000
QUALITY = "17"  # x264's crf: no loss is visible
STATEMENT = "Film of a blinded study: it may be synthetic. Not for diagnosis."
BLOCK = 8  # pixels of a block of the codec: what lies in one with a label is blurred by it
TILES = 12  # a side of the mosaic in a broken copy


@dataclass(frozen=True)
class Shape:
    """What all films of a study have in common. side: pixels of the square; cover: whether a label is to be covered."""

    side: int = 512
    seconds: float = 6.0
    fps: int = 15
    cover: bool = False

    @property
    def frames(self) -> int:
        """Their number, at least 2."""
        return max(2, round(self.seconds * self.fps))


def read_frames(path: Path, label: str) -> list[np.ndarray]:
    """All frames of a film.

    Args:
        path: Of the file.
        label: What errors call it.

    Returns:
        Frames [H, W, 3] of 8 bits.

    Raises:
        StudyError: It is missing, broken, cut off, too large, or of another kind.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise StudyError(f"{label}: got a film {path.name}, want one of {', '.join(FORMATS)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StudyError(f"{label}: {path} has more than {MAX_BYTES} bytes")
        with av.open(str(path), format=kind) as container:
            if not container.streams.video:
                raise StudyError(f"{label}: {path} holds no film")
            stream = container.streams.video[0]
            told = stream.frames
            if max(stream.width, stream.height) > MAX_SIDE or min(stream.width, stream.height) < 16:
                raise StudyError(
                    f"{label}: {path} is {stream.width} x {stream.height}, want sides of 16 to {MAX_SIDE} pixels"
                )
            frames = []
            for frame in container.decode(stream):
                frames.append(frame.to_ndarray(format="rgb24"))
                if len(frames) > MAX_FRAMES or len(frames) * frames[0].nbytes > HELD_BYTES:
                    raise StudyError(f"{label}: {path} is too long, want at most {MAX_FRAMES} frames and 2 GB decoded")
    except av.FFmpegError as error:
        raise StudyError(f"{label}: {path} is broken ({error.strerror or error})") from error
    except OSError as error:
        raise StudyError(f"{label}: {path} cannot be read ({error.strerror or error})") from error
    if len(frames) < max(2, told):
        raise StudyError(f"{label}: {path} is broken: it ends after {len(frames)} of {max(2, told)} frames")
    return frames


def alike(frames: list[np.ndarray], shape: Shape) -> list[np.ndarray]:
    """Frames at the size and number of the study, spread evenly over its length, centered on black.

    Args:
        frames: [H, W, 3] of 8 bits, at least one.
        shape: Of the study.

    Returns:
        ``shape.frames`` frames [side, side, 3].
    """
    places = np.linspace(0, len(frames) - 1, shape.frames).round().astype(int)
    fitted = {int(n): _fitted(frames[n], shape) for n in np.unique(places)}
    return [fitted[int(n)] for n in places]


def _fitted(frame: np.ndarray, shape: Shape) -> np.ndarray:
    height, width = frame.shape[:2]
    if shape.cover:
        down, across = label_size(height, width)
        frame = frame.copy()
        frame[: -(-down // BLOCK) * BLOCK, : -(-across // BLOCK) * BLOCK] = 0
    scale = shape.side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
    top, left = (shape.side - size[1]) // 2, (shape.side - size[0]) // 2
    canvas = np.zeros((shape.side, shape.side, 3), np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def broken(frames: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """A copy that anyone who looks sees to be broken: a coarse mosaic under noise, its order shuffled.

    Args:
        frames: [H, W, 3] of 8 bits.
        seed: Of noise and order.

    Returns:
        As many frames of the same size.
    """
    rng = np.random.default_rng(seed)
    result = []
    for n in rng.permutation(len(frames)):
        picture = Image.fromarray(frames[n])
        mosaic = picture.resize((TILES, TILES), Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)
        noise = rng.integers(0, 256, (picture.height // 8 + 1, picture.width // 8 + 1, 1))
        noise = noise.repeat(8, 0).repeat(8, 1)[: picture.height, : picture.width]
        result.append((0.5 * np.asarray(mosaic) + 0.5 * noise).astype(np.uint8))
    return result


def write(path: Path, frames: list[np.ndarray], fps: int) -> None:
    """Writes H.264 in MP4 that holds the pictures and the same words in each; the same frames give the same bytes.

    Args:
        path: Of the file.
        frames: [H, W, 3] of 8 bits with even sides.
        fps: Frames a second.
    """
    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", container_options=options) as container:
        container.metadata["comment"] = STATEMENT
        stream = container.add_stream(
            "libx264", rate=fps, options={"crf": QUALITY, "preset": "veryfast", "threads": "1"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def pad(path: Path, size: int) -> None:
    """Brings an MP4 to a size with a last box of kind free, which players skip.

    Args:
        path: Of the file.
        size: Bytes; that of the file, or at least 8 more.
    """
    lacking = size - path.stat().st_size
    if lacking:
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", lacking, b"free") + bytes(lacking - 8))
