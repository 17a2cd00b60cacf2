"""The host's modules in a program of ours (bench, training) that is not ComfyUI itself."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def host_folder() -> Path:
    """Where ComfyUI is: $COMFYUI_PATH, or the pinned one that run.py fetched.

    Returns:
        Its folder.

    Raises:
        ValueError: there is none.
    """
    folder = Path(os.environ.get("COMFYUI_PATH") or ROOT / ".host" / "ComfyUI")
    if not (folder / "comfy").is_dir():
        raise ValueError(f"ComfyUI: {folder} holds none; python3 run.py doctor says what is missing")
    return folder


def use_host() -> None:
    """Makes the host importable; it does not read this program's arguments. Without a GPU it runs on the CPU."""
    import torch

    folder = str(host_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import comfy.cli_args

    if not torch.cuda.is_available():
        comfy.cli_args.args.cpu = True
