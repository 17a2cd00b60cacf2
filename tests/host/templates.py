"""The workflows that the page offers, as files."""

import json

from mvgen.tests.host.hosting import ROOT

TEMPLATES = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
# Loaders of models that do not come with the extension: the page marks them until the user has put a file there.
MODEL_LOADERS = {
    *("CheckpointLoaderSimple", "UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader"),
    *("FrameInterpolationModelLoader", "MVG_LoadSEINE"),
}
ONLY_ON_THE_PAGE = {"PreviewImage", "PreviewAny", "MaskPreview", "MarkdownNote"}


def load(path: str) -> dict:
    """A JSON file of workflows/."""
    return json.loads((ROOT / "workflows" / path).read_text(encoding="utf-8"))
