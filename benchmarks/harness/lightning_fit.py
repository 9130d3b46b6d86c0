"""Training with early stopping: Lightning's loop, quiet, without files, and the best weights put back."""

import logging
import math
import os
import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader

from harness import processes
from harness.processes import ShareSampler

__all__ = ["bare_trainer", "data_parallel", "fit", "quiet_and_seeded", "run_trainer"]

METRIC = "validation"


def fit(
    module: pl.LightningModule,  # trained in place; afterwards it has its best weights and is in evaluation mode
    train: Iterable[Any],  # an epoch's batches: a DataLoader, or what can be iterated again and again, such as a list
    validation: Iterable[Any] | None,  # None trains max_epochs and keeps the last weights
    *,
    max_epochs: int,
    patience: int | None = None,  # epochs in a row without a better one that end training; None never does
    seed: int,  # of dropout and shuffling; weights were drawn when the module was made
    clip: float | None = None,  # largest norm of the gradient of all weights together; a longer one is scaled down
    mode: Literal["min", "max"] = "min",  # whether the lower or the higher metric is better
) -> dict[str, Any]:
    """Train on the CPU until the validation metric has not improved for a while, and keep the best weights.

    The module logs ``self.log("validation", value)`` in its ``validation_step``, which is called after every epoch.
    Equal modules, data and seeds give equal bits; neither the random state nor any other setting outside changes, and
    no file is written. Among the processes of :mod:`harness.processes` gradients are averaged; ``train`` gives each its
    share, as many batches on each, and ``validation`` gives all of them everything.

    Returned are JSON values: ``epochs`` trained, ``best_epoch`` (1 is the first), ``best``, the metric there, and
    ``curves``, all metrics that the module logged, by name, one value an epoch. If the metric becomes infinite or NaN,
    training ends and that epoch is not in the curves. Without validation ``best_epoch`` is the last, ``best`` None.
    """
    for name, value in (("max_epochs", max_epochs), ("patience", patience)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: got {value}; expected at least 1")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip: got {clip}; expected a positive norm, or None to leave gradients as they are")
    several = processes.size() > 1
    if several and isinstance(train, DataLoader) and not isinstance(train.batch_sampler or train.sampler, ShareSampler):
        raise ValueError(f"train: a DataLoader that gives each of {processes.size()} processes everything; expected "
                         "one with sampler=harness.processes.ShareSampler(...), batch_size=None")  # fmt: skip

    memory = _Memory(patience or max_epochs, 1 if mode == "max" else -1)
    with quiet_and_seeded(seed):
        trainer = bare_trainer(max_epochs=max_epochs, gradient_clip_val=clip, callbacks=[memory])
        run_trainer(trainer, module, _Batches(train, shared=True), None if validation is None else _Batches(validation))
    module.eval()
    if validation is None:
        return {"epochs": max_epochs, "best_epoch": max_epochs, "best": None, "curves": memory.curves}
    module.load_state_dict(memory.weights)
    metric, best = memory.curves[METRIC], memory.best_epoch
    return {"epochs": len(metric), "best_epoch": best, "best": metric[best - 1], "curves": memory.curves}


class _Memory(pl.Callback):
    """Early stopping, with curves and the weights of the best epoch; ``sign`` makes greater metrics the better ones."""

    def __init__(self, patience: int, sign: int) -> None:
        self.patience, self.sign = patience, sign
        self.best_epoch = 0
        self.weights: dict[str, torch.Tensor] = {}
        self.curves: dict[str, list[float]] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Name the fault of a module."""
        logged = trainer.callback_metrics
        expected = f"expected self.log({METRIC!r}, value) in its validation_step"
        if METRIC not in logged:
            raise ValueError(f"module: logs {', '.join(map(repr, logged)) or 'nothing'}; {expected}")
        if not self.weights and not torch.isfinite(logged[METRIC]):
            found = f"module: its {METRIC!r} is {logged[METRIC].item()} after the first epoch"
            raise ValueError(f"{found}; check the data for NaN, or take a smaller learning rate")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After validation, when the metrics of the training epoch are there too."""
        values = _of_all({name: value.item() for name, value in trainer.callback_metrics.items()})
        if not math.isfinite(values.get(METRIC, 0.0)):
            trainer.should_stop = True
            return
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)
        if metric := self.curves.get(METRIC):
            if not self.weights or self.sign * metric[-1] > self.sign * metric[self.best_epoch - 1]:
                self.best_epoch = len(metric)
                self.weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
            trainer.should_stop = len(metric) - self.best_epoch >= self.patience


def _of_all(values: dict[str, float]) -> dict[str, float]:
    """Means over processes, which are those of one process where a share's metric is :func:`processes.mean_of_all`."""
    if processes.size() == 1:
        return values
    means = processes.sum_of_all(torch.tensor(list(values.values()), dtype=torch.float64)) / processes.size()
    return dict(zip(values, means.tolist(), strict=True))


class _Batches:
    """Batches as Lightning takes them from anybody: a list would be many loaders, a DataLoader needs advice."""

    def __init__(self, batches: Iterable[Any], shared: bool = False) -> None:
        self.batches, self.shared = batches, shared

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self.batches)  # now, not with the first batch: it may draw an order
        return self._in_turns(batches) if self.shared and processes.size() > 1 else batches

    def _in_turns(self, batches: Iterator[Any]) -> Iterator[Any]:
        """What the processes iterate together; Lightning lets the longer ones meet the next epoch's gradients."""
        nothing = object()
        while processes.same_turns((batch := next(batches, nothing)) is not nothing):
            yield batch

    def __len__(self) -> int:
        if self.shared and processes.size() > 1:
            raise TypeError("asked in turns")  # with a length Lightning would not come to the turn that differs
        return len(self.batches)  # type: ignore[arg-type]  # Lightning asks, and takes the TypeError for an answer


def bare_trainer(**options: Any) -> pl.Trainer:
    """A Trainer for one CPU that prints nothing and writes no file, unless the options say otherwise."""
    # Layers remember normalised graphs; one that was first met in inference mode could not be trained with.
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "inference_mode")
    bare: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "num_sanity_val_steps": 0, **dict.fromkeys(off, False)}
    return pl.Trainer(**bare | options | _processes("lightning.pytorch"))


def data_parallel(network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network whose gradients are means over the processes of :mod:`harness.processes`, for loops of one's own."""
    if processes.size() == 1:
        return network, optimizer
    fabric = Fabric(accelerator="cpu", **_processes("lightning.fabric"))
    fabric.launch()
    wrapped, optimizer = fabric.setup(network, optimizer)
    return wrapped, optimizer


def _processes(house: str) -> dict[str, Any]:
    """What Lightning's Trainer or Fabric must know of several processes, which have met already."""
    if processes.size() == 1:
        return {}
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", processes.size()))
    strategy = import_module(f"{house}.strategies").DDPStrategy(process_group_backend="gloo")
    options: dict[str, Any] = {"devices": devices, "num_nodes": processes.size() // devices, "strategy": strategy}
    # Batches are shared by whoever makes them: a sampler of Lightning's would pad, and count some twice.
    sampler = {"use_distributed_sampler": False} if house == "lightning.pytorch" else {}
    return options | {"plugins": [LightningEnvironment()]} | sampler


def run_trainer(trainer: pl.Trainer, module: pl.LightningModule, *data: Any, **options: Any) -> None:
    """``trainer.fit``, after which the module stands alone; signals end it as they do everywhere."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, *data, **options)
    except SIGTERMException:  # Lightning reports success
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:  # Lightning exits at Ctrl-C, and ignores the next one
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None
    finally:
        module.trainer = None  # the trainer holds the data


@contextmanager
def quiet_and_seeded(seed: int) -> Iterator[None]:
    """Lightning without its remarks on devices and its tips; randomness is the seed's, and outside none has passed."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            warnings.filterwarnings("ignore", "You defined a `validation_step` but have no", UserWarning)
            # Metrics are means over processes, or the same on each.
            warnings.filterwarnings("ignore", "It is recommended to use `self.log", UserWarning)
            # Lightning 2.6 walks through batches in a way that torch 2.13 deprecates.
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
