"""A Ray cluster: actors that each hold one ComfyUI, on a GPU where there are any.

Every node sees this folder, the manifest's files and the output folder under the same path (shared storage). An actor
that dies costs the chain that it was at, which is tried again; Ray starts the actor anew, on another node if need be.
"""

import os
import time
from pathlib import Path
from typing import Any

from ...client import SERVER, PromptFailed, ServerInfo
from ...launch.errors import LaunchError, UsageError
from ...launch.host import Host
from ...launch.paths import PACKAGE_PATH
from ...launch.process import exit_on_signals
from ..store import Store
from .base import Job, NoWorkers, Outcome
from .local import SHARED_THREADS, LocalServer
from .pool import Unreachable, attempt

INSTALL = "--engine ray needs the package ray. Install it: .venv/bin/python -m pip install ray"

READY_SECONDS = 1800.0  # for a node to be found and its ComfyUI to answer


class HostActor:
    """What an actor does: one ComfyUI, one chain at a time."""

    def __init__(self, host: Host, device: str, folder: Path, log: Path, threads: int | None):
        self.worker = LocalServer(host, device, folder, log, threads)

    def info(self, classes: frozenset[str]) -> ServerInfo:
        return self.worker.ready(_never_stop).info(classes)

    def run(self, job: Job, limit: float) -> Outcome:
        try:
            client = self.worker.ready(_never_stop)
        except (Unreachable, LaunchError, OSError) as error:
            return Outcome(job, 0.0, self.worker.name, str(error), SERVER)
        outcome = attempt(client, job, self._check, limit, self.worker.name)
        if outcome.kind == SERVER or "limit" in outcome.details:
            self.worker.restart()
        if outcome.error is None:
            self.worker.clear()
        return outcome

    def ping(self) -> None:
        """Answers as soon as the actor is there (again)."""

    def _check(self) -> None:
        try:
            self.worker.check()
        except PromptFailed:
            raise
        except LaunchError as error:
            raise PromptFailed(str(error), SERVER) from error


def _never_stop() -> None:
    """An actor is ended from outside, and its ComfyUI with it."""


class RayEngine:
    """An engine over actors.

    Args:
        host: The ComfyUI that they start.
        store: Where results and logs go.
        address: Of a cluster; None for one on this machine that ends with the batch.
        workers: How many actors; None for one a GPU of the cluster, else one.
        limit: Seconds that a chain may take.

    Raises:
        UsageError: Ray is not installed, or the cluster is smaller than ``workers``.
        LaunchError: There is no cluster at ``address``.
    """

    def __init__(self, host: Host, store: Store, address: str | None, workers: int | None, limit: float):
        try:
            import ray
        except ImportError as error:  # of ray, or of what it needs
            raise UsageError(f"{INSTALL} ({error})") from error
        self.ray = ray
        self.limit = limit
        inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        settings = {"env_vars": {"PYTHONPATH": os.pathsep.join([str(PACKAGE_PATH), *inherited])}}
        try:
            ray.init(address, runtime_env=settings, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise LaunchError(f"no Ray cluster at {address!r} ({str(error).splitlines()[0]}).") from error
        exit_on_signals()  # it takes signals for itself
        resources = ray.cluster_resources()
        cards = int(resources.get("GPU", 0))
        self.count = workers or cards or 1
        need, have = (self.count, cards) if cards else (self.count, int(resources.get("CPU", 1)))
        if need > have:
            ray.shutdown()
            raise UsageError(f"--workers is {need}, and the cluster has {have} {'GPUs' if cards else 'cores'}.")
        threads = None if cards else int(os.environ.get(SHARED_THREADS, max(1, have // self.count)))
        actor: Any = ray.remote(max_restarts=-1, num_cpus=1, num_gpus=1 if cards else 0)(HostActor)
        logs = store.out / "logs" / store.shard
        self.actors = [
            actor.remote(host, "0" if cards else "cpu", store.work / f"ray-{n}", logs / f"ray-{n}.log", threads)
            for n in range(1, self.count + 1)
        ]
        self.idle = list(self.actors)
        self.waking: dict[Any, Any] = {}  # an actor's answer to a ping -> the actor
        self.running: dict[Any, tuple[Any, Job]] = {}

    def start(self, classes: frozenset[str]) -> list[ServerInfo]:
        try:
            return self.ray.get([actor.info.remote(classes) for actor in self.actors], timeout=READY_SECONDS)
        except self.ray.exceptions.RayError as error:
            raise NoWorkers(str(error).strip().splitlines()[-1]) from error

    def free_slots(self) -> int:
        awake, _ = (
            self.ray.wait(list(self.waking), num_returns=len(self.waking), timeout=0) if self.waking else ([], [])
        )
        for answer in awake:
            actor = self.waking.pop(answer)
            try:
                self.ray.get(answer)
                self.idle.append(actor)
            except self.ray.exceptions.RayError:
                self._wake(actor)
        return len(self.idle)

    def _wake(self, actor: Any) -> None:
        """An actor that Ray starts anew takes no chain before it answers: each would break at once."""
        self.waking[actor.ping.options(max_task_retries=-1).remote()] = actor

    def submit(self, job: Job) -> None:
        actor = self.idle.pop()
        self.running[actor.run.remote(job, self.limit)] = actor, job

    def collect(self, timeout: float) -> Outcome | None:
        ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=timeout) if self.running else ([], [])
        if not ready:
            time.sleep(0 if self.running else min(timeout, 0.5))
            return None
        actor, job = self.running.pop(ready[0])
        try:
            outcome = self.ray.get(ready[0])
            self.idle.append(actor)
            return outcome
        except self.ray.exceptions.RayError as error:
            self._wake(actor)
            told = str(error).strip().splitlines()
            return Outcome(job, 0.0, "ray", f"its actor ended ({told[0] if told else type(error).__name__})", SERVER)

    def close(self) -> None:
        for actor in self.actors:
            self.ray.kill(actor, no_restart=True)
        self.ray.shutdown()
