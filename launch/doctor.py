"""``run.py doctor``: what is found and what is missing. Changes nothing and needs no network."""

import json
import platform
import shutil
import subprocess
from dataclasses import dataclass

from .arguments import DOMAIN, domains, weight_files
from .browser import find_browser
from .device import device_name
from .errors import LaunchError
from .host import find_host, module_environment
from .paths import PACKAGE, PYTHON, ROOT
from .process import clean_environment
from .setup import DISK_GB, LOCK, is_ready

TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps([torch.__version__, torch.cuda.get_device_name() if cuda else "", torch.get_num_threads()]))
"""
SET_UP = "run: python3 run.py demo"


@dataclass(frozen=True)
class Row:
    what: str
    state: str  # ok | missing | optional
    found: str


def doctor() -> int:
    rows = [python(), disk(), environment(), *torch_and_device(), host(), nodes(), weights(), workflows(), browser()]
    width = max(len(row.what) for row in rows)
    for row in rows:
        print(f"{row.what:{width}}  {row.state:8}  {row.found}")
    missing = [row.what for row in rows if row.state == "missing"]
    print(f"missing: {', '.join(missing)}" if missing else "nothing needed is missing")
    return 1 if missing else 0


def python() -> Row:
    return Row("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def disk() -> Row:
    free = shutil.disk_usage(ROOT).free / 1e9
    need = 0.5 if is_ready() else DISK_GB
    return Row("disk", "ok" if free >= need else "missing", f"{free:.1f} GB free, {need:g} GB needed")


def environment() -> Row:
    if is_ready():
        return Row("packages", "ok", f".venv holds {LOCK.name}")
    return Row("packages", "missing", f".venv is not set up, or of another version; {SET_UP}")


def torch_and_device() -> list[Row]:
    absent = [Row("torch", "missing", SET_UP), Row("device", "missing", "unknown without torch")]
    if not PYTHON.exists():
        return absent
    probe = subprocess.run(
        [str(PYTHON), "-c", TORCH_PROBE], env=clean_environment(), capture_output=True, text=True, check=False
    )
    if probe.returncode:
        return absent
    version, card, threads = json.loads(probe.stdout)
    device = device_name()
    return [Row("torch", "ok", version), Row("device", "ok", f"{device}: {card or f'{threads} threads'}")]


def host() -> Row:
    try:
        found = find_host()
    except LaunchError as error:
        return Row("ComfyUI", "missing", str(error))
    if found is None:
        return Row("ComfyUI", "missing", SET_UP)
    return Row("ComfyUI", "ok", f"{found.version} ({found.found_by}) in {found.path}")


def nodes() -> Row:
    """Imports every family of nodes, as ComfyUI does when it starts."""
    found = find_host() if PYTHON.exists() else None
    if found is None:
        return Row("nodes", "missing", SET_UP)
    probe = subprocess.run(
        [str(PYTHON), "-m", f"{PACKAGE}.launch.node_families"],
        env=module_environment(found),
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        reason = (probe.stderr.strip().splitlines() or ["no reason was given"])[-1]
        return Row("nodes", "missing", f"they cannot be imported: {reason}")
    missing = json.loads(probe.stdout.splitlines()[-1])
    if missing:
        return Row("nodes", "missing", "; ".join(f"{family}: {reason}" for family, reason in missing.items()))
    return Row("nodes", "ok", "every family can be imported")


def weights() -> Row:
    missing = [file.name for domain in domains() or [DOMAIN] for file in weight_files(domain) if not file.is_file()]
    if missing:
        return Row("weights", "missing", f"{', '.join(sorted(set(missing)))} in models/embedded/weights")
    return Row("weights", "ok", "models/embedded/weights")


def workflows() -> Row:
    return Row("workflows", "ok" if domains() else "missing", ", ".join(domains()) or "none in workflows/api")


def browser() -> Row:
    found = find_browser()
    return Row(
        "browser", "ok" if found else "optional", found or "none found: only `serve` and the browser tests need one"
    )
