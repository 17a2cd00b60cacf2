"""Whether ComfyUI has an accelerator to run on."""

import ctypes
import platform
import subprocess
import sys

from .paths import PYTHON
from .process import clean_environment


def has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def torch_sees_cuda() -> bool:
    command = [str(PYTHON), "-c", "import torch; raise SystemExit(not torch.cuda.is_available())"]
    return subprocess.run(command, env=clean_environment(), capture_output=True, check=False).returncode == 0


def device_name() -> str:
    """``cuda``, ``mps`` or ``cpu``. torch is asked (seconds) only where a driver is installed."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "mps"
    return "cuda" if has_nvidia_driver() and torch_sees_cuda() else "cpu"
