"""The settings that a user's first run has: those of the bundled workflow."""

import json

from ...models.standalone_host import ROOT


def bundled_inputs(domain: str) -> dict[str, dict]:
    """Class of node -> its inputs in the workflow of a domain, workflows/api/mvg_DOMAIN.json."""
    graph = json.loads((ROOT / "workflows" / "api" / f"mvg_{domain}.json").read_text(encoding="utf-8"))
    return {node["class_type"]: node["inputs"] for node in graph.values()}
