"""Cohorts that survive anything, and what the batch layer costs: ``run.py bench cohort NAME``.

dry: 10,000 rows, planned: seconds and peak memory (bars: 20 s, 500 MB). resume: the same with all 10,000 chains done,
until the first chain could run (bar: 20 s), and until tables and page are written.
kill: 12 phantom chains, the server or the driver killed 20 times at random, against an undisturbed run: every chain
once, byte for byte, no half-written folder, no process left.
overhead: seconds a chain of a batch over those of bare /prompt calls to the same server (bar: 5 %).
ray: chains a minute with two one-core workers over those with one (bar: 1.7).
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from ..launch.host import ensure_host
from ..launch.paths import ROOT, WORKFLOWS
from ..launch.server import Server, free_port
from ..mvg import cohort
from ..mvg.cohort import chains
from ..mvg.cohort.client import Comfy
from ..mvg.cohort.workflow import Workflow
from ..mvg.phantom.domains import phantom, picture

REPORT = "Frontal chest radiograph. Small left pleural effusion, expected to increase."
STREAM = 7
SCORES = (("conf", 0), ("conf", 1), ("clip_i", 1), ("change", 1))
RUN = (sys.executable, str(ROOT / "run.py"), "batch")


def write_cohort(folder: Path, rows: int, seeds: str = "0", drawn: int | None = None, stages: int = 2) -> list[str]:
    """Phantom patients, a report and a short workflow; ``drawn`` pictures are shared by all rows. Returns arguments."""
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


def servers(out: Path) -> list[int]:
    """ComfyUI processes whose folders lie in an output folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes()
        except OSError:
            continue
        if f"{out}/.work/".encode() in line:
            found.append(int(file.parent.name))
    return found


def kill(folder: Path, options: argparse.Namespace) -> dict:
    """Batches that end although they are killed begin anew in another folder, until all kills were spent."""
    arguments = write_cohort(folder, options.patients, "0 1", stages=1)[:-1]
    calm, outs = folder / "calm", [folder / "out1"]
    began = time.monotonic()
    subprocess.run([*RUN, *arguments, str(calm)], check=True, env=environment())
    each = (time.monotonic() - began) / (2 * options.patients)
    chance, killed, drivers = random.Random(options.seed), {"server": 0, "driver": 0}, 1
    process = subprocess.Popen([*RUN, *arguments, str(outs[-1])], env=environment())
    while sum(killed.values()) < options.kills:
        time.sleep(chance.uniform(0, 6 * each))
        if process.poll() is not None:
            if process.returncode == 0:
                outs.append(folder / f"out{len(outs) + 1}")
            process = subprocess.Popen([*RUN, *arguments, str(outs[-1])], env=environment())
            drivers += 1
        elif chance.random() < 0.5:
            process.kill()
            process.wait()
            killed["driver"] += 1
        elif alive := servers(outs[-1]):
            os.kill(chance.choice(alive), signal.SIGKILL)
            killed["server"] += 1
    process.kill()
    process.wait()
    time.sleep(2)
    orphans = sum(len(servers(out)) for out in outs)
    for out in outs:
        subprocess.run([*RUN, *arguments, str(out)], check=True, env=environment())
    want = contents(calm)
    return {
        "chains": 2 * options.patients,
        "killed": killed,
        "drivers": drivers + len(outs),
        "chains_present": [len(cohort.Store(out).done()) for out in outs],
        "identical": [contents(out) == want for out in outs],
        "half_written": [str(path) for out in outs for path in out.iterdir() if path.name in (".partial", ".work")],
        "orphans": orphans + sum(len(servers(out)) for out in outs),
    }


def contents(out: Path) -> dict[str, bytes]:
    """Every file of every chain."""
    chains = out / "chains"
    return {str(path.relative_to(chains)): path.read_bytes() for path in chains.rglob("*") if path.is_file()}


def overhead(folder: Path, options: argparse.Namespace) -> dict:
    """The same chains, in alternation: bare /prompt calls, and through the batch's pool, on one server."""
    write_cohort(folder, options.patients, stages=2)
    plan = cohort.build(folder / "cohort.csv", folder / "workflow.json")
    seconds: dict[str, list[float]] = {"bare": [], "batch": []}
    with Server(ensure_host(), free_port()) as server:
        comfy = Comfy(server.url)
        for n, chain in enumerate(plan.chains[1:]):
            for file in chains.uploads_of(chain.patient):
                comfy.upload(file)
            if n % 2 == 0:
                began = time.monotonic()
                bare(comfy, plan.workflow, chain)
                seconds["bare"].append(time.monotonic() - began)
                continue
            one = cohort.Cohort(plan.workflow, [chain.patient], [chain])
            store = cohort.Store(folder / "out")
            engine = cohort.Pool([cohort.RunningServer(server.url)])
            with store.lock():
                began = time.monotonic()
                cohort.run(one, store, engine)
                seconds["batch"].append(time.monotonic() - began)
    means = {name: sum(times) / len(times) for name, times in seconds.items()}
    return {
        "chains": {name: len(times) for name, times in seconds.items()},
        "seconds_a_chain": {name: round(mean, 3) for name, mean in means.items()},
        "overhead_percent": round(100 * (means["batch"] / means["bare"] - 1), 2),
    }


def bare(comfy: Comfy, workflow: Workflow, chain: chains.Chain) -> None:
    """A prompt and nothing else: posted, and asked for every 20 ms until it has ended."""
    graph = chains.graph_of(workflow, chain.patient, chain.seed, f"bench/{uuid.uuid4().hex}")
    prompt = comfy.post("/prompt", {"prompt": graph})["prompt_id"]
    while prompt not in comfy.get(f"/history/{prompt}"):
        time.sleep(0.02)


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
    parser.add_argument("--patients", type=int, default=6, help="kill: of two seeds each")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mvg-cohort-") as folder:
        print(json.dumps(PARTS[options.part](Path(folder), options)))


if __name__ == "__main__":
    main()
