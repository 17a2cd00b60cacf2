"""What a run was made of: versions, models, parameters, prompts; no word of a report and no user's file name."""

import datetime
import functools
import hashlib
import json
import platform
import tomllib
from pathlib import Path

import comfy.model_management
import folder_paths
import torch

from ...models.embedded import loader
from ...mvg.picture_file import read_picture
from ...mvg.plan import Plan
from . import model_files
from .input_files import find_input

# which of the host's model folders a widget of this name picks from
MODEL_WIDGETS = {
    "ckpt_name": "checkpoints",
    "unet_name": "diffusion_models",
    "lora_name": "loras",
    "vae_name": "vae",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
}
# loaders whose widget of such a name picks from another folder
OTHER_FOLDERS = {("CLIPVisionLoader", "clip_name"): "clip_vision"}
# our widgets that pick from a folder of ours
OWN_FOLDERS = {
    ("MVG_LoadSEINE", "file"): model_files.SEINE,
    ("MVG_LoadClassifier", "file"): model_files.CLASSIFIERS,
    ("MVG_MedSAM", "file"): model_files.MEDSAM,
    ("MVG_KID", "inception"): model_files.INCEPTION,
}


@functools.cache
def version() -> str:
    """The extension's version, from its pyproject.toml."""
    path = Path(__file__).parents[2] / "pyproject.toml"
    if not path.is_file():
        return "unknown"
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]["version"]


def sha256(path: Path) -> str:
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, *_) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def host_version() -> str:
    try:
        from comfyui_version import __version__
    except ImportError:
        return "unknown"
    return __version__


def record(prompt: dict, plan: Plan | None, states: torch.Tensor) -> dict:
    """JSON-able provenance of a run. ``prompt`` is the host's graph."""
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "mvg": version(),
            "comfyui": host_version(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "device": str(comfy.model_management.get_torch_device()),
        "input_image": pixel_hash(states[0]),
        "stages": len(states) - 1,
        "size": [states.shape[2], states.shape[1]],
        "plan": None if plan is None else describe_plan(plan),
        "seeds": seeds(prompt),
        "parameters": parameters(prompt),
        "models": models(prompt),
    }


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in the folder."""
    return {entry.name: sha256(entry) for entry in sorted(folder.iterdir())}


def pixel_hash(images: torch.Tensor) -> str:
    """SHA-256 of pictures in [0, 1] at 8 bits."""
    return hashlib.sha256((images.clamp(0, 1) * 255).round().byte().cpu().numpy().tobytes()).hexdigest()


def run(record: dict, states: torch.Tensor) -> str:
    """What tells this run from others: a hash of its record and stages, the same wherever it is saved."""
    lasting = {key: value for key, value in record.items() if key not in ("created", "parameters")}
    lasting["parameters"] = [p for p in record["parameters"].values() if p["class_type"] != "MVG_SaveTrajectory"]
    return hashlib.sha256((json.dumps(lasting, sort_keys=True) + pixel_hash(states)).encode()).hexdigest()


def describe_plan(plan: Plan) -> dict:
    stages = [{"prompt": stage.prompt, "severity": stage.severity} for stage in plan.stages]
    return {
        "domain": plan.domain,
        "finding": plan.finding,
        "side": plan.side,
        "negative": plan.negative,
        "stages": stages,
        "notes": list(plan.notes),
    }


def _ours(prompt: dict) -> dict[str, dict]:
    return {key: node for key, node in prompt.items() if node.get("class_type", "").startswith("MVG_")}


def seeds(prompt: dict) -> dict[str, int]:
    found = {}
    for key, node in prompt.items():
        for name, value in node.get("inputs", {}).items():
            if name in ("seed", "noise_seed") and isinstance(value, int):
                found[f"{key} {node['class_type']}"] = value
    return found


def parameters(prompt: dict) -> dict[str, dict]:
    """The widget values of our own nodes. A file of the input folder is given by the hash of its content."""
    result = {}
    for key, node in _ours(prompt).items():
        values: dict[str, bool | int | float | str] = {}
        for name, value in node.get("inputs", {}).items():
            if isinstance(value, bool | int | float):
                values[name] = value
            elif isinstance(value, str) and name in ("image", "report", "mask"):
                values[name] = _content(value, name)
            elif isinstance(value, str):
                values[name] = value
        result[key] = {"class_type": node["class_type"], **values}
    return result


def _content(name: str, what: str) -> str:
    try:
        return "sha256:" + sha256(find_input(name, what))
    except (ValueError, OSError):
        return "(not a file)"


def burned_in(prompt: dict) -> bool | None:
    """What the graph's input images say of text in their pixels.

    Args:
        prompt: the host's graph.

    Returns:
        True where one of them says that there is some; False where all are DICOM files that say there is none; None
        where nothing says so.
    """
    said = []
    for node in prompt.values():
        name = node.get("inputs", {}).get("image")
        if node.get("class_type") == "MVG_LoadMedicalImage" and isinstance(name, str):
            try:
                said.append(read_picture(find_input(name, "image")).burned_in)
            except ValueError:
                said.append(None)
        elif isinstance(name, str) or node.get("class_type") == "MVG_LoadMedicalImage":
            said.append(None)
    if True in said:
        return True
    return False if said and None not in said else None


def models(prompt: dict) -> dict[str, str]:
    """SHA-256 of every weight file that the graph names; a name that comes over a link is not known here."""
    found = {}
    for node in prompt.values():
        kind = node.get("class_type")
        for name, value in node.get("inputs", {}).items():
            if not isinstance(value, str):
                continue
            if (kind, name) == ("MVG_LoadEmbedded", "domain"):
                for path in loader.weight_files(value).values():
                    found[f"embedded/{path.name}"] = sha256(path)
            elif own := OWN_FOLDERS.get((kind, name)):
                if own.check(value) is True:
                    found[f"mvg/{value}"] = sha256(own.find(value))
            elif folder := OTHER_FOLDERS.get((kind, name), MODEL_WIDGETS.get(name)):
                held = folder_paths.get_full_path(folder, value)
                if held is not None:
                    found[f"{folder}/{value}"] = sha256(Path(held))
    return found
