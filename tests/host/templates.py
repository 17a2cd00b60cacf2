"""The workflows that the page offers, as files."""

import json

from mvgen.tests.host.hosting import ROOT
from mvgen.workflows.titles import page_file

TEMPLATES = sorted(file.stem for file in (ROOT / "workflows" / "api").glob("*.json"))
# Inputs that name what does not come with the extension: the page marks them until the user has put it there.
LOADERS = {
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "CLIPLoader": ("clip_name",),
    "TripleCLIPLoader": ("clip_name1", "clip_name2", "clip_name3"),
    "VAELoader": ("vae_name",),
    "CLIPVisionLoader": ("clip_name",),
    "FrameInterpolationModelLoader": ("model_name",),
    "LoadVideo": ("file",),
    "MVG_LoadSEINE": ("file",),
    "MVG_LoadClassifier": ("file",),
    "MVG_MedSAM": ("file",),
}
ENDPOINTS = {"MVG_Recaption": ("engine.endpoint",)}
"""The same, but no file: the server's operator names it, and the page does not mark its absence."""
SMALL = {"stages": 2, "steps": 2, "refine": 0, "frames": 3, "subsets": 3}
"""Widgets that say how much is computed, at a size for tests; what is 0 stays so."""
ONLY_ON_THE_PAGE = {"PreviewImage", "PreviewAny", "MaskPreview", "MarkdownNote"}


def load(path: str) -> dict:
    """A JSON file of workflows/."""
    return json.loads((ROOT / "workflows" / path).read_text(encoding="utf-8"))


def load_page(name: str) -> dict:
    """The page's form of the workflow ``name`` of workflows/api."""
    return json.loads(page_file(name).read_text(encoding="utf-8"))


def flat(graph: dict) -> dict:
    """An API workflow as the page posts it, without its subgraphs: node 14:7, which is in one, as node 7."""
    bare = {key.split(":")[-1]: json.loads(json.dumps(node)) for key, node in graph.items()}
    for node in bare.values():
        for value in node["inputs"].values():
            if isinstance(value, list):
                value[0] = value[0].split(":")[-1]
    return bare


def small(graph: dict) -> dict:
    """A copy of an API workflow that computes little."""
    graph = json.loads(json.dumps(graph))
    for node in graph.values():
        inputs = node["inputs"]
        inputs |= {name: value for name, value in SMALL.items() if isinstance(inputs.get(name), int) and inputs[name]}
    return graph


def missing(graph: dict) -> set[tuple[str, str]]:
    """(node id, name) of everything that an API workflow names and that does not come with the extension."""
    return {
        (key, node["inputs"][name])
        for key, node in graph.items()
        for name in (LOADERS | ENDPOINTS).get(node["class_type"], ())
        if name in node["inputs"]
    }


COMPLETE = [name for name in TEMPLATES if not missing(load(f"api/{name}.json"))]
"""Those that run with what comes with the extension."""
