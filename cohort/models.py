"""The weights that a workflow names, by the hash of their content."""

import functools
import glob
import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..mvg.domains import BUILT_IN
from .workflow import Graph

SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx")
EMBEDDED = Path(__file__).resolve().parents[1] / "models" / "embedded" / "weights"
SHARED = ("vae", "unet", "seine", "clip_text", "clip_vision")
UNSEEN = "unseen"


def named_models(graph: Graph) -> tuple[str, ...]:
    """Names of weight files in the widgets, embedded/DOMAIN where the bundled networks are loaded, and the file of a
    domain of the user's own.
    """
    found = set()
    for node in graph.values():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and value.lower().endswith(SUFFIXES):
                found.add(value)
            elif node["class_type"] == "MVG_LoadEmbedded" and name == "domain":
                found.add(f"embedded/{value}")
            elif node["class_type"] == "MVG_Recaption" and name == "domain" and value not in BUILT_IN:
                found.add(f"domains/{value}.toml")
    return tuple(sorted(found))


class Models:
    """Hashes of weight files; one that is in none of the folders goes by its name alone.

    Args:
        folders: As a host's models folder: NAME is looked for as FOLDER/*/NAME.
        embedded: Folder of the bundled networks.
    """

    def __init__(self, folders: Sequence[Path] = (), embedded: Path = EMBEDDED):
        self.folders = tuple(folders)
        self.embedded = embedded

    @functools.cache  # noqa: B019 -- one object lives as long as a run, and a file is read once
    def hashes(self, names: tuple[str, ...]) -> dict[str, str]:
        """File -> sha256, or "unseen" where it is on another machine."""
        result: dict[str, str] = {}
        for name in names:
            if name.startswith("embedded/"):
                for path in embedded_files(self.embedded, name.removeprefix("embedded/")):
                    result[f"embedded/{path.name}"] = sha256(path) if path.is_file() else UNSEEN
            else:
                found = [path for folder in self.folders for path in sorted(folder.glob(f"*/{glob.escape(name)}"))]
                paths = [path for path in found if path.is_file()]
                result[name] = sha256(paths[0]) if paths else UNSEEN
        return result


def embedded_files(folder: Path, domain: str) -> list[Path]:
    """The bundled files of a domain, whether they are there or not."""
    return [folder / f"{name}.safetensors" for name in (*SHARED, f"classifier.{domain}")]


@functools.cache
def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
