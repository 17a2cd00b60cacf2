"""The pictures of a progression in the host's temp folder, for the page's viewer.

An expanding node is heard before its stages exist, and only what it says then is said again when it is cached. So it
names an index file, and the node where the stages come together writes that file.
"""

import json
import uuid
from pathlib import Path

import folder_paths
import torch

from ...mvg.metrics.difference import PEAK, difference_map, heat_map
from .png import save_png
from .viewer import progression

INDEX = "stages.json"


def new_token() -> str:
    return uuid.uuid4().hex


def index_of(token: str) -> dict[str, str]:
    """The index file of a run as the host's ``/view`` names it; ValueError for what :func:`new_token` did not make."""
    try:
        folder = uuid.UUID(token).hex  # anything else might lead out of the temp folder
    except ValueError:
        raise ValueError(f"viewer: got {token!r}, want the UUID that PIE Loop gives") from None
    return {"filename": INDEX, "subfolder": f"mvg/{folder}", "type": "temp"}


def write_preview(
    token: str, patients: list[torch.Tensor], curves: list[dict], planned: list[dict] | None = None
) -> dict[str, str]:
    """Stages and difference maps of every patient, those that are not there yet, then the index.

    Args:
        token: of `new_token`.
        patients: the stages that there are, [n + 1, H, W, C] each.
        curves: their changes, as PIE Loop tells them.
        planned: prompt and severity of stage 1, 2, ...

    Returns:
        The index as ``/view`` names it.
    """
    index = index_of(token)
    root = Path(folder_paths.get_temp_directory())
    shown = []
    for row, (states, curve) in enumerate(zip(patients, curves, strict=True)):
        subfolder = f"{index['subfolder']}/{row}"
        folder = root / subfolder
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for n, state in enumerate(states):
            names.append(f"stage_{n:02d}.png")
            if not (folder / names[-1]).exists():
                save_png(folder / names[-1], state, n)
            if n == 0:
                continue
            names.append(f"difference_{n:02d}.png")
            if not (folder / names[-1]).exists():
                (change,) = heat_map(difference_map(states[n : n + 1], states[n - 1 : n]), PEAK)
                save_png(folder / names[-1], change)
        place = {"subfolder": subfolder, "type": "temp"}
        shown.append(progression(place, names, {"curve": curve}) | {"planned": planned or []})
    path = root / index["subfolder"] / INDEX
    partial = path.with_suffix(".tmp")  # the page may read while a stage is added
    partial.write_text(json.dumps(shown), encoding="utf-8")
    partial.replace(path)
    return index
