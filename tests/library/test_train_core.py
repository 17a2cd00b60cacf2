"""The training loop: what is left of runs that are killed, joined by others, or given what cannot work."""

import argparse
import resource
import signal
from pathlib import Path

import pytest
import torch
from mvgen.tests.library.training_runs import FAILED, KILLED, held, in_child, kill_before_step
from mvgen.training import common
from mvgen.training.draws import Draws
from mvgen.training.run_folder import RunFolder
from mvgen.training.settings import Settings
from mvgen.training.task import Task
from mvgen.training.trainer import Trainer
from torch import nn
from torch.utils.data import Dataset

STEPS = 8


class Numbers(Dataset):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, number: int) -> dict:
        return {"number": number}


class Line(Task):
    """A small network with dropout learns a sum; ``nan_at`` makes the loss of the pass with that sample none."""

    def __init__(self, nan_at: int = -1, width: int = 8):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.Tanh(), nn.Dropout(0.1 if nan_at != -2 else 0.0), nn.Linear(width, 1)
        )
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.nan_at = nan_at

    def forward(self, batch):
        x = Draws(0, batch["number"]).normal((4,))
        loss = (self.net(x) - x.sum(1, keepdim=True)).square().mean()
        return {"loss": loss * (float("nan") if self.nan_at in batch["number"] else 1.0)}

    def pictures(self):
        return torch.zeros(1, 3, 4, 4)


def train(folder: Path, resume: bool = False, kill_at: int = -1, nan_at: int = -1, limit: int = 0, **changes) -> None:
    if kill_at >= 0:
        kill_before_step(kill_at)
    if limit:  # a file may not grow past it, as where the disk is full
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    settings = Settings(
        **{"steps": STEPS, "batch": 4, "rate": 1e-2, "accumulation": 2, "warmup": 2, "checkpoint": 3, "validate": 2,
           "device": "cpu", "precision": "fp32"} | changes
    )  # fmt: skip
    task = Line(nan_at, width=4096 if limit else 8)
    trainer = Trainer(task, Numbers(), settings, RunFolder(folder), validation=Numbers(), resume=resume)
    if limit:
        step = trainer.train_step

        def starved(batches):
            if trainer.step == 3:  # after the first checkpoint
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return step(batches)

        trainer.train_step = starved  # type: ignore[method-assign]
    trainer.fit()
    trainer.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert in_child(train, folder) == (0, "")
    return folder


def same(a: Path, b: Path) -> None:
    assert (a / "loss.csv").read_bytes() == (b / "loss.csv").read_bytes()
    assert held(a / "best.safetensors") == held(b / "best.safetensors")
    checkpoints = [next((folder / "checkpoints").iterdir()) / "trained.safetensors" for folder in (a, b)]
    assert held(checkpoints[0]) == held(checkpoints[1])


@pytest.mark.parametrize("killed_at", [2, 5])
def test_a_killed_run_goes_on_bit_by_bit(tmp_path, whole, killed_at):
    """Before the first checkpoint and between two; with warm-up, accumulation, dropout, averaging and validation."""
    folder = tmp_path / "run"
    assert in_child(train, folder, False, killed_at)[0] == KILLED
    assert RunFolder(folder).last_step() == killed_at // 3 * 3
    assert in_child(train, folder, True) == (0, "")
    same(folder, whole)
    assert [row["step"] for row in RunFolder(folder).losses()] == list(range(1, STEPS + 1))


def test_what_is_kept_is_what_is_trained(whole):
    assert {name.partition(".")[0] for name in held(whole / "best.safetensors")} == {"net"}
    assert [folder.name for folder in (whole / "checkpoints").iterdir()] == [f"{STEPS:08d}"]


def test_tensorboard_has_losses_and_pictures(whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole / "tensorboard"))
    events.Reload()
    losses = [event.value for event in events.Scalars("train/loss")]
    assert losses == pytest.approx([row["loss"] for row in RunFolder(whole).losses()])
    assert [event.step for event in events.Scalars("validation/loss")] == [2, 4, 6, 8]
    assert [event.step for event in events.Images("samples")] == [2, 4, 6, 8]


def test_the_rate_warms_up_and_falls_as_a_cosine(whole):
    rates = [row["rate"] for row in RunFolder(whole).losses()]
    want = [0.0, 0.5, 1.0] + [0.5 * (1 + torch.cos(torch.tensor(torch.pi * i / 6)).item()) for i in range(1, 6)]
    assert rates == pytest.approx([1e-2 * w for w in want], rel=1e-6)


def test_two_processes_are_one_with_twice_the_batch(tmp_path):
    """By gloo; without dropout, whose draws are a process's own."""

    def run(folder, batch, resume=False):
        train(folder, resume, nan_at=-2, batch=batch)

    assert in_child(run, tmp_path / "one", 4) == (0, "")
    assert in_child(run, tmp_path / "two", 2, processes=2) == (0, "")
    assert in_child(run, tmp_path / "two", 2, True, processes=2) == (0, "")
    one, two = (RunFolder(tmp_path / name).losses() for name in ("one", "two"))
    assert [row["loss"] for row in two] == pytest.approx([row["loss"] for row in one], rel=1e-5)
    assert len(one) == STEPS and one[-1]["loss"] < one[0]["loss"]


def test_nan_stops_with_the_step_and_keeps_the_checkpoint(tmp_path):
    code, line = in_child(train, tmp_path / "run", False, -1, 35)  # 8 samples a step: in step 5
    assert code == FAILED and line.startswith("the loss is nan at step 5; the checkpoint of step 3 is kept.")
    assert RunFolder(tmp_path / "run").last_step() == 3


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path):
    code, line = in_child(train, tmp_path / "run", False, -1, -1, 50_000)
    assert code == FAILED and "the checkpoint of step 6 could not be written" in line
    assert "that of step 3 is kept" in line and "\n" not in line
    assert [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000003"]
    assert in_child(train, tmp_path / "run", True)[0] == FAILED  # another width: not the network that was trained


def test_a_run_of_another_configuration_is_refused(tmp_path, whole):
    def other():
        train(whole, resume=True, rate=2e-2)

    code, line = in_child(other)
    assert code == FAILED and line.startswith("--resume: rate is 0.02, and the run in ") and "has 0.01" in line


def test_a_folder_is_not_taken_twice(tmp_path, whole):
    code, line = in_child(train, whole)
    assert code == FAILED and "holds a run already. Add --resume" in line
    code, line = in_child(train, tmp_path / "none", True)
    assert code == FAILED and "holds no run" in line


def test_a_folder_in_use_is_refused(tmp_path, whole):
    folder = RunFolder(whole)
    folder._take()
    try:
        code, line = in_child(train, whole, True)
    finally:
        folder.close()
    assert code == FAILED and line.endswith("is in use by another process. Wait for it, or give another.")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    def asked():
        train(tmp_path / "run", device="cuda")

    code, line = in_child(asked)
    assert code == FAILED and line.startswith("--device is cuda: torch finds no GPU here.")


def test_trainings_of_the_embedded_set_go_on_by_themselves(tmp_path, monkeypatch):
    """Their loss makes its own batch from the step's generator."""
    monkeypatch.setattr(common, "RUNS", tmp_path)
    options = argparse.Namespace(steps=20, batch=4, rate=1e-2, seed=2, device="cpu", go_on=False, count=None)

    def run(name: str, kill_at: int = -1) -> None:
        if kill_at >= 0:
            kill_before_step(kill_at)
        torch.manual_seed(0)
        net = nn.Linear(4, 1)
        trainer = common.Trainer(name, {"net": net}, options, decay=0.9)

        def loss(generator, step):
            x = torch.randn(4, 4, generator=generator)
            return {"loss": (net(x) - x.sum(1, keepdim=True)).square().mean()}

        trainer.fit(loss)
        trainer.averaged()
        torch.save(net.state_dict(), tmp_path / f"{name}.pt")

    assert in_child(run, "whole") == (0, "")
    assert in_child(run, "broken", 7)[0] == KILLED
    assert in_child(run, "broken") == (0, "")
    losses = [RunFolder(tmp_path / name).losses() for name in ("whole", "broken")]
    assert losses[0] == losses[1] and losses[0][-1]["loss"] < losses[0][0]["loss"]
    whole, broken = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
