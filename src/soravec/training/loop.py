"""The training loop: one visible function over batches, whatever is learned."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from soravec.errors import TrainingError
from soravec.training.checkpoint import (
    random_state,
    read_checkpoint,
    set_random_state,
    write_checkpoint,
)
from soravec.training.config import LoopOptions, OptimizerOptions
from soravec.training.optimizer import make_optimizer, set_learning_rate

CHECKPOINT_FILE = "checkpoint.safetensors"
LOG_FILE = "log.jsonl"

B = TypeVar("B")


class BatchOnDevice(Protocol):
    """What the loop knows of a batch."""

    def __len__(self) -> int:
        """Return how many examples it holds."""

    def to(self, device: torch.device) -> "BatchOnDevice":
        """Return it on a device."""


class Source(Protocol):
    """Where batches come from; each follows from epoch and place alone."""

    @property
    def num_batches(self) -> int:
        """How many make an epoch."""

    def training(self, epoch: int, begin: int) -> Iterator[Sequence[BatchOnDevice]]:
        """Yield the views of each batch of an epoch, from batch `begin` on."""

    def validation(self) -> Iterator[Sequence[BatchOnDevice]]:
        """Yield the views of batches that are not learned from, the same at every call."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    epoch: int
    """Rounds that are done."""
    batch: int
    """Batches of the present round that are done."""
    num_batches: int
    """Batches of a round."""
    loss: float
    """Of the last batch."""
    per_second: float
    """Segments learned from in a second."""
    waiting: float
    """Share of the time spent waiting for data; the rest is computing."""
    best_loss: float
    """Lowest validation loss so far; infinite before there is one."""


@dataclass(slots=True)
class Fit:
    """What a training came to."""

    epochs: int = 0
    """Rounds that were made."""
    best_epoch: int = 0
    """The one whose weights are kept, from 1."""
    best_loss: float = math.inf
    """Validation loss then; infinite without validation data."""
    history: list[dict[str, float]] = field(default_factory=list)
    """Training and validation losses of every epoch."""
    losses: list[float] = field(default_factory=list)
    """Loss of every batch."""
    seconds: float = 0.0
    """Time taken, that before an interruption included."""
    waiting: float = 0.0
    """Share of the time since then spent waiting for data."""


def fit(
    objective: nn.Module,
    source: Source,
    *,
    optimizer_options: OptimizerOptions,
    options: LoopOptions,
    out: Path | None = None,
    groups: Sequence[tuple[nn.Module, float]] | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Fit:
    """Train in place, leave the best weights in `objective`, and return what it came to.

    The best weights are those of the lowest validation loss; without validation data, the last.

    Args:
        objective: Returns losses by name for the views of a batch; `loss` is made small.
        source: Batches.
        optimizer_options: How weights move.
        options: How long, and how exactly.
        out: Folder of log and checkpoints; None writes nothing. What an earlier training wrote
            there, or this one after its last checkpoint, is written anew.
        groups: Modules that learn, each with its share of the learning rate; None for all alike.
        resume: Go on from the checkpoint in `out`, where there is one, as if never interrupted.
        on_progress: Called after every batch.

    Raises:
        TrainingError: The loss is no longer a number.
    """
    fabric = Fabric(accelerator=options.accelerator, devices=1, precision=options.precision)
    torch.use_deterministic_algorithms(options.deterministic)
    torch.manual_seed(options.seed)
    optimizer = make_optimizer(groups or [(objective, 1.0)], optimizer_options)
    objective.to(fabric.device)
    state = _State(objective, optimizer, fabric.strategy.precision, optimizer_options.ema, out)
    model, stepper = fabric.setup(objective, optimizer)
    epoch, begin = state.restore() if resume else (0, 0)
    done = epoch * source.num_batches + begin
    result, meter, log = state.result, _Meter(), _Log(out, epoch, done)
    total = options.epochs * source.num_batches
    while epoch < options.epochs and not _is_stale(result, options.patience):
        model.train()
        for number, views in meter.watched(source.training(epoch, begin), begin):
            done = epoch * source.num_batches + number
            rate = set_learning_rate(optimizer, optimizer_options, done / total)
            losses = model([view.to(fabric.device) for view in views])
            fabric.backward(losses["loss"] / _shared_by(number, source.num_batches, options))
            values = {name: float(loss.detach()) for name, loss in losses.items()}
            _check_finite(values["loss"], epoch, number)
            result.losses.append(values["loss"])
            meter.count(len(views[0]))
            if (number + 1) % options.accumulate == 0 or number + 1 == source.num_batches:
                if optimizer_options.clip_norm:
                    fabric.clip_gradients(model, stepper, max_norm=optimizer_options.clip_norm)
                stepper.step()
                stepper.zero_grad()
                state.average()
                if number + 1 < source.num_batches:
                    state.save_at_times(epoch, number + 1, meter, options.checkpoint_seconds)
            log.step("train", {**values, "learning_rate": rate}, done)
            if on_progress is not None:
                on_progress(_progress(epoch, number + 1, source.num_batches, result, meter))
        epoch, begin = epoch + 1, 0
        measured = _validate(state.kept, source, fabric)
        state.end_epoch(epoch, source.num_batches, measured)
        log.epoch(result.history[-1], epoch * source.num_batches)
        state.save_at_times(epoch, 0, meter, options.checkpoint_seconds)
    state.save(epoch, 0, meter)
    result.waiting = meter.waiting
    log.close()
    objective.load_state_dict(state.best)
    objective.cpu().eval()
    return result


def _check_finite(loss: float, epoch: int, number: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} in epoch {epoch + 1}, batch {number + 1}:"
            " try a lower optimizer.learning_rate, or loop.precision=32-true"
        )


def _shared_by(number: int, num_batches: int, options: LoopOptions) -> int:
    """Return how many batches share the update of a batch; the last update may have fewer.

    Of 5 batches, 4 per update: 4, 4, 4, 4, 1.
    """
    first = number - number % options.accumulate
    return min(options.accumulate, num_batches - first)


class _State:
    """All that an interruption must not lose."""

    def __init__(
        self,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        precision: Precision,
        ema: float,
        out: Path | None,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.precision = precision
        self.averaged: AveragedModel | None = None
        if ema:
            self.averaged = AveragedModel(
                objective,
                multi_avg_fn=get_ema_multi_avg_fn(ema),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )
        self.path = None if out is None else out / CHECKPOINT_FILE
        self.result = Fit()
        self.best = _copy(objective)
        self._saved = time.monotonic()

    @property
    def kept(self) -> nn.Module:
        """The weights that count: the averaged ones, where there are any."""
        return self.objective if self.averaged is None else self.averaged.module

    def average(self) -> None:
        if self.averaged is not None:
            self.averaged.update_parameters(self.objective)

    def end_epoch(self, epoch: int, num_batches: int, measured: Mapping[str, float]) -> None:
        """Note what an epoch came to, and keep its weights if they are the best."""
        result = self.result
        result.epochs = epoch
        train = sum(result.losses[-num_batches:]) / num_batches
        line = {"epoch": epoch, "train_loss": train}
        result.history.append(line | {f"validation_{k}": v for k, v in measured.items()})
        if not measured or measured["loss"] < result.best_loss:
            self.best = _copy(self.kept)
            result.best_epoch = epoch
            result.best_loss = measured.get("loss", math.inf)

    def restore(self) -> tuple[int, int]:
        """Return the epoch and the batch to go on with."""
        if self.path is None or not self.path.is_file():
            return 0, 0
        state = read_checkpoint(self.path)
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.load_state_dict(state["precision"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.best = state["best"]
        for name, value in state["result"].items():
            setattr(self.result, name, value)
        set_random_state(state["random"])
        return state["epoch"], state["batch"]

    def save_at_times(self, epoch: int, batch: int, meter: "_Meter", every_seconds: float) -> None:
        if time.monotonic() - self._saved >= every_seconds:
            self.save(epoch, batch, meter)

    def save(self, epoch: int, batch: int, meter: "_Meter") -> None:
        self.result.seconds += meter.take()
        self._saved = time.monotonic()
        if self.path is None:
            return
        state: dict[str, Any] = {
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "averaged": {} if self.averaged is None else self.averaged.state_dict(),
            "best": self.best,
            "result": asdict(self.result),
            "random": random_state(),
            "epoch": epoch,
            "batch": batch,
        }
        write_checkpoint(state, self.path)


class _Meter:
    """Where the time goes: waiting for data, or computing."""

    def __init__(self) -> None:
        self._began = self._taken = time.monotonic()
        self._waited = 0.0
        self._examples = 0

    def watched(self, batches: Iterator[B], first: int) -> Iterator[tuple[int, B]]:
        """Yield batches with their numbers, and note how long each was waited for."""
        number = first
        while True:
            before = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - before
            if batch is None:
                return
            yield number, batch
            number += 1

    def count(self, examples: int) -> None:
        self._examples += examples

    def take(self) -> float:
        """Return the seconds since this was last asked."""
        before, self._taken = self._taken, time.monotonic()
        return self._taken - before

    @property
    def waiting(self) -> float:
        return self._waited / max(time.monotonic() - self._began, 1e-9)

    @property
    def per_second(self) -> float:
        return self._examples / max(time.monotonic() - self._began, 1e-9)


class _Log:
    """TensorBoard, and JSON lines of every epoch; nothing at all without a folder."""

    def __init__(self, out: Path | None, epochs: int, steps: int) -> None:
        """Open the logs, and forget what stands there of later epochs and steps."""
        self._file = None if out is None else out / LOG_FILE
        self._board: Any = None
        if out is not None:
            from torch.utils.tensorboard import SummaryWriter

            kept = _first_lines(out / LOG_FILE, epochs)
            (out / LOG_FILE).write_text(kept, encoding="utf-8")
            self._board = SummaryWriter(str(out / "tensorboard"), purge_step=steps)

    def step(self, kind: str, values: Mapping[str, float], step: int) -> None:
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def epoch(self, line: Mapping[str, float], step: int) -> None:
        if self._file is None:
            return
        self.step("epoch", {k: v for k, v in line.items() if k != "epoch"}, step)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


@torch.no_grad()
def _validate(model: nn.Module, source: Source, fabric: Fabric) -> dict[str, float]:
    """Return the mean losses over the validation batches; nothing where there are none."""
    model.eval()
    sums: dict[str, float] = {}
    count = 0
    for views in source.validation():
        with fabric.autocast():
            losses = model([view.to(fabric.device) for view in views])
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + float(loss) * len(views[0])
        count += len(views[0])
    return {name: value / count for name, value in sums.items()}


def _progress(epoch: int, batch: int, num_batches: int, result: Fit, meter: _Meter) -> Progress:
    return Progress(
        epoch=epoch,
        batch=batch,
        num_batches=num_batches,
        loss=result.losses[-1],
        per_second=meter.per_second,
        waiting=meter.waiting,
        best_loss=result.best_loss,
    )


def _is_stale(result: Fit, patience: int) -> bool:
    """Return whether too many epochs have brought no better validation loss."""
    return patience > 0 and result.epochs - result.best_epoch >= patience


def _first_lines(path: Path, count: int) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return "".join(lines[:count])


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
