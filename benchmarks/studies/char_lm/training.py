"""Training of language models on Lightning: whatever stops it, it goes on with the same numbers.

All that decides what comes next is in the checkpoint: weights, optimizer, learning rate, the number of the step, the
state carried from window to window, the random state, and what was recorded. On one CPU thread a training that was
killed and resumed is bit for bit the one that never was.
"""

import dataclasses
import errno
import io
import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from gnnseq.checks import check_whole
from gnnseq.data.text import Corpus, Vocabulary
from gnnseq.models.language_model import LanguageModel, score
from harness.files import write_bytes
from harness.lightning_fit import bare_trainer, quiet_and_seeded, run_trainer
from studies.char_lm.interruption import Signals
from studies.char_lm.learner import FORMAT, LanguageLearner, make_model
from studies.char_lm.runs import LanguageTraining

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disks, quotas, limits on files


def train(
    training: LanguageTraining, corpus: Corpus, folder: str | Path, *, resume: bool = False, save_every: int = 1000,
    progress: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train a model, score the best of validation on the test part, and return what was measured as JSON values.

    Writes ``last.ckpt`` and ``best.ckpt`` into the folder, and logs for TensorBoard and as CSV into its ``logs/``.
    Ctrl-C and SIGTERM end it after the step that is being done, by :class:`Stopped`; a second Ctrl-C at once. The
    processes of :mod:`harness.processes` share the windows of every batch, and the first writes the checkpoints. Curves
    are means since the entry before. Seconds count everything since training began, validation, samples and checkpoints
    included; cpu_seconds are the processor's.
    """
    check_whole(1, save_every=save_every)
    folder = Path(folder)
    last = folder / "last.ckpt"
    with quiet_and_seeded(training.seed), Signals() as signals:
        learner = LanguageLearner(training, corpus, folder, signals, save_every, progress)
        found = _goes_on(last, learner) if resume and last.exists() else None
        if found is None or found["global_step"] < training.steps:
            trainer = bare_trainer(
                accelerator="auto" if torch.cuda.is_available() else "cpu",
                max_epochs=1,  # of as many batches as there are steps
                precision=training.precision, gradient_clip_val=training.clip, plugins=[CheckpointFiles()],
                logger=[TensorBoardLogger(folder / "logs", "tensorboard"), CSVLogger(folder / "logs", "csv")],
                log_every_n_steps=min(training.record_every, training.steps),
            )  # fmt: skip
            with _logging_to(folder / "logs"):
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


@contextmanager
def _logging_to(folder: Path) -> Iterator[None]:
    """Names the folder of logs that cannot be written, as on a full disk, once; TensorBoard writes in a thread."""
    lost: list[OSError] = []
    usual = threading.excepthook

    def hook(fallen: threading.ExceptHookArgs) -> None:
        if isinstance(fallen.exc_value, OSError):
            lost.append(fallen.exc_value)
        else:
            usual(fallen)

    threading.excepthook = hook
    try:
        yield
        if lost:
            raise lost[0]
    except OSError as error:
        if error.errno not in FULL or (error.filename is not None and folder not in Path(error.filename).parents):
            raise
        raise OSError(error.errno, f"logs not written, checkpoints are intact; make room and resume ({error.strerror})",
                      str(folder)) from error  # fmt: skip
    finally:
        threading.excepthook = usual


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's plugin for checkpoints that are whole or not there: a reader finds the old one or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint, or raise an OSError that names the file; the old one then stays."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            write_bytes(path, content.getbuffer())
        except OSError as error:
            raise OSError(error.errno, f"checkpoint {error.strerror}", str(path)) from error

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint, see :func:`read_checkpoint`."""
        return read_checkpoint(path)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what torch.save wrote, tensors and plain values only, onto the CPU; nothing in the file is executed."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; expected a .ckpt file that training has written")
    content = path.read_bytes()
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's, zip's or torch's own
        reason = (str(error).splitlines() or [""])[0].partition(". ")[0]
        raise ValueError(f"{path}: {len(content)} bytes that are no checkpoint ({type(error).__name__}: {reason}); the "
                         "file was cut off, damaged or made by another program; take another one, or train anew"
                         ) from error  # fmt: skip
    if not isinstance(found, dict):
        raise ValueError(f"{path}: holds a {type(found).__name__}; expected a checkpoint of a training")
    return found


def load_model(path: str | Path) -> tuple[LanguageModel, Vocabulary]:
    """The model that a checkpoint of :func:`train` holds, in evaluation mode, and its vocabulary."""
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
                         "char_lm.py has written")  # fmt: skip
    return checkpoint, kept


def _goes_on(path: Path, learner: LanguageLearner) -> dict[str, Any]:
    """The checkpoint, after making sure that it is of this training."""
    checkpoint, kept = _read(path)
    settings = (LanguageTraining(**kept["training"]), learner.settings)  # older ones lack what has a default since
    before, now = (json.loads(json.dumps(dataclasses.asdict(each))) for each in settings)
    if now["schedule"] == "decay":  # does not know when it ends, so that a training can be made longer
        before["steps"] = now["steps"]
    changed = [f"{name}={before.get(name)!r} (now {now[name]!r})" for name in now if before.get(name) != now[name]]
    if kept["vocabulary"] != learner.corpus.vocabulary.characters:
        changed.append("another vocabulary")
    elif kept.get("text") != learner.corpus.digest:  # or the state would be carried over into it
        changed.append("another text of the same characters")
    if changed:
        raise ValueError(f"{path} is of a training with {', '.join(changed)}; resume with its settings, or train anew "
                         "in another folder")  # fmt: skip
    return checkpoint
