"""Training of language models on Lightning: whatever stops it, it goes on with the same numbers.

All that decides what comes next is in the checkpoint: weights, optimizer, learning rate, the number of the step, the
state carried from window to window, the random state, and what was recorded. On one CPU thread a training that was
killed and resumed is bit for bit the one that never was.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from gnnseq.checks import check_whole
from gnnseq.data.text import Corpus, Vocabulary
from gnnseq.models.language_model import LanguageModel, score
from harness.lightning_fit import bare_trainer, quiet_and_seeded, run_trainer
from studies.char_lm.checkpoint_file import CheckpointFiles, read_checkpoint
from studies.char_lm.interruption import Signals
from studies.char_lm.learner import FORMAT, LanguageLearner, make_model
from studies.char_lm.runs import LanguageTraining

__all__ = ["load_model", "train"]


def train(
    training: LanguageTraining,
    corpus: Corpus,
    folder: str | Path,
    *,
    resume: bool = False,
    save_every: int = 1000,
    devices: int = 1,
    nodes: int = 1,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a model, and score the best of validation on the test part.

    Writes ``last.ckpt`` and ``best.ckpt`` into the folder, and logs for TensorBoard and as CSV into its ``logs/``.
    Ctrl-C and SIGTERM end it after the step that is being done; a second Ctrl-C at once. Random state and signal
    handlers outside do not change.

    Args:
        training: What to train.
        corpus: What to train on.
        folder: Where checkpoints and logs go.
        resume: Whether to go on from the folder's ``last.ckpt``, if there is one.
        save_every: Steps between checkpoints, the most that a kill can cost.
        devices: Processes a node, each with its own device and windows, whose gradients are averaged.
        nodes: Machines.
        progress: Whether to print a line for each validation, to stderr.

    Returns:
        JSON values: ``seed``, ``parameters``, ``curves`` (means since the last entry), ``validation``, ``best`` (its
        step and loss), ``test`` (scores of the best) and ``samples``. Seconds count everything since training began,
        validation, samples and checkpoints included; cpu_seconds are what the processor spent on it.

    Raises:
        Stopped: A signal asked for it.
        ValueError: A setting is wrong; the checkpoint is of another training; the loss is no longer finite.
        OSError: A checkpoint cannot be written.

    Example:
        >>> import tempfile
        >>> corpus = Corpus.of("To be, or not to be, that is the question. " * 40)
        >>> small = LanguageTraining(hidden=8, layers=1, window=10, batch=4, steps=20, record_every=10,
        ...                          validate_every=10, sample_at=(20,))
        >>> result = train(small, corpus, tempfile.mkdtemp())
        >>> result["curves"]["step"], result["validation"]["step"], len(result["samples"])
        ([10, 20], [10, 20], 16)
    """
    check_whole(1, save_every=save_every, devices=devices, nodes=nodes)
    folder = Path(folder)
    last = folder / "last.ckpt"
    with quiet_and_seeded(training.seed), Signals() as signals:
        learner = LanguageLearner(training, corpus, folder, signals, save_every, progress)
        found = _goes_on(last, learner) if resume and last.exists() else None
        if found is None or found["global_step"] < training.steps:
            trainer = bare_trainer(
                accelerator="auto" if torch.cuda.is_available() else "cpu",
                devices=devices,
                num_nodes=nodes,
                precision=training.precision,
                max_epochs=1,  # of as many batches as there are steps
                gradient_clip_val=training.clip,
                logger=[TensorBoardLogger(folder / "logs", "tensorboard"), CSVLogger(folder / "logs", "csv")],
                plugins=[CheckpointFiles()],
                log_every_n_steps=min(training.record_every, training.steps),
            )
            run_trainer(trainer, learner, ckpt_path=None if found is None else str(last), weights_only=True)
        else:
            learner.on_load_checkpoint(found)
    model, _ = load_model(folder / "best.ckpt")
    loss, accuracy = score(model, corpus.test)
    return {
        "seed": training.seed,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **learner.record,
        "test": {"loss": loss, "accuracy": accuracy, "bits_per_character": loss / math.log(2)},
    }


def load_model(path: str | Path) -> tuple[LanguageModel, Vocabulary]:
    """The model that a checkpoint of :func:`train` holds, in evaluation mode, and its vocabulary.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no whole checkpoint of a language model.
    """
    checkpoint, kept = _read(path)
    vocabulary = Vocabulary(kept["vocabulary"])
    model = make_model(LanguageTraining(**kept["training"]), len(vocabulary))
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in checkpoint["state_dict"].items()})
    return model.eval(), vocabulary


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A checkpoint, and in it what training adds to Lightning's own."""
    checkpoint = read_checkpoint(path)
    kept = checkpoint.get("language_model")
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise ValueError(f"{path}: a checkpoint, but of no language model that this version reads; expected one that "
                         "studies.char_lm.training.train has written")  # fmt: skip
    return checkpoint, kept


def _goes_on(path: Path, learner: LanguageLearner) -> dict[str, Any]:
    """The checkpoint, after making sure that it is of this training."""
    checkpoint, kept = _read(path)
    before, now = (
        {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        for settings in (kept["training"], dataclasses.asdict(learner.settings))
    )
    if now["schedule"] == "decay":  # does not know when it ends, so that a training can be made longer
        before["steps"] = now["steps"]
    changed = [f"{name}={before.get(name)!r} (now {now[name]!r})" for name in now if before.get(name) != now[name]]
    if kept["vocabulary"] != learner.corpus.vocabulary.characters:
        changed.append("another vocabulary")
    if changed:
        raise ValueError(f"{path} is of a training with {', '.join(changed)}; resume with its settings, or train anew "
                         "in another folder")  # fmt: skip
    return checkpoint
