"""Cohorts that survive anything, and what the batch layer costs: ``run.py bench cohort NAME``.

dry: 10,000 rows, planned: seconds and peak memory (bars: 20 s, 500 MB). resume: the same with all 10,000 chains done,
until the first chain could run (bar: 20 s), and until tables and page are written.
kill: 12 phantom chains, killed 20 times at random, against an undisturbed run: every chain once, byte for byte, no
half-written folder, no process left. What is killed is the driver, a worker that it started (a ComfyUI, or Ray's actor
around one) or a server that it only talks to; every driver takes the next engine. Then disk and slow.
disk: the disk of the results fills up in the middle (a mounted one, where root may mount): what is done is kept,
nothing is half-written, and the same command goes on once there is room.
slow: one of two servers answers a byte a second once it was given a chain; the other one computes them all.
overhead: median seconds a chain of a batch over those of bare /prompt calls to the same server (bar: 5 %).
ray: chains a minute with two one-core workers over those with one (bar: 1.7).
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from ... import cohort
from ...client import Client
from ...cohort import chains
from ...cohort.workflow import Workflow
from ...launch.host import ensure_host
from ...launch.server import Server, free_port
from .cohort_faults import disk, kill, slow
from .cohort_setup import RUN, environment, write_cohort

SCORES = (("conf", 0), ("conf", 1), ("clip_i", 1), ("change", 1))


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
    text = "chain,stage,metric,value,model,settings\n" + "\n".join(rows) + "\n"
    (folder / "scores.csv").write_text(text)
    files = {"scores.csv": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "done.json").write_text(json.dumps({"chain": chain, "files": files}))
    store.note(event="done", chain=chain, seconds=30.0, worker="none")


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


def faults(folder: Path, options: argparse.Namespace) -> dict:
    """Every part of cohort_faults, each in a folder of its own."""
    results: dict = {}
    for part in (kill, disk, slow):
        (folder / part.__name__).mkdir()
        results |= {part.__name__: part(folder / part.__name__, options)}
    return results


PARTS = {"dry": dry, "resume": resume, "kill": faults, "disk": disk, "slow": slow, "overhead": overhead, "ray": ray}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="run.py bench cohort", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--patients", type=int, default=6, help="kill to slow: of two seeds each; overhead: a way")
    parser.add_argument("--steps", type=int, default=20, help="kill: DDIM steps of a stage, which make a chain longer")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mvg-cohort-") as folder:
        print(json.dumps(PARTS[options.part](Path(folder), options)))


if __name__ == "__main__":
    main()
