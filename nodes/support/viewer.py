"""What the page's viewer (web/viewer.js) is told of a progression: where its pictures lie, and its figures."""

from collections.abc import Iterable
from typing import Any


def progression(place: dict[str, str], files: Iterable[str], scores: dict[str, dict]) -> dict[str, Any]:
    """The stages and difference maps among the ``files`` of a folder, with the scores ``conf`` (and severity) and
    ``curve``.

    place: the folder as the host's ``/view`` names it, ``subfolder`` and ``type``.
    """
    ordered = sorted(files, key=lambda name: (len(name), name))  # stage_100 behind stage_99

    def pictures(prefix: str) -> list[dict[str, str]]:
        names = (name for name in ordered if name.startswith(prefix) and name.endswith(".png"))
        return [{"filename": name, **place} for name in names]

    conf = scores.get("conf")
    graded = conf.get("severity") if conf else None
    return {
        "stages": pictures("stage_"),
        "maps": pictures("difference_"),
        "conf": {"finding": conf.get("finding"), "values": conf["values"]} if conf else None,
        "severity": graded["values"] if graded else [],
        "change": scores.get("curve", {}).get("values", []),
    }
