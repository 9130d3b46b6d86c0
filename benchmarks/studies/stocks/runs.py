"""What is run: which forecaster, on which market, trained how. Data alone; torch is not imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

LSTM, LSTM_GCN, LSTM_RSR = "LSTM", "LSTM+GCN", "LSTM+RSR"  # no relations, all alike, each as strong as is learnt
NETWORKS = (LSTM, LSTM_GCN, LSTM_RSR)
NEIGHBOURS = 10  # of a stock, where nothing else relates it; all others, where they are fewer
HOLD, RANDOM, YESTERDAY, LEAK = "hold everything", "random picks", "yesterday's return", "the leak alone"
AUTOREGRESSION, LINEAR = "autoregression", "linear regression"
BASELINES = (HOLD, RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR, LEAK)
ORACLE = "best possible"
ENSEMBLE = ", together"  # after a network's name: its seeds' forecasts, averaged


@dataclass(frozen=True)
class StockTraining:
    """How a network learns; chosen on the validation parts alone, one seed each.

    IC of the LSTM there on NASDAQ as published: .0472 with 32 channels, also with thrice the learning rate; .0467 with
    16, in half the time. Linear regression: .0458. Seeds differ by as much, so the small and quick one stays.
    """

    hidden: int = 16
    window: int = 32  # days predicted in one sweep
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_epochs: int = 10
    patience: int = 2
    batch: int = 1  # windows a step


@dataclass(frozen=True)
class Synthetic:
    """A market of :func:`gnnseq.data.stocks.market.make_market`, drawn anew for every seed."""

    stocks: int = 60
    days: int = 1000


@dataclass(frozen=True)
class StockRun:
    """One forecaster on one market; equal settings give equal numbers."""

    model: str
    seed: int
    protocol: str  # "leak-free" or "published": rsr and stockmixer differ in what they report alone
    data: str | None  # digest of prices and relations, None for the synthetic market
    synthetic: Synthetic | None
    neighbours: int
    cost: float
    training: StockTraining


@dataclass(frozen=True)
class Source:
    """Where a market's files are, which must not decide what a run is called."""

    prices: Path
    relations: tuple[Path, ...]
    adjusted: bool | None  # as for gnnseq.data.stocks.prices.load_prices, and so zone and columns
    zone: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    relation_columns: tuple[tuple[str, str], ...] = ()

    def digest(self) -> str:
        """SHA-256 of all files, so that a finished run is not taken for one on other data."""
        from gnnseq.data.stocks.prices import price_files  # here, because it imports torch

        # Unknown is as good as no: it is refused where the two differ.
        found = hashlib.sha256(str(bool(self.adjusted)).encode())
        if self.zone or self.columns or self.relation_columns:
            found.update(repr((self.zone, self.columns, self.relation_columns)).encode())
        for path in (self.prices, *self.relations):
            for file in price_files(path) if path.is_dir() else [path]:
                found.update(file.name.encode() + file.read_bytes())
        return found.hexdigest()[:16]
