"""How far does each layer see? Measured on the whole graph, every pair of nodes, and held against networkx.

    python benchmarks/receptive_field.py                  six parts in half a minute
    python benchmarks/receptive_field.py --graph FILE     the same on your own graph: an edge list (blanks, tabs, commas
                                                          or semicolons), GraphML, GEXF, GML, Pajek, MatrixMarket, npz
    python benchmarks/receptive_field.py --page           a page in place of the report: click a node and see what it
                                                          depends on, in GCNs, RNNs, LSTMs and GRUs side by side

1. k graph convolutions reach exactly the k-hop neighbourhoods.
2. A sweep of RNN, LSTM, GRU, MinGRU or MinLSTM reaches all ancestors and nothing else, k synchronous rounds k - 1
   hops, and k rounds of doubling, of the last two, 2^k - 1.
3. What torch_geometric's layers reach, against what its get_num_hops says.
4. How strongly: influence against hops, untrained, at length 100.
5. What a recurrence and a convolution reach together, in three orders: pairs of (node, step).
6. Range, the mean distance weighted by influence: exact, and as torch_geometric's total_influence estimates it.

Reach is measured by derivatives and NaN traces, never read off the structure. Exit code 0: every pair of parts 1 to 3
and 5 is as networkx has it, and proven; 1: one is not, and stdout names it; 2: an argument or a file is wrong;
130: interrupted.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from harness.cli import StudySettings, publish, run
from studies.receptive_field.names import result_name


@dataclass(frozen=True)
class Settings(StudySettings):
    """How far each layer sees: reach and influence, measured, against networkx."""

    study = "receptive_field"
    least = {"length": 2} | dict.fromkeys(("hops", "hidden", "seeds"), 1)

    graph: Path | None = None
    """Your own graph. Edge lists: one edge a line, two names with blanks, tabs, commas or semicolons between, then a
    weight, which is passed over, or networkx's dict; .adjlist; .graphml, .gexf, .gml, .net (Pajek), .mtx
    (MatrixMarket), .npz (scipy.sparse, or edge_index); each also .gz. Every pair is measured: seconds for a hundred
    nodes, minutes for a thousand, about 20 seconds with --quick. Results are called after the file, and of two files of
    one stem the second also after its place."""
    heading: Literal["auto", "yes", "no"] = "auto"
    """Whether an edge list's first line is a heading; auto knows source, target and their like, a column of numbers
    under a word and numbers under names, and asks where the file leaves it open."""
    directed: bool = False
    """Read an edge list's lines as source and target. Other files say so themselves, a matrix by not being symmetric;
    a file that says undirected is refused."""
    page: bool = False
    """In place of the study, write one HTML file that answers clicks, of a grid or of --graph: layers and rounds from 1
    to --hops, and sweeps where no path leads back. A graph of a thousand nodes takes a minute or two, one of 5,000 some
    minutes; reach is measured pair by pair up to 400 nodes, and by structure confirmed by derivatives beyond."""
    hops: int | None = None  # Part 1 goes from 1 to this many layers; 6, or 2 with --quick, where not given
    length: int | None = None  # Nodes of the path in part 4; 100, or 20 with --quick, where not given
    hidden: int | None = None  # Hidden channels in part 4; 64, or 8 with --quick, where not given
    seeds: int | None = None  # Networks of each kind in part 4; 5, or 1 with --quick, where not given

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.record and self.graph is not None:
            raise ValueError(f"--record and --graph {self.graph}: the evidence is of the study's own graphs")
        for name in ("record", "report_only", "json"):
            if self.page and getattr(self, name):
                option = name.replace("_", "-")
                raise ValueError(f"--page and --{option}: --page writes a page in place of the study; choose one")
        if self.graph is not None and not self.report_only and not self.graph.is_file():
            raise ValueError(f"--graph {self.graph}: no such file")

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of the graph convolutions in part 4."""
        return (2, 4, 8) if self.quick or self.graph is not None else (4, 16, 32)

    @property
    def name(self) -> str:
        """What the results are called: after one's own graph."""
        return super().name if self.graph is None else result_name(self.graph, self.folder, ("quick", self.study))


def main(settings: Settings) -> int:
    """Run the study, or write its page; the exit code."""
    if not settings.page:
        return publish(settings)
    console = import_module("harness.report").console()
    import_module("studies.receptive_field.page").make_page(settings, console)
    return 0


if __name__ == "__main__":
    run(main, Settings)
