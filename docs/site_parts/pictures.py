"""Pictures of the concepts and the page of the front page, made anew by every build from what the library computes."""

from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnnseq import doubling, receptive_field, synchronous, topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GCN, LSTM, RNN, MinGRU
from gnnseq.reach import write_page
from gnnseq.reach.receptive_field import ReceptiveField

GROUNDS = {"light": ("#2b2b2b", "#d9d9d9"), "dark": ("#e6e6e6", "#4a4a4a")}  # text, and what is faint
BLUE, ORANGE, GREEN = "#3a8fd0", "#e69f00", "#1aa57d"  # told apart on either ground, as the next two
VERMILLION, PURPLE = "#e0662e", "#cc79a7"
PARENTS = [4, 4, 5, 5, 6, 6, -1]
PLACES = [(0, 0), (1, 0), (2, 0), (3, 0), (0.5, 1), (2.5, 1), (1.5, 2)]


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def draw_all(app: Any) -> None:
    folder = Path(app.srcdir) / "_pictures"
    folder.mkdir(exist_ok=True)
    for ground, (ink, faint) in GROUNDS.items():
        colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
        look = {"font.size": 12, "svg.fonttype": "none", "svg.hashsalt": "gnnseq", "axes.titlesize": 12, **colours}
        with matplotlib.rc_context({"axes.titlelocation": "left", "font.family": "sans-serif", **look}):
            for picture in (schedule, reach, influence):
                torch.manual_seed(0)
                figure = picture(ink, faint)
                path = folder / f"{picture.__name__}-{ground}.svg"
                figure.savefig(path, transparent=True, metadata={"Date": None})
    write_page(tree_fields(), Path(app.srcdir) / "_static" / "reach.html", title="What a node of a tree depends on")


def tree_fields() -> dict[str, list[ReceptiveField]]:
    """A binary tree of 31 nodes, information going to the root: convolutions, rounds and the sweep of one LSTM."""
    torch.manual_seed(0)
    edges = tree_graph([*[16 + node // 2 for node in range(30)], -1]).edge_index
    x, lstm = torch.randn(31, 4), LSTM(4, 8)
    layers = [GCN(4, 8), *(GCN(8, 8) for _ in range(3))]
    depths = range(1, 5)
    return {
        "GCN, layers": [receptive_field(torch.nn.ModuleList(layers[:k]), x, edges, call=one_by_one) for k in depths],
        "LSTM, rounds": [receptive_field(lstm, x, synchronous(edges, 31, rounds=k)) for k in depths],
        "LSTM, sweep": [receptive_field(lstm, x, topological(edges, 31))],
    }


def schedule(ink: str, faint: str) -> Figure:
    """A tree under the three schedules; a node bears the steps in which it fires."""
    edges = tree_graph(PARENTS).edge_index
    figure, axes = panels(3, 9.0, 2.6)
    made = {
        "synchronous, twice": synchronous(edges, 7, rounds=2),
        "topological": topological(edges, 7),
        "doubling": doubling(edges, 7),
    }
    for panel, (name, found) in zip(axes, made.items(), strict=True):
        fires: list[list[int]] = [[] for _ in PARENTS]
        for number, step in enumerate(found, 1):
            for node in step.nodes.tolist():
                fires[node].append(number)
        read = {tuple(edge) for step in found for edge in step.edge_index.t().tolist()}
        for child, parent in sorted(read):
            jumps = PARENTS[child] != parent  # over several edges, in the second round of doubling
            bend = (0.35 if PLACES[child][0] > PLACES[parent][0] else -0.35) if jumps else 0.0
            arrow = {"arrowstyle": "-|>", "color": ORANGE if jumps else ink, "lw": 1.2, "shrinkA": 14, "shrinkB": 15}
            arrow["connectionstyle"] = f"arc3,rad={bend}"
            panel.annotate("", PLACES[parent], PLACES[child], arrowprops=arrow)
        for (x, y), steps in zip(PLACES, fires, strict=True):
            colour = faint if len(steps) > 1 else (BLUE, ORANGE, GREEN)[steps[0] - 1]
            panel.plot(x, y, "o", ms=27, mfc=colour, mec=ink, mew=1)
            light = colour != faint and colour != BLUE
            panel.text(x, y, " ".join(map(str, steps)), ha="center", va="center", color="#111111" if light else ink)
        times = f"{len(found)} {'rounds' if name == 'doubling' else 'steps'}"
        panel.set(title=f"{name}: {times}", xlim=(-0.5, 3.5), ylim=(-0.45, 2.45))
        panel.axis("off")
    return figure


def reach(ink: str, faint: str) -> Figure:
    """Which inputs an output depends on, along a path."""
    nodes, edges = 16, path_graph(16).edge_index
    modules = {"GCN, 1 layer": (GCN(4, 4),), "GCN, 3 layers": (GCN(4, 4), GCN(4, 4), GCN(4, 4)), "LSTM": (LSTM(4, 4),)}
    figure, axes = panels(3, 7.0, 2.9)
    for panel, (name, layers) in zip(axes, modules.items(), strict=True):
        found = receptive_field(torch.nn.ModuleList(layers), torch.randn(nodes, 4), edges, call=one_by_one)
        for output, source in zip(*found.reach.nonzero(), strict=True):
            panel.add_patch(matplotlib.patches.Rectangle((source, output), 0.88, 0.88, color=BLUE, lw=0))
        panel.set(title=name, xlim=(0, nodes), ylim=(nodes, 0), aspect="equal", xlabel="input", xticks=[0, 8, 16],
                  yticks=[0, 8, 16])  # fmt: skip
    axes[0].set_ylabel("output")
    return figure


def influence(ink: str, faint: str) -> Figure:
    """How much arrives over a path of 60 nodes, untrained."""
    nodes, edges = 60, path_graph(60).edge_index
    modules = {
        "GCN, 8 layers": ([GCN(4, 16), *(GCN(16, 16) for _ in range(7))], ORANGE, ":"),
        "RNN": ([RNN(4, 16)], VERMILLION, "-."),
        "LSTM": ([LSTM(4, 16)], BLUE, "--"),
        "LSTM, chrono": ([LSTM(4, 16, init="chrono", time_scale=nodes)], GREEN, "-"),
        "MinGRU": ([MinGRU(4, 16)], PURPLE, (0, (1, 1))),
    }
    figure, axes = panels(1, 6.0, 3.2)
    for name, (layers, colour, line) in modules.items():
        found = receptive_field(torch.nn.ModuleList(layers), torch.randn(nodes, 4), edges, call=one_by_one)
        shown = [(hop, value) for hop, value in enumerate(found.influence) if value > 0]
        axes[0].plot(*zip(*shown, strict=True), color=colour, ls=line, lw=2, label=name)
    axes[0].set(yscale="log", xlabel="hops between input and output", ylabel="mean influence", ylim=(1e-21, 3))
    axes[0].spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, ncols=2)
    return figure


def one_by_one(layers: torch.nn.Module, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    for layer in layers.children():
        x = layer(x, edges)
        x = x[0] if isinstance(x, tuple) else x
    return x


def panels(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False).flat)
