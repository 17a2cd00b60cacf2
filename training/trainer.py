"""The one training loop, on accelerate: several processes, bf16, accumulation, moving average, resume, TensorBoard.

What a step sees is a function of the seed and the step alone: sample n of a run is the same whichever process or
resumed run takes it. So a run that was stopped goes on bit by bit where one process computes on the CPU, and two
processes see what one with twice the batch sees.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ..launch.errors import LaunchError
from .run_folder import RunFolder
from .settings import Settings, make_accelerator
from .task import Task

SECONDS_BETWEEN_LINES = 20


class _Progress:
    """What a checkpoint holds beside tensors: the best validation so far."""

    def __init__(self) -> None:
        self.best, self.best_step = math.inf, 0

    def state_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class Trainer:
    """Trains a task in a run folder.

    Args:
        task: what is trained.
        data: sample number -> sample, a dictionary; numbers have no end.
        settings: how.
        folder: of the run.
        validation: samples of the validation, whose draws are the same every time; None for none.
        optimizer: makes one in place of AdamW.
        config: what else makes the run what it is, for `RunFolder.open`.
        resume: go on where the run in the folder is.
    """

    def __init__(
        self,
        task: Task,
        data: Dataset,
        settings: Settings,
        folder: RunFolder,
        *,
        validation: Dataset | None = None,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None = None,
        config: Mapping[str, Any] | None = None,
        resume: bool = False,
    ):
        from diffusers.optimization import get_scheduler
        from diffusers.training_utils import EMAModel

        self.task, self.data, self.settings, self.folder, self.validation = task, data, settings, folder, validation
        self.accelerator = make_accelerator(settings, folder.path)
        self.progress = _Progress()
        shape = {"processes": self.accelerator.num_processes, "precision": self.accelerator.mixed_precision}
        self.step = self._open({**settings.told(), **shape, **(config or {})}, resume)
        trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
        task.to(self.accelerator.device)
        if optimizer is None:
            made: torch.optim.Optimizer = torch.optim.AdamW(
                trained, lr=settings.rate, betas=settings.betas, weight_decay=settings.weight_decay
            )
        else:
            made = optimizer(trained)
        self.schedule = get_scheduler(
            "cosine", made, num_warmup_steps=settings.warmup, num_training_steps=settings.steps
        )
        self.model, self.optimizer = self.accelerator.prepare(task, made)
        self.trained = trained
        self.average = EMAModel(trained, decay=settings.decay) if settings.decay else None
        self.accelerator.register_for_checkpointing(self.schedule, self.progress)
        if self.average is not None:
            self.average.to(self.accelerator.device)
            self.accelerator.register_for_checkpointing(self.average)
        self.accelerator.register_save_state_pre_hook(self._save_kept)
        self.accelerator.register_load_state_pre_hook(self._load_kept)
        if self.step:
            self._load(self.step)
        tracking = {"tensorboard": {"purge_step": self.step + 1}}
        self.accelerator.init_trackers("tensorboard", init_kwargs=tracking)

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.accelerator.is_main_process

    def fit(self) -> None:
        """Trains to the last step, from the last checkpoint on.

        Raises:
            LaunchError: the loss or its gradient is no number, or a checkpoint cannot be written; the message names
                the step and the checkpoint that is kept.
        """
        batches = self.batches()
        shown, since = [], time.monotonic()
        while self.step < self.settings.steps:
            self.model.train()
            rate = self.schedule.get_last_lr()[0]
            terms = self.train_step(batches)
            self.step += 1
            row = {"step": self.step, **terms, "rate": rate}
            if self.main:
                self.folder.append(row)
            self.accelerator.log({f"train/{name}": value for name, value in terms.items()} | {"rate": rate}, self.step)
            shown.append(terms["loss"])
            if self.main and time.monotonic() - since > SECONDS_BETWEEN_LINES:
                speed = len(shown) / (time.monotonic() - since)
                text = f"step {self.step}/{self.settings.steps} loss {sum(shown) / len(shown):.5f} {speed:.2f} steps/s"
                print(text, flush=True)
                shown, since = [], time.monotonic()
            last = self.step == self.settings.steps
            if last or self.step % self.settings.validate == 0:
                self._validate()
            if last or self.step % self.settings.checkpoint == 0:
                self.save()

    def close(self) -> None:
        """Ends what ties the processes together, and gives the folder back."""
        self.accelerator.end_training()
        self.folder.close()

    def finish(self, best: bool = True) -> dict[str, Tensor]:
        """Puts the averaged weights into the networks, for export.

        Args:
            best: those of the lowest validation loss, where there was a validation; else those of the last step.

        Returns:
            What was put there, by name.
        """
        from safetensors.torch import load_file

        if best and self.folder.best.is_file():
            state = load_file(self.folder.best)
            self.task.load_state_dict(state, strict=False)
        elif self.average is not None:
            self.average.copy_to(self.trained)
        self.task.eval()
        return {name: tensor.detach() for name, tensor in self.task.kept().items()}

    def save(self) -> None:
        """Writes a checkpoint of this step, whole or not at all.

        Raises:
            LaunchError: it could not be written.
        """
        self.accelerator.wait_for_everyone()
        if self.main:
            with self.folder.writing(self.step) as partial:
                self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()

    def _open(self, config: Mapping[str, Any], resume: bool) -> int:
        step = self.folder.open(config, resume) if self.main else 0
        if self.accelerator.num_processes > 1:
            from accelerate.utils import broadcast_object_list

            (step,) = broadcast_object_list([step])
        return step

    def _load(self, step: int) -> None:
        try:
            self.accelerator.load_state(str(self.folder.checkpoint(step)))
        except Exception as error:
            path = self.folder.checkpoint(step)
            raise LaunchError(f"--resume: {path} is damaged ({type(error).__name__}: {error}). Begin again.") from error
        if self.average is not None:
            self.average.to(self.accelerator.device)
        if self.main:
            print(f"resumed at step {step}", flush=True)

    def _save_kept(self, models: list, weights: list, folder: str) -> None:
        """Keeps what is trained alone: frozen networks are read from where they came from."""
        write_tensors(self.task.kept(), Path(folder) / "trained.safetensors")
        weights.clear()

    def _load_kept(self, models: list, folder: str) -> None:
        from safetensors.torch import load_file

        state = load_file(Path(folder) / "trained.safetensors")
        if state.keys() != self.task.kept().keys():
            raise ValueError("it holds other tensors than this network trains")
        self.task.load_state_dict(state, strict=False)
        models.clear()

    def _numbers(self, step: int) -> Iterator[list[int]]:
        """The samples of every pass of this process, from a step on."""
        batch, passes, processes = self.settings.batch, self.settings.accumulation, self.accelerator.num_processes
        for at in range(step * passes, self.settings.steps * passes):
            first = (at * processes + self.accelerator.process_index) * batch
            yield list(range(first, first + batch))

    def _loader(self, data: Dataset, numbers: Iterator[list[int]]) -> DataLoader:
        return DataLoader(
            data,
            batch_sampler=list(numbers),
            num_workers=self.settings.workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )

    def batches(self) -> Iterator[dict[str, Any]]:
        """What this process sees from here to the last step, a pass at a time."""
        return iter(self._loader(self.data, self._numbers(self.step)))

    def train_step(self, batches: Iterator[dict[str, Any]]) -> dict[str, float]:
        """One optimiser step -> its terms, mean over passes and processes."""
        passes = self.settings.accumulation
        total: dict[str, Tensor] = {}
        for index in range(passes):
            batch = next(batches)
            # whatever a network draws itself, such as dropout, is decided by the first sample of its batch
            torch.manual_seed(self.settings.seed * 1_000_003 + int(batch["number"][0]))
            with self.accelerator.accumulate(self.model):
                terms = self.model(self._moved(batch))
                self.accelerator.backward(terms["loss"])
                for name, value in terms.items():
                    total[name] = total.get(name, 0.0) + value.detach().float() / passes
                if index == passes - 1:
                    told = self._mean(total)
                    norm = float(self.accelerator.clip_grad_norm_(self.trained, self.settings.clip))
                    if not (math.isfinite(told["loss"]) and math.isfinite(norm)):
                        self._stop_at_nonsense(told["loss"], norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.schedule.step()
        if self.average is not None:
            self.average.step(self.trained)
        return told

    def _moved(self, batch: dict[str, Any]) -> dict[str, Any]:
        from accelerate.utils import send_to_device

        return send_to_device(batch, self.accelerator.device, non_blocking=True)

    def _mean(self, terms: dict[str, Tensor]) -> dict[str, float]:
        values = torch.stack([*terms.values()])
        if self.accelerator.num_processes > 1:
            values = self.accelerator.reduce(values, "mean")
        return dict(zip(terms, values.tolist(), strict=True))

    def _stop_at_nonsense(self, loss: float, norm: float) -> None:
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient's norm is {norm} (loss {loss:.5g})"
        before = self.folder.last_step()
        kept = f"the checkpoint of step {before} is kept" if before else "there is no checkpoint yet"
        raise LaunchError(f"{what} at step {self.step + 1}; {kept}. A lower --rate or --precision fp32 may help.")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The averaged weights are in the networks, which are in evaluation mode, while the block runs."""
        if self.average is not None:
            self.average.store(self.trained)
            self.average.copy_to(self.trained)
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            if self.average is not None:
                self.average.restore(self.trained)
            self.model.train()

    def _validate(self) -> None:
        """Validation loss and sample pictures of the averaged weights; the best ones are kept."""
        with self.averaged():
            if self.validation is not None:
                told = self._validation_loss()
                self.accelerator.log({f"validation/{name}": value for name, value in told.items()}, self.step)
                if self.main:
                    print(f"step {self.step}/{self.settings.steps} validation loss {told['loss']:.5f}", flush=True)
                if told["loss"] < self.progress.best:
                    self.progress.best, self.progress.best_step = told["loss"], self.step
                    if self.main:
                        write_tensors(self.task.kept(), self.folder.best, step=self.step, loss=told["loss"])
            pictures = self.task.pictures() if self.main else None
        if pictures is not None:
            tracker = self.accelerator.get_tracker("tensorboard")
            tracker.log_images({"samples": pictures.float().clamp(0, 1).cpu().numpy()}, step=self.step)

    def _validation_loss(self) -> dict[str, float]:
        """The mean over all samples, of which every process takes its share."""
        from accelerate.utils import gather_object

        count, size = len(self.validation), self.settings.batch  # type: ignore[arg-type]
        batches = [list(range(i, min(i + size, count))) for i in range(0, count, size)]
        mine = batches[self.accelerator.process_index :: self.accelerator.num_processes]
        parts = [
            (len(batch["number"]), {name: float(v) for name, v in self.task(self._moved(batch)).items()})
            for batch in self._loader(self.validation, iter(mine))  # type: ignore[arg-type]
        ]
        parts = gather_object(parts)
        return {name: sum(n * terms[name] for n, terms in parts) / count for name in parts[0][1]}


def write_tensors(state: Mapping[str, Tensor], path: Path, **metadata: object) -> None:
    """Writes safetensors, whole or not at all.

    Args:
        state: tensors by name.
        path: the file; its folder is made.
        **metadata: texts, and what JSON holds.

    Raises:
        LaunchError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    own = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in state.items()}
    temporary = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(own, temporary, metadata={"format": "pt", **told})
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise LaunchError(f"{path} cannot be written ({error}). Free some space and go on with --resume.") from error
    finally:
        temporary.unlink(missing_ok=True)
