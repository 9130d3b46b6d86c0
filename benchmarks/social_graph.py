"""Who writes to whom next? A graph network for each snapshot, a recurrence over time, and what they have to beat.

    python benchmarks/social_graph.py                      a made-up graph whose best score is known: minutes
    python benchmarks/social_graph.py --data collegemsg    59,835 messages among 1,899 people: half an hour
    python benchmarks/social_graph.py --contacts FILE      your contacts: source target time [weight], a line each
    python benchmarks/social_graph.py --quick              a small made-up graph, no data needed: seconds

Protocol A, live update: of every week from the third on, to whom does each source write? Answered from events before
the week, then learnt from; scored by 1 / rank among 1,000 nodes that it does not write to, and among all. Protocol B,
streaming: the same of single messages in the last 15 % of time, answered from everything strictly before each, among
random nodes and among those that the source wrote to before. The published messages are downloaded once; GNNSEQ_DATA
names a folder that has them.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: the data
cannot be had, or an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from harness.cli import SweepSettings, run_study
from harness.files import fitting, short_hash
from studies.social_graph.runs import HEURISTICS, LEAKS, LEARNT, NETWORKS, Protocol, SocialRun

PLANTED, SMALL = "planted 150 16 500 0", "planted 30 4 60 0"
QUICK = {"hidden": 16, "state": 8, "steps": 2, "epochs": 1}
STREAMED = ("GCN → GRU", "GCN → GRU + recency", "no edges", "no edges + recency")
STREAMING = {"hidden": 64, "epochs": 12}  # it has more to learn from
ON_SUM = {"hidden": 64, "steps": 60, "candidates": 64}  # a network that is used as far as the past recommends
SECONDS = {"live": 40.0, "streaming": 30.0}  # of a network on the published messages


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Heuristics, classifiers and temporal graph networks that foretell contacts."""

    study = "social_graph"
    least = dict.fromkeys(("seeds",), 1)

    data: Literal["planted", "collegemsg"] = "planted"
    """Made-up contacts, or the published messages."""
    contacts: Path | None = None
    """Your contacts: source, target, time and perhaps a weight, between commas, tabs or blanks, also .gz; with a
    heading or without; times in seconds, milliseconds or ISO 8601."""
    every: str = "7D"  # Width of a week, such as 12h or 30D
    seeds: int | None = None
    """Networks of each kind in live update, and draws of streaming's negatives, which all models are asked about; 3, or
    1 with --quick, where not given."""
    models: tuple[str, ...] | None = None  # Only these
    protocols: tuple[Protocol, ...] = ("live", "streaming")  # Only these

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.contacts is not None and self.data != "planted":
            raise ValueError(f"--contacts {self.contacts} and --data {self.data}: choose one")
        if self.contacts is not None and not self.report_only and not self.contacts.is_file():
            raise ValueError(f"--contacts {self.contacts}: no such file")
        if self.contacts is not None and self.record:
            raise ValueError(f"--record and --contacts {self.contacts}: the evidence is of the study's own data")
        known = (*HEURISTICS, *LEARNT, *NETWORKS, *LEAKS, "oracle")
        for model in self.models or ():
            if model not in known:
                raise ValueError(f"--models {model!r}: expected some of {', '.join(map(repr, known))}")
        if self.models == () or not self.protocols:
            raise ValueError("--models or --protocols: expected one at least")

    @property
    def name(self) -> str:
        """What the results are called: neither other data nor other settings overwrite the study's own."""
        own = (self.every, self.seeds, self.models, self.protocols)
        stem = "quick" if self.quick else self.data
        if self.contacts is not None:
            own, stem = (str(self.contacts.resolve()), self.quick, *own), fitting(self.contacts.name.split(".")[0])
        elif own == ("7D", None, None, ("live", "streaming")):
            return stem
        return f"{stem}-{short_hash(repr(own))}"

    @property
    def reading(self) -> str:
        """What a SocialRun says of where its contacts are from."""
        if self.contacts is not None:
            return str(self.contacts)
        return "collegemsg" if self.data == "collegemsg" else SMALL if self.quick else PLANTED

    def runs(self, digest: str, width: float) -> list[SocialRun]:
        """Everything that is run."""
        options = QUICK if self.quick else {}
        seeds = range(self.seeds or (1 if self.quick else 3))
        made = []
        for protocol in self.protocols:
            live = protocol == "live"
            known = (*HEURISTICS, *LEARNT, *NETWORKS)
            models = [model for model in known if self.models is None or model in self.models]
            for seed, model in product(seeds, models):  # a seed's negatives are drawn once for all models
                network = model in NETWORKS
                if not live and network and model not in STREAMED:
                    continue  # of the others live update says enough
                if live and seed and not network:
                    continue  # the same again
                own = ON_SUM if model.endswith("+ sum") else {} if live else STREAMING
                own = options if self.quick and network else own if network else {}
                made.append(SocialRun(self.reading, digest, width, protocol, model, seed, **own))
            extra = (*LEAKS, *(("oracle",) if self.reading.startswith("planted") else ())) if live else ()
            named = [model for model in extra if self.models is None or model in self.models]
            made += [SocialRun(self.reading, digest, width, protocol, model) for model in named]
        if not made:
            raise ValueError(f"--models {' '.join(self.models or ())}: none of them is of these data and protocols: "
                             "the oracle is of made-up contacts, the leak of live update")  # fmt: skip
        return made

    def seconds(self, run: SocialRun) -> float:
        """How long a run takes at most."""
        if run.model not in NETWORKS:
            return 60.0 if run.model in LEARNT and run.data == "collegemsg" else 1.0
        return SECONDS[run.protocol] if run.data == "collegemsg" else 1.0 if self.quick else 6.0


if __name__ == "__main__":
    run_study(Settings)
