"""The settings that a user's first run has: those of the bundled workflow."""

import json

from ...models.standalone_host import ROOT

PROGRESSION = (
    "steps",
    "gamma",
    "guidance",
    "beta_1",
    "beta_2",
    "mode",
    "refine",
    "scheduler",
    "seed",
    "composite",
    "spacing",
)
"""The inputs of PIE Loop that decide what it draws."""


def bundled_inputs(domain: str) -> dict[str, dict]:
    """Class of node -> its inputs in the workflow of a domain, workflows/api/mvg_DOMAIN.json."""
    graph = json.loads((ROOT / "workflows" / "api" / f"mvg_{domain}.json").read_text(encoding="utf-8"))
    return {node["class_type"]: node["inputs"] for node in graph.values()}


def workflow_settings(domain: str) -> dict:
    """The PROGRESSION inputs of PIE Loop, and the mode of the plan, in the bundled workflow of a domain."""
    inputs = bundled_inputs(domain)
    return {name: inputs["MVG_PIELoop"][name] for name in PROGRESSION} | {"plan": inputs["MVG_Recaption"]["mode"]}
