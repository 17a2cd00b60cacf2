"""Trainings in child processes that are killed, starved or joined, for tests of what is left of them."""

import importlib
import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import accelerate.state
import accelerate.utils
import diffusers.optimization
import diffusers.training_utils
import torch
import torch.utils.tensorboard
from mvgen.launch.errors import LaunchError

IMPORTED = (accelerate.utils, diffusers.optimization, diffusers.training_utils, torch.utils.tensorboard)
"""They take seconds, and a forked process has them."""
KILLED = -signal.SIGKILL
FAILED = 3
SECONDS = 240
"""A child that takes longer hangs."""


def _child(run: Callable[..., Any], arguments: tuple, environment: dict[str, str], errors: Any) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)  # of trainings in the parent
    try:
        run(*arguments)
    except LaunchError as error:
        errors.put(str(error))
        errors.close()
        errors.join_thread()
        os._exit(FAILED)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def in_child(run: Callable[..., Any], *arguments: Any, processes: int = 1) -> tuple[int, str]:
    """Runs a function in forked processes, joined by gloo where there are several -> exit code, LaunchError's line."""
    context = multiprocessing.get_context("fork")  # what is imported stays imported: a start takes no time
    errors = context.Queue()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(processes):
        environment = {}
        if processes > 1:
            environment = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes),
                "LOCAL_WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
        children.append(context.Process(target=_child, args=(run, arguments, environment, errors)))
    for child in children:
        child.start()
    for child in children:
        child.join(SECONDS)
    if hung := [child for child in children if child.is_alive()]:
        for child in hung:
            child.kill()
        raise TimeoutError(f"a training in a child process did not end within {SECONDS} s")
    code = next((child.exitcode for child in children if child.exitcode), 0)
    return code, errors.get(timeout=5) if code == FAILED else ""


def kill_before_step(step: int) -> None:
    """SIGKILLs the process as it begins the step after this one."""
    from mvgen.training.trainer import Trainer

    train_step = Trainer.train_step

    def train_or_die(self, batches):
        if self.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return train_step(self, batches)

    Trainer.train_step = train_or_die


def command(name: str, arguments: list, kill_at: int = -1) -> None:
    """``run.py train NAME`` in this process; ValueError ends as LaunchError, as there."""
    if kill_at >= 0:
        kill_before_step(kill_at)
    sys.argv = [name, *map(str, arguments)]
    try:
        importlib.import_module(f"mvgen.training.{name}").main()
    except ValueError as error:
        raise LaunchError(str(error)) from error


def held(path: Path) -> dict[str, bytes]:
    """The tensors of a safetensors file as bytes."""
    from safetensors.torch import load_file

    tensors = load_file(path).items()
    return {name: tensor.reshape(-1).view(torch.uint8).numpy().tobytes() for name, tensor in tensors}
