"""Training stops where it should, keeps the best weights, says nothing, and leaves the world as it was."""

import math
import os
import signal

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from harness.lightning_fit import fit


class Scripted(pl.LightningModule):
    """Its weight counts epochs, and its metric follows a script."""

    def __init__(self, script, name="validation"):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.script, self.metric = script, name

    def training_step(self, batch):
        self.seen += 1
        self.log("training", self.weight.detach(), on_step=False, on_epoch=True)
        return -self.weight  # SGD with step 1 adds 1 an epoch

    def validation_step(self, batch):
        self.log(self.metric, torch.tensor(self.script[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


class Noisy(pl.LightningModule):
    """A regression with dropout, for what is random."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))

    def loss(self, batch):
        x, y = batch
        return (self.layers(x) - y).square().mean()

    def training_step(self, batch):
        return self.loss(batch)

    def validation_step(self, batch):
        self.log("validation", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


ONE = [torch.zeros(1)]


def train(module, **changes):
    return fit(module, ONE, ONE, **{"max_epochs": 20, "patience": 3, "seed": 0} | changes)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_stops_after_patience_and_restores_the_best_epochs_weights_and_buffers(mode):
    script = [5.0, 3.0, 4.0, 2.0, 2.0, 2.5, 9.0, 0.0]
    script = script if mode == "min" else [-value for value in script]
    module = Scripted(script)
    result = train(module, mode=mode)
    # Epoch 4 is the best; an equal value is no better, so 5, 6 and 7 use the patience up and 8 is never seen.
    assert (result["epochs"], result["best_epoch"], result["best"]) == (7, 4, script[3])
    assert result["curves"] == {"validation": script[:7], "training": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}
    assert (module.weight.item(), module.seen.item()) == (4.0, 4)
    assert not module.training


def test_ends_at_max_epochs():
    result = train(Scripted([3.0, 2.0, 1.0, 0.0]), max_epochs=3)
    assert (result["epochs"], result["best_epoch"]) == (3, 3)


def test_without_validation_all_epochs_are_trained_and_the_last_weights_kept():
    module = Scripted([])
    result = fit(module, ONE, None, max_epochs=5, seed=0)
    assert result == {"epochs": 5, "best_epoch": 5, "best": None, "curves": {"training": [0.0, 1.0, 2.0, 3.0, 4.0]}}
    assert module.weight.item() == 5.0
    assert not module.training


def test_without_patience_the_best_weights_of_all_epochs_are_kept():
    module = Scripted([1.0, 2.0, 3.0, 0.0, 4.0])
    assert train(module, max_epochs=5, patience=None)["best_epoch"] == 4
    assert module.weight.item() == 4.0


def test_a_run_that_diverges_keeps_what_was_good():
    module = Scripted([3.0, 2.0, math.nan, 0.0])
    result = train(module)
    assert result["curves"]["validation"] == [3.0, 2.0]
    assert (result["best_epoch"], module.weight.item()) == (2, 2.0)


def test_equal_seeds_give_equal_bits_and_the_random_state_outside_stays():
    generator = torch.Generator().manual_seed(1)
    data = TensorDataset(torch.randn(64, 3, generator=generator), torch.randn(64, 1, generator=generator))
    weights = []
    before = torch.get_rng_state()
    for seed in (3, 3, 4):
        module = Noisy()
        loaders = DataLoader(data, batch_size=16, shuffle=True), DataLoader(data, batch_size=64)
        fit(module, *loaders, max_epochs=4, patience=4, seed=seed, clip=1.0)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in module.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_are_clipped():
    module = Scripted([2.0, 1.0])
    train(module, max_epochs=2, clip=0.25)  # the gradient's norm is 1
    # Lightning divides by the norm plus 1e-6.
    assert module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_nothing_is_printed_logged_or_written(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level("INFO"):
        fit(Scripted([2.0, 1.0]), DataLoader(ONE), DataLoader(ONE), max_epochs=2, patience=1, seed=0)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert list(tmp_path.iterdir()) == []


def test_the_trained_module_stands_alone():
    module = Scripted([1.0])
    train(module, max_epochs=1)
    with pytest.raises(RuntimeError, match="not attached"):
        _ = module.trainer


class Interrupted(Scripted):
    """Gets a signal in its first step."""

    def __init__(self, number):
        super().__init__([1.0, 1.0])
        self.number = number

    def training_step(self, batch):
        os.kill(os.getpid(), self.number)
        return super().training_step(batch)


def test_ctrl_c_is_a_keyboard_interrupt_the_first_time_and_the_second():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train(Interrupted(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_terminated_run_does_not_report_success():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        train(Interrupted(signal.SIGTERM))
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epochs": 0}, "max_epochs: got 0; expected at least 1"),
        ({"patience": 0}, "patience: got 0; expected at least 1"),
        ({"clip": 0.0}, "clip: got 0.0; expected a positive norm"),
    ],
)
def test_arguments_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        train(Scripted([1.0]), **changes)


def test_a_metric_that_is_missing_or_never_finite_is_named():
    with pytest.raises(ValueError, match=r"module: logs 'loss'; expected self.log\('validation', value\)"):
        train(Scripted([1.0], name="loss"))
    with pytest.raises(ValueError, match="its 'validation' is nan after the first epoch"):
        train(Scripted([math.nan]))
