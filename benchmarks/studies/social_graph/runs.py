"""What is asked of whom: data, protocol, model and seed. Data alone; torch is not imported."""

from dataclasses import dataclass
from typing import Literal

Protocol = Literal["live", "streaming"]
Order = Literal["time_then_space", "space_then_time", "space_time"]

HEURISTICS = ("random", "popularity", "EdgeBank", "EdgeBank, 7 days", "EdgeBank, counts", "EdgeBank, decay", "repeat",
              "reply", "max(repeat, reply)", "PageRank", "fixed sum", "tuned sum")  # fmt: skip
CHOSEN = ("tuned sum", "boosted trees")  # of which some options are tried, and one is chosen by the past
LEARNT = ("logistic regression", "boosted trees")
ORDERS: tuple[Order, ...] = ("time_then_space", "space_then_time", "space_time")
SHORT = {"time_then_space": "GRU → GCN", "space_then_time": "GCN → GRU", "space_time": "GRU on both"}
EVOLVING = "EvolveGCN"
NETWORKS = (
    *(f"{SHORT[order]}{end}" for end in ("", " + recency") for order in ORDERS), EVOLVING,
    "no edges", "no edges + recency", "GCN → GRU, nodes alone", "GCN → GRU + sum", "no edges + sum",
)  # fmt: skip
LEAKS = ("leak: the week's own popularity",)


@dataclass(frozen=True)
class SocialRun:
    """The settings of one run; equal settings give equal results."""

    data: str  # "planted N W E S", "collegemsg" or a path
    digest: str  # of the contacts
    width: float  # seconds of a week
    protocol: Protocol
    model: str  # of HEURISTICS, LEARNT or NETWORKS
    seed: int = 0  # of weights, minibatches and sampled candidates; in streaming of the evaluation's negatives
    hidden: int = 48  # of a pair
    state: int = 16  # channels of a node's state
    history: int = 3  # snapshots that a state is made of
    steps: int = 15  # of training for each week of live update, each on one earlier week
    epochs: int = 5  # at most, in streaming; the best of validation is tested
    batch: int = 64  # sources of a step of live update; sixteen times as many events in streaming
    candidates: int = 32  # uniform ones, beside all that have met the source
    learning_rate: float = 3e-3  # AdamW's
    weight_decay: float = 1e-4
    dropout: float = 0.1
    forget: float = 8.0  # weeks in which the chance of learning from one falls to 1/e
    entropy: float = 0.1  # share of the cross entropy beside 1 - 1/rank

    @property
    def order(self) -> Order:
        """Of a network's temporal layer."""
        return next((order for order in ORDERS if self.model.startswith(SHORT[order])), "space_then_time")

    @property
    def edges(self) -> bool:
        """Whether messages are passed."""
        return not self.model.startswith("no edges")

    @property
    def recency(self) -> bool:
        """Whether the network is added to the recency score."""
        return self.model.endswith("+ recency")

    @property
    def sum(self) -> bool:
        """Whether the network is added to the fixed sum, as much of it as did best on the weeks before."""
        return self.model.endswith("+ sum")

    @property
    def pairs(self) -> bool:
        """Whether the network reads features of pairs."""
        return not self.model.endswith("nodes alone")
