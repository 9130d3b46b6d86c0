"""A training that was killed goes on to the same bits; checkpoints are whole, safe and of the right training."""

import errno
import itertools
import json
import math
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnnseq.data.text import Corpus
from studies.char_lm import learner as language_learner
from studies.char_lm.interruption import Stopped
from studies.char_lm.runs import LanguageTraining
from studies.char_lm.training import CheckpointFiles, load_model, read_checkpoint, train

CORPUS = Corpus.of("The quick brown fox jumps over the lazy dog, and the dog does not mind. " * 20)
SMALL = LanguageTraining(
    hidden=8, layers=2, dropout=0.3, window=6, batch=5, steps=20, learning_rate=1e-2, clip=1.0, record_every=3,
    validate_every=5, sample_at=(0, 10),
)  # fmt: skip
LAST = SMALL.steps


def killed(training, place, count, folder):
    """Trains in a process of its own, which gets SIGKILL in the middle of a step, or while a checkpoint is written.

    The process is forked: that takes no time, where a new one would first import torch and lightning.
    """

    def victim():
        calls = itertools.count(1)

        def dying(function):
            def call(*arguments, **options):
                if next(calls) == count:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return call

        owner, name = (torch.optim.Adam, "step") if place == "step" else (Path, "replace")
        setattr(owner, name, dying(getattr(owner, name)))
        train(training, CORPUS, folder, save_every=4)

    process = multiprocessing.get_context("fork").Process(target=victim)
    process.start()
    process.join(timeout=100)
    process.kill()  # does nothing to a process that has ended
    return process.exitcode


def untimed(value):
    """Without what a clock has said."""
    if isinstance(value, dict):
        return {name: untimed(each) for name, each in value.items() if name not in ("seconds", "cpu_seconds")}
    return value


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.fixture(scope="module", autouse=True)
def _short_samples():
    """Drawing samples of full length takes longer than such a training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_learner, "LENGTHS", (2, 3, 5, 12))
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Results and last checkpoints of trainings that nothing interrupted, by their settings."""
    made = {}

    def of(training):
        if training not in made:
            folder = tmp_path_factory.mktemp("straight")
            result = train(training, CORPUS, folder, save_every=4)
            made[training] = untimed(result), untimed(read_checkpoint(folder / "last.ckpt"))
        return made[training]

    return of


@pytest.mark.parametrize(
    ("training", "place", "count"),
    [
        (SMALL, "step", 11),
        (replace(SMALL, kind="GRU", embedding=3, random_windows=True, schedule="cosine"), "write", 5),
        # In the middle of a turn.
        (replace(SMALL, kind="MinGRU", residual=True, streams=15, shifted=True, weight_decay=0.3), "step", 12),
    ],
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # torch has one thread here
def test_a_killed_training_goes_on_to_the_same_bits(training, place, count, tmp_path, straight):
    assert killed(training, place, count, tmp_path) == -signal.SIGKILL
    saved = read_checkpoint(tmp_path / "last.ckpt")["global_step"]
    assert 0 < saved < LAST
    result = train(training, CORPUS, tmp_path, resume=True, save_every=4)
    expected, checkpoint = straight(training)
    assert untimed(result) == expected
    assert same(untimed(read_checkpoint(tmp_path / "last.ckpt")), checkpoint)
    assert result["curves"]["seconds"] == sorted(result["curves"]["seconds"])


@pytest.mark.parametrize("step", [1, 3, 4, 5, 10, 19])
def test_stopped_after_any_step_it_goes_on_to_the_same_bits(step, tmp_path, monkeypatch, straight):
    stop_after(step, signal.SIGTERM, monkeypatch)
    with pytest.raises(Stopped, match=rf"stopped by SIGTERM after step {step}; saved .*last.ckpt"):
        train(SMALL, CORPUS, tmp_path)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == step
    assert untimed(train(SMALL, CORPUS, tmp_path, resume=True)) == straight(SMALL)[0]


def stop_after(step, number, monkeypatch):
    """A signal that comes within the step."""
    before = language_learner.LanguageLearner.training_step

    def training_step(learner, window):
        if learner.trainer.global_step == step - 1:
            os.kill(os.getpid(), number)
        return before(learner, window)

    monkeypatch.setattr(language_learner.LanguageLearner, "training_step", training_step)


def test_ctrl_c_saves_and_handlers_and_random_state_outside_stay(tmp_path, monkeypatch):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    state = torch.get_rng_state()
    stop_after(7, signal.SIGINT, monkeypatch)
    with pytest.raises(Stopped) as caught:
        train(SMALL, CORPUS, tmp_path)
    assert (caught.value.number, caught.value.step) == (signal.SIGINT, 7)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert torch.equal(torch.get_rng_state(), state)


def test_a_finished_training_is_not_trained_again_and_a_longer_one_goes_on(tmp_path, straight, monkeypatch):
    train(replace(SMALL, steps=10), CORPUS, tmp_path)
    assert untimed(train(SMALL, CORPUS, tmp_path, resume=True))["curves"]["step"][-3:] == [15, 18, 20]
    monkeypatch.setattr(language_learner.LanguageLearner, "training_step", None)
    assert train(SMALL, CORPUS, tmp_path, resume=True)["best"]["step"] <= LAST


def test_the_record_is_what_was_asked_for(straight):
    result, checkpoint = straight(SMALL)
    assert result["curves"]["step"] == [3, 6, 9, 12, 15, 18, 20]
    assert result["curves"]["learning_rate"] == [1e-2] * 7
    assert result["validation"]["step"] == [5, 10, 15, 20]
    assert result["best"]["loss"] == min(result["validation"]["loss"])
    assert [sample["step"] for sample in result["samples"]] == [0] * 16 + [10] * 16 + [20] * 16
    assert all(len(sample["text"]) == sample["length"] for sample in result["samples"])
    assert json.loads(json.dumps(result)) == result
    assert checkpoint["language_model"]["vocabulary"] == CORPUS.vocabulary.characters


def test_it_learns_and_the_best_checkpoint_is_the_scored_one(tmp_path):
    result = train(
        replace(
            SMALL, hidden=32, layers=1, batch=8, window=12, steps=60, learning_rate=3e-2, dropout=0.0, sample_at=()
        ),
        CORPUS,
        tmp_path,
    )
    assert result["test"]["loss"] < 2.0 < result["curves"]["loss"][0]
    model, vocabulary = load_model(tmp_path / "best.ckpt")
    assert not model.training
    assert vocabulary == CORPUS.vocabulary
    assert result["test"]["loss"] == language_learner.score(model, CORPUS.test).loss
    assert result["samples"] == []
    names = [path.name for path in (tmp_path / "logs").rglob("*") if path.is_file()]
    assert "metrics.csv" in names
    assert any(name.startswith("events.out.tfevents") for name in names)


def test_a_rate_falls_by_steps_or_along_a_cosine():
    assert [LanguageTraining().rate(step) for step in (0, 4999, 5000, 10_000)] == [1, 1, 0.96, 0.96**2]
    cosine = LanguageTraining(schedule="cosine", steps=1000)
    assert cosine.rate(0) == pytest.approx(0.01)
    assert cosine.rate(100) == pytest.approx(0.505 + 0.495 * 0.9510565)
    assert cosine.rate(1000) == pytest.approx(0.01)
    slow = replace(cosine, warm_up=80)
    assert [slow.rate(step) / cosine.rate(step) for step in (99, 500)] == [1, 1]
    assert slow.rate(39) == pytest.approx(0.5 * (0.505 + 0.495 * math.cos(math.pi * 0.039)))
    assert replace(cosine, warm_up=500).rate(39) == cosine.rate(39)  # at most a tenth of all


def test_a_full_disk_is_an_error_that_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    with pytest.raises(OSError, match="checkpoint not written, there is none from before"):
        CheckpointFiles().save_checkpoint({}, Path("/dev/null/last.ckpt"))
    CheckpointFiles().save_checkpoint({"step": 1}, path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"the one from before is intact; make room .*No space left.*last.ckpt"):
        CheckpointFiles().save_checkpoint({"step": 2}, path)
    assert read_checkpoint(path) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


class Limit:
    """Files of at most so many bytes."""

    says = "File too large"

    def __init__(self, folder, size):
        import resource  # Windows has none

        self.set, self.size, self.before = resource, size, resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self):
        self.set.setrlimit(self.set.RLIMIT_FSIZE, (self.size, self.before[1]))

    def make_room(self):
        self.set.setrlimit(self.set.RLIMIT_FSIZE, self.before)

    def remove(self):
        """Leaves nothing behind."""


class Disk:
    """A file system of its own, in memory, that is filled but for so many bytes."""

    says = "No space left"

    def __init__(self, folder, size):
        self.folder, self.size = folder, size
        command = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)]
        if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user cannot mount a file system")

    def fill(self):
        room = shutil.disk_usage(self.folder).free - self.size
        (self.folder / "filler").write_bytes(bytes(room))

    def make_room(self):
        (self.folder / "filler").unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)  # logs may be open still


@pytest.mark.skipif(sys.platform != "linux", reason="files are limited, and file systems mounted, as Linux does")
@pytest.mark.parametrize(
    ("disk", "size", "what"),
    [(Limit, 512, "logs"), (Limit, 20_000, "checkpoint"), (Disk, 0, "(logs|checkpoint)"), (Disk, 16_384, "checkpoint")],
)
def test_a_training_whose_disk_is_full_goes_on_once_there_is_room(
    disk, size, what, tmp_path, straight, monkeypatch, capfd
):
    result, _ = straight(SMALL)
    full = disk(tmp_path, size)
    steps, step = itertools.count(1), torch.optim.Adam.step

    def filling(*arguments, **options):
        if next(steps) == 10:
            full.fill()
        return step(*arguments, **options)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(torch.optim.Adam, "step", filling)
            with pytest.raises(OSError, match=f"{what} not written.* intact; make room .*{full.says}.*{tmp_path}"):
                train(SMALL, CORPUS, tmp_path, save_every=4)
        full.make_room()
        assert "Traceback" not in capfd.readouterr().err  # TensorBoard's thread has one
        assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 8
        assert not [path for path in tmp_path.rglob(".*.ckpt*") if path.is_file()]  # what was begun is gone
        assert untimed(train(SMALL, CORPUS, tmp_path, save_every=4, resume=True)) == result
    finally:
        full.make_room()
        full.remove()


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_no_code_of_a_checkpoint_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"language_model": Harmful()}, "torch.ckpt")
    Path("pickle.ckpt").write_bytes(pickle.dumps(Harmful()))
    for name in ("torch.ckpt", "pickle.ckpt"):
        with pytest.raises(ValueError, match=rf"{name}: \d+ bytes that are no checkpoint .* take another one"):
            load_model(name)
    assert not Path("executed").exists()


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The folder of a training of two steps."""
    folder = tmp_path_factory.mktemp("short")
    train(replace(SMALL, steps=2, sample_at=()), CORPUS, folder)
    return folder


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_named(share, short, tmp_path):
    cut = tmp_path / "cut.ckpt"
    content = (short / "last.ckpt").read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut.ckpt: \d+ bytes that are no checkpoint .* the file was cut off"):
        load_model(cut)


def test_a_foreign_file_is_named(tmp_path):
    torch.save({"weights": torch.zeros(2)}, tmp_path / "foreign.ckpt")
    torch.save([1, 2], tmp_path / "list.ckpt")
    (tmp_path / "text.ckpt").write_text("To be, or not to be")
    with zipfile.ZipFile(tmp_path / "zip.ckpt", "w") as archive:
        archive.writestr("a", "b")
    for name, message in {
        "foreign": "a checkpoint, but of no language model",
        "list": "holds a list; expected a checkpoint",
        "text": "19 bytes that are no checkpoint",
        "zip": "bytes that are no checkpoint",
    }.items():
        with pytest.raises(ValueError, match=rf"{name}.ckpt: .*{message}|{name}.ckpt: {message}"):
            load_model(tmp_path / f"{name}.ckpt")
    with pytest.raises(FileNotFoundError, match=r"none.ckpt: no such checkpoint"):
        load_model(tmp_path / "none.ckpt")


def test_another_trainings_checkpoint_is_refused(short):
    with pytest.raises(ValueError, match=r"is of a training with hidden=8 \(now 9\), sample_at=\[\] \(now \[0, 10\]\)"):
        train(replace(SMALL, hidden=9), CORPUS, short, resume=True)
    with pytest.raises(ValueError, match="another vocabulary"):
        train(replace(SMALL, sample_at=()), Corpus.of("0123456789" * 50), short, resume=True)


def test_another_text_of_the_same_characters_is_refused(tmp_path):
    one = "0123456789" * 50
    train(replace(SMALL, steps=2, sample_at=()), Corpus.of(one), tmp_path)
    for other in (Corpus.of(one[::-1]), Corpus.of(one, shares=(0.8, 0.1, 0.1))):
        with pytest.raises(ValueError, match="another text of the same characters; resume with its settings"):
            train(replace(SMALL, steps=4, sample_at=()), other, tmp_path, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps=0; expected an integer of 1"),
        ({"seed": -1}, "seed=-1; expected an integer of 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan; expected a positive number"),
        ({"warm_up": 0}, "warm_up=0; expected an integer of 1"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1; expected 0 or a positive number"),
        ({"clip": 0.0}, "clip=0.0; expected a positive norm"),
        ({"streams": 12}, "streams=12; expected a multiple of the batch, 5"),
        ({"streams": 10, "random_windows": True}, "streams=10; expected .*None with random windows"),
        ({"shifted": True, "random_windows": True}, "shifted=True with random windows"),
    ],
)
def test_settings_out_of_range_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_kernels_decay_by_a_share_of_the_rate_and_nothing_else_does(tmp_path):
    training = replace(SMALL, kind="GRU", embedding=3, steps=1, sample_at=())
    torch.manual_seed(training.seed)
    begun = language_learner.make_model(training, len(CORPUS.vocabulary)).state_dict()
    after = []
    for decay in (0.0, 0.5):
        train(replace(training, weight_decay=decay), CORPUS, tmp_path / str(decay))
        after.append(load_model(tmp_path / str(decay) / "last.ckpt")[0].state_dict())
    for name, value in begun.items():
        share = training.learning_rate * 0.5 * (value.dim() == 2 and name != "embedding.weight")
        torch.testing.assert_close(after[1][name], after[0][name] - share * value)


def test_a_loss_that_is_not_finite_ends_training(tmp_path):
    with pytest.raises(ValueError, match=r"the loss is (nan|inf) at step \d+; take a smaller learning_rate"):
        train(replace(SMALL, kind="RNN", learning_rate=3e37, clip=None, sample_at=()), CORPUS, tmp_path)
