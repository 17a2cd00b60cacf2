"""The settings that a user's first run has: those of the bundled workflow."""

import json

from ..models.headless import ROOT


def bundled_inputs() -> dict[str, dict]:
    """Class of node -> its inputs in workflows/api/mvg_chest_xray.json."""
    graph = json.loads((ROOT / "workflows" / "api" / "mvg_chest_xray.json").read_text(encoding="utf-8"))
    return {node["class_type"]: node["inputs"] for node in graph.values()}
