"""Where everything lies."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
HOST = ROOT / ".host"
BASE = HOST / "base"
PACKAGE_PATH = BASE / "custom_nodes"
PACKAGE = "mvgen"
LOGS = HOST / "logs"
OUTPUT = ROOT / "output"
REQUIREMENTS = ROOT / "requirements"
WORKFLOWS = ROOT / "workflows" / "api"
SAMPLES = ROOT / "samples"  # not "examples": the host takes a folder of that name for one of templates
WEIGHTS = ROOT / "models" / "embedded" / "weights"
