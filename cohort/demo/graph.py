"""The workflow of a demo: the API graph of the domain with the user's inputs set."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...launch.errors import LaunchError
from ..workflow import use_mask

Graph = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Request:
    """What a user asks for; files are names in the host's input folder."""

    image: str
    report: str
    mask: str | None
    stages: int
    strength: float | None
    seed: int
    domain: str
    folder: str


def load(path: Path) -> Graph:
    return json.loads(path.read_text(encoding="utf-8"))


def fill(template: Graph, request: Request) -> Graph:
    """A copy of the graph with the request in it; LaunchError where the graph has no place for a value."""
    graph = copy.deepcopy(template)
    set_input(graph, "MVG_LoadEmbedded", "domain", request.domain)
    set_input(graph, "MVG_LoadMedicalImage", "image", request.image)
    set_input(graph, "MVG_LoadReport", "report", request.report)
    set_input(graph, "MVG_Recaption", "domain", request.domain)
    set_input(graph, "MVG_Recaption", "stages", request.stages)
    if request.strength is not None:
        set_input(graph, "MVG_PIELoop", "gamma", request.strength)
    set_input(graph, "MVG_PIELoop", "seed", request.seed)
    set_input(graph, "MVG_SaveTrajectory", "folder_prefix", request.folder)
    if request.mask is not None:
        image = next(key for key, node in graph.items() if node["class_type"] == "MVG_LoadMedicalImage")
        use_mask(graph, image, request.mask)
    return graph


def set_input(graph: Graph, class_type: str, name: str, value: Any) -> None:
    """Set a widget of every node of a class."""
    nodes = [node for node in graph.values() if node["class_type"] == class_type]
    if not nodes:
        raise LaunchError(f"the workflow has no {class_type} node: restore workflows/api.")
    for node in nodes:
        node["inputs"][name] = value


def titles(graph: Graph) -> dict[str, str]:
    """Node id -> what a user calls it."""
    return {key: node.get("_meta", {}).get("title") or node["class_type"] for key, node in graph.items()}
