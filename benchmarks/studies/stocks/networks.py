"""An LSTM along each stock's path. Letters: T days, N stocks, F features, H hidden channels, R types of relation."""

import timeit
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from gnnseq.data.stocks.relations import Relations
from gnnseq.data.stocks.samples import Samples
from gnnseq.layers import GCN, LSTM, RelationalGCN
from gnnseq.schedule import packed_paths
from harness import processes
from harness.lightning_fit import fit
from harness.sweep import one_thread
from studies.stocks import runs
from studies.stocks.baselines import Forecast, standardised_targets
from studies.stocks.portfolio import daily_ic
from studies.stocks.runs import StockTraining


class ReturnNetwork(nn.Module):
    r"""Tomorrow's return of every stock, from its own path and from those of the stocks related to it.

    .. math::
        \hat y_{ti} = u^\top x_{ti} + v^\top h_{ti} + w^\top \tanh z_{ti} + b, \qquad
        h_{\cdot i} = \mathrm{LSTM}(x_{\cdot i})

    with :math:`z = \mathrm{GCN}(h)` or :math:`z = W \, \mathrm{RelationalGCN}(h) + c` with implicit strengths. The own
    state is read too, as in Feng et al. 2019: a convolution over an industry gives all its members the same. The
    readout begins at zero: returns are so noisy that a network which starts elsewhere does not find back.
    """

    def __init__(self, name: str, features: int, hidden: int, types: int) -> None:
        super().__init__()
        self.lstm = LSTM(features, hidden)
        self.gcn = GCN(hidden, hidden) if name == runs.LSTM_GCN else None
        self.ranking = RelationalGCN(hidden, types, strength="implicit") if name == runs.LSTM_RSR else None
        self.lin = nn.Linear(hidden, hidden) if name == runs.LSTM_RSR else nn.Identity()
        self.readout = nn.Linear(features + hidden * (1 if name == runs.LSTM else 2), 1)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def states(self, x: Tensor, lookback: int) -> Tensor:
        """Of every path, after the first days, which are only to warm up. [T - lookback + 1, N, H]"""
        days, stocks, features = x.shape
        h: Tensor = self.lstm(x.reshape(days * stocks, features), packed_paths([days] * stocks))[0]
        return h.view(days, stocks, -1)[lookback - 1 :]

    def forward(self, x: Tensor, relations: Relations, lookback: int) -> Tensor:
        """Predictions. [T - lookback + 1, N]"""
        h = self.states(x, lookback)
        parts = [x[lookback - 1 :], h]
        if self.gcn is not None:
            parts.append(torch.tanh(self.gcn(h, relations.edge_index, relations.edge_weight)))
        if self.ranking is not None:
            parts.append(torch.tanh(self.lin(self.ranking(h, relations.edge_index, relations.types))))
        predictions: Tensor = self.readout(torch.cat(parts, dim=-1)).squeeze(-1)
        return predictions

    def strengths(self, x: Tensor, relations: Relations, lookback: int) -> tuple[Tensor, Tensor] | None:
        """How loud an edge is, 1 being the mean of all that its stock hears; None if nobody learns it.

        The mean over days and the edges of each type [R], or those out of each stock [N], 0 where there are none.
        """
        if self.ranking is None:
            return None
        h = self.states(x, lookback)
        strength = self.ranking.strengths(h, relations.edge_index, relations.types).mean(0)
        source, target = relations.edge_index
        strength = strength * torch.bincount(target, minlength=x.size(1))[target]
        of_stocks = torch.bincount(source, strength, minlength=x.size(1))
        edges = torch.bincount(source, minlength=x.size(1)).clamp(min=1)
        return (relations.types.t() @ strength) / relations.types.sum(0), of_stocks / edges


Windows = list[tuple[int, int]]  # first days, and those after the last


class DayWindows:
    """The days of a part, a few at a time; in training at random places and in random order."""

    def __init__(self, days: range, size: int, shuffled: bool = False) -> None:
        self.days, self.size, self.shuffled = days, size, shuffled

    def batches(self, count: int) -> "WindowBatches":
        """So many windows at a time."""
        return WindowBatches(self, count)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        shift = int(torch.randint(self.size, ())) if self.shuffled else 0
        first, end = self.days.start, self.days.stop
        windows = list(pairwise([first, *range(first - shift + self.size, end, self.size), end]))
        order = torch.randperm(len(windows)).tolist() if self.shuffled else range(len(windows))
        return (windows[index] for index in order)


class WindowBatches:
    """An epoch's windows, some at a time; the same on every process."""

    def __init__(self, windows: DayWindows, count: int) -> None:
        self.windows, self.count = windows, count

    def __iter__(self) -> Iterator[Windows]:
        windows = list(self.windows)
        return (windows[first : first + self.count] for first in range(0, len(windows), self.count))


class StockLearner(pl.LightningModule):
    """Regression on the day's standardised returns; chosen by the IC on the validation part."""

    def __init__(self, name: str, samples: Samples, relations: Relations, training: StockTraining, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ReturnNetwork(name, samples.x.size(2), training.hidden, relations.types.size(1))
        self.samples, self.relations, self.options = samples, relations, training
        self.target, self.counted, self.scale = standardised_targets(samples)

    def predict(self, window: tuple[int, int]) -> Tensor:
        """Of the days from the first to before the second. [days, N]"""
        lookback = self.samples.lookback
        x = self.samples.x[window[0] - lookback + 1 : window[1]]
        predictions: Tensor = self.network(x, self.relations, lookback)
        return predictions

    def predict_part(self, windows: Iterable[tuple[int, int]]) -> np.ndarray:
        """Of all days of a part. [days, N]"""
        return torch.cat([self.predict(window) for window in windows]).double().numpy()

    def training_step(self, windows: Windows) -> Tensor:
        """Mean squared error over the targets that count, of which this process has its share."""
        own, weight = processes.share_or_one(len(windows))
        chosen = [slice(*window) for window in windows]
        squares = [
            ((self.predict(windows[place]) - self.target[chosen[place]]).square() * self.counted[chosen[place]]).sum()
            for place in range(own.start, own.stop)
        ]
        of_all = torch.stack([self.counted[each].sum() for each in chosen]).sum()
        return weight * processes.mean_of_all(torch.stack(squares).sum(), of_all.clamp(min=1))

    def validation_step(self, windows: list[tuple[int, int]]) -> None:
        """Score the part, which is one batch."""
        days = self.samples.validation
        y, valid = self.samples.target[days.start : days.stop].numpy(), self.samples.usable("validation").numpy()
        self.log("validation", float(daily_ic(self.predict_part(windows), y, valid).mean()), batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), self.options.learning_rate, weight_decay=self.options.weight_decay)


def learn(name: str, samples: Samples, relations: Relations, training: StockTraining, seed: int) -> Forecast:
    """Train one of :data:`studies.stocks.runs.NETWORKS` and predict the test part, once."""
    learner = StockLearner(name, samples, relations, training, seed)
    train = DayWindows(samples.train, training.window, shuffled=True).batches(training.batch)
    validation, test = (list(DayWindows(days, training.window)) for days in (samples.validation, samples.test))
    limits = {"max_epochs": training.max_epochs, "patience": training.patience}
    fitted = fit(learner, train, [validation], **limits, seed=seed, clip=1.0, mode="max")
    with torch.no_grad():
        p = learner.predict_part(test)
        seen = samples.x[samples.test.start - samples.lookback + 1 : samples.test.start + training.window]
        strengths = learner.network.strengths(seen, relations, samples.lookback)
    about = {key: fitted[key] for key in ("epochs", "best_epoch")}
    for key, of in zip(("strengths", "loudness"), strengths or (), strict=False):
        about[key] = [float(f"{strength:.4g}") for strength in of]
    return Forecast(learner.scale * p, fitted["best"], about)


@lru_cache
def seconds_at_most(name: str, samples: Samples, relations: Relations, training: StockTraining) -> float:
    """Time of a training that takes all its epochs, from one window done now; a prediction takes a third of a step."""
    learner = StockLearner(name, samples, relations, training, seed=0)
    window = next(iter(DayWindows(samples.train, training.window)))
    with one_thread():  # the first step prepares the graph
        *_, step = timeit.repeat(lambda: learner.training_step([window]).backward(), number=1, repeat=2)
    return step * training.max_epochs * (len(samples.train) + len(samples.validation) / 3) / training.window
