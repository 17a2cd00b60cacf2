"""Everything of a run into one folder that appears complete or not at all."""

import dataclasses
import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import InputImpl, Types, io

from ...mvg.dicom.write import write_secondary_capture
from ...mvg.disclaimer import STATEMENT
from ...mvg.file_names import is_reserved, shortened
from ...mvg.label import TEXT, label_size, labelled
from ...mvg.metrics.plot import contact_sheet
from ...mvg.metrics.table import Row, from_csv, merge, rows_of, write_csv
from ...mvg.plan import Plan
from ..support import provenance, types
from ..support.notices import tell
from ..support.png import save_png
from ..support.score_text import parse_scores
from ..support.spacing import from_text
from ..support.viewer import frames_of, progression

MAX_NAME = 200  # bytes of one folder's name; file systems take 255


class SaveTrajectory(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="MVG_SaveTrajectory",
            display_name="Save Trajectory",
            category="MVG/save",
            description="Writes video, stages, contact sheet, plot, scores and provenance of a run into one folder, "
            "everything marked as synthetic. The report's words are never written.",
            search_aliases=["save video", "export", "save progression", "provenance", "dicom", "secondary capture"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            inputs=[
                io.Image.Input("states", tooltip="The stages, the input image first, from PIE Loop."),
                io.String.Input(
                    "folder_prefix",
                    display_name="save to folder",
                    default="mvg/trajectory",
                    tooltip="Folder inside ComfyUI's output folder; a number is added where it exists already.",
                ),
                io.Float.Input(
                    "fps",
                    display_name="frames per second",
                    default=8.0,
                    min=0.1,
                    max=120.0,
                    step=0.1,
                    tooltip="Pictures a second of the video.",
                ),
                io.Image.Input("frames", optional=True, tooltip="The transition's frames; the stages where not given."),
                io.Video.Input("video", optional=True, tooltip="A finished video, saved in place of the frames."),
                types.Plan.Input("plan", optional=True, tooltip="The plan, whose prompts go into provenance.json."),
                io.Image.Input("plot", optional=True, tooltip="From Progression Plot."),
                io.Image.Input("difference", optional=True, tooltip="From Difference Map."),
                io.String.Input("conf", optional=True, force_input=True, tooltip="Scores of Conf."),
                io.String.Input("clip_i", optional=True, force_input=True, tooltip="Scores of CLIP-I."),
                io.String.Input("curve", optional=True, force_input=True, tooltip="The curve of PIE Loop."),
                io.String.Input(
                    "table", optional=True, force_input=True, tooltip="From Score Table: more rows for scores.csv."
                ),
                io.String.Input(
                    "spacing",
                    optional=True,
                    force_input=True,
                    tooltip="From Load Medical Image: the pixel spacing that the DICOM files say.",
                ),
                io.Boolean.Input(
                    "label",
                    default=True,
                    optional=True,
                    tooltip=f"Draws the word {TEXT} into the top left corner of every simulated stage and of the "
                    "video. The input image and what the scores are computed from stay as they are.",
                ),
                io.Boolean.Input(
                    "dicom",
                    default=False,
                    optional=True,
                    tooltip="Also writes every stage as a DICOM Secondary Capture, marked as derived and synthetic. "
                    "Nothing in it comes from the patient's own DICOM file.",
                ),
            ],
            outputs=[
                io.String.Output("folder", tooltip="The folder that was written, inside ComfyUI's output folder."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder_prefix: str | None = None) -> bool | str:
        if folder_prefix is None:  # comes over a link, unknown yet; it is looked at before anything is written
            return True
        try:
            output_folder(folder_prefix)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        states: torch.Tensor,
        folder_prefix: str,
        fps: float,
        frames: torch.Tensor | None = None,
        video: io.Video.Type | None = None,
        plan: Plan | None = None,
        plot: torch.Tensor | None = None,
        difference: torch.Tensor | None = None,
        conf: str | None = None,
        clip_i: str | None = None,
        curve: str | None = None,
        table: str | None = None,
        spacing: str | None = None,
        label: bool = True,
        dicom: bool = False,
    ) -> io.NodeOutput:
        if len(states) < 1:
            raise ValueError("states: got none, want the input image at least; nothing was saved")
        for name, images in (("states", states), ("frames", frames), ("plot", plot), ("difference", difference)):
            if images is not None and not torch.isfinite(images).all():
                raise ValueError(f"{name}: got values that are not finite (NaN); nothing was saved")
        given = {"conf": conf, "clip_i": clip_i, "curve": curve}
        scores = {name: parse_scores(name, text) for name, text in given.items() if text}
        rows = [row for score in scores.values() for row in rows_of(score, folder_prefix)]
        rows = merge(map(mark_synthetic, rows), map(mark_synthetic, from_csv(table) if table else []))
        told = [str(note) for note in scores.get("curve", {}).get("notes", [])]
        tell(cls.hidden.unique_id, told)
        record = {**provenance.record(cls.hidden.prompt or {}, plan, states), "notes": told}
        distances = from_text(spacing or "")
        # stage 0 is the input image, no simulation; a film is one, and a player shows its first frame as its picture
        stages = torch.cat([states[:1, ..., :3], labelled(states[1:, ..., :3])]) if label else states

        def write(folder: Path) -> None:
            save_video(folder / "video.mp4", states if frames is None else frames, video, fps, label)
            for n, stage in enumerate(stages):
                save_png(folder / f"stage_{n:02d}.png", stage, n)
            if dicom:
                burned_in = provenance.burned_in(cls.hidden.prompt or {})
                save_dicom(folder, stages, provenance.run(record, states), distances, label, burned_in)
            save_sheet(folder / "contact_sheet.png", stages, scores.get("conf", {}))
            if plot is not None:
                save_png(folder / "plot.png", plot[0])
            for n, image in enumerate(difference if difference is not None else [], start=1):
                save_png(folder / f"difference_{n:02d}.png", image)
            save_json(folder / "scores.json", {"synthetic": True, "statement": STATEMENT, **scores})
            write_csv(rows, folder / "scores.csv")
            files = provenance.hashes(folder)
            save_json(folder / "provenance.json", {"synthetic": True, "statement": STATEMENT, **record, "files": files})

        folder = write_folder(folder_prefix, write)
        subfolder = folder.relative_to(folder_paths.get_output_directory()).as_posix()
        names = sorted(entry.name for entry in folder.iterdir())
        film = {"filename": "video.mp4", "subfolder": subfolder, "type": "output"}
        saved = {"subfolder": subfolder, "files": names}
        # the page plays the film on the node where it is the one entry, and marked as animated
        playing = {"images": [film], "animated": (True,)}
        shown = progression(
            {"subfolder": subfolder, "type": "output"},
            names,
            scores,
            fps=None if video else fps,  # a finished film has its own
            film_frames=[] if video else frames_of(states, states if frames is None else frames),
            label=label_size(*states.shape[1:3]) if label else None,
        )
        return io.NodeOutput(subfolder, ui={**playing, "mvg_trajectory": [saved], "mvg_progressions": [shown]})


def output_folder(prefix: str) -> Path:
    """The folder ``prefix`` names inside the host's output folder; ValueError where it leads out of it."""
    parts = re.split(r"[\\/]+", prefix.strip())
    if not all(map(_is_plain, parts)):
        raise ValueError(f"folder_prefix: got {shortened(prefix)!r}, want plain folder names separated by /")
    root = Path(folder_paths.get_output_directory())
    folder = root.joinpath(*parts)
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root)):
        raise ValueError(f"folder_prefix: {shortened(prefix)!r} leads out of ComfyUI's output folder")
    return folder


def _is_plain(name: str) -> bool:
    """Whether a folder may have that name on every system, with a number and a suffix after it."""
    return (
        name not in ("", ".", "..")
        and name == name.strip()
        and not re.search(r'[<>:"|?*\x00-\x1f]', name)
        and not is_reserved(name)
        and len(name.encode()) <= MAX_NAME
    )


def write_folder(prefix: str, write: Callable[[Path], None]) -> Path:
    """Calls ``write`` on a hidden folder and renames it when all is there; on an error nothing is left behind."""
    wanted = output_folder(prefix)
    hidden = wanted.parent / f".{wanted.name[:40]}.{uuid.uuid4().hex[:8]}.partial"
    partial = hidden / "folder"
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        hidden.mkdir(mode=0o700)  # a kill may leave a patient's pictures in it
        partial.mkdir()
        write(partial)
        for number in range(1, 100_000):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number:05d}")
            if folder.exists():
                continue
            try:
                partial.rename(folder)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY) or folder.exists():
                    continue
                raise
            return folder
        raise ValueError(f"folder_prefix: {prefix!r} exists 100,000 times already")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ValueError(
                "folder_prefix: the disk of ComfyUI's output folder is full; nothing was saved. Free some space."
            ) from error
        why = error.strerror or error
        raise ValueError(f"folder_prefix: cannot write into ComfyUI's output folder ({why})") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def save_dicom(
    folder: Path,
    stages: torch.Tensor,
    run: str,
    spacing: tuple[float, float] | None,
    label: bool,
    burned_in: bool | None,
) -> None:
    """One Secondary Capture a stage, all of one series; ``label``: whether all but stage 0 carry it.

    burned_in: what the input image's file says of text in its pixels, see `write_secondary_capture`.
    """
    for n, stage in enumerate(stages):
        write_secondary_capture(
            folder / f"stage_{n:02d}.dcm",
            stage[..., :3].clamp(0, 1),
            run=run,
            stage=n,
            description="Simulated stages of a disease",
            version=provenance.version(),
            spacing=spacing,
            burned_in=burned_in,
            label=TEXT if label and n else "",
        )


def mark_synthetic(row: Row) -> Row:
    """The row with a word in its settings on whether its picture is synthetic: CSV has no other place for it."""
    try:
        settings = {**json.loads(row.settings), "synthetic": row.stage != 0}
    except (ValueError, TypeError) as error:
        raise ValueError(f"table: got settings {row.settings!r}, want a JSON object") from error
    return dataclasses.replace(row, settings=json.dumps(settings, sort_keys=True, ensure_ascii=False))


def save_sheet(path: Path, states: torch.Tensor, conf: dict) -> None:
    """All stages side by side, each under its number and, where known, its Conf."""
    labels = ["input", *(f"stage {n}" for n in range(1, len(states)))]
    for n, value in enumerate(conf.get("values", [])[: len(labels)]):
        labels[n] += f"   Conf {value:.2f}"
    save_png(path, contact_sheet(states, labels=labels))


def save_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def save_video(path: Path, frames: torch.Tensor, video: io.Video.Type | None, fps: float, label: bool) -> None:
    """H.264 in MP4 through the host's video classes. Odd sides get their last row or column twice."""
    if video is None:
        rate = Fraction(fps).limit_denominator(1000)
        parts = Types.VideoComponents(images=pad_to_even(frames[..., :3]), audio=None, frame_rate=rate)
        video = InputImpl.VideoFromComponents(parts)
    if label:
        parts = video.get_components()
        images = labelled(pad_to_even(parts.images[..., :3]))
        video = InputImpl.VideoFromComponents(dataclasses.replace(parts, images=images))
    marks = {"synthetic": True, "comment": STATEMENT, "software": f"MVG {provenance.version()}"}
    video.save_to(str(path), format=Types.VideoContainer.MP4, codec=Types.VideoCodec.H264, metadata=marks)


def pad_to_even(frames: torch.Tensor) -> torch.Tensor:
    """[F, H, W, 3] with sides that H.264 takes."""
    odd = frames.shape[1] % 2, frames.shape[2] % 2
    if not any(odd):
        return frames
    return torch.nn.functional.pad(frames.movedim(-1, 1), (0, odd[1], 0, odd[0]), mode="replicate").movedim(1, -1)
