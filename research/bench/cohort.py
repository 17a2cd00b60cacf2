"""Cohorts that survive anything, and what the batch layer costs: ``run.py bench cohort NAME``.

dry: 10,000 rows, planned: seconds and peak memory (bars: 20 s, 500 MB). resume: the same with all 10,000 chains done,
until the first chain could run (bar: 20 s), and until tables and page are written.
kill: 12 phantom chains, killed 20 times at random, against an undisturbed run: every chain once, byte for byte, no
half-written folder, no process left. What is killed is the driver, a worker that it started (a ComfyUI, or Ray's actor
around one) or a server that it only talks to; every driver takes the next engine.
overhead: median seconds a chain of a batch over those of bare /prompt calls to the same server (bar: 5 %).
ray: chains a minute with two one-core workers over those with one (bar: 1.7).
"""

import argparse
import contextlib
import csv
import importlib.util
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ... import cohort
from ...client import Client
from ...cohort import chains
from ...cohort.workflow import Workflow
from ...launch.errors import LaunchError
from ...launch.host import ensure_host
from ...launch.paths import ROOT, WORKFLOWS
from ...launch.server import Server, free_port
from ..phantom.domains import phantom, picture

REPORT = "Frontal chest radiograph. Small left pleural effusion, expected to increase."
STREAM = 7
SCORES = (("conf", 0), ("conf", 1), ("clip_i", 1), ("change", 1))
RUN = (sys.executable, str(ROOT / "run.py"), "batch")


def write_cohort(
    folder: Path, rows: int, seeds: str = "0", drawn: int | None = None, stages: int = 2, **loop: float
) -> list[str]:
    """Phantom patients, a report and a short workflow; ``drawn`` pictures are shared by all rows. Returns arguments.

    loop: inputs of PIE Loop.
    """
    domain = phantom("chest_xray")
    for n in range(drawn or rows):
        image = picture("chest_xray", domain.sample_patient(n, STREAM))
        Image.fromarray((image * 255).round().astype(np.uint8)).save(folder / f"p{n}.png")
    with (folder / "cohort.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["patient_id", "image", "prompt", "seeds"])
        for n in range(rows):
            out.writerow([f"P{n:05d}", f"p{n % (drawn or rows)}.png", f"{REPORT} Patient {n}.", seeds])
    graph = json.loads((WORKFLOWS / "mvg_chest_xray.json").read_text(encoding="utf-8"))
    for node in graph.values():
        if node["class_type"] == "MVG_Recaption":
            node["inputs"]["stages"] = stages
        if node["class_type"] == "MVG_PIELoop":
            node["inputs"] |= loop
        if node["class_type"] == "MVG_SEINETransition":
            node["inputs"]["frames"] = 3
    (folder / "workflow.json").write_text(json.dumps(graph))
    return [str(folder / "cohort.csv"), "--workflow", str(folder / "workflow.json"), "--out", str(folder / "out")]


def peak(command: list[str]) -> tuple[float, float, str]:
    """-> (seconds, peak MB of the process, what it printed)."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(text)
    return time.monotonic() - began, usage.ru_maxrss / 1024, text


def dry(folder: Path, options: argparse.Namespace) -> dict:
    arguments = write_cohort(folder, options.rows, drawn=100)
    seconds, megabytes, _ = peak([*RUN, *arguments, "--dry-run"])
    return {"rows": options.rows, "dry_run_s": round(seconds, 2), "dry_run_MB": round(megabytes)}


def resume(folder: Path, options: argparse.Namespace) -> dict:
    """All done but one, which no host answers for: the time until it would be sent; then all done."""
    arguments = write_cohort(folder, options.rows, drawn=100)
    plan = cohort.build(folder / "cohort.csv", folder / "workflow.json")
    store = cohort.Store(folder / "out")
    with store.lock():
        for chain in plan.chains:
            fill(store, chain.id)
    began = time.monotonic()
    again = cohort.build(folder / "cohort.csv", folder / "workflow.json")
    with store.lock():
        todo = again.todo(store)
    start = time.monotonic() - began
    if todo:
        raise RuntimeError(f"{len(todo)} chains are done and would be run")
    seconds, megabytes, _ = peak([*RUN, *arguments])
    return {
        "rows": options.rows,
        "start_s": round(start, 2),
        "whole_run_with_tables_s": round(seconds, 2),
        "whole_run_MB": round(megabytes),
    }


def fill(store: cohort.Store, chain: str) -> None:
    """A chain as a run leaves it, without a run."""
    folder = store.folder(chain)
    folder.mkdir(parents=True)
    rows = [f"{chain},{stage},{metric},{hash(chain) % 97 / 97},m,{{}}" for metric, stage in SCORES]
    (folder / "scores.csv").write_text("chain,stage,metric,value,model,settings\n" + "\n".join(rows) + "\n")
    (folder / "done.json").write_text("{}")
    store.note(event="done", chain=chain, seconds=30.0, worker="none")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def processes() -> dict[int, bytes]:
    """Process id -> command line, of all that run."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found[int(file.parent.name)] = file.read_bytes()
    return found


def hosts(out: Path) -> list[int]:
    """ComfyUI processes whose folders lie in an output folder."""
    return [number for number, line in processes().items() if f"{out}/.work/".encode() in line]


def actors(out: Path) -> list[int]:
    """Ray's actors around them."""
    found = []
    for number in hosts(out):
        with contextlib.suppress(OSError, ValueError):
            parent = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
            if Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"ray::"):
                found.append(parent)
    return found


def of_ray() -> set[int]:
    marks = (b"ray::", b"/raylet/raylet", b"/gcs/gcs_server", b"/ray/_private/", b"/ray/dashboard/")
    return {number for number, line in processes().items() if any(mark in line for mark in marks)}


class Foreign:
    """A ComfyUI that no batch started, with folders of its own; what watches over it starts it again once killed."""

    def __init__(self, folder: Path):
        self.host, self.port = ensure_host(), free_port()
        names = ("input", "output", "temp", "user")
        self.further = [part for name in names for part in (f"--{name}-directory", str(folder / name))]
        for name in names:
            (folder / name).mkdir(parents=True)
        self.ended = False
        self.again = threading.Thread(target=self._again, daemon=True)
        self.server = Server(self.host, self.port, further=self.further)
        self.server.__enter__()

    def _again(self) -> None:
        while not self.ended:
            with contextlib.suppress(LaunchError):  # where it is killed before it answers
                self.server.__enter__()
                return

    def process(self) -> int | None:
        process = self.server.process
        return None if process is None or process.poll() is not None else process.pid

    def killed(self) -> None:
        """Starts it again, and does not wait for it."""
        if self.again.is_alive():  # it sees that itself
            return
        self.server.stop()
        self.again = threading.Thread(target=self._again, daemon=True)
        self.again.start()

    def stop(self) -> None:
        self.ended = True
        self.server.stop()


def kill(folder: Path, options: argparse.Namespace) -> dict:
    """Batches that end although they are killed begin anew in another folder, until all kills were spent."""
    arguments = write_cohort(folder, options.patients, "0 1", stages=1, steps=options.steps, refine=0)[:-1]
    calm, outs = folder / "calm", [folder / "out1"]
    began = time.monotonic()
    subprocess.run([*RUN, *arguments, str(calm)], check=True, env=environment())
    chain_times = [note["seconds"] for note in cohort.Store(calm).notes()]
    starting = time.monotonic() - began - sum(chain_times)
    few = 4 * sum(chain_times) / len(chain_times)
    chance, rays = random.Random(options.seed), of_ray()
    foreign = Foreign(folder / "foreign")
    kinds: dict[str, list[str]] = {
        "local": [],
        "server": ["--server", foreign.server.url],
        **({"ray": ["--engine", "ray", "--workers", "1"]} if importlib.util.find_spec("ray") else {}),
    }
    engines = itertools.cycle(kinds)
    killed: dict[str, int] = dict.fromkeys(("driver", "worker", "server"), 0)
    drivers = 0

    def start() -> tuple[str, subprocess.Popen]:
        nonlocal drivers
        drivers += 1
        engine = next(engines)
        return engine, subprocess.Popen([*RUN, *arguments, str(outs[-1]), *kinds[engine]], env=environment())

    engine, process = start()
    try:
        while sum(killed.values()) < options.kills:
            # while a host starts, or in one of the first chains after that
            time.sleep(chance.uniform(0, few if engine == "server" else starting + few))
            if process.poll() is not None:
                if process.returncode == 0:
                    outs.append(folder / f"out{len(outs) + 1}")
                engine, process = start()
                continue
            victims = {"driver": [process.pid], "worker": [*hosts(outs[-1]), *actors(outs[-1])]}
            if engine == "server" and (number := foreign.process()):
                victims["server"] = [number]
            kind = chance.choice([kind for kind, numbers in victims.items() if numbers])
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims[kind]), signal.SIGKILL)
                killed[kind] += 1
                print(f"killed {sum(killed.values())} of {options.kills}: {kind}, engine {engine}", flush=True)
            if kind == "driver":
                process.wait()
                engine, process = start()
            elif kind == "server":
                foreign.killed()
    finally:
        process.kill()
        process.wait()
        foreign.stop()
    orphans = settled(lambda: sum(len(hosts(out)) for out in outs) + len(of_ray() - rays))
    for out in outs:
        subprocess.run([*RUN, *arguments, str(out)], check=True, env=environment())
    want = contents(calm)
    tables = [cohort.read(out, "chains") for out in outs]
    return {
        "chains": 2 * options.patients,
        "killed": killed,
        "engines": list(kinds),
        "drivers": drivers + len(outs),
        "chains_present": [len(cohort.Store(out).done()) for out in outs],
        "rows_done": [int((table["status"] == "done").sum()) for table in tables],
        "identical": [contents(out) == want for out in outs],
        "half_written": [str(path.relative_to(folder)) for out in outs for path in half_written(out)],
        "orphans": orphans + settled(lambda: sum(len(hosts(out)) for out in outs)),
    }


def settled(count: Callable[[], int], seconds: float = 60) -> int:
    """What is left once it had time to end: Ray's agents look for their dead raylet only now and then."""
    deadline = time.monotonic() + seconds
    while (number := count()) and time.monotonic() < deadline:
        time.sleep(1)
    return number


def half_written(out: Path) -> list[Path]:
    whole = {path.parent for path in out.glob("chains/*/done.json")}
    passing = [path for path in out.iterdir() if path.name in (".partial", ".work")]
    return [*passing, *out.rglob("*.tmp"), *(path for path in out.glob("chains/*") if path not in whole)]


def contents(out: Path) -> dict[str, bytes]:
    """Every file of every chain."""
    chains = out / "chains"
    return {str(path.relative_to(chains)): path.read_bytes() for path in chains.rglob("*") if path.is_file()}


def overhead(folder: Path, options: argparse.Namespace) -> dict:
    """The same chains, in alternation: bare /prompt calls, and through the batch's pool, on one server."""
    write_cohort(folder, 2 * options.patients + 1, stages=2)
    plan = cohort.build(folder / "cohort.csv", folder / "workflow.json")
    seconds: dict[str, list[float]] = {"bare": [], "batch": []}
    with Server(ensure_host(), free_port()) as server:
        client = Client(server.url)
        for n, chain in enumerate(plan.chains):
            for file in chains.uploads_of(chain.patient):
                client.upload(file)
            if n == 0:
                bare(client, plan.workflow, chain)  # loads the models
                continue
            if n % 4 < 2:  # bare, batch, batch, bare: a machine that slows down does so for both
                seconds["bare"].append(bare(client, plan.workflow, chain))
                continue
            one = cohort.Cohort(plan.workflow, [chain.patient], [chain])
            store = cohort.Store(folder / "out")
            engine = cohort.Pool([cohort.RunningServer(server.url)])
            with store.lock():
                began = time.monotonic()
                cohort.run(one, store, engine)
                seconds["batch"].append(time.monotonic() - began)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "chains": {name: len(times) for name, times in seconds.items()},
        "seconds_a_chain": {name: round(median, 3) for name, median in medians.items()},
        "overhead_percent": round(100 * (medians["batch"] / medians["bare"] - 1), 2),
    }


def bare(client: Client, workflow: Workflow, chain: chains.Chain) -> float:
    """A prompt and nothing else: seconds from the post until the host says that it ended.

    It is asked seldom: a host that is asked every 20 ms computes 7 % slower.
    """
    graph = chains.graph_of(workflow, chain.patient, chain.seed, f"bench/{uuid.uuid4().hex}")
    began = time.time()
    prompt = client.post("/prompt", {"prompt": graph})["prompt_id"]
    while not (entry := client.get(f"/history/{prompt}").get(prompt)):
        time.sleep(0.5)
    ended = dict(entry["status"]["messages"])["execution_success"]["timestamp"]  # ms
    return ended / 1000 - began


def ray(folder: Path, options: argparse.Namespace) -> dict:
    rates = {}
    for workers in (1, 2):
        arguments = write_cohort(folder, options.patients, stages=2)
        command = [*RUN, *arguments[:-1], str(folder / f"out{workers}"), "--engine", "ray", "--workers", str(workers)]
        subprocess.run(command, check=True, env={**environment(), "OMP_NUM_THREADS": "1"})
        notes = cohort.Store(folder / f"out{workers}").notes()
        span = max(note["time"] for note in notes) - min(note["time"] - note["seconds"] for note in notes)
        rates[workers] = 60 * len(notes) / span
    return {"chains_a_minute": {n: round(rate, 2) for n, rate in rates.items()}, "ratio": round(rates[2] / rates[1], 2)}


PARTS = {"dry": dry, "resume": resume, "kill": kill, "overhead": overhead, "ray": ray}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="run.py bench cohort", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--patients", type=int, default=6, help="kill: of two seeds each; overhead: of each way")
    parser.add_argument("--steps", type=int, default=20, help="kill: DDIM steps of a stage, which make a chain longer")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mvg-cohort-") as folder:
        print(json.dumps(PARTS[options.part](Path(folder), options)))


if __name__ == "__main__":
    main()
