"""The paper's networks at their true sizes with random weights, in a real server: ``run.py bench full_size``.

Files of the true key layouts are made once. Every part then runs in a ComfyUI server of its own, through the loader
nodes that a user has, and leaves its row in a JSON file: an interrupted bench goes on where it stopped.

load-NAME: a checkpoint through its loader node. workflow: the bundled SD 1.4 + SEINE workflow, headless. A row holds
the seconds of every node, the peak memory of the server (and of the card), and what was asked for. Side by side with
the released code's procedures: ``run.py bench pie_speed --weights sd14`` and ``run.py bench seine_speed --full``.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...client.client import Client
from ...launch.host import ensure_base, ensure_host
from ...launch.paths import HOST, ROOT, WORKFLOWS
from ...launch.server import Server, free_port
from ...models.standalone_host import use_host
from . import full_size_files
from .full_size_files import FILES

RESULTS = ROOT / "research" / "bench" / "results" / "full_size.json"
DTYPES = {
    "fp32": ("--force-fp32",),
    "fp16": ("--fp16-unet", "--fp16-vae", "--fp16-text-enc"),
    "bf16": ("--bf16-unet", "--bf16-vae", "--bf16-text-enc"),
}
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
LOADERS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "sd14": (("sd14",), "CheckpointLoaderSimple", {"ckpt_name": "sd-v1-4.safetensors"}),
    "sd3": (("sd3",), "CheckpointLoaderSimple", {"ckpt_name": "sd3_medium.safetensors"}),
    "sd3-text": (
        ("clip_l", "clip_g"),
        "DualCLIPLoader",
        {"clip_name1": "clip_l.safetensors", "clip_name2": "clip_g.safetensors", "type": "sd3"},
    ),
    "sd3-t5": (
        ("clip_l", "clip_g", "t5"),
        "TripleCLIPLoader",
        {f"clip_name{n}": FILES[name].path.split("/")[1] for n, name in enumerate(("clip_l", "clip_g", "t5"), start=1)},
    ),
    "seine": (("seine",), "MVG_LoadSEINE", {"file": "seine/seine.safetensors", "weights": "default"}),
    "clip_vision": (("clip_vision",), "CLIPVisionLoader", {"clip_name": "clip-vit-large-patch14.safetensors"}),
    "densenet": (
        ("densenet",),
        "MVG_LoadClassifier",
        {
            **{"file": "classifiers/densenet121.safetensors", "labels": full_size_files.FINDINGS},
            **{"activation": "sigmoid", "image_size": 224},
        },
    ),
}
"""Part -> its files, the node that loads them and the node's inputs."""
WORKFLOW_FILES = ("sd14", "seine", "clip_vision", "densenet")
PARTS = (*(f"load-{name}" for name in LOADERS), "workflow")
OPTIONAL = ("load-sd3-t5",)  # 9.5 GB of file: asked for by name
ACTIVATIONS_GB = 6.0  # of the workflow in fp32 at 256 x 256; grows with the picture


class Memory:
    """The peak of a process and of the card, asked for twice a second."""

    def __init__(self, pid: int):
        import psutil

        self.process = psutil.Process(pid)
        self.resident = self.card = 0.0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self.stopped.wait(0.5):
            self.resident = max(self.resident, self.process.memory_info().rss / 1e9)
            if torch.cuda.is_available():
                free, total = torch.cuda.mem_get_info()
                self.card = max(self.card, (total - free) / 1e9)


@contextmanager
def watched(server: Server) -> Iterator[Memory]:
    """The memory of a running server, for as long as the block lasts."""
    assert server.process is not None
    memory = Memory(server.process.pid)
    memory.thread.start()
    try:
        yield memory
    finally:
        memory.stopped.set()
        memory.thread.join()


class Stopwatch:
    """Seconds of every node, from the server's own messages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.node, self.since = None, time.monotonic()

    def __call__(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "executing":
            now = time.monotonic()
            if self.node is not None:
                self.seconds[self.node] = self.seconds.get(self.node, 0.0) + now - self.since
            self.node, self.since = data.get("display_node") or data.get("node"), now


def loading(name: str) -> dict[str, dict[str, Any]]:
    """The graph that loads a part's files, and saves a picture, since the client holds a run without files for none."""
    _, node, inputs = LOADERS[name]
    return {
        "1": {"class_type": node, "inputs": inputs},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
        "3": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "full_size"}},
    }


def workflow(size: int, stages: int, steps: int, seine_steps: int) -> dict[str, dict[str, Any]]:
    """workflows/api/mvg_sd14_seine.json with fewer stages and steps."""
    graph = json.loads((WORKFLOWS / "mvg_sd14_seine.json").read_text(encoding="utf-8"))
    smaller = {
        "MVG_LoadMedicalImage": {"size": size},
        "MVG_Recaption": {"stages": stages},
        "MVG_PIELoop": {"steps": steps},
        "MVG_SEINETransition": {"steps": seine_steps},
        "MVG_LoadClassifier": {"activation": "sigmoid", "image_size": 224},
    }
    for node in graph.values():
        node["inputs"] |= smaller.get(node["class_type"], {})
    return graph


def check_memory(part: str, options: argparse.Namespace) -> None:
    """Refuses a part before anything is loaded, saying what would fit.

    Args:
        part: one of PARTS.
        options: with size, dtype and models (the folder of the files).

    Raises:
        ValueError: this machine has too little memory, or its card does not compute in the type.
    """
    import psutil

    names = WORKFLOW_FILES if part == "workflow" else LOADERS[part.removeprefix("load-")][0]
    held = sum((options.models / FILES[name].path).stat().st_size for name in names) / 2  # files are fp16
    pictures = ACTIVATIONS_GB * (options.size / 256) ** 2 if part == "workflow" else 1.0
    gpu = torch.cuda.is_available()
    free = (torch.cuda.mem_get_info()[0] if gpu else psutil.virtual_memory().available) / 1e9
    wanted = {kind: (held / 1e9 + pictures / 4) * size for kind, size in BYTES.items()}
    if wanted[options.dtype] > free:
        fits = [f"--dtype {kind}" for kind in BYTES if wanted[kind] <= free]
        advice = f"{' or '.join(fits)} fits" if fits else "no type fits: a smaller --size may"
        raise ValueError(
            f"{part} at {options.size} x {options.size} in {options.dtype}: got {free:.1f} GB of free memory, "
            f"want about {wanted[options.dtype]:.1f} GB; {advice}"
        )
    if gpu and options.dtype == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ValueError(f"--dtype bf16: {torch.cuda.get_device_name()} does not compute in it; take fp16")


def measure(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Runs a part in a server of its own.

    Args:
        part: one of PARTS.
        options: of the command line.

    Returns:
        Its row: seconds of every node, peak memory in GB, and the machine.
    """
    paths = options.models / "extra_model_paths.yaml"
    paths.write_text(full_size_files.extra_model_paths(options.models), encoding="utf-8")
    if part == "workflow":
        graph = workflow(options.size, options.stages, options.steps, options.seine_steps)
    else:
        graph = loading(part.removeprefix("load-"))
    further = [*DTYPES[options.dtype], "--extra-model-paths-config", str(paths)]
    watch, began = Stopwatch(), time.monotonic()
    with Server(ensure_host(), free_port(), further=further) as server, watched(server) as memory:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as out:
            Client(server.url).run(graph, [], Path(out), on_message=watch)
        took = time.monotonic() - started
    row: dict[str, Any] = {"part": part, "dtype": options.dtype, "torch": torch.__version__, "machine": machine()}
    if part == "workflow":
        row |= {name: getattr(options, name) for name in ("size", "stages", "steps", "seine_steps")}
    seconds = {f"{graph[key]['class_type']}": round(value, 2) for key, value in watch.seconds.items() if key in graph}
    row |= {"server_start_s": round(started - began, 1), "seconds": round(took, 2), "nodes": seconds}
    row |= {"peak_memory_gb": round(memory.resident, 2), "peak_card_gb": round(memory.card, 2)}
    return row


def machine() -> str:
    """The card, or the number of cores that torch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores"


def key_of(part: str, options: argparse.Namespace) -> str:
    """What tells rows apart: the same part at other settings is another row."""
    asked = [part, options.dtype, machine()]
    if part == "workflow":
        asked += [options.size, options.stages, options.steps, options.seine_steps]
    return " ".join(map(str, asked))


def table(rows: dict[str, dict[str, Any]]) -> str:
    """A line a row: seconds and memory, and the slowest nodes."""
    lines = [f"{'part':16} {'type':5} {'size':>5} {'seconds':>9} {'GB':>6} {'card GB':>8}  nodes (s)"]
    for row in rows.values():
        slowest = sorted(row["nodes"].items(), key=lambda item: -item[1])[:6]
        nodes = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slowest)
        lines.append(
            f"{row['part']:16} {row['dtype']:5} {row.get('size', ''):>5} {row['seconds']:9.1f} "
            f"{row['peak_memory_gb']:6.1f} {row['peak_card_gb']:8.1f}  {nodes}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="run.py bench full_size", description=__doc__)
    default = [part for part in PARTS if part not in OPTIONAL]
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=default, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--models", type=Path, default=HOST / "full_size" / "models", help="folder for the files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON file of the rows (default %(default)s)")
    parser.add_argument("--dtype", choices=tuple(DTYPES), default="fp16" if torch.cuda.is_available() else "fp32")
    parser.add_argument("--size", type=int, default=256, help="pixels of the workflow's pictures")
    parser.add_argument("--stages", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3, help="T of PIE; k = gamma T of them are taken")
    parser.add_argument("--seine-steps", type=int, default=2)
    parser.add_argument("--fresh", action="store_true", help="measure anew what stands in the results")
    options = parser.parse_args()
    use_host()
    ensure_base()
    rows = json.loads(options.results.read_text(encoding="utf-8")) if options.results.exists() else {}
    asked = {}
    for part in options.parts:
        key = key_of(part, options)
        asked[key] = rows.get(key)
        if asked[key] is None or options.fresh:
            names = WORKFLOW_FILES if part == "workflow" else LOADERS[part.removeprefix("load-")][0]
            for name in names:
                full_size_files.make(name, options.models)
            check_memory(part, options)
            asked[key] = rows[key] = measure(part, options)
            options.results.parent.mkdir(parents=True, exist_ok=True)
            partial = options.results.with_suffix(".tmp")
            partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
            partial.replace(options.results)
            print(f"{key}: {rows[key]['seconds']:.1f} s", flush=True)
    print(table({key: row for key, row in asked.items() if row}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
