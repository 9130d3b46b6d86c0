"""What a step of training a language model does, and all that the next one depends on.

Letters: B windows of a batch, L layers, H hidden channels, R processes.
"""

import dataclasses
import itertools
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.data.text import Corpus, TextWindows, Window
from gnnseq.models.language_model import LanguageModel, State, score
from harness import processes
from studies.char_lm.interruption import Signals, Stopped
from studies.char_lm.runs import LanguageTraining

FORMAT = "gnnseq language model 1"
TEMPERATURES = (0.0, 0.5, 1.0, 2.0)
LENGTHS = (20, 30, 50, 120)


def make_model(training: LanguageTraining, vocabulary: int) -> LanguageModel:
    """A model with weights drawn from torch's random state."""
    names = ("hidden", "kind", "layers", "embedding", "dropout", "init", "residual", "expansion")
    return LanguageModel(vocabulary, **{name: getattr(training, name) for name in names})


class LanguageLearner(pl.LightningModule):
    """A language model in training; checkpoints go into the folder, and with ``say`` each validation is printed.

    What happens between two steps is here, always in the same order, the checkpoint last: it has all that came before.
    So is validation: Lightning's own has a place within an epoch that a checkpoint does not tell exactly.
    """

    def __init__(
        self, settings: LanguageTraining, corpus: Corpus, folder: Path, signals: Signals, save_every: int, say: bool
    ) -> None:
        super().__init__()
        self.settings, self.corpus, self.folder = settings, corpus, folder
        self.signals, self.save_every, self.say = signals, save_every, say
        self.model = make_model(settings, len(corpus.vocabulary))
        measured = ("step", "seconds", "cpu_seconds", "loss", "accuracy")
        curves: dict[str, list[float]] = {name: [] for name in (*measured, "learning_rate")}
        self.record: dict[str, Any] = {"curves": curves, "validation": {name: [] for name in measured}, "best": None,
                                       "samples": []}  # fmt: skip
        # Carried from window to window, of each group of streams [L, B, H], a pair of these for an LSTM.
        self.states: list[State] = [None] * ((settings.streams or settings.batch) // settings.batch)
        self.sums = torch.zeros(2, dtype=torch.float64)  # of loss and accuracy since the last entry of the curves
        self.counted = 0
        self.random: Tensor | None = None
        self.spent = self.began = np.zeros(2)  # seconds and processor's seconds: of earlier sessions; now

    def train_dataloader(self) -> "_Steps":
        """All windows that this process reads, from the step on that training has come to."""
        settings = self.settings
        text = self.corpus.training
        windows = TextWindows(
            text,
            settings.batch,
            settings.window,
            settings.random_windows,
            settings.seed,
            settings.streams,
            settings.shifted,
        )
        return _Steps(windows, settings.steps, processes.share(settings.batch))

    def configure_optimizers(self) -> Any:
        """Adam, or AdamW if kernels decay, its rate changed after every step."""
        # In one pass, which Lightning does not clip gradients for where a scaler is between them.
        rate, fused = self.settings.learning_rate, self.settings.precision == "32-true"
        optimizer: torch.optim.Optimizer
        if self.settings.weight_decay == 0.0:
            optimizer = torch.optim.Adam(self.parameters(), lr=rate, fused=fused)
        else:
            optimizer = torch.optim.AdamW(self._decaying(), lr=rate, fused=fused)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.settings.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _decaying(self) -> list[dict[str, Any]]:
        """The kernels, which decay, and all that is a vector or a character's."""
        groups: tuple[list[torch.nn.Parameter], ...] = [], []
        for name, parameter in self.model.named_parameters():
            groups[parameter.dim() < 2 or name.startswith("embedding.")].append(parameter)
        return [{"params": group, "weight_decay": decay}
                for group, decay in zip(groups, (self.settings.weight_decay, 0.0), strict=True)]  # fmt: skip

    def on_train_start(self) -> None:
        """Draw samples before the first step, and start the clock. Nothing random happens before the next step."""
        self.signals.listen()  # again: Lightning's own handler for SIGTERM has come in between
        if self.random is not None:
            self._generator().set_rng_state(self.random)
        elif self.global_rank > 0:  # every process drops units of its own
            torch.manual_seed(self.settings.seed + 1_000_003 * self.global_rank)
        if self.trainer.global_step == 0 and 0 in self.settings.sample_at:
            self._draw(0)
        self.began = _now()

    def training_step(self, window: Window) -> Tensor:
        """Mean loss of a batch, of which this process has its share; it may be empty."""
        logits, state = self.model(window.x, None if window.fresh else self.states[window.group])
        detached = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        self.states[window.group] = detached
        logits, y = logits.flatten(0, 1), window.y.flatten()
        if processes.size() == 1:
            loss, right = functional.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean()
        else:
            of_all = self.settings.batch * len(window.x)
            loss = processes.mean_of_all(functional.cross_entropy(logits, y, reduction="sum"), of_all)
            right = processes.mean_of_all((logits.argmax(1) == y).float().sum(), of_all)
        with torch.no_grad():
            self.sums = self.sums.to(loss.device)
            self.sums += torch.stack([loss, right])
            self.counted += 1
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure, draw and save what is due after this step; stop if a signal has asked for it."""
        settings, step = self.settings, self.trainer.global_step
        done = step == settings.steps
        if done or step % settings.record_every == 0:
            self._enter(step)
        better = (done or step % settings.validate_every == 0) and self._validate(step)
        if step in settings.sample_at or (done and settings.sample_at):
            self._draw(step)
        if better:
            self.trainer.save_checkpoint(self.folder / "best.ckpt")
        # All processes stop after the same step, whichever of them was asked.
        asked = self.trainer.strategy.reduce_boolean_decision(bool(self.signals.asked), all=False)
        last = self.folder / "last.ckpt"
        if done or asked or step % self.save_every == 0:
            self.trainer.save_checkpoint(last)
        if asked and not done:
            raise Stopped((self.signals.asked or [signal.SIGTERM])[0], step, str(last))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know of; all processes come here, and theirs are put side by side."""
        states = [state if isinstance(state, tuple) else (state,) for state in self.states]
        checkpoint["language_model"] = {
            "format": FORMAT,
            "training": dataclasses.asdict(self.settings),
            "vocabulary": self.corpus.vocabulary.characters,
            "text": self.corpus.digest,
            "record": self.record,
            "seconds": self._seconds(),
            "counted": self.counted,
            "sums": self._of_all(self.sums),  # [R, 2]
            "states": [
                [self._of_each(part) for part in state if part is not None] for state in states
            ],  # R of [L, B, H]
            "random": self._of_all(self._generator().get_rng_state()),  # of dropout [R, bytes]
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over what was saved."""
        kept, rank = checkpoint["language_model"], self.global_rank
        self.record, self.spent, self.counted = kept["record"], np.array(kept["seconds"]), kept["counted"]
        if len(kept["sums"]) != processes.size():
            raise ValueError(
                f"the checkpoint is of {len(kept['sums'])} processes; resume with its --devices and --nodes"
            )
        for group, state in enumerate(kept["states"] if "states" in kept else [kept["state"]]):  # of older checkpoints
            parts = tuple(part[rank].to(self.device) for part in state)
            self.states[group] = parts if len(parts) > 1 else parts[0] if parts else None
        # Copies: torch reads a random state from where its storage begins.
        self.sums, self.random = kept["sums"][rank].clone(), kept["random"][rank].clone()
        # What was the last batch is not when training is made longer.
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False

    def _enter(self, step: int) -> None:
        """The next entry of the training curves."""
        loss, accuracy = (self._of_all(self.sums).mean(0) / self.counted).tolist()
        self.sums.zero_()
        self.counted = 0
        if not np.isfinite(loss):
            raise ValueError(f"the loss is {loss} at step {step}; take a smaller learning_rate, or clip gradients")
        rate = self.settings.learning_rate * self.settings.rate(step - 1)
        self._put("curves", step, loss=loss, accuracy=accuracy, learning_rate=rate)

    def _validate(self, step: int) -> bool:
        """The next entry of the validation curves; whether it is the best."""
        loss, accuracy = score(self.model, self.corpus.validation)
        self._put("validation", step, loss=loss, accuracy=accuracy)
        if self.say and self.trainer.is_global_zero:
            minutes = self._seconds()[0] / 60
            line = (
                f"seed {self.settings.seed}, step {step:,} of {self.settings.steps:,}: held-out {loss:.3f} "
                f"nats/character after {minutes:.1f} of {minutes * self.settings.steps / step:.1f} minutes"
            )
            print(line, file=sys.stderr, flush=True)
        better: bool = self.record["best"] is None or loss < self.record["best"]["loss"]
        if better:
            self.record["best"] = {"step": step, "loss": loss}
        return better

    def _put(self, name: str, step: int, **values: float) -> None:
        clock, processor = self._seconds()
        for key, value in {"step": step, "seconds": clock, "cpu_seconds": processor, **values}.items():
            self.record[name][key].append(value)
        for logger in self.loggers:
            logger.log_metrics({f"{name}/{key}": value for key, value in values.items()}, step)
            logger.save()

    def _draw(self, step: int) -> None:
        """Samples of every length at every temperature, the same whenever they are drawn."""
        for temperature, length in itertools.product(TEMPERATURES, LENGTHS):
            entropy = [self.settings.seed, step, int(100 * temperature), length]
            generator = torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
            characters = self.model.sample(length, temperature=temperature, generator=generator)
            text = self.corpus.vocabulary.decode(list(characters))
            self.record["samples"].append({"step": step, "temperature": temperature, "length": length, "text": text})

    def _generator(self) -> Any:
        """What has the random state of dropout: the GPU's, or the CPU's."""
        return torch.cuda if self.device.type == "cuda" else torch

    def _seconds(self) -> tuple[float, float]:
        """Since training began, by the clock and by the processor, those of earlier sessions included."""
        clock, processor = (self.spent + _now() - self.began).round(2).tolist()
        return clock, processor

    def _of_each(self, part: Tensor) -> list[Tensor]:
        """The part of each process, whose shapes may differ."""
        return processes.gather(part.detach().cpu())

    def _of_all(self, part: Tensor) -> Tensor:
        """The parts of all processes, side by side."""
        return torch.stack(self._of_each(part))


class _Steps:
    """The windows of steps one after another. Lightning keeps and restores its place."""

    def __init__(self, windows: TextWindows, steps: int, columns: slice) -> None:
        self.windows, self.steps, self.columns = windows, steps, columns
        self.step = 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Window]:
        while self.step < self.steps:
            window = self.windows[self.step]
            self.step += 1
            yield window._replace(x=window.x[:, self.columns], y=window.y[:, self.columns])

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = state["step"]


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])
