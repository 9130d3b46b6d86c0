"""Does training on samples of a graph do as well as training on the whole? Accuracy, time and memory.

    python benchmarks/large_graph.py                          10^6 nodes and 10^7 edges, minutes
    python benchmarks/large_graph.py --nodes 1e7 --edges 1e8  in less than 10 GB; what needs more is left out
    python benchmarks/large_graph.py --graph G.npz --features X.npy --labels Y.npy     your graph
    python benchmarks/large_graph.py --graph ogbn_arxiv/      a folder of OGB's, as it is unpacked
    python benchmarks/large_graph.py --devices 2              samples and no edges alone, by two processes
    python benchmarks/large_graph.py --quick                  seconds

Nodes of a block model have planted labels and noisy features, so that the best scores are known. Two layers of GCN are
trained on the whole graph, on drawn neighbours, on clusters, and on what torch_geometric's loader and DGL's sampler
draw, where DGL is installed; label propagation and a network without edges stand beside them. Your features stay on
disk: an .npy is mapped, not read. With --devices or --machines every step's seeds are divided among processes; what has
no seeds to divide, or other numbers with fewer of them, is left out and named.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 1: a claim does
not hold; 2: an argument or a file is wrong; 130: interrupted.
"""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from harness.cli import DeviceSettings, run_study
from harness.files import name_of, short_hash
from studies.large_graph.runs import METHODS, LargeRun, Method

CHOICES = ("methods", "neighbors", "batch", "parts", "epochs", "full_epochs", "hidden", "seeds", "devices", "machines")
QUICK = {"nodes": 2000, "edges": 20000, "epochs": 2, "full_epochs": 5, "batch": 256, "parts": 10}


@dataclass(frozen=True)
class Settings(DeviceSettings):
    """A graph that is larger than a step."""

    study = "large_graph"
    machines_option = "machines"  # nodes are those of the graph
    least = dict.fromkeys(("epochs", "full_epochs", "hidden", "batch", "parts", "seeds"), 1)

    nodes: float | None = None
    """Nodes of the block model; 1e6 where not given."""
    edges: float | None = None
    """Its edges, both directions counted; ten a node where not given."""
    graph: Path | None = None
    """Your edges: .npz with edge_index [2, E] or of scipy.sparse, .npy [2, E] or [E, 2]; or a folder of OGB's."""
    features: Path | None = None
    """Your features: .npy [N, F], mapped from disk, or .npz; of an OGB folder, its own where not given."""
    labels: Path | None = None
    """Your labels: .npy or .npz [N], whole numbers, -1 where unknown; of an OGB folder, its own where not given."""
    directed: bool = False  # Keep your edges' directions; they are read both ways where not given
    methods: tuple[Method, ...] = METHODS  # Only these
    neighbors: tuple[int, ...] = (15, 10)  # Drawn in each hop, -1 for all; one number a layer
    batch: int | None = None  # Seeds a step; 1024 where not given
    parts: int | None = None  # Clusters; one of 1000 nodes each where not given
    epochs: int | None = None  # Of samples and clusters; 2 where not given
    full_epochs: int | None = None  # Of the full batch; 30 where not given
    hidden: int = 64  # Hidden channels
    seeds: int | None = None  # Networks of each kind; 1 where not given
    memory: float = 10.0  # GB of a process; what would need more is left out
    machines: int = 1
    """Machines: the command is started on each with MASTER_ADDR, MASTER_PORT and NODE_RANK, or by torchrun or Slurm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nodes", "edges"):
            number = getattr(self, name)
            if number is not None and not (math.isfinite(number) and number == int(number) and 100 <= number < 2**31):
                raise ValueError(f"--{name} {number:g}: expected a whole number from 100 to 2^31")
        if self.graph is None and (self.features or self.labels or self.directed):
            raise ValueError("--features, --labels and --directed are of your own graph; give --graph too")
        if self.graph is not None:
            if self.nodes or self.edges:
                raise ValueError("--nodes and --edges are of the block model; leave them out with --graph")
            if self.record:
                raise ValueError(f"--record and --graph {self.graph}: the evidence is of the study's own graph")
            if not self.graph.is_dir() and not (self.features and self.labels):
                raise ValueError(f"--graph {self.graph}: expected --features and --labels too, or a folder of OGB's")
        if not self.neighbors or any(number < -1 for number in self.neighbors):
            raise ValueError(f"--neighbors {' '.join(map(str, self.neighbors))}: expected a number a layer, -1 for all")
        if not self.methods:
            raise ValueError(f"--methods: expected some of {', '.join(METHODS)}")
        if not self.memory > 0:
            raise ValueError(f"--memory {self.memory}: expected a number of GB")

    @property
    def size(self) -> tuple[int, int]:
        """Nodes and edges of the block model."""
        nodes = int(self.nodes or (QUICK["nodes"] if self.quick else 1_000_000))
        return nodes, int(self.edges or 10 * nodes)

    @property
    def name(self) -> str:
        """What the results are called: neither other graphs nor other settings overwrite a result."""
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        changed = [(name, getattr(self, name)) for name in CHOICES if getattr(self, name) != usual[name]]
        stem = "quick" if self.quick else ""
        if self.graph is not None:
            own = [path for path in (self.graph, self.features, self.labels) if path is not None]
            stem = f"{name_of(own)}{'-quick' if self.quick else ''}{'-directed' if self.directed else ''}"
        elif not self.quick or self.nodes or self.edges:
            sizes = "-".join(f"{size:.6g}" if size % 10**5 else f"{size:.0e}".replace("+0", "") for size in self.size)
            stem = f"planted-{sizes}{'-quick' if self.quick else ''}"
        return f"{stem}-{short_hash(repr(changed))}" if changed else stem

    def runs(self, digest: str, num_nodes: int) -> list[LargeRun]:
        """Every network that is trained."""
        small = QUICK if self.quick else {}
        epochs = self.epochs or small.get("epochs", 2)
        full = self.full_epochs or small.get("full_epochs", 30)
        seeds = self.seeds or 1
        parts = self.parts or small.get("parts") or max(num_nodes // 1000, 1)
        return [
            LargeRun(method, seed, digest, self.hidden, full if method == "full batch" else epochs,
                     self.batch or small.get("batch", 1024), self.neighbors, parts,
                     0.03 if method == "full batch" else 0.01, self.processes)
            for seed in range(seeds) for method in self.methods
        ]  # fmt: skip


if __name__ == "__main__":
    run_study(Settings)
